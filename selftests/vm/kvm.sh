#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Print the QEMU accelerator to use, kvm or tcg.  That /dev/kvm can be opened
# does not mean that guests run: boot a kernel and see.  The answer is kept
# until the host boots again.  ZCP_ACCEL overrides it.
#
# usage: kvm.sh VMLINUZ
set -eu

if [ -n "${ZCP_ACCEL:-}" ]; then
	echo "$ZCP_ACCEL"
	exit
fi
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	echo tcg
	exit
fi

cache=${ZCP_CACHE:-$HOME/.cache/zcp}
mkdir -p "$cache"
exec 8>"$cache/accel.lock"
flock 8
boot=$(cat /proc/sys/kernel/random/boot_id)
if read -r id accel <"$cache/accel" && [ "$id" = "$boot" ]; then
	echo "$accel"
	exit
fi 2>/dev/null

echo "kvm.sh: trying KVM" >&2
tmp=$(mktemp -d "$cache/kvm.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/fs"
cp "$(command -v busybox)" "$tmp/fs/busybox"
cat >"$tmp/fs/init" <<'EOT'
#!/busybox sh
/busybox echo "guest is up"
/busybox poweroff -f
EOT
chmod 755 "$tmp/fs/init"
(cd "$tmp/fs" && find . | cpio -o -H newc --quiet) >"$tmp/cpio"
timeout -k 1 12 qemu-system-x86_64 -accel kvm -cpu host -smp 2 -m 256 -nodefaults \
	-display none -no-reboot -serial "file:$tmp/console" -kernel "$1" \
	-initrd "$tmp/cpio" -append 'console=ttyS0 quiet panic=-1' \
	</dev/null >/dev/null 2>&1 || :
accel=tcg
if grep -q 'guest is up' "$tmp/console" 2>/dev/null; then
	accel=kvm
fi
echo "$boot $accel" >"$tmp/accel"
mv "$tmp/accel" "$cache/accel"
echo "$accel"
