#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a VM whose kernel collects gcov's counts: put those of zcp into DIR, as
# kmod/FILE.gcda. They are kept when the module is unloaded.
#
# usage: gcda.sh DIR
set -eu

out=$1
gcov=/sys/kernel/debug/gcov
[ -d "$gcov" ] || {
	echo "gcda.sh: this kernel has no CONFIG_GCOV_KERNEL" >&2
	exit 1
}
cd "$gcov"
find . -name '*.gcda' -path '*/kmod/*' | while read -r file; do
	name=kmod/${file##*/kmod/}
	mkdir -p "$out/${name%/*}"
	# Its size is not known before it is read.
	cat "$file" >"$out/$name"
done
