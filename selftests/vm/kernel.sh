#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Find, or fetch into the cache, the kernels zcp is built for and tested with.
#
# usage: kernel.sh get [VERSION...]    print release=, image=, root=, kdir=,
#                                      arch= as shell assignments
#        kernel.sh source VERSION...   print the directory of the source tree
#
# VERSION is 6.1, 6.12 or the name of an installed release.  Without one: the
# newest installed kernel that has headers, or else 6.1.  uml is User-mode
# Linux 7.2, uml-7.3 that of a newer source package; it is built from source,
# and its image is a program.  7.2 has no image: it is there to compile modules
# against (arch=um).
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=${ZCP_CACHE:-$HOME/.cache/zcp}

die() {
	echo "kernel.sh: $*" >&2
	exit 1
}

suite_of() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	7.*) echo trixie-backports ;;
	*) die "no kernel $1: know of 6.1, 6.12, 7.2, uml, uml-7.* and of those installed" ;;
	esac
}

# One process at a time works on one thing in the cache: lock NAME
lock() {
	mkdir -p "$cache/locks"
	exec 8>"$cache/locks/$1"
	flock 8
}

print_kernel() {
	local name

	for name in release image root kdir; do
		printf '%s=%q\n' "$name" "$1"
		shift
	done
}

# Releases with image and headers, oldest first: installed_in ROOT
installed_in() {
	local image release

	for image in "$1"/boot/vmlinuz-*; do
		release=${image##*/vmlinuz-}
		if [ -r "$image" ] && [ -e "$1/lib/modules/$release/build/Makefile" ]; then
			echo "$release"
		fi
	done | sort -V
}

# The newest release of VERSION that ROOT has: newest_in ROOT [VERSION]
newest_in() {
	installed_in "$1" | awk -v v="${2-}" '
		v == "" || $0 == v || index($0, v ".") == 1 || index($0, v "-") == 1 {
			newest = $0
		}
		END { if (newest) print newest; else exit 1 }'
}

# Headers, made to be used where they were unpacked: relocate ROOT RELEASE
relocate() {
	local headers=$1/usr/src/linux-headers-$2 link target

	# shellcheck disable=SC2016 # make's variables
	sed -i 's|^include /usr/src/|include $(dir $(lastword $(MAKEFILE_LIST)))../|' \
		"$headers/Makefile"
	find "$1" -type l -lname '/*' | while read -r link; do
		target=$1$(readlink "$link")
		if [ -e "$target" ]; then
			ln -sfnr "$target" "$link"
		fi
	done
	# Without it no BTF is made for modules, and pahole is not needed.
	rm -f "$headers/vmlinux"
	if grep -rIl --include=Makefile --include='*.mk' -e '[ =]/usr/src/' "$headers"; then
		die "these still point to /usr/src"
	fi
}

# fetch_kernel VERSION ROOT
fetch_kernel() {
	local version=$1 root=$2 suite release kbuild tmp

	suite=$(suite_of "$version")
	release=$("$here/apt.sh" list "$suite" "^linux-headers-${version//./[.]}[.].*-amd64\$" |
		grep -vE -e '-(cloud|rt)-amd64$' | tail -n 1)
	release=${release##* linux-headers-}
	[ -n "$release" ] || die "no headers of Linux $version in $suite"
	kbuild=linux-kbuild-${release%-amd64}
	[ "$version" != 6.1 ] || kbuild=linux-kbuild-6.1

	mkdir -p "${root%/*}"
	tmp=$(mktemp -d "$root.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "rm -rf '$tmp'" EXIT
	"$here/apt.sh" unpack "$suite" "$tmp" "linux-image-$release" \
		"linux-headers-$release" "linux-headers-${release%-amd64}-common" "$kbuild"
	relocate "$tmp" "$release"
	depmod -b "$tmp" "$release"
	chmod 755 "$tmp"
	mv "$tmp" "$root"
	trap - EXIT
}

get_um() {
	local src out=$cache/kernels/$1-um config symbol

	src=$(get_source "$1")
	lock "kernel-$1"
	if [ ! -e "$out/.complete" ]; then
		rm -rf "$out"
		mkdir -p "$out"
		echo "kernel.sh: preparing Linux $1 (um) for modules" >&2
		make -s -C "$src" O="$out" ARCH=um defconfig >&2
		"$src/scripts/config" --file "$out/.config" -e MODULES -e NET -e INET \
			-e IPV6 -e DEBUG_FS -e TRACEPOINTS -m TLS -e NET_NS
		make -s -C "$src" O="$out" ARCH=um olddefconfig >&2
		make -s -C "$src" O="$out" ARCH=um -j"$(nproc)" modules_prepare >&2
		config=$out/.config
		for symbol in MODULES NET INET DEBUG_FS; do
			grep -q "^CONFIG_$symbol=y" "$config" || die "$config has no $symbol"
		done
		touch "$out/.complete"
	fi
	print_kernel "$(cat "$out/include/config/kernel.release")" '' '' "$out"
	echo arch=um
}

get_uml() {
	local src out=$cache/kernels/uml-$1

	src=$(get_source "$1")
	"$here/uml.sh" "$src" "$out"
	print_kernel "$(<"$out/include/config/kernel.release")" "$out/linux" '' "$out"
	echo arch=um
}

get() {
	local version=${1-} root='' release

	if release=$(newest_in '' "$version"); then
		print_kernel "$release" "/boot/vmlinuz-$release" '' "/lib/modules/$release/build"
		return
	fi
	version=${version:-6.1}
	case $version in
	uml)
		get_uml 7.2
		return
		;;
	uml-*)
		get_uml "${version#uml-}"
		return
		;;
	7.*)
		get_um "$version"
		return
		;;
	esac
	suite_of "$version" >/dev/null
	root=$cache/kernels/$version
	(
		lock "kernel-$version"
		[ -d "$root" ] || fetch_kernel "$version" "$root"
	)
	release=$(newest_in "$root" "$version") || die "$root is incomplete: remove it"
	print_kernel "$release" "$root/boot/vmlinuz-$release" "$root" \
		"$root/usr/src/linux-headers-$release"
}

fetch_source() {
	local tmp

	mkdir -p "${2%/*}"
	tmp=$(mktemp -d "$2.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "rm -rf '$tmp'" EXIT
	"$here/apt.sh" unpack "$(suite_of "$1")" "$tmp" "linux-source-$1"
	mkdir "$tmp/tree"
	tar -C "$tmp/tree" --strip-components=1 -xf "$tmp/usr/src/linux-source-$1.tar.xz"
	mv "$tmp/tree" "$2"
}

get_source() {
	local tree=$cache/sources/$1

	suite_of "$1" >/dev/null
	[ -d "$tree" ] || (
		lock "source-$1"
		[ -d "$tree" ] || fetch_source "$1" "$tree"
	)
	echo "$tree"
}

cmd=${1-}
[ $# -eq 0 ] || shift
case $cmd in
get)
	if [ $# -eq 0 ]; then
		get
	fi
	for version; do
		get "$version"
	done
	;;
source)
	[ $# -gt 0 ] || die "usage: kernel.sh source VERSION..."
	for version; do
		get_source "$version"
	done
	;;
*)
	echo "usage: kernel.sh get [VERSION...] | source VERSION..." >&2
	exit 2
	;;
esac
