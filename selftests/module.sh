#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module itself: its version, parameters and tracepoints; unloading is
# refused while a context is open and clean afterwards, 200 times.
# ZCP_KO is the module to load again.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

cycles=200
events="submit push block wake ack done"
ko=${ZCP_KO:-$top/zcp.ko}
reload=${ZCP_TEST_BIN:-$top/.build/selftests}/reload
trace=/sys/kernel/tracing

version_is_changelogs() {
	same "$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)" \
		"$(cat /sys/module/zcp/version)" /sys/module/zcp/version
}

parameters() {
	local name value

	for name in max_links max_jobs max_user_links max_user_jobs max_segments max_batch \
		max_inline_total max_inflight max_user_inflight small_bytes quota_bytes \
		tight_ms; do
		value=$(cat "/sys/module/zcp/parameters/$name") || return 1
		[ "$value" -gt 0 ] || return 1
	done
}

# What is more than an hour would be for ever, from the start.
tight_ms_has_a_limit() {
	local file=/sys/module/zcp/parameters/tight_ms was status=0

	was=$(cat $file) || return 1
	echo 3600000 >$file || status=1
	if echo 3600001 2>/dev/null >$file || echo 4294967295 2>/dev/null >$file; then
		echo "tight_ms is $(cat $file)"
		status=1
	fi
	same 3600000 "$(cat $file)" $file || status=1
	echo "$was" >$file && same "$was" "$(cat $file)" "$file again" || status=1
	return $status
}

tracepoints() {
	local event

	for event in $events; do
		[ -e "$trace/events/zcp/zcp_$event/enable" ] || {
			echo "no tracepoint zcp_$event"
			return 1
		}
	done
}

# A job that blocks, and one whose window opens again, make all of them fire.
tracepoints_fire() {
	local event status=0

	echo 0 >$trace/tracing_on
	: >$trace/trace
	echo 1 >$trace/events/zcp/enable
	echo 1 >$trace/tracing_on
	truncate -s 64M "$tmp/large"
	receive -o /dev/null || return 1
	kill -STOP "$receiver"
	zcpctl send --quiet "$tmp/large" "127.0.0.1:$port" &
	until_blocked || status=1
	kill -CONT "$receiver"
	wait $! || status=1
	received || status=1
	echo 0 >$trace/tracing_on
	echo 0 >$trace/events/zcp/enable
	for event in $events; do
		grep -q "zcp_$event: " $trace/trace || {
			echo "zcp_$event did not fire:"
			grep -o 'zcp_[a-z]*: ' $trace/trace | sort | uniq -c
			status=1
		}
	done
	return $status
}

refcount_is() {
	same "$1" "$(cat /sys/module/zcp/refcnt)" /sys/module/zcp/refcnt
}

refused_while_open() {
	refcount_is 0 || return 1
	exec 7<>/dev/zcp
	if rmmod zcp; then
		echo "rmmod succeeded with a context open"
		return 1
	fi
	refcount_is 1 && [ -c /dev/zcp ] || return 1
	exec 7>&-
	refcount_is 0
}

# Busy: a job in flight, its process killed, and the module goes at once.
refused_while_busy() {
	local sender status=0

	truncate -s 1G "$tmp/large"
	receive -o /dev/null || return 1
	kill -STOP "$receiver"
	zcpctl send --quiet "$tmp/large" "127.0.0.1:$port" &
	sender=$!
	until_blocked || status=1
	if [ $status -eq 0 ] && rmmod zcp; then
		echo "rmmod succeeded with a job in flight"
		status=1
	fi
	kill -KILL $sender
	wait $sender
	stop
	[ $status -eq 0 ] || return 1
	rmmod zcp && unloaded && insmod "$ko"
}

unloaded() {
	[ ! -e /sys/module/zcp ] && ! grep -qw zcp /proc/misc && ! grep -q '^zcp' /proc/slabinfo &&
		! grep -q '\[zcp\]' /proc/kallsyms && ! ls $trace/events/zcp 2>/dev/null
}

wait_for_device() {
	local try

	for ((try = 0; try < 100; try++)); do
		[ ! -c /dev/zcp ] || return 0
		sleep 0.1
	done
	echo "no /dev/zcp"
	return 1
}

# By one process, and without what is for debuggers: where the CPU is emulated two
# programs and 8 MB of that for each of them would be most of the time.
load_and_unload() {
	strip --strip-debug -o "$tmp/zcp.ko" "$ko" && "$reload" "$tmp/zcp.ko" $cycles &&
		rmmod zcp && unloaded && insmod "$ko"
}

works_afterwards() {
	wait_for_device && head -c 100001 /dev/urandom >"$tmp/file" &&
		deliver "$(digest "$tmp/file")" "$tmp/file"
}

[ -d $trace/events ] || mount -t tracefs tracefs $trace 2>/dev/null
check "module: version is the changelog's newest" version_is_changelogs
check "module: parameters" parameters
check "module: tight_ms is an hour at most" tight_ms_has_a_limit
if [ -d $trace/events ]; then
	check "module: tracepoints submit, push, block, wake, ack, done" tracepoints
	check "module: tracepoints fire" tracepoints_fire
else
	skip "module: tracepoints" "needs tracefs (CONFIG_TRACING)"
fi
check "module: rmmod is refused while a context is open, refcount exact" refused_while_open
if [ -r "$ko" ]; then
	check "module: rmmod is refused with a job in flight, clean after SIGKILL" \
		refused_while_busy
	check "module: loaded and unloaded $cycles times, nothing left" load_and_unload
	check "module: works afterwards" works_afterwards
else
	skip "module: loaded and unloaded $cycles times" "needs $ko: set ZCP_KO"
fi
finish
