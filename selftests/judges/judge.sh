# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the judges share: suites that others have written, run with the preload.
# To be sourced by them; each is given the directory of prepare.sh.
# shellcheck source=../tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

preload=$top/user/preload/libzcp-preload.so
# An emulated machine is slow: seconds that a suite may take.
limit=${JUDGE_LIMIT:-1500}

# A suite with the preload, and its last words: preloaded COMMAND...
preloaded() {
	suite env LD_PRELOAD="$preload" ZCP_PRELOAD_STATS="$tmp/stats" "$@"
}

# A suite as it is: suite COMMAND...
suite() {
	local status

	rm -f "$tmp/stats"
	timeout -k 5 "$limit" "$@" >"$tmp/out" 2>&1
	status=$?
	[ $status -eq 0 ] || {
		echo "status $status of $*"
		tail -n 60 "$tmp/out"
	}
	return $status
}

# A sum over all processes of the last suite: counted served|bytes|passed...
counted() {
	awk -v name="$1" '
		{ for (i = 1; i <= NF; i++) if (split($i, a, "=") == 2 && a[1] == name) n += a[2] }
		END { printf "%d\n", n }' "$tmp/stats" 2>/dev/null || echo 0
}

# For the reader, and proof that zcp was judged at all: served [LEAST]
served() {
	local name

	for name in served bytes zerocopy copied failed passed; do
		printf '%s=%s ' $name "$(counted $name)"
	done
	echo
	[ "$(counted served)" -ge "${1:-1}" ]
}

# A test of which the reader sees what it says when all is well too: tell NAME COMMAND...
tell() {
	check "$@" && say <"$tmp/log"
}

# The same, told when all is well: tell_served NAME [LEAST]
tell_served() {
	tell "$1" served "${@:2}"
}

# zcp was asked, and left it all to the system call: passed_on [MORE-THAN]
passed_on() {
	served 0 && [ "$(counted served)" -eq 0 ] && [ "$(counted passed)" -gt "${1:-0}" ]
}

# The module after it all.
works() {
	receive -o "$tmp/got" && zcpctl send "$top/README.md" "$address:$port" && received &&
		cmp "$top/README.md" "$tmp/got"
}

# Calls of a function of the module while a judge runs; needs probes of the kernel.
tracing=/sys/kernel/tracing

count_calls() {
	mountpoint -q $tracing || mount -t tracefs tracefs $tracing
	[ -e $tracing/kprobe_events ] || return 1
	echo "p:zcp_judge/$1 $1" >>$tracing/kprobe_events &&
		echo 1 >"$tracing/events/zcp_judge/$1/enable"
}

calls() {
	awk -v name="$1" '$1 == name { print $2 }' $tracing/kprobe_profile
}

end_calls() {
	local name

	for name; do
		echo 0 >"$tracing/events/zcp_judge/$name/enable"
	done
	echo >$tracing/kprobe_events
}

# For iperf3, whose ends are started as at_tx of tap.sh says.
iperf_port=5201

# A server for one test, and the client: iperf MIB STREAMS FILE [OPTION...]
iperf() {
	local mib=$1 streams=$2 into=$3 server try

	shift 3
	rm -f "$into"
	"${at_rx[@]}" iperf3 -s -1 -p $iperf_port ${into:+-F "$into"} >"$tmp/server" 2>&1 &
	server=$!
	children+=("$server")
	for ((try = 0; try < 300; try++)); do
		! "${at_rx[@]}" ss -Hltn "sport = :$iperf_port" | grep -q . || break
		sleep 0.1
	done
	preloaded "${at_tx[@]}" iperf3 -Z -J -c "$address" -p $iperf_port -P "$streams" \
		-n $((mib * streams))M -l 128K "$@" || {
		cat "$tmp/server"
		return 1
	}
	wait "$server" || {
		echo "status $? of the server"
		children=()
		cat "$tmp/server"
		return 1
	}
	children=()
	iperf_all $(((mib * streams) << 20))
}

# What all streams together were to send, in one direction: with --bidir iperf3 ends when one
# of the two has done it, and the other is still to be more than nothing: iperf_all BYTES
iperf_all() {
	local sent back

	sent=$(jq .end.sum_sent.bytes "$tmp/out")
	back=$(jq '.end.sum_received_bidir_reverse.bytes // 0' "$tmp/out")
	echo "of $1 bytes $sent were sent, $back came back"
	[ "$sent" -gt 0 ] && { [ "$sent" -ge "$1" ] || [ "$back" -ge "$1" ]; }
}

# For the kernel's harness: each has passed, in one of its variants at least, and was not
# skipped there: each_passed CASE...
each_passed() {
	awk -v cases="$*" '
		/^ok [0-9]+ / && !/# (SKIP|XFAIL)/ { n = split($3, part, "."); passed[part[n]]++ }
		END {
			n = split(cases, name, " ")
			for (i = 1; i <= n; i++) {
				print name[i] ": " passed[name[i]] + 0 " variants passed"
				bad += !passed[name[i]]
			}
			exit bad > 0
		}' "$tmp/out"
}

# What the sender counted zcp has sent. The receiver stops counting, and reading, when it
# hears that the test is over, with or without the preload: it may have less.
iperf_same_bytes() {
	local sent received

	sent=$(jq .end.sum_sent.bytes "$tmp/out")
	received=$(jq .end.sum_received.bytes "$tmp/out")
	echo "$sent bytes sent, $received received"
	same "$sent" "$(counted bytes)" "bytes by zcp" && [ "$received" -gt 0 ] &&
		[ "$received" -le "$sent" ]
}

# iperf3 writes its pattern to a private map of the file that it then sends, so what
# arrives are the zeros of the file: iperf_same_content FILE
iperf_same_content() {
	local size

	size=$(stat -c %s "$1")
	same "$(jq .end.sum_received.bytes "$tmp/out")" "$size" "size of what arrived" &&
		cmp -n "$size" "$1" /dev/zero
}
