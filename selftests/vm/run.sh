#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run a command as root in a VM that has zcp.ko loaded.
#
# usage: run.sh [--kernel VERSION] [--nic veth|e1000e|virtio|ne2k_pci|all]
#               [--timeout SECONDS] [--cpus N] [--mem MIB]
#               --shell | [--] COMMAND
#
# Exits with the command's status, or with 124 after the time limit, 125 when
# the kernel complained or zcp.ko could not be unloaded, 126 when the VM died.
# See nic.sh for the VM's network.  The VM sees this system's files, but what
# it writes is gone when it ends.
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=${ZCP_TOP:-$(cd "$here/../.." && pwd)}
kernel=${KERNEL:-}
nic=${NIC:-veth}
limit=600
cpus=2
mem=2048
shell=

usage() {
	sed -n '/^# usage/,/^#$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

die() {
	echo "vm: $*" >&2
	exit 126
}

while [ $# -gt 0 ]; do
	case $1 in
	--kernel | --nic | --timeout | --cpus | --mem)
		[ $# -ge 2 ] || usage
		case $1 in
		--kernel) kernel=$2 ;;
		--nic) nic=$2 ;;
		--timeout) limit=$2 ;;
		--cpus) cpus=$2 ;;
		--mem) mem=$2 ;;
		esac
		shift 2
		;;
	--shell)
		shell=1
		shift
		;;
	--)
		shift
		break
		;;
	-*) usage ;;
	*) break ;;
	esac
done
[ -n "$shell" ] || [ $# -gt 0 ] || usage
case $nic in
veth | e1000e | virtio | ne2k_pci | all) ;;
*) usage ;;
esac

"$here/deps.sh" build vm
assignments=$("$here/kernel.sh" get ${kernel:+"$kernel"})
release='' image='' root='' kdir=''
eval "$assignments"
[ -n "$image" ] || die "no image of Linux $release, its headers only"
ko=$("$here/build.sh" "$top" "$release" "$kdir")
flock "$top/.build/user.lock" make -s -C "$top" user >&2
initramfs=$("$here/initramfs.sh" "$release" "$root")
vmlinux=$("$here/vmlinux.sh" "$image")
accel=$("$here/kvm.sh" "$image")

find "$top/.build" -maxdepth 1 -name "console-*.log" -mtime +1 -delete
dir=$(mktemp -d "$top/.build/run.XXXXXX")
console=$top/.build/console-${dir##*.}.log
children=
cleanup() {
	# shellcheck disable=SC2086 # one word per process
	[ -z "$children" ] || kill $children 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

token=$(head -c 16 /proc/sys/kernel/random/uuid)
# shellcheck disable=SC2034 # used by name
read -r rows columns < <(stty size 2>/dev/null || echo 24 80)
cp "$here/guest.sh" "$here/nic.sh" "$ko" "$dir"
printf '%s\n' "$*" >"$dir/command"
{
	for name in top root release shell limit token rows columns; do
		printf '%s=%q\n' "$name" "${!name}"
	done
	printf 'zcpctl_dir=%q\n' "$top/${ZCPCTL_DIR:-user/zcpctl}"
	printf 'ZCP_NIC=%q ZCP_KERNEL=%q TERM=%q\n' "$nic" "$release" "${TERM:-dumb}"
} >"$dir/config"

append="console=ttyS0 ignore_loglevel printk.time=1 printk.devkmsg=on log_buf_len=4M"
append+=" panic=-1 oops=panic sysctl.kernel.hung_task_panic=0"
append+=" sysctl.kernel.hung_task_timeout_secs=60 mitigations=off secretmem.enable=1"
# shellcheck disable=SC2054 # commas within arguments
qemu=(qemu-system-x86_64 -accel "$accel" -machine q35 -smp "$cpus" -m "$mem"
	-nodefaults -no-user-config -display none -no-reboot
	-kernel "$vmlinux" -initrd "$initramfs" -serial "file:$console"
	-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap
	-device virtio-9p-pci,fsdev=root,mount_tag=zcp-root
	-fsdev "local,id=run,path=$dir,security_model=none,readonly=on"
	-device virtio-9p-pci,fsdev=run,mount_tag=zcp-run
	-device virtio-serial-pci
	-chardev "file,id=status,path=$dir/status"
	-device virtserialport,chardev=status,name=zcp.status)
if [ "$accel" = tcg ]; then
	# One thread for all CPUs: with more, QEMU 7.2 misses that a kernel
	# patches its own code, and the guest dies of a stale int3.  And on a
	# busy host a virtual CPU can wait for long.
	append+=" watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=90"
	qemu[2]=tcg,thread=single
	# shellcheck disable=SC2054
	qemu+=(-cpu max,la57=off)
else
	qemu+=(-cpu host)
fi

# Two NICs on one hub: nic_pair HUB DRIVER
nic_pair() {
	local side

	for side in 1 2; do
		qemu+=(-netdev "hubport,id=net$1$side,hubid=$1"
			-device "$2,netdev=net$1$side,mac=52:54:00:7a:0$1:0$side,romfile=")
	done
}

# Two NICs on two taps, in a network namespace of QEMU's own: nic_taps NR DRIVER
nic_taps() {
	local side

	for side in 1 2; do
		qemu+=(-netdev "tap,id=net$1$side,ifname=zcp$side,script=no,downscript=no,vnet_hdr=on"
			-device "$2,netdev=net$1$side,mac=52:54:00:7a:0$1:0$side,romfile=")
	done
	inside=(unshare --net)
	[ "$(id -u)" = 0 ] || inside+=(--map-root-user)
	inside+=("$here/taps.sh" zcp1 zcp2)
}
inside=()
case $nic in e1000e | all) nic_pair 0 e1000e ;; esac
case $nic in virtio | all) nic_taps 1 virtio-net-pci ;; esac
case $nic in ne2k_pci | all) nic_pair 2 ne2k_pci ;; esac

started=$SECONDS
status=0
if [ -n "$shell" ]; then
	# shellcheck disable=SC2054
	qemu+=(-chardev stdio,id=tty,mux=on,signal=off -mon chardev=tty
		-device virtconsole,chardev=tty)
	"${inside[@]}" "${qemu[@]}" -append "$append" || status=$?
else
	mkfifo "$dir/out" "$dir/err"
	cat "$dir/out" &
	out=$!
	cat "$dir/err" >&2 &
	err=$!
	# shellcheck disable=SC2054
	qemu+=(-chardev "file,id=out,path=$dir/out"
		-device virtserialport,chardev=out,name=zcp.out
		-chardev "file,id=err,path=$dir/err"
		-device virtserialport,chardev=err,name=zcp.err)
	timeout -k 5 "$limit" "${inside[@]}" "${qemu[@]}" -append "$append" </dev/null >"$dir/qemu.log" 2>&1 &
	vm=$!
	children="$vm $out $err"
	wait "$vm" || status=$?
	children="$out $err"
	# If QEMU never opened them.
	: 3<>"$dir/out" 4<>"$dir/err"
	wait "$out" "$err" || :
	children=
fi

"$here/result.sh" "$dir" "$console" "$token" "$status" "$((SECONDS - started))"
