#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The userland of another Debian release, made once by mmdebstrap and kept in
# the cache: its compiler builds, and the VM has it as its root.
#
# usage: userland.sh get SUITE             print its directory
#        userland.sh build SUITE TOP       copy the sources in TOP, build the user
#                                          programs and selftests there, print where
#        userland.sh run SUITE TREE [DIR...] -- COMMAND...
#                                          run there, in TREE, able to read DIRs
#
# A userland is made again when the list of packages changes.
set -eu -o pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=${ZCP_CACHE:-$HOME/.cache/zcp}

die() {
	echo "userland.sh: $*" >&2
	exit 1
}

[ $# -ge 2 ] || die "usage: userland.sh get|build|run SUITE ..."
cmd=$1
suite=$2
shift 2
root=$cache/roots/$suite

# Without root the files become those of the user, who could not remove them else.
make_root() {
	local sources

	sources=$("$here/apt.sh" sources "$suite")
	if [ "$(id -u)" = 0 ]; then
		mmdebstrap --quiet --mode=root --variant=apt --include="$2" "$suite" "$1" "$sources" >&2
	else
		mkdir "$1"
		mmdebstrap --quiet --mode=unshare --variant=apt --include="$2" "$suite" - "$sources" |
			tar -C "$1" --exclude='./dev/*' -x
	fi
}

get() {
	local packages tmp

	# Without pahole newer kernels warn that theirs was another one. By W=1 they run
	# kernel-doc, which is in Perl, and of which apt has only the base.
	packages=$("$here/deps.sh" --list build uml check bench | paste -sd,),dwarves,perl
	[ "$(cat "$root.packages" 2>/dev/null)" != "$packages" ] || [ ! -d "$root" ] || return 0
	"$here/deps.sh" userland >&2
	mkdir -p "$cache/roots"
	exec 7>"$root.lock"
	flock 7
	[ "$(cat "$root.packages" 2>/dev/null)" != "$packages" ] || [ ! -d "$root" ] || return 0
	echo "userland.sh: making one of $suite, which takes a minute or more" >&2
	tmp=$root.new
	rm -rf --one-file-system "$tmp"
	make_root "$tmp" "$packages" 7>&-
	rm -f "$root.packages"
	rm -rf --one-file-system "$root"
	mv "$tmp" "$root"
	echo "$packages" >"$root.packages"
}

# What the sources are built into stays apart from what this system builds.
build() {
	local out=$1/.build/$suite ksft

	ksft=$("$here/kernel.sh" source 6.1)/tools/testing/selftests
	mkdir -p "$out"
	exec 7>"$out.lock"
	flock 7
	rsync -a --delete --exclude=/.git --exclude=/.build --filter=':- .gitignore' "$1/" "$out"
	inside "$out" -- make -s user >&2
	inside "$out" "$ksft" -- make -s -C selftests KSFT_DIR="$ksft" >&2
	echo "$out"
}

# inside TREE [DIR...] -- COMMAND...
inside() {
	local tree=$1 binds=(--bind "$1" "$1")

	shift
	while [ "$1" != -- ]; do
		binds+=(--ro-bind "$1" "$1")
		shift
	done
	shift
	bwrap --die-with-parent --unshare-pid --ro-bind "$root/usr" /usr \
		--ro-bind "$root/etc" /etc --ro-bind "$root/var" /var \
		--symlink usr/bin /bin --symlink usr/sbin /sbin \
		--symlink usr/lib /lib --symlink usr/lib64 /lib64 \
		--proc /proc --dev /dev --tmpfs /tmp --tmpfs /run "${binds[@]}" \
		--clearenv --setenv PATH /usr/sbin:/usr/bin --setenv HOME /tmp \
		--setenv LC_ALL C.UTF-8 --chdir "$tree" -- "$@"
}

case $cmd in
get)
	get
	echo "$root"
	;;
build)
	build "$1"
	;;
run)
	inside "$@"
	;;
*)
	die "no command $cmd"
	;;
esac
