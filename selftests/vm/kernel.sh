#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Find, or fetch into the cache, the kernels zcp is built for and tested with.
#
# usage: kernel.sh get [VERSION...]    print release=, image=, root=, kdir=,
#                                      arch=, userland= as shell assignments
#        kernel.sh source VERSION...   print the directory of the source tree
#
# VERSION is a row of this table, or the name of an installed release. Without
# one: the newest installed kernel that has headers, or else 6.1.
#
#   6.1             Debian 12's
#   6.12            of bookworm-backports
#   6.12-trixie     Debian 13's, with its userland (see userland.sh)
#   7.2, 7.*        of trixie-backports, with Debian 13's userland
#   newest          the newest of trixie-backports, likewise
#   uml, uml-7.3    User-mode Linux 7.2, and that of a newer source package; it
#                   is built from source, and its image is a program
#   uml-debug, uml-7.3-debug, uml-gcov ...
#                   the same with uml-debug.config, uml-gcov.config ... on top
#   kcsan           6.12 from source, small, with KCSAN watching modules: kcsan.sh
#   um-7.2          to compile modules against, without an image (arch=um)
#   6.1-arm64, 6.12-arm64
#                   likewise, with a cross compiler (arch=arm64)
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=${ZCP_CACHE:-$HOME/.cache/zcp}
# Where depmod is, which others than root have not on theirs.
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "kernel.sh: $*" >&2
	exit 1
}

suite_of() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports ;;
	6.12-trixie) echo trixie ;;
	7.*) echo trixie-backports ;;
	*) die "no kernel $1: know of 6.1, 6.12, 6.12-trixie, 7.2, newest, uml, uml-7.*," \
		"uml-debug, um-7.*, 6.1-arm64, 6.12-arm64, and of those installed" ;;
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
	# shellcheck disable=SC2016
	sed -i 's|^KBUILD_OUTPUT=/usr/src/.*|KBUILD_OUTPUT := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))|' \
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

# The newest release of VERSION there are headers of: newest_release SUITE[:ARCH] VERSION
newest_release() {
	local arch=amd64 found

	case $1 in *:*) arch=${1#*:} ;; esac
	found=$("$here/apt.sh" list "$1" "^linux-headers-${2//./[.]}[.].*-$arch\$" |
		grep -vE -e "-(cloud|rt)-$arch\$" | tail -n 1)
	[ -n "$found" ] || die "no headers of Linux $2 in $1"
	echo "${found##* linux-headers-}"
}

