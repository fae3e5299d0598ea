#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Other processes' jobs: seen, followed and cancelled by zcpctl and libzcp, as
# root, as another user, and from another network namespace. ZCP_KO is the module
# to load again.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

# Debian's, which has Debian's modules.
python=/usr/bin/python3
ko=${ZCP_KO:-$top/zcp.ko}
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
device_mode=$(stat -c %a /dev/zcp)
truncate -s 1G "$tmp/large"
chmod 755 "$tmp"
chmod 644 "$tmp/large"

cleanup() {
	chmod "$device_mode" /dev/zcp
}

# Runs zcpctl; its streams go to out and err: run STATUS ARGUMENT...
run() {
	local want=$1 status

	shift
	"${as[@]}" zcpctl "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" -eq "$want" ] || {
		echo "${as[*]} zcpctl $*: status $status, expected $want"
		cat "$tmp/out" "$tmp/err"
		return 1
	}
}
as=()

# One line on stderr that has REGEX, and nothing else: refused REGEX
refused() {
	if [ -s "$tmp/out" ] || ! grep -Eq "$1" "$tmp/err"; then
		cat "$tmp/out" "$tmp/err"
		return 1
	fi
	same 1 "$(wc -l <"$tmp/err")" "lines of error"
}

# True of the last object in out, as o; lines is all: holds EXPRESSION
holds() {
	$python - "$tmp/out" "$1" <<-'END' || { cat "$tmp/out"; return 1; }
		import json, sys
		lines = [json.loads(l) for l in open(sys.argv[1])]
		o = lines[-1]
		sys.exit(0 if eval("(" + sys.argv[2] + ")") else sys.argv[2])
	END
}

# eventually SECONDS COMMAND...
eventually() {
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || {
			"$@"
			return 1
		}
		sleep 0.1
	done
}

has_job() {
	zcpctl list --json --user "$1" >"$tmp/jobs" && [ "$(<"$tmp/jobs")" != "[]" ]
}

