#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The Debian packages: made, installed, used and purged.
#
#   deb.sh build DIR            on this system: makes them, with lintian's opinion;
#                               unpacks udev for the VMs into DIR
#   deb.sh use RELEASE DIR      in User-mode Linux: dkms builds for RELEASE; what it
#                               installed is left in DIR, which can be written to
#   deb.sh load RELEASE DIR     in a VM with that kernel
#
# What is installed in a VM is gone when it ends.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

verb=$1
dir=${!#}
release=$2
debs=$top/.build/deb
version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)
packages="libzcp0 libzcp-dev zcp-dkms zcpctl"
modules=/lib/modules/$release
ko=$modules/updates/dkms/zcp.ko
unset LD_LIBRARY_PATH

made() {
	local package

	make -s -C "$top" deb || return 1
	for package in $packages; do
		same "$version" "$(dpkg-deb -f "$debs/${package}_${version}"_*.deb Version)" \
			"version of $package" || return 1
	done
}

# What the programs need is said by the package, not by what the machine has that
# builds it: libzmq is there, for a study.
needs_these() {
	local needed

	pkg-config --exists libzmq || return 1
	needed=$(dpkg-deb -f "$debs/zcpctl_${version}"_*.deb Depends | tr ',' '\n' |
		sed 's/^ *//; s/ .*//; s/t64$//' | sort | xargs)
	same "libc6 libncursesw6 libtinfo6 libzcp0" "$needed" zcpctl
}

# Whoever overrides a tag says why.
lintian_is_content() {
	lintian --allow-root --fail-on error,warning "$debs/zcp_${version}"_*.changes
}

udev_is_there() {
	rm -rf "$dir" && "$here/vm/apt.sh" unpack bookworm "$dir/udev" udev
}

# In /lib/modules there is this kernel, and not the one that runs, for which dkms
# would look for headers.
one_kernel() {
	local root='' image='' kdir='' kept=/run/modules

	eval "$("$here/vm/kernel.sh" get "$(grep -o '^[0-9]*\.[0-9]*' <<<"$release")")"
	: "$image"
	kdir=$(realpath "$kdir")
	mkdir $kept && mount --bind "$root$modules" $kept &&
		mount -t tmpfs modules "$(realpath /lib/modules)" && mkdir -p "$modules/kernel" &&
		mount --bind $kept/kernel "$modules/kernel" && cp $kept/modules.* "$modules" &&
		ln -s "$kdir" "$modules/build"
}

# User-mode Linux holds a file of the host open for each file it has read, and the
# host lets it have some thousands.
let_go() {
	echo 3 >/proc/sys/vm/drop_caches
}

installed() {
	local package files=()

	for package in $packages; do
		files+=("$debs/${package}_${version}"_*.deb)
	done
	# No triggers: man-db's reads all pages of the system.
	DEBIAN_FRONTEND=noninteractive dpkg --no-triggers -i "${files[@]}" || return 1
	for package in $packages; do
		same "install ok installed" "$(dpkg-query -W -f '${Status}' "$package")" \
			"$package" || return 1
	done
}

built_by_dkms() {
	dkms status "zcp/$version" -k "$release" | grep ': installed$' && [ -s "$ko" ] &&
		same "$version" "$(modinfo -F version "$ko")" "version of the module" &&
		grep -q '^updates/dkms/zcp\.ko:' "$modules/modules.dep"
}

# To be loaded when the system starts is the user's wish.
nothing_starts() {
	! grep -v '^#' /etc/modules-load.d/zcp.conf &&
		! dpkg -L zcp-dkms zcpctl libzcp0 | grep -E 'systemd/|init\.d|/cron|autostart'
}

# From here on zcpctl is that of the package, and not of the tree.
programs_run() {
	PATH=/usr/sbin:/usr/bin:/sbin:/bin
	same /usr/bin/zcpctl "$(command -v zcpctl)" "command -v zcpctl" &&
		ldd /usr/bin/zcpctl | grep -E 'libzcp\.so\.0 => /(usr/)?lib/' &&
		zcpctl version | grep -wF "$version" && zcpctl bench --list
}

