#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mptcp_connect.sh of the kernel's self-tests with -m sendfile: files both ways
# over loopback, routers, delay and loss. Its plain TCP sockets are served by zcp;
# its MPTCP sockets are refused and must work as ever.
#
#   JUDGE_BYTES     bytes of a file (300000)
#   JUDGE_MPTCP     further options of mptcp_connect.sh (-4; in User-mode Linux none)
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin
suites=$(realpath "$1")

bytes=${JUDGE_BYTES:-300000}
grep -q 'User Mode Linux' /proc/cpuinfo && short='' || short=-4
read -ra options <<<"${JUDGE_MPTCP-$short}"

# Pairs that are OK: pairs CLIENT SERVER
pairs() {
	grep -Ec " $1 +-> .*\) $2[[:space:]].*\[ +OK +\]" "$tmp/out"
}

# Both ends send a file, each by one call or more. What a listener of MPTCP accepts from a
# client of TCP is a socket of plain TCP.
plain_tcp() {
	local plain mixed both

	plain=$(($(pairs TCP TCP) + $(pairs TCP MPTCP)))
	mixed=$(pairs MPTCP TCP)
	both=$(pairs MPTCP MPTCP)
	echo "$plain pairs of plain TCP, $mixed of MPTCP and TCP, $both of MPTCP"
	[ "$plain" -gt 1 ] && served $((2 * plain + mixed)) &&
		[ "$(counted passed)" -ge $((mixed + 2 * both)) ]
}

cd "$suites/mptcp" || exit 1
check "mptcp_connect.sh -m sendfile: its own verdict" \
	preloaded ./mptcp_connect.sh -m sendfile -t -t -d 5 -l 0.1% -r 0 -f "$bytes" "${options[@]}"
check "mptcp_connect.sh -m sendfile: plain TCP was served, MPTCP was not" plain_tcp
say <"$tmp/log"
finish