# A transfer that goes on until it is cancelled, 100 kB a second, by the user of
# `as`. Sets $sender, $job and $port.
start() {
	local user=0

	[ ${#as[@]} -eq 0 ] || user=65534
	receive -o /dev/null || return 1
	"${as[@]}" zcpctl send --json --rate 100k "$tmp/large" "127.0.0.1:$port" \
		>"$tmp/send.json" 2>"$tmp/send.err" &
	sender=$!
	children+=("$sender")
	eventually 20 has_job $user || return 1
	job=$(sed -n 's/^\[{"job":\([0-9]*\),.*/\1/p' "$tmp/jobs")
}

# The sender's end after a cancel by somebody else.
cancelled() {
	wait "$sender"
	same 1 $? "exit status of the sender" &&
		same cancelled "$(json state "$tmp/send.json")" "state of the sender" &&
		same 125 "$(json errno "$tmp/send.json")" "errno of the sender" &&
		grep -q 'cancelled by another process after' "$tmp/send.err"
}

# Sets $watcher: watch FILE [ARGUMENT...]
watch() {
	local out=$1

	shift
	"${as[@]}" zcpctl monitor "$@" >"$out" 2>"$tmp/watch.err" &
	watcher=$!
	children+=("$watcher")
	eventually 20 grep -q '^watching' "$tmp/watch.err"
}

# The watcher ends well by SIGNAL: watched SIGNAL
watched() {
	kill -"$1" "$watcher"
	wait "$watcher"
	same 0 $? "exit status of the monitor"
}

lists_and_shows() {
	start || return 1
	run 0 list --json && holds 'len(o) == 1 and o[0]["pid"] == '"$sender"' and
		o[0]["comm"] == "zcpctl" and o[0]["uid"] == 0 and o[0]["file"].endswith("/large") and
		o[0]["peer"] == "127.0.0.1:'"$port"'" and o[0]["mode"] == "auto" and
		o[0]["state"] in ("running", "blocked") and o[0]["bytes_total"] == 1 << 30 and
		o[0]["rate"] == 100000 and o[0]["bytes_sent"] < 1 << 30' &&
		run 0 list && grep -q '/large$' "$tmp/out" &&
		run 0 list --json --state queued && holds 'o == []' &&
		run 0 list --json --user 65534 && holds 'o == []' &&
		run 0 show --json "$job" && holds 'o["job"] == '"$job"' and
		o["file"].endswith("/large") and o["link"]["peer"] == "127.0.0.1:'"$port"'" and
		o["link"]["rtt_us"] > 0 and o["link"]["cwnd"] > 0 and o["link"]["mss"] > 0 and
		o["link"]["ifname"] == "lo" and o["link"]["jobs"] == 1' || return 1
	# The local end is the one that ss knows.
	ss -Htn state established "dport = :$port" |
		grep -qF "$(sed -n 's/.*"local":"\([^"]*\)".*/\1/p' "$tmp/out")" || return 1
	run 0 show "$job" && grep -q '^round trip:' "$tmp/out"
}

cancels() {
	run 1 cancel 123456789 && refused 'no job 123456789 in this network namespace' &&
		run 0 cancel --json "$job" && holds 'o["job"] == '"$job"' and
		o["state"] == "cancelled" and o["bytes_sent"] > 0' && cancelled || return 1
	stop
	run 0 list --json && holds 'o == []' && run 1 show "$job" && refused 'there is no job'
}

another_user() {
	local status

	start || return 1
	as=("${nobody[@]}")
	run 0 list --json && holds 'o == []' &&
		run 1 list --user root && refused 'needs CAP_NET_ADMIN' &&
		run 1 show "$job" && refused "another user's: seeing it needs CAP_NET_ADMIN" &&
		run 1 cancel "$job" && refused "another user's: cancelling it needs CAP_NET_ADMIN" &&
		run 1 monitor && refused 'needs CAP_NET_ADMIN' &&
		run 0 stats --json && holds 'o["jobs_active"] == 1' &&
		run 0 top --json --count 1 --interval 0.1 && holds 'o["jobs"] == []'
	status=$?
	as=()
	run 0 cancel "$job"
	stop
	return $status
}

own_jobs_of_a_user() {
	local status

	chmod 666 /dev/zcp
	as=("${nobody[@]}")
	start && run 0 list --json && holds '[j["uid"] for j in o] == [65534]' &&
		run 0 show "$job" && run 0 cancel "$job" && cancelled
	status=$?
	as=()
	chmod "$device_mode" /dev/zcp
	stop
	return $status
}

# Whoever owns a network namespace is the administrator there, and only there.
another_namespace() {
	local status

	start || return 1
	as=(unshare --net --)
	run 0 list --json && holds 'o == []' && run 1 show "$job" && refused 'there is no job' &&
		run 1 cancel "$job" && refused 'there is no job' &&
		run 0 stats --json && holds 'o["jobs_submitted"] == 0'
	status=$?
	as=("${nobody[@]}" unshare --user --map-root-user --net --)
	if [ $status -eq 0 ] && "${as[@]}" true; then
		watch "$tmp/events" && watched INT
		status=$?
	fi
	as=()
	run 0 cancel "$job"
	stop
	return $status
}

events() {
	local size=300000

	head -c $size /dev/urandom >"$tmp/file"
	watch "$tmp/events" --json && deliver "$(digest "$tmp/file")" "$tmp/file" &&
		eventually 20 grep -q '"done"' "$tmp/events" && watched INT || return 1
	cp "$tmp/events" "$tmp/out"
	job=$(json job "$tmp/send.json")
	holds 'lines[0]["event"] == "new" and o["event"] == "done" and o["state"] == "done" and
		"stage" in [l["event"] for l in lines] and o["bytes_sent"] == '$size' and
		o["bytes_acked"] == '$size' and {l["job"] for l in lines} == {'"$job"'} and
		lines[0]["file"] == "file" and lines[0]["comm"] == "zcpctl" and
		[l["time"] for l in lines] == sorted(l["time"] for l in lines)'
}

progress_events() {
	local status

	start && watch "$tmp/events" --json &&
		eventually 20 grep -q '"progress"' "$tmp/events" && watched TERM || return 1
	watch "$tmp/events" --no-progress && run 0 cancel "$job" && cancelled &&
		eventually 20 grep -q 'done .* cancelled' "$tmp/events" && watched INT &&
		same 1 "$(wc -l <"$tmp/events")" lines
	status=$?
	stop
	return $status
}

closed_pipe() {
	start || return 1
	{
		timeout 60 zcpctl monitor 2>/dev/null
		echo $? >"$tmp/status"
	} | head -n 1 >"$tmp/events"
	run 0 cancel "$job"
	stop
	same 0 "$(<"$tmp/status")" "exit status of the monitor" &&
		same 1 "$(wc -l <"$tmp/events")" lines
}

sums() {
	local before after

	head -c 500000 /dev/urandom >"$tmp/file"
	run 0 stats --json && before=$(<"$tmp/out") &&
		deliver "$(digest "$tmp/file")" "$tmp/file" &&
		deliver "$(digest "$tmp/file")" --mode copy "$tmp/file" &&
		run 0 stats --json && after=$(<"$tmp/out") &&
		$python -c '
import json, sys
a, b = map(json.loads, sys.argv[1:])
d = {k: b[k] - a[k] for k in b if isinstance(b[k], int)}
assert d["jobs_submitted"] == d["jobs_done"] == 2, d
assert d["bytes_sent"] == 1000000 and d["bytes_zerocopy"] == d["bytes_copied"] == 500000, d
assert b["copied"]["asked"] - a["copied"].get("asked", 0) == 500000, b
assert b["jobs_active"] == 0 and b["inflight"] == 0, b' "$before" "$after" &&
		run 0 stats && grep -q '^bytes sent:' "$tmp/out"
}

prometheus() {
	run 0 stats --prometheus && $python -c '
import sys
from prometheus_client.parser import text_string_to_metric_families as parse
names = {s.name for f in parse(open(sys.argv[1]).read()) for s in f.samples}
assert {"zcp_jobs_submitted_total", "zcp_copied_bytes_total", "zcp_memory_bytes"} <= names, names
' "$tmp/out"
}

top_in_batches() {
	local status

	start && run 0 top --batch --count 2 --interval 0.3 &&
		same 2 "$(grep -c '^PROCESS' "$tmp/out")" refreshes && grep -q 'zcpctl.*large' "$tmp/out" &&
		run 0 top --json --count 1 --interval 0.5 &&
		holds '[j["job"] for j in o["jobs"]] == ['"$job"'] and o["jobs_active"] == 1 and
			0 < o["jobs"][0]["bits_per_second"] < 1e8' &&
		run 1 top && refused 'needs a terminal'
	status=$?
	run 0 cancel "$job"
	stop
	return $status
}

top_on_a_terminal() {
	local status

	start || return 1
	TERM=linux LC_ALL=C.UTF-8 $python "$top/user/test/terminal.py" see '^PROCESS' \
		see "zcpctl .*large 127.0.0.1:$port" key '/nothing\n' gone large key '/\e' see large \
		key c see "cancel job $job\\? y/n" key y see "job $job: cancelled after" key q end 0 -- \
		zcpctl top --interval 0.5 && cancelled
	status=$?
	stop
	return $status
}

library() {
	$python "$here/monitor.py" "$top/user/lib/libzcp.so"
}

# Who watches is told, as events of a module that is loaded again do not reach him. top says
# so too, with its next list.
reloading() {
	local try top_pid status=0

	watch "$tmp/events" --json || return 1
	zcpctl top --batch --interval 0.5 >/dev/null 2>"$tmp/top.err" &
	top_pid=$!
	children+=("$top_pid")
	sleep 1
	# A list that is under way holds it.
	eventually 20 rmmod zcp && insmod "$ko" || return 1
	for ((try = 0; try < 100; try++)); do
		[ ! -c /dev/zcp ] || break
		sleep 0.1
	done
	eventually 20 gone "$watcher" && eventually 20 gone "$top_pid" || return 1
	wait "$watcher" || status=$?
	same 1 $status "exit status of the monitor" &&
		same "zcpctl: cannot read events: the module was unloaded" \
			"$(sed 1d "$tmp/watch.err")" "what it says" || return 1
	status=0
	wait "$top_pid" || status=$?
	same 1 $status "exit status of top" &&
		same "zcpctl: cannot list the jobs: the module was unloaded" \
			"$(<"$tmp/top.err")" "what top says" || return 1
	stop
	run 0 list --json && holds 'o == []'
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

check "monitor: list and show another process's job, with its connection" lists_and_shows
check "monitor: cancel it; its program sees that" cancels
check "monitor: another user sees and cancels nothing of it" another_user
check "monitor: a user sees and cancels what is his" own_jobs_of_a_user
check "monitor: another network namespace has none of it" another_namespace
check "monitor: events of a job, from new to done" events
check "monitor: progress; a job that is cancelled" progress_events
check "monitor: a reader that goes away" closed_pipe
check "monitor: sums before and after" sums
if $python -c 'import prometheus_client' 2>/dev/null; then
	check "monitor: statistics for Prometheus" prometheus
else
	skip "monitor: statistics for Prometheus" "needs python3-prometheus-client"
fi
check "monitor: top --batch and --json" top_in_batches
if $python -c 'import pyte' 2>/dev/null; then
	check "monitor: top on a terminal, and cancelling there" top_on_a_terminal
else
	skip "monitor: top on a terminal, and cancelling there" "needs python3-pyte"
fi
check "monitor: libzcp: long lists, refusals, overruns" library
if [ -r "$ko" ]; then
	check "monitor: the module is unloaded and loaded again" reloading
else
	skip "monitor: the module is unloaded and loaded again" "needs $ko: set ZCP_KO"
fi
finish
