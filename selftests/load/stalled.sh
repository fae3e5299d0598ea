# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Part of load.sh: links whose peers stall do not slow down the others. How much
# the others keep is judged where there are thousands, and time for them.

stalled_links=${LOAD_LINKS:-100}
stalled_was=

# What a machine with so many connections is set to: TCP counts the pages that
# are sent as its own memory. It is one setting for all network namespaces.
tcp_mem() {
	nsenter --net=/proc/1/ns/net sysctl -n "${@:-net.ipv4.tcp_mem}"
}

stalled_memory() {
	local pages

	pages=$(awk '/^MemTotal:/ { print int($2 / 4 / 2) }' /proc/meminfo)
	stalled_was=$(tcp_mem) &&
		tcp_mem -w net.ipv4.tcp_mem="$((pages / 2)) $((pages * 3 / 4)) $pages"
}

part_cleanup() {
	[ -z "$stalled_was" ] || tcp_mem -w net.ipv4.tcp_mem="$stalled_was" >/dev/null
	stalled_was=
}

stalled() {
	local percent=95

	if [ "$stalled_links" -ge 1000 ]; then
		stalled_memory || return 1
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
