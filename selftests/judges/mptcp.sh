#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mptcp_connect.sh of the kernel's self-tests with -m sendfile: files both ways
# over loopback, routers, delay and loss. Its plain TCP sockets are served by zcp;
# its MPTCP sockets are refused and must work as ever.
#
#   JUDGE_BYTES     bytes of a file (1000000)
#   JUDGE_MPTCP     further options of mptcp_connect.sh
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin
suites=$(realpath "$1")

bytes=${JUDGE_BYTES:-1000000}
read -ra options <<<"${JUDGE_MPTCP:-}"

# Pairs that are OK, in which PROTO sends: pairs CLIENT SERVER
pairs() {
	grep -Ec "$1 +-> .*\) $2 .*\[ +OK +\]" "$tmp/out"
}

# Both ends of a pair send a file, each by one call or more.
plain_tcp() {
	local both one

	both=$(pairs TCP TCP)
	one=$(($(pairs TCP MPTCP) + $(pairs MPTCP TCP)))
	echo "$both pairs of TCP, $one of TCP and MPTCP, $(pairs MPTCP MPTCP) of MPTCP"
	[ "$both" -gt 0 ] && served $((2 * both + one)) && [ "$(counted passed)" -gt 0 ]
}

cd "$suites/mptcp" || exit 1
check "mptcp_connect.sh -m sendfile: its own verdict" \
	preloaded ./mptcp_connect.sh -m sendfile -t -t -d 5 -l 0.1% -r 0 -f "$bytes" "${options[@]}"
check "mptcp_connect.sh -m sendfile: plain TCP was served, MPTCP was not" plain_tcp
say <"$tmp/log"
finish