# As the example says itself.
example_is_built() {
	zcat -f /usr/share/doc/libzcp-dev/examples/send_file.c* >"$tmp/send_file.c" &&
		cd "$tmp" && same "$version" "$(pkg-config --modversion libzcp)" libzcp.pc &&
		eval "$(sed -n 's/^ \*\t\(cc .*\)/\1/p' send_file.c)" &&
		ldd send_file | grep -E 'libzcp\.so\.0 => /(usr/)?lib/'
}

example_sends() {
	head -c 100001 /dev/urandom >"$tmp/file"
	receive -o "$tmp/got" && "$tmp/send_file" "$address" "$port" "$tmp/file" && received &&
		same "$({ cat "$tmp/file" && echo; } | digest /dev/stdin)" \
			"$(digest "$tmp/got")" digest
}

group_exists() {
	getent group zcp && [ "$(getent group zcp | cut -d: -f3)" -lt 1000 ]
}

start_udev() {
	tar -C "$dir/udev" -c . | tar -C / -x --keep-directory-symlink &&
		/lib/systemd/systemd-udevd --daemon && udevadm settle
}

not_loaded() {
	[ ! -e /sys/module/zcp ] && [ ! -e /dev/zcp ]
}

loaded() {
	modprobe zcp && same "$ko" "$(modinfo -n zcp)" "modinfo -n" &&
		same "$version" "$(cat /sys/module/zcp/version)" "version of the module"
}

device_is_the_groups() {
	udevadm settle && same "660 root:zcp" "$(stat -c '%a %U:%G' /dev/zcp)" /dev/zcp
}

# A user who is in the group, and one who is not.
users() {
	useradd --no-create-home --groups zcp zcp-member && useradd --no-create-home zcp-other
}

as() {
	setpriv --reuid "$1" --regid "$1" --init-groups --inh-caps=-all "${@:2}"
}

# A file that is there, and one in a page cache of zcp's own kind.
root_sends() {
	local file

	cp "$(readlink -f /lib/x86_64-linux-gnu/libc.so.6)" "$tmp/file" || return 1
	for file in "$debs/zcpctl_${version}"_*.deb "$tmp/file"; do
		deliver "$(digest "$file")" "$file" && cmp "$file" "$tmp/got" || return 1
	done
}

member_sends() {
	chmod 755 "$tmp" && chmod 644 "$tmp/file" && at_tx=(as zcp-member) &&
		deliver "$(digest "$tmp/file")" "$tmp/file"
}

other_is_refused() {
	local status

	as zcp-other zcpctl send "$tmp/file" "$address:1" >"$tmp/out" 2>&1
	status=$?
	cat "$tmp/out"
	same 1 $status "exit status" && same 1 "$(wc -l <"$tmp/out")" "lines" &&
		grep '/dev/zcp: Permission denied; the group zcp may use it: ' "$tmp/out"
}

unloaded() {
	modprobe -r zcp && not_loaded
}

# The rows of docs/install.md about refusals, each provoked by the function of its
# name: what modprobe prints has to be in the second column, the kernel's line in the
# third. Enforcing cannot be taken back, so that this is their order.
neither() {
	modprobe zcp && modprobe -r zcp
}

locked_down() {
	[ -e /sys/kernel/security/lockdown ] || mount -t securityfs securityfs /sys/kernel/security
	echo integrity >/sys/kernel/security/lockdown && ! modprobe zcp
}

# One whose key is not known, as dkms signs it.
key_not_enrolled() {
	echo 1 >/sys/module/module/parameters/sig_enforce && ! modprobe zcp
}

not_signed() {
	cp "$ZCP_KO" "$ko" && ! modprobe zcp
}

