# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the shell tests of zcp share: TAP, and transfers by zcpctl over the
# loopback device. To be sourced by the tests.
#
# A test is `check NAME COMMAND...`: it passes when the command, a function
# mostly, returns 0. The script says `finish` where it ends, and only then the
# plan is printed, as the last line: a script that dies before is a failure.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
case :$PATH: in
*:"$top"/user/zcpctl:*) ;;
*) PATH=$top/user/zcpctl:$PATH ;;
esac
export LC_ALL=C

tap_count=0
tap_failed=0
tap_skipped=0
tap_finished=
tmp=

say() {
	sed 's/^/# /'
}

check() {
	local name=$1 status

	shift
	tap_count=$((tap_count + 1))
	"$@" >"$tmp/log" 2>&1 </dev/null
	status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $tap_count $name"
	else
		say <"$tmp/log"
		echo "not ok $tap_count $name # status $status"
		tap_failed=$((tap_failed + 1))
	fi
	return "$status"
}

# What cannot run here, and what it lacks: skip NAME REASON
skip() {
	tap_count=$((tap_count + 1))
	tap_skipped=$((tap_skipped + 1))
	echo "ok $tap_count $1 # SKIP $2"
}

# EXPECTED ACTUAL WHAT
same() {
	[ "$1" = "$2" ] || {
		echo "$3: expected \"$1\", is \"$2\""
		return 1
	}
}

# Prints the commands that are missing: missing COMMAND...
missing() {
	local command

	for command; do
		command -v "$command" >/dev/null || printf '%s ' "$command"
	done
}

# Processes that this script has started and not waited for.
children=()

stop() {
	local pid

	for pid in "${children[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	children=()
}

# Redefined by tests that have more to take back.
cleanup() {
	:
}

tap_end() {
	local status=$?

	trap - EXIT
	stop
	cleanup
	rm -rf "$tmp"
	if [ -z "$tap_finished" ]; then
		echo "# ended early with status $status"
		exit 1
	fi
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ] || exit 1
	[ "$tap_skipped" -lt "$tap_count" ] || exit 4
	exit 0
}

finish() {
	tap_finished=1
}

# For tests that need no module.
tap_start() {
	echo "TAP version 13"
	tmp=$(mktemp -d /tmp/zcp-test.XXXXXX) || exit 1
	trap tap_end EXIT
	trap 'exit 130' INT TERM
}

tap_begin() {
	local what

	tap_start
	what=
	[ "$(id -u)" = 0 ] || what="root"
	[ -c /dev/zcp ] || what="$what /dev/zcp (insmod zcp.ko)"
	command -v zcpctl >/dev/null || what="$what zcpctl (make -C user)"
	if [ -n "$what" ]; then
		skip "$(basename "$0")" "needs: $what"
		finish
		exit 0
	fi
}

# Namespaces of its own, so that nothing is left behind on a host: own_namespaces "$@"
own_namespaces() {
	if [ "${ZCP_TEST_NS:-}" != "$0" ] && [ "$(id -u)" = 0 ]; then
		ZCP_TEST_NS=$0 exec unshare --net --mount -- "$0" "$@"
	fi
	[ "$(id -u)" = 0 ] && ip link set lo up
}

# The value of a key in the last line of a file of JSON: json KEY FILE
# No program is started for it: on emulated CPUs that takes a tenth of a second.
json() {
	local lines=()

	mapfile -t lines <"$2"
	[ ${#lines[@]} -gt 0 ] || return 0
	if [[ ${lines[-1]} =~ .*\"$1\":(\"([^\"]*)\"|([^,}]*)) ]]; then
		echo "${BASH_REMATCH[2]}${BASH_REMATCH[3]}"
	fi
}

# How the ends of a transfer are started; the NIC tests set namespaces.
at_tx=()
at_rx=()
address=127.0.0.1

# Starts a receiver; sets $receiver and $port: receive [ARGUMENT...]
receive() {
	local try

	: >"$tmp/recv.err"
	"${at_rx[@]}" zcpctl recv --once --json "$@" "$address:0" \
		>"$tmp/recv.json" 2>"$tmp/recv.err" &
	receiver=$!
	children+=("$receiver")
	for ((try = 0; try < 600; try++)); do
		port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/recv.err")
		[ -z "$port" ] || return 0
		kill -0 "$receiver" 2>/dev/null || break
		sleep 0.1
	done
	echo "the receiver does not listen:"
	cat "$tmp/recv.err"
	return 1
}

# Until a job of the sender's network namespace stands still, as nobody reads what it sends.
until_blocked() {
	local try now was=

	for ((try = 0; try < 600; try++)); do
		"${at_tx[@]}" zcpctl list --json >"$tmp/jobs" || return 1
		now=$(json state "$tmp/jobs"):$(json bytes_sent "$tmp/jobs")
		[ "$now" != "$was" ] || [ "${now%%:*}" != blocked ] || return 0
		was=$now
		sleep 0.1
	done
	echo "no job is blocked after a minute:"
	cat "$tmp/jobs"
	return 1
}

# Waits for the receiver to end by itself.
received() {
	local status

	wait "$receiver"
	status=$?
	children=()
	return $status
}

# What a sender's call should have printed: send [OPTION...] FILE
# Leaves its results in send.json and send.err, and what arrived in got.
send() {
	local status

	receive -o "$tmp/got" || return 125
	"${at_tx[@]}" zcpctl send --json "${@:1:$#-1}" "${*: -1}" "$address:$port" \
		>"$tmp/send.json" 2>"$tmp/send.err"
	status=$?
	if [ "$status" -ne 0 ]; then
		# It may never have called.
		stop
		return "$status"
	fi
	received
}

# Sends and compares digests: deliver SHA256 [OPTION...] FILE
deliver() {
	local want=$1

	shift
	send "$@" || {
		echo "zcpctl send $*: status $?"
		cat "$tmp/send.json" "$tmp/send.err"
		return 1
	}
	same "done" "$(json state "$tmp/send.json")" state &&
		same "$want" "$(json sha256 "$tmp/recv.json")" "sha256 of $*" &&
		same "$(json bytes "$tmp/send.json")" "$(json bytes "$tmp/recv.json")" bytes &&
		same "$(json bytes "$tmp/send.json")" "$(json bytes_acked "$tmp/send.json")" acked
}

digest() {
	sha256sum <"$1" | cut -d ' ' -f 1
}

# The accounts of the last transfer: accounts ZEROCOPY COPIED REASON
accounts() {
	same "$1" "$(json bytes_zerocopy "$tmp/send.json")" bytes_zerocopy &&
		same "$2" "$(json bytes_copied "$tmp/send.json")" bytes_copied &&
		same "$3" "$(json copy_reason "$tmp/send.json")" copy_reason
}
