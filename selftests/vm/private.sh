#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run a command as root of this system, in which /usr/src, /var/lib/dkms and
# /lib/modules are private: there is no kernel in the last but the one named, and
# what is written to them is gone in the end. All else is this system's.
#
# usage: private.sh RELEASE ROOT KDIR COMMAND...     (see kernel.sh)
#
# Needs root, or else namespaces that users may make.
set -eu

# Where chroot and dkms are, which others than root have not on theirs.
export PATH="$PATH:/usr/sbin:/sbin"
if [ -z "${ZCP_PRIVATE:-}" ]; then
	map=()
	[ "$(id -u)" = 0 ] || map=(--map-root-user)
	export ZCP_PRIVATE=1
	exec unshare --mount "${map[@]}" -- "$0" "$@"
fi

release=$1
root=$2
kdir=$(realpath "$3")
shift 3
new=/mnt

# The entries of a directory, except some: these are empty directories then.
populate() {
	local dir=$1 entry name private=" $2 "

	for entry in "$dir"/* "$dir"/.[!.]*; do
		name=${entry##*/}
		[ -e "$entry" ] || continue
		if [[ $private == *" $name "* ]]; then
			mkdir "$new$entry"
		elif [ -L "$entry" ]; then
			cp -P "$entry" "$new$entry"
		elif [ -d "$entry" ]; then
			mkdir "$new$entry"
			mount --rbind "$entry" "$new$entry"
		elif [ -f "$entry" ]; then
			: >"$new$entry"
			mount --bind "$entry" "$new$entry"
		fi
	done
}

mount -t tmpfs -o mode=755 private $new
populate '' 'mnt usr var'
populate /usr 'lib src'
populate /usr/lib 'modules'
populate /usr/src ''
populate /var 'lib'
populate /var/lib 'dkms'

modules=$new/usr/lib/modules/$release
mkdir -p "$modules/kernel"
mount --bind "$root/lib/modules/$release/kernel" "$modules/kernel"
ln -s "$kdir" "$modules/build"
cp "$root/lib/modules/$release"/modules.* "$modules"
# shellcheck disable=SC2016 # not here
exec chroot $new /bin/bash -c 'cd "$1" && shift && exec "$@"' private "$PWD" "$@"
