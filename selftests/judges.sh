#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two of the outside judges (see judges/) in a small form: iperf3 -Z, and a pair of
# the kernel's mptcp_connect, each with the preload over the loopback device.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
# shellcheck source=judges/judge.sh
. "$(dirname "$0")/judges/judge.sh"
tap_begin

connect=${ZCP_TEST_BIN:-$top/.build/selftests}/mptcp_connect

# Both ends send a file and then receive the other's.
pair() {
	local server status try args=(-t 30 -m sendfile -s TCP -p 10000)

	head -c 300000 /dev/urandom >"$tmp/a"
	head -c 400000 /dev/urandom >"$tmp/b"
	rm -f "$tmp/stats"
	export LD_PRELOAD=$preload ZCP_PRELOAD_STATS=$tmp/stats
	timeout 60 "$connect" "${args[@]}" -l 0.0.0.0 <"$tmp/a" >"$tmp/from-b" &
	server=$!
	unset LD_PRELOAD
	children+=("$server")
	for ((try = 0; try < 300; try++)); do
		! ss -Hltn "sport = :10000" | grep -q . || break
		sleep 0.1
	done
	LD_PRELOAD=$preload timeout 60 "$connect" "${args[@]}" 127.0.0.1 <"$tmp/b" >"$tmp/from-a"
	status=$?
	wait "$server" && [ $status -eq 0 ] && children=() &&
		cmp "$tmp/a" "$tmp/from-a" && cmp "$tmp/b" "$tmp/from-b" && served 2 &&
		same 700000 "$(counted bytes)" "bytes by zcp"
}

if [ -n "$(missing iperf3 jq)" ]; then
	skip "iperf3 -Z" "needs: $(missing iperf3 jq)"
else
	tell "iperf3 -Z: its own verdict" iperf 4 1 "$tmp/got"
	tell_served "iperf3 -Z: served by zcp" 10
	check "iperf3 -Z: zcp has sent what it counts" iperf_same_bytes
	check "iperf3 -Z: what arrived is what is in its file" iperf_same_content "$tmp/got"
fi
if [ -x "$connect" ]; then
	check "mptcp_connect -m sendfile: a pair of TCP, served by zcp" pair
else
	skip "mptcp_connect -m sendfile" "there is no $connect: it is built with the self-tests"
fi
finish
