#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Install the Debian packages that zcp's targets need and this system lacks.
# Not being root: print the command to run and exit with status 3.
#
# usage: deps.sh build|vm|uml|userland|check|judges|cross|bench|lint|debug|dkms|deb...
#        deps.sh --list PURPOSE...      print them, and do nothing
set -eu

# kernel.sh fetches kernels, and those bring their own kbuild.
build='gcc libc6-dev make bc bison flex libelf-dev libssl-dev kmod cpio
	xz-utils zstd bzip2 patch rsync pkg-config python3 ca-certificates
	libnl-3-dev libnl-genl-3-dev libncurses-dev'
# The VM boots from this system's root file system, so that what tests run in
# it has to be installed here.
uml='busybox-static kmod cpio iproute2 ethtool iputils-ping
	socat netcat-openbsd tcpdump iptables procps psmisc util-linux util-linux-extra python3
	strace file'
vm="qemu-system-x86 $uml"
check='g++ bindfs e2fsprogs xfsprogs btrfs-progs squashfs-tools erofs-utils fuse3
	libfuse3-dev libbpf-dev dmsetup jq openssl curl attr gdb mandoc man-db
	gcc-i686-linux-gnu libc6-dev-i386-cross python3-yaml python3-jsonschema
	python3-pyte python3-prometheus-client zsh fish iperf3 spin'
judges='gcc rsync iperf3 jq stress-ng trinity'
cross='gcc-aarch64-linux-gnu'
# See userland.sh.
userland='mmdebstrap uidmap bubblewrap rsync'
bench='gnuplot-nox liburing-dev libzmq3-dev libtcmalloc-minimal4 libjemalloc2
	dmsetup e2fsprogs'
lint='sparse shellcheck clang-format codespell perl git gcc make mandoc man-db'
debug='gcovr'
dkms='dkms openssl'
deb='build-essential debhelper dh-dkms fakeroot lintian liburing-dev pkg-config rsync python3
	dkms openssl systemd man-db'

list=
if [ "${1-}" = --list ]; then
	list=1
	shift
fi
packages=
for purpose; do
	case $purpose in
	build) packages+=" $build" ;;
	vm) packages+=" $vm" ;;
	uml) packages+=" $uml" ;;
	check) packages+=" $check" ;;
	judges) packages+=" $judges" ;;
	bench) packages+=" $bench" ;;
	cross) packages+=" $cross" ;;
	userland) packages+=" $userland" ;;
	lint) packages+=" $lint" ;;
	debug) packages+=" $debug" ;;
	dkms) packages+=" $dkms" ;;
	deb) packages+=" $deb" ;;
	*)
		echo "usage: deps.sh build|vm|uml|userland|check|judges|cross|bench|lint|debug|dkms|deb..." >&2
		exit 2
		;;
	esac
done

if [ -n "$list" ]; then
	# shellcheck disable=SC2086 # one word per package
	printf '%s\n' $packages | sort -u
	exit
fi

# Sets missing, or ends the script when nothing is.
look() {
	local installed package

	# shellcheck disable=SC2086 # one word per package
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
		sed -n 's/^installed //p') || :
	missing=
	for package in $packages; do
		case " $missing " in
		*" $package "*) continue ;;
		esac
		if ! grep -qxF "$package" <<<"$installed"; then
			missing+=" $package"
		fi
	done
	[ -n "$missing" ] || exit 0
}

look

if [ "$(id -u)" != 0 ]; then
	echo "apt-get install --no-install-recommends$missing"
	exit 3
fi
# One at a time: apt waits for others that install, but not for the lists.
exec 9>/run/zcp-deps.lock
flock 9
look
export DEBIAN_FRONTEND=noninteractive
echo "deps.sh: installing$missing" >&2
{
	apt-get -qq update
	# shellcheck disable=SC2086
	apt-get -qq -y -o DPkg::Lock::Timeout=600 --no-install-recommends install $missing
} >&2 9>&-
