#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Load: many jobs over a bad network, thousands of stalled peers, too little
# memory, the module unloaded again and again, disks that fail.
#
# usage: load.sh [PART...]     soak stalled pressure cycles disk
#
# These are small forms that take seconds; the environment makes them large, as
# `make load` does: LOAD_JOBS, LOAD_SEED, LOAD_LINKS, LOAD_ROUNDS, LOAD_SECONDS,
# LOAD_PRESSURE_JOBS, LOAD_PRESSURE_MIB, LOAD_STARVE, LOAD_CYCLES.
# shellcheck disable=SC2034 # some are for the parts
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

bin=${ZCP_TEST_BIN:-$top/.build/selftests}
tx=zcp-load-tx
rx=zcp-load-rx
images=()

cleanup() {
	local dir

	for dir in "$tmp"/mnt/*; do
		umount "$dir" 2>/dev/null
	done
	network_down 2>/dev/null
	type -t part_cleanup >/dev/null && part_cleanup
}

# A program's result, which is the figure of the test, is printed either way.
figures() {
	local status

	"$@" >"$tmp/figures" 2>&1
	status=$?
	cat "$tmp/figures"
	[ $status -ne 0 ] || say <"$tmp/figures" >&3
	return $status
}

# Two network namespaces, joined by what loses, delays, reorders and doubles.
network_up() {
	local ns

	network_down 2>/dev/null
	ip netns add "$tx" && ip netns add "$rx" &&
		ip -n "$tx" link add eth0 type veth peer name eth0 netns "$rx" &&
		ip -n "$tx" addr add 10.81.0.1/24 dev eth0 &&
		ip -n "$rx" addr add 10.81.0.2/24 dev eth0 || return 1
	for ns in "$tx" "$rx"; do
		ip -n "$ns" link set lo up && ip -n "$ns" link set eth0 up &&
			ip netns exec "$ns" sysctl -qw net.ipv4.ip_local_port_range='1025 65000' \
				net.ipv4.tcp_tw_reuse=1 || return 1
		[ -z "$*" ] || tc -n "$ns" qdisc add dev eth0 root netem limit 20000 "$@" || return 1
	done
}

network_down() {
	ip netns del "$tx"
	ip netns del "$rx"
}

# A file system of its own: disk NAME MIB
disk() {
	mkdir -p "$tmp/mnt/$1" && truncate -s "$2M" "$tmp/$1.img" &&
		mkfs.ext4 -q -F "$tmp/$1.img" &&
		mount -o loop "$tmp/$1.img" "$tmp/mnt/$1" && images+=("$1")
}

disks_down() {
	local name

	for name in "${images[@]}"; do
		umount "$tmp/mnt/$name" || return 1
		rm -f "$tmp/$name.img"
	done
	images=()
}

# Nothing of zcp is left in a namespace, nor in the module: nothing_left [NETNS]
nothing_left() {
	local try name

	for ((try = 0; try < 50; try++)); do
		${1:+ip netns exec "$1"} zcpctl stats --json >"$tmp/stats" || return 1
		for name in jobs_active inflight contexts links memory workers; do
			[ "$(json $name "$tmp/stats")" = 0 ] || break
		done
		[ "$(json $name "$tmp/stats")" != 0 ] || return 0
		sleep 0.1
	done
	cat "$tmp/stats"
	return 1
}

parts=${*:-${LOAD:-soak stalled pressure cycles disk}}
exec 3>&1
for part in ${parts//,/ }; do
	[ -r "$here/load/$part.sh" ] || {
		echo "load.sh: no part $part" >&2
		exit 2
	}
	# shellcheck source=/dev/null
	. "$here/load/$part.sh"
done
finish
