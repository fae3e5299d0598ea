#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Build zcp.ko, and the module of the tests, for a kernel, apart from the
# sources, in TOP/.build/RELEASE.
#
# usage: build.sh TOP RELEASE KDIR [ARCH]     prints the path of zcp.ko
set -eu

top=$1
out=$top/.build/$2
kdir=$3

mkdir -p "$out"
exec 8>"$out.lock"
flock 8
rsync -a --delete --prune-empty-dirs --exclude='*.mod.c' --exclude=probed.h \
	--include='*/' --include='*.[chS]' --include=Kbuild --include=Makefile --exclude='*' \
	"$top/kmod" "$top/include" "$out"
mkdir -p "$out/selftests"
rsync -a "$top/selftests/module" "$out/selftests"
rsync -a "$top/Kbuild" "$top/CHANGELOG.md" "$out"
# Where the kernel collects it, the module tells which of its code was run.
instruments=
! grep -qsx CONFIG_KCOV=y "$kdir/.config" || instruments=KCOV_INSTRUMENT=y
! grep -qsx CONFIG_GCOV_KERNEL=y "$kdir/.config" || instruments="$instruments GCOV_PROFILE=y"
# shellcheck disable=SC2086 # one word per variable
make -s -C "$kdir" M="$out" ${4:+ARCH="$4"} $instruments -j"$(nproc)" \
	ZCP_TESTS=m modules >&2
echo "$out/zcp.ko"
