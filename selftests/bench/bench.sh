#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What `make bench` runs: zcp-bench in User-mode Linux, and the plots of it.
#
# usage: [SUITE=NAME[,NAME]] [ROUNDS=N] [METHODS=NAME[,NAME]] [CASES='PATTERN'] [OUT=DIR] bench.sh
#
# Writes OUT (bench-out in the top directory): results.json, targets.json,
# table.txt, system.txt and *.svg.  Exits with 0, with 1 when a check of bytes or
# counts failed, or with what ended it (4: zcp-bench could not go on).  KERNEL, MEM
# (MiB) and CPUS are those of the VM, TIMEOUT (seconds) is for each of at most six VMs.
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
vm=$top/selftests/vm
out=${OUT:-$top/bench-out}
rounds=${ROUNDS:-7}
kernel=${KERNEL:-uml}
cases=${CASES:+"--cases '$CASES'"}
cpus=${CPUS:-$(nproc)}
limit=${TIMEOUT:-$((900 + rounds * 600))}
all='bulk multi small message cold many cache'
# Only when they are asked for.
studies='study-a study-b study-c study-d'
# Has room for the file of suite cache, and takes only what is written to it.
disk_size=12G

usage() {
	sed -n '/^# usage/,/^#$/s/^# \{0,1\}//p' "$0" >&2
	echo "suites: $all $studies" >&2
	exit 2
}

[ $# -eq 0 ] || usage
[[ $rounds =~ ^[1-9][0-9]*$ ]] || usage
suites=$(tr , ' ' <<<"${SUITE:-$all}")
for suite in $suites; do
	[[ " $all $studies " == *" $suite "* ]] || usage
done

# A VM may have three quarters of what memory is free.
free=$(awk '$1 == "MemAvailable:" { print int($2 / 1024 * 3 / 4) }' /proc/meminfo)
mem=${MEM:-$((free < 3072 ? free : 3072))}

"$vm/deps.sh" build bench
# What else runs on this host makes a system call of the VM many times dearer.
busy() {
	local user nice sys rest before

	read -r _ user nice sys rest </proc/stat
	before=$((user + nice + sys))
	sleep 2
	read -r _ user nice sys rest </proc/stat
	: "$rest"
	[ $((user + nice + sys - before)) -gt $((2 * $(nproc) * $(getconf CLK_TCK) / 10)) ]
}
load=idle
if busy; then
	load='busy: speeds are too low and vary'
	echo "bench: this host is $load" >&2
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/{results,targets}.json "$out"/{table,system}.txt "$out"/*.svg "$out"/*.dat
mkdir -p "$top/.build"
work=$(mktemp -d "$top/.build/bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

# boot MEMORY SUITE...: runs these suites in a VM, into a directory of its own.
# $pin: --pin or nothing, whether each CPU of the VM stays on one of the host's;
# $ends: the same, whether the sender and the receiver stay on a CPU each.
parts=()
boot() {
	local part=$work/part${#parts[@]} memory=$1 status=0 names

	shift
	names=$(tr ' ' , <<<"$*")
	mkdir "$part"
	parts+=("$part")
	echo "bench: $names: $rounds rounds, $cpus CPUs, $memory MiB" >&2
	"$vm/run.sh" --kernel "$kernel" --mem "$memory" --cpus "$cpus" $pin --share "$part" \
		--disk "$work/disk:$disk_size" --timeout "$limit" -- \
		"set -e
		uname -srvm >$part/kernel
		mkdir -p /tmp/bench
		mount -t tmpfs -o size=90% bench /tmp/bench
		${ends:+taskset -c 0} $top/user/bench/zcp-bench $ends --suite $names --rounds $rounds \
			${METHODS:+--methods $METHODS} $cases --dir /tmp/bench \
			--disk \"\$ZCP_DISK\" --out $part" >"$part/stdout" || status=$?
	rm -f "$work/disk"
	grep '^not ok' "$part/stdout" >&2 || :
	# Status 1 is a check that failed: what there is, is reported.
	[ $status -le 1 ] && [ -s "$part/results.json" ] || exit $status
	[ $status -eq 0 ] || failed=1
}

# What else was asked for.
chosen() {
	local name

	for name in METHODS CASES KERNEL MEM CPUS; do
		[ -z "${!name-}" ] || printf ' %s=%q' "$name" "${!name}"
	done
}

failed=0
# pinned: one sender and one receiver. rest: many threads, which would all be on one CPU.
# cold has threads as well, and latencies, which the host's scheduler must not make.
pinned=
rest=
for suite in $suites; do
	case $suite in
	bulk | small | message | study-[ac]) pinned+=" $suite" ;;
	cold | cache | study-b) ;;
	*) rest+=" $suite" ;;
	esac
done
can_pin=--pin
[[ $kernel == uml* ]] || can_pin=
pin=$can_pin ends=$can_pin
# shellcheck disable=SC2086 # words
[ -z "$pinned" ] || boot "$mem" $pinned
# It has cases of both kinds.
if [[ " $suites " == *" study-b "* && -z $cases ]]; then
	cases="--cases '[0-9]*'"
	boot "$mem" study-b
	cases="--cases 'streams-*'"
	pin='' ends=''
	boot "$mem" study-b
	cases=
elif [[ " $suites " == *" study-b "* ]]; then
	pin='' ends=''
	boot "$mem" study-b
fi
pin=$can_pin ends=
[[ " $suites " != *" cold "* ]] || boot "$mem" cold
pin=
# shellcheck disable=SC2086 # words
[ -z "$rest" ] || boot "$mem" $rest
# A file that is several times as large as memory.
[[ " $suites " != *" cache "* ]] || boot "${MEM:-1024}" cache

for name in results targets; do
	python3 -c '
import json, sys
rows = [row for path in sys.argv[1:] for row in json.load(open(path))]
print("[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]")
' "${parts[@]/%//$name.json}" >"$out/$name.json"
done
cat "${parts[@]/%//table.txt}" >"$out/table.txt"
for part in "${parts[@]}"; do
	find "$part" -name '*.dat' -exec cp {} "$out" \;
done
{
	echo "date:    $(date -u +%Y-%m-%dT%H:%MZ)"
	echo "command: make bench SUITE=$(tr ' ' , <<<"$suites") ROUNDS=$rounds$(chosen)"
	echo "zcp:     $(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)" \
		"$(git -C "$top" describe --always --dirty 2>/dev/null || :)"
	echo "kernel:  $(cat "${parts[0]}/kernel")"
	echo "VM:      $kernel, $cpus CPUs, $mem MiB (cache: ${MEM:-1024})"
	echo "host:    $(uname -srm), $load"
	echo "CPU:     $(nproc) x $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
} >"$out/system.txt"
"$here/plot.sh" "$out"
cat "$out/system.txt" "$out/table.txt"
echo
echo "bench: results are in $out"
exit $failed
