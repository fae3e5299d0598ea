# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Part of load.sh: links whose peers stall do not slow down the others. How much
# the others keep is judged where there are thousands, and time for them.

stalled_links=${LOAD_LINKS:-100}
stalled_was=()

# What a machine with so many connections is set to: TCP counts the pages that
# are sent as its own memory; and what all of them send at once over the loopback
# device waits in one queue. These are settings for all network namespaces.
setting() {
	nsenter --net=/proc/1/ns/net sysctl -n "$@"
}

set_and_keep() {
	local was

	was=$(setting "$1") && setting -w "$1=$2" >/dev/null && stalled_was+=("$1=$was")
}

stalled_settings() {
	local pages

	pages=$(awk '/^MemTotal:/ { print int($2 / 4 / 2) }' /proc/meminfo)
	set_and_keep net.ipv4.tcp_mem "$((pages / 2)) $((pages * 3 / 4)) $pages" &&
		set_and_keep net.core.netdev_max_backlog 100000
}

part_cleanup() {
	local was

	for was in "${stalled_was[@]}"; do
		setting -w "$was" >/dev/null
	done
	stalled_was=()
}

stalled() {
	local percent=95

	if [ "$stalled_links" -ge 1000 ]; then
		stalled_settings || return 1
	else
		# In a moment on a busy machine: that they go on.
		percent=2
	fi
	figures "$bin/stalled" "$stalled_links" $((stalled_links * 9 / 10)) \
		"${LOAD_ROUNDS:-1}" "${LOAD_SECONDS:-0.3}" $percent && nothing_left
}

check "stalled: of $stalled_links links 9 of 10 stall, and the others keep their speed" stalled
part_cleanup
unset -f part_cleanup
