#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every suite of zcp-bench with small sizes: that bytes and counts are right and
# results are written as documented. No speed is judged. What zcp-bench leaves out since
# this system lacks something is skipped, with its words.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

bench=${ZCP_BENCH:-$top/user/bench/zcp-bench}
out=$tmp/out
loop=
# As check.sh wants it of a skip.
lacks='needs|lacks|without|missing|there is no'

cleanup() {
	[ -z "$loop" ] || losetup -d "$loop"
}

# Nothing failed but what is left out; else says what did.
is_well() {
	[ "$ended" -eq 0 ] || { [ "$ended" -eq 1 ] && [ -s "$tmp/lacks" ]; } || return 1
	! grep '^not ok' "$tmp/bench.log" | grep -vE "$left_out"
}

# Its checks hold, and there are some: judge SUITE METHOD...
judge() {
	local suite=$1 method

	shift
	is_well || {
		echo "status $ended"
		tail -n 20 "$tmp/bench.log"
		return 1
	}
	grep -q "^ok - $suite " "$tmp/bench.log" || {
		echo "no check of suite $suite was made"
		tail -n 5 "$tmp/bench.log"
		return 1
	}
	# A flat list of rows that all have the same members.
	jq -e --arg suite "$suite" 'length > 0 and all(.[]; .suite == $suite and
		(keys == ["case", "max", "median", "method", "metric", "min", "rounds",
			  "suite", "unit"]) and .min <= .median and .median <= .max and
		.rounds >= 1)' "$out/results.json" >/dev/null || {
		echo "results.json is not as documented"
		return 1
	}
	for method; do
		jq -e --arg m "$method" 'any(.[]; .method == $m)' "$out/results.json" >/dev/null ||
			grep -q "^$method: " "$tmp/lacks" || {
			echo "no result of $method"
			grep -i "$method" "$tmp/bench.log"
			return 1
		}
	done
}

# One suite, of which these have results: smoke NAME SUITE METHOD...
smoke() {
	local name=$1 suite=$2 what

	left_out="^not ok - $suite [^:]*: left out: .*($lacks)"
	rm -rf "$out"
	mkdir -p "$out"
	ended=0
	"$bench" --smoke --suite "$suite" --dir "$tmp" --out "$out" ${loop:+--disk "$loop"} \
		>"$tmp/bench.log" 2>&1 </dev/null || ended=$?
	# Lines of a table at its end say the same.
	grep -E "$left_out" "$tmp/bench.log" | sed "s/^not ok - $suite //; s/: left out: /: /" |
		sort -u >"$tmp/lacks"
	if ! is_well >"$tmp/log" || ! grep -q '^all cases: ' "$tmp/lacks"; then
		check "$name" judge "${@:2}"
	fi
	while IFS= read -r what; do
		skip "$suite: ${what%%: *}" "${what#*: }"
	done <"$tmp/lacks"
}

# Those who wake often would wait for those who run for long.
scheduler_counts_no_ticks() {
	local step

	step=$(sed -n 's/.*, CPU time by \([0-9]*\)\.[0-9] us$/\1/p' "$tmp/bench.log" | head -n 1)
	[ "${step:-1000}" -lt 1000 ] || {
		echo "CPU time by ${step:-no} us"
		return 1
	}
}

truncate -s 400M "$tmp/disk"
loop=$(losetup -f --show "$tmp/disk") || loop=
smoke "bulk, by every method" bulk read-send-64k read-send-1m mmap-send \
	msg-zerocopy sendfile splice uring-splice uring-send-zc zcp-xfer zcp-job ceiling
# Variants of User-mode Linux are as it comes.
case $(uname -r) in
*-uml-*) ;;
*) check "the scheduler counts less than ticks" scheduler_counts_no_ticks ;;
esac
smoke "multi" multi sendfile zcp-job
smoke "small" small read-send-64k sendfile zcp-xfer zcp-job
smoke "message" message send send-batch zcp-xfer zcp-job zcp-auto zcp-auto-more zcp-auto-linger
smoke "many" many zcp-job
smoke "study-c" study-c malloc malloc-copy reused-buffer pool pool-zerocopy zerocopy \
	zcp-auto zcp-linger zmq-copy zmq-zerocopy
smoke "study-a" study-a read-send-1m sendfile zcp-job
smoke "study-b" study-b read-send-1m sendfile zcp-job
smoke "study-d" study-d glibc tcmalloc jemalloc zcp-pool
if [ -n "$loop" ]; then
	smoke "cold" cold sendfile sendfile-ahead zcp-xfer zcp-job
	smoke "cache" cache sendfile sendfile-fadvise zcp-job
else
	skip "cold" "needs a loop device"
	skip "cache" "needs a loop device"
fi
finish
