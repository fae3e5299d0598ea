#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# iperf3 -Z, whose sender calls sendfile(2) again and again. The bytes that arrive are
# compared: their number, as iperf3 counts it at both ends, and what they are.
#
#   JUDGE_MIB       MiB to send by each stream (64)
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin

mib=${JUDGE_MIB:-64}
at_tx=(ip netns exec tx)
at_rx=(ip netns exec rx)

if [ -n "$(missing iperf3 jq)" ]; then
	skip "iperf3 -Z" "needs: $(missing iperf3 jq)"
	finish
	exit
fi

address=10.77.0.2
tell "iperf3 -Z: its own verdict" iperf "$mib" 1 "$tmp/got"
tell_served "iperf3 -Z: served by zcp" 10
check "iperf3 -Z: zcp has sent what it counts" iperf_same_bytes
check "iperf3 -Z: what arrived is what is in its file" iperf_same_content "$tmp/got"
rm -f "$tmp/got"
tell "iperf3 -Z -P 8 --bidir: its own verdict" iperf "$mib" 8 '' --bidir
tell_served "iperf3 -Z -P 8 --bidir: served by zcp" 80
check "iperf3 -Z -P 8 --bidir: zcp has sent what it counts" iperf_same_bytes
address=fd77::2
tell "iperf3 -Z over IPv6, by a rate: its own verdict" iperf "$mib" 2 '' -b 200M
tell_served "iperf3 -Z over IPv6, by a rate: served by zcp" 10
check "iperf3 -Z over IPv6, by a rate: zcp has sent what it counts" iperf_same_bytes
finish
