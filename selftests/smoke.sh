#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every suite of zcp-bench with small sizes: that bytes and counts are right and
# results are written as documented. No speed is judged.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

bench=$top/user/bench/zcp-bench
out=$tmp/out
loop=

cleanup() {
	[ -z "$loop" ] || losetup -d "$loop"
}

# suite NAME: its checks hold, and there are some.
suite() {
	rm -rf "$out"
	mkdir -p "$out"
	"$bench" --smoke --suite "$1" --dir "$tmp" --out "$out" ${loop:+--disk "$loop"} \
		>"$tmp/bench.log" 2>&1 || {
		tail -n 20 "$tmp/bench.log"
		return 1
	}
	! grep '^not ok' "$tmp/bench.log" || return 1
	grep -q "^ok - $1 " "$tmp/bench.log" || {
		echo "no check of suite $1 was made"
		tail -n 5 "$tmp/bench.log"
		return 1
	}
	# A flat list of rows that all have the same members.
	jq -e --arg suite "$1" 'length > 0 and all(.[]; .suite == $suite and
		(keys == ["case", "max", "median", "method", "metric", "min", "rounds",
			  "suite", "unit"]) and .min <= .median and .median <= .max and
		.rounds >= 1)' "$out/results.json" >/dev/null || {
		echo "results.json is not as documented"
		return 1
	}
}

# methods SUITE METHOD...: the last results have all of them.
methods() {
	local method

	suite "$1" || return 1
	shift
	for method; do
		jq -e --arg m "$method" 'any(.[]; .method == $m)' "$out/results.json" \
			>/dev/null || {
			echo "no result of $method"
			grep -i "$method" "$tmp/bench.log"
			return 1
		}
	done
}

truncate -s 400M "$tmp/disk"
loop=$(losetup -f --show "$tmp/disk") || loop=
check "bulk, by every method" methods bulk read-send-64k read-send-1m mmap-send \
	msg-zerocopy sendfile splice uring-splice uring-send-zc zcp-xfer zcp-job ceiling
check "multi" methods multi sendfile zcp-job
check "small" methods small read-send-64k sendfile zcp-xfer zcp-job
check "message" methods message send send-batch zcp-xfer zcp-job zcp-auto zcp-auto-more zcp-auto-linger
check "many" suite many
check "study-c" methods study-c malloc malloc-copy reused-buffer pool pool-zerocopy zerocopy \
	zcp-auto zcp-linger zmq-copy zmq-zerocopy
check "study-a" methods study-a read-send-1m sendfile zcp-job
check "study-b" methods study-b read-send-1m sendfile zcp-job
check "study-d" methods study-d glibc tcmalloc jemalloc zcp-pool
if [ -n "$loop" ]; then
	check "cold" methods cold sendfile zcp-xfer zcp-job
	check "cache" methods cache sendfile zcp-job
else
	skip "cold" "needs a loop device"
	skip "cache" "needs a loop device"
fi
finish