# What is quoted in a column of a row: quotes ROW COLUMN
quotes() {
	local row

	row=$(grep -F "$1" "$top/docs/install.md")
	cut -d '|' -f "$2" <<<"$row" | tr '\140' '\n' | sed -n 2p
}

# row FUNCTION FIRST-COLUMN
row() {
	local printed said

	printed=$(quotes "$2" 3)
	said=$(quotes "$2" 4)
	[ -n "$said" ] && { [ -n "$printed" ] || [ "$1" = neither ]; } || return 1
	# What is said only once, of the first module, was said when this VM began.
	[ "$1" = neither ] || dmesg --clear
	"$1" 2>"$tmp/err" || return 1
	cat "$tmp/err"
	dmesg | tail -n 3
	grep -qF -- "$printed" "$tmp/err" || [ -z "$printed" ] || return 1
	dmesg | grep -F -- "] $said"
}

# Not the group, which files may belong to, nor dkms' own key.
purged() {
	local left

	# shellcheck disable=SC2086 # one word per package
	dpkg --no-triggers --purge $packages || return 1
	# shellcheck disable=SC2086
	! dpkg-query -W $packages 2>/dev/null | grep . || return 1
	left=$(find /etc /usr /var "$modules" -xdev \( -path "$top" -o -path "$dir" \) -prune -o \
		-name '*zcp*' -print | grep -v '/var/cache/apt')
	same "" "$left" "what is left" || return 1
	same "" "$(find /var/lib/dkms -mindepth 1 ! -name 'mok.*')" "/var/lib/dkms"
}

case $verb in
build)
	tap_start
	check "deb: make deb" made
	check "deb: zcpctl needs the same, wherever it is built" needs_these
	check "deb: lintian has no error and no warning" lintian_is_content
	check "deb: udev for the VMs" udev_is_there
	;;
use)
	tap_begin
	let_go
	check "deb: a system with one kernel" one_kernel
	if check "deb: dpkg -i" installed; then
		let_go
		check "deb: dkms has built and installed the module" built_by_dkms
		let_go
		check "deb: nothing starts by itself" nothing_starts
		check "deb: zcpctl and zcp-bench run, with the packages' library" programs_run
		check "deb: the example is built as it says" example_is_built
		check "deb: it sends a file" example_sends
		check "deb: what dkms installed is kept for the VM" cp -R "$modules" "$dir/modules"
		let_go
		check "deb: purge leaves nothing" purged
		let_go
	fi
	;;
load)
	tap_begin
	rmmod zcp
	touch /etc/dkms/no-autoinstall
	check "deb: dpkg -i, dkms told to build nothing" installed
	cp -R "$dir/modules/updates" "$dir"/modules/modules.* "$modules"
	check "deb: installing does not load the module" not_loaded
	check "deb: there is a group zcp, of the system" group_exists
	check "deb: udev runs" start_udev
	check "deb: modprobe zcp" loaded
	check "deb: /dev/zcp is 0660 root:zcp" device_is_the_groups
	check "deb: zcpctl and zcp-bench run, with the packages' library" programs_run
	check "deb: zcpctl sends files, their digests are right" root_sends
	check "deb: two users" users
	check "deb: one in the group may send" member_sends
	check "deb: one who is not may not, and is told why" other_is_refused
	check "deb: modprobe -r zcp" unloaded
	check "deb: neither Secure Boot nor sig_enforce: as in install.md" \
		row neither '| neither |'
	check "deb: refused by Secure Boot's lockdown: as in install.md" \
		row locked_down lockdown=integrity
	check "deb: refused for its key: as in install.md" \
		row key_not_enrolled ', a key that is not enrolled |'
	check "deb: refused without a signature: as in install.md" \
		row not_signed ', not signed |'
	# It was put there by this test, of which dkms knows nothing.
	rm -f "$ko"
	check "deb: purge leaves nothing" purged
	;;
esac
finish
