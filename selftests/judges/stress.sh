#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# stress-ng: device entries (on /dev/zcp), abused sockets, races of descriptors,
# and sendfile(2) with the preload, whose target is no socket.
#
#   JUDGE_SECONDS   for each of them (20)
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin

seconds=${JUDGE_SECONDS:-20}
# A newer one than this system's, if run.sh has found it.
stress=(stress-ng)
newer=$top/.build/judges/stress-ng
[ ! -x "$newer/run" ] || stress=("$newer/run")

if [ "${stress[0]}" = stress-ng ] && [ -n "$(missing stress-ng)" ]; then
	skip "stress-ng" "needs: $(missing stress-ng)"
	finish
	exit
fi

# Stressors end well, and at least one operation was done: stress NAME OPTION...
stress() {
	local name=$1

	shift
	preloaded "${stress[@]}" --temp-path "$tmp" --timeout "${seconds}s" --metrics "$@" &&
		awk -v name="$name" '
			{ for (i = 1; i < NF; i++) if ($i == name && $(i + 1) ~ /^[0-9]+$/) n += $(i + 1) }
			END { print n + 0 " operations"; exit !n }' "$tmp/out"
}

knows() {
	"${stress[@]}" --help | grep -q -e " $1 "
}

check "stress-ng --dev-file /dev/zcp" stress dev --dev 2 --dev-file /dev/zcp
if knows --fd-race-dev; then
	check "stress-ng --fd-race-dev" stress fd-race --fd-race 2 --fd-race-dev
else
	skip "stress-ng --fd-race-dev" "needs a newer stress-ng than $("${stress[@]}" --version |
		sed 's/.*version \([^ ]*\) .*/\1/')"
fi
check "stress-ng --sockabuse" stress sockabuse --sockabuse 2
check "stress-ng --sendfile, with the preload" stress sendfile --sendfile 2
check "stress-ng --sendfile: its target is no socket, all is left to the system call" \
	passed_on
say <"$tmp/log"
check "zcp works after it" works
finish