# Packages with the image and modules of a release, which Debian has cut
# differently, and signs later than it builds: image_packages SUITE RELEASE
image_packages() {
	local name names escaped=${2//./[.]}

	names=$("$here/apt.sh" list "$1" "^linux-(image|binary|modules|base).*-${escaped//+/[+]}\$" |
		cut -d' ' -f2)
	for name in image binary binary-unsigned image-unsigned; do
		if grep -qxF "linux-$name-$2" <<<"$names" &&
		   { [ "$name" != image ] || ! grep -qxF "linux-modules-$2" <<<"$names"; }; then
			echo "linux-$name-$2"
			break
		fi
	done
	grep -xF -e "linux-modules-$2" -e "linux-base-$2" <<<"$names" || :
}

# The kernel that is built with RELEASE has the kbuild of VERSION and RELEASE.
kbuild_package() {
	if [ "$1" = 6.1 ]; then
		echo linux-kbuild-6.1
	else
		echo "linux-kbuild-${2%-*}"
	fi
}

# fetch_kernel VERSION ROOT
fetch_kernel() {
	local version=$1 root=$2 suite release packages image tmp

	suite=$(suite_of "$version")
	version=${version%-trixie}
	release=$(newest_release "$suite" "$version")
	packages=$(image_packages "$suite" "$release")
	[ -n "$packages" ] || die "no image of Linux $release in $suite"

	mkdir -p "${root%/*}"
	tmp=$(mktemp -d "$root.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "rm -rf '$tmp'" EXIT
	# shellcheck disable=SC2086 # one word per package
	"$here/apt.sh" unpack "$suite" "$tmp" $packages "linux-headers-$release" \
		"linux-headers-${release%-amd64}-common" "$(kbuild_package "$version" "$release")"
	[ -e "$tmp/lib" ] || ln -s usr/lib "$tmp/lib"
	image=$(find "$tmp/lib/modules/$release/" -maxdepth 1 -name vmlinuz -o -name vmlinuz.unsigned)
	if [ -n "$image" ]; then
		mkdir -p "$tmp/boot"
		ln "$image" "$tmp/boot/vmlinuz-$release"
	fi
	relocate "$tmp" "$release"
	depmod -b "$tmp" "$release"
	chmod 755 "$tmp"
	mv "$tmp" "$root"
	trap - EXIT
}

# Headers of another architecture, with the kbuild of this one.
fetch_headers() {
	local version=$1 arch=$2 root=$3 suite release tmp

	suite=$(suite_of "$version")
	release=$(newest_release "$suite:$arch" "$version")
	mkdir -p "${root%/*}"
	tmp=$(mktemp -d "$root.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "rm -rf '$tmp'" EXIT
	"$here/apt.sh" unpack "$suite:$arch" "$tmp" "linux-headers-$release"
	"$here/apt.sh" unpack "$suite" "$tmp" "linux-headers-${release%-"$arch"}-common" \
		"$(kbuild_package "$version" "$release")"
	relocate "$tmp" "$release"
	chmod 755 "$tmp"
	mv "$tmp" "$root"
	trap - EXIT
}

get_arm64() {
	local root=$cache/kernels/$1-arm64 headers

	(
		lock "kernel-$1-arm64"
		[ -d "$root" ] || fetch_headers "$1" arm64 "$root"
	)
	headers=$(find "$root/usr/src" -maxdepth 1 -name 'linux-headers-*-arm64')
	[ -n "$headers" ] || die "$root is incomplete: remove it"
	print_kernel "${headers##*/linux-headers-}" '' "$root" "$headers"
	echo arch=arm64
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

# get_uml [VERSION][-VARIANT]
get_uml() {
	local src out version=7.2 variant=$1

	case $1 in
	[0-9]*)
		version=${1%%-*}
		variant=${1#"$version"}
		variant=${variant#-}
		;;
	esac
	[ -z "$variant" ] || [ -e "$here/uml-$variant.config" ] ||
		die "no kernel uml-$1: $here has no uml-$variant.config"
	src=$(get_source "$version")
	out=$cache/kernels/uml-$version${variant:+-$variant}
	"$here/uml.sh" "$src" "$out" ${variant:+"$variant"}
	print_kernel "$(<"$out/include/config/kernel.release")" "$out/linux" '' "$out"
	echo arch=um
}

get_kcsan() {
	local src out=$cache/kernels/kcsan

	src=$(get_source 6.12)
	"$here/kcsan.sh" "$src" "$out"
	print_kernel "$(<"$out/include/config/kernel.release")" "$out/arch/x86/boot/bzImage" \
		"$out/root" "$out"
}

get() {
	local version=${1-} root='' release

	if release=$(newest_in '' "$version"); then
		print_kernel "$release" "/boot/vmlinuz-$release" '' "/lib/modules/$release/build"
		return
	fi
	version=${version:-6.1}
	case $version in
	*-arm64)
		get_arm64 "${version%-arm64}"
		return
		;;
	newest)
		version=$(newest_release trixie-backports '[0-9]+')
		version=$(cut -d. -f1-2 <<<"$version")
		;;
	uml)
		get_uml ''
		return
		;;
	uml-*)
		get_uml "${version#uml-}"
		return
		;;
	kcsan)
		get_kcsan
		return
		;;
	um-*)
		get_um "${version#um-}"
		return
		;;
	esac
	suite_of "$version" >/dev/null
	root=$cache/kernels/$version
	(
		lock "kernel-$version"
		[ -d "$root" ] || fetch_kernel "$version" "$root"
	)
	release=$(newest_in "$root" "${version%-trixie}") || die "$root is incomplete: remove it"
	print_kernel "$release" "$root/boot/vmlinuz-$release" "$root" \
		"$root/usr/src/linux-headers-$release"
	case $version in
	*-trixie | 7.*) echo userland=trixie ;;
	esac
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
