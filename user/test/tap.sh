# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC2154
#
# What the shell tests of user/ share: TAP. To be sourced by them, once $tmp is
# there. Where a test fails, what it left in the files out, err and log of that
# directory is shown.
count=0

# The test NAME went well when STATUS is 0: ok STATUS NAME
ok() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
		return
	fi
	echo "not ok $count - $2"
	for said in out err log; do
		sed "s/^/# $said: /" "$tmp/$said" 2>/dev/null
	done
}

# What cannot run here, and what it lacks: skip NAME REASON
skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# Prints the commands that are missing: missing COMMAND...
missing() {
	for command; do
		command -v "$command" >/dev/null || printf '%s ' "$command"
	done
}
