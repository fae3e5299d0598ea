#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module by dkms: added, built, installed, by AUTOINSTALL too, and removed; and
# what it has installed, loaded by modprobe.
#
#   dkms.sh build RELEASE DIR   as root, where dkms may do what it likes (see
#                               vm/private.sh); leaves in DIR what it installed
#   dkms.sh load RELEASE DIR    in a VM with that kernel
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"

verb=$1
release=$2
dir=$3
version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)
modules=/lib/modules/$release
ko=$modules/updates/dkms/zcp.ko

# status_is STATUS: that of this version for this kernel; nothing at all for none
status_is() {
	same "$1" "$(dkms status zcp | sed -n "s|^zcp/$version.*: \([a-z]*\).*|\1|p")" \
		"dkms status"
}

in_modules_dep() {
	grep -q '^updates/dkms/zcp\.ko:' "$modules/modules.dep"
}

# As it is cloned: with all of the tree, the version from the changelog.
added_from_tree() {
	mkdir "$tmp/tree" &&
		cp -R "$top/Kbuild" "$top/CHANGELOG.md" "$top/dkms.conf" "$top/kmod" \
			"$top/include" "$top/Makefile" "$tmp/tree" &&
		dkms add "$tmp/tree" && status_is added && dkms remove "zcp/$version" --all &&
		status_is '' && rm -r "/usr/src/zcp-$version"
}

added() {
	make -s -C "$top" dkms_source && [ ! -e "/usr/src/zcp-$version/user" ] &&
		[ ! -e "/usr/src/zcp-$version/Makefile" ] && dkms add "zcp/$version" &&
		status_is added
}

# An exit status of 77 is how dkms says that a module is not for this kernel.
not_for_old_kernels() {
	dkms build "zcp/$version" -k 5.10.0-1-amd64 --kernelsourcedir "$modules/build"
	same 77 $? "exit status for Linux 5.10"
}

built() {
	local log=/var/lib/dkms/zcp/$version/$release/x86_64

	if ! dkms build "zcp/$version" -k "$release"; then
		cat "/var/lib/dkms/zcp/$version/build/make.log"
		return 1
	fi
	status_is built && same zcp.ko "$(ls "$log/module")" "what is built" &&
		! grep -E 'warning:|error:' "$log/log/make.log"
}

installed() {
	dkms install "zcp/$version" -k "$release" && status_is installed && [ -s "$ko" ] &&
		in_modules_dep && same "$version" "$(modinfo -F version "$ko")" "version"
}

signed() {
	same "DKMS module signing key" "$(modinfo -F signer "$ko")" signer &&
		[ -s /var/lib/dkms/mok.pub ]
}

by_autoinstall() {
	dkms uninstall "zcp/$version" -k "$release" && status_is built && [ ! -e "$ko" ] &&
		dkms autoinstall -k "$release" && status_is installed && [ -s "$ko" ]
}

kept() {
	rm -rf "$dir" && mkdir -p "$dir" && cp -R "$modules/updates" "$dir" &&
		cp "$modules"/modules.* "$dir"
}

removed() {
	dkms remove "zcp/$version" --all && status_is '' && [ ! -e "$ko" ] &&
		! in_modules_dep && [ ! -e /var/lib/dkms/zcp ]
}

loaded() {
	rmmod zcp && cp -R "$dir/." "$modules" && modprobe zcp || return 1
	same "$ko" "$(modinfo -n zcp)" "modinfo -n" &&
		same "$version" "$(cat /sys/module/zcp/version)" /sys/module/zcp/version &&
		same "$(modinfo -F srcversion "$ko")" "$(cat /sys/module/zcp/srcversion)" \
			srcversion && [ -c /dev/zcp ] &&
		same 660 "$(stat -c %a /dev/zcp)" "mode of /dev/zcp"
}

works() {
	head -c 300001 /dev/urandom >"$tmp/file"
	deliver "$(digest "$tmp/file")" "$tmp/file"
}

unloaded() {
	modprobe -r zcp && [ ! -e /sys/module/zcp ] && [ ! -e /dev/zcp ]
}

case $verb in
build)
	tap_start
	check "dkms: add a directory; the version is the changelog's" added_from_tree
	check "dkms: add what make dkms_source installs" added
	check "dkms: passes over kernels that are too old" not_for_old_kernels
	if check "dkms: build makes the module, and nothing else" built; then
		check "dkms: install" installed
		if [ -x "$modules/build/scripts/sign-file" ]; then
			check "dkms: the module is signed" signed
		else
			skip "dkms: the module is signed" "needs scripts/sign-file in its headers"
		fi
		check "dkms: uninstall, autoinstall" by_autoinstall
		check "dkms: what is installed is kept for the VM" kept
	fi
	check "dkms: remove leaves nothing" removed
	;;
load)
	tap_begin
	check "dkms: modprobe loads it from /lib/modules" loaded
	check "dkms: it works" works
	check "dkms: modprobe -r" unloaded
	;;
esac
finish
