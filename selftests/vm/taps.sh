#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run a command where two taps are joined by a bridge.  Only over a tap does
# QEMU offer a virtio NIC checksum offload and scatter/gather; its own hub
# passes whole checksummed frames.
#
# usage: unshare --net taps.sh TAP TAP COMMAND...   in a network namespace
set -eu

one=$1
two=$2
shift 2

echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || :
ip link add zcpbr type bridge forward_delay 0 stp_state 0 mcast_snooping 0
for tap in "$one" "$two"; do
	ip tuntap add "$tap" mode tap vnet_hdr
	ip link set "$tap" master zcpbr up
done
ip link set zcpbr up
exec "$@"
