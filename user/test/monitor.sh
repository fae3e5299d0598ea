#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The verbs that look at other processes' jobs, with made-up jobs (fake.c). The
# self-tests do it with real jobs.
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
fake=$user/$OBJ/test/zcpctl
late=$user/$OBJ/test/late.so
# Debian's, which has Debian's modules.
python=/usr/bin/python3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$here/tap.sh"

# run STATUS ARG...
run() {
	want=$1
	shift
	timeout 60 "$fake" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ $got -eq "$want" ] && return 0
	echo "# exit status $got, not $want: zcpctl $*"
	return 1
}

says() {
	grep -Eq -- "$2" "$tmp/$1"
}

one_line() {
	[ "$(wc -l <"$tmp/err")" -eq 1 ] && [ ! -s "$tmp/out" ]
}

# json EXPRESSION: true of the last object on stdout, as o; lines is all
json() {
	python3 - "$tmp/out" "$1" <<-'END'
		import json, sys
		lines = [json.loads(l) for l in open(sys.argv[1])]
		o = lines[-1]
		sys.exit(0 if eval("(" + sys.argv[2] + ")") else 1)
	END
}

# has MODULE
has() {
	$python -c "import $1" 2>/dev/null
}

# list, show, cancel
run 0 list --json && json '[j["job"] for j in o] == [7, 8, 12] and
	o[0]["pid"] == 4242 and o[0]["comm"] == "server" and o[0]["peer"] == "10.77.0.2:7000" and
	o[0]["state"] == "running" and o[0]["mode"] == "auto" and o[0]["bytes_sent"] == 110000000 and
	0.999 < o[0]["zerocopy_share"] < 1 and 8e7 < o[0]["bits_per_second"] < 9e7 and
	o[0]["rtt_us"] == 250 and o[1]["peer"] == "[::1]:7000" and o[1]["zerocopy_share"] is None and
	o[1]["nocache"] and o[2]["peer"] == "-" and o[2]["file"] is None and o[2]["errno"] == 104 and
	"rtt_us" not in o[2]'
ok $? "list --json: jobs with the links of their contexts"
run 0 list && says out '^ +7 +4242  server +0  running +auto +110000000 +1000000000 +0.08[0-9] +>99%' &&
	says out '10\.77\.0\.2:7000 +/srv/films/a long name of a film\.mkv$' &&
	[ "$(wc -l <"$tmp/out")" -eq 4 ]
ok $? "list: a line for each"
! grep -q "$(printf '[\033\007]')" "$tmp/out" && says out "  /tmp/\?\]0;title\?\?31m$(printf '\303\251')\?\.bin\$"
ok $? "list: names do not command the terminal"
run 0 list --json --user 1000 && json '[j["job"] for j in o] == [8]' &&
	run 0 list --json --user root --state running && json '[j["job"] for j in o] == [7]' &&
	run 0 list --json --context 4 && json '[j["job"] for j in o] == [12]'
ok $? "list: filters"
run 2 list --user nosuchuser && says err 'no user "nosuchuser"' && run 2 list --state busy &&
	run 2 list --context 0 && run 2 list 7
ok $? "list: filters that are none"
if [ "$(id -u)" -eq 0 ]; then
	# The tree may be where others cannot go.
	chmod 711 "$tmp" && install -m 755 "$fake" "$tmp/zcpctl" &&
		setpriv --reuid 65534 --regid 65534 --clear-groups -- "$tmp/zcpctl" list \
			--user 54321 >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] && says err 'other users needs CAP_NET_ADMIN' && one_line
	ok $? "list: another user's jobs need CAP_NET_ADMIN"
else
	skip "list: another user's jobs need CAP_NET_ADMIN" "needs root to become another user"
fi
run 0 show --json 7 && json 'o["job"] == 7 and o["link"]["rtt_us"] == 250 and
	o["link"]["peer"] == "10.77.0.2:7000" and o["link"]["local"].endswith(":40001") and
	o["link"]["cwnd"] == 10 and o["link"]["retrans"] == 3 and o["link"]["sg"] and
	not o["link"]["tso"] and o["copied"] == {"inline": 25} and o["age_ns"] > 9e9 and
	o["segments"] == 2 and o["uid"] == 0'
ok $? "show --json: the job, its link"
run 0 show 7 && says out '^round trip: +250 us, deviation 20 us$' && says out '^state: +running$' &&
	says out '^send queue: +2500000 bytes, 1000 not sent yet$' && says out '^process: +4242 \(server\)$'
ok $? "show"
run 0 show 12 && says out '^link: +-, it is no more$' && says out '104 \(Connection reset' &&
	run 0 show --json 12 && json 'o["link"] is None and o["comm"] is None'
ok $? "show: a job without a link"
run 1 show 99 && says err 'no job 99 in this network namespace' && one_line && run 1 show 13 &&
	says err "job 13 is another user's: seeing it needs CAP_NET_ADMIN" && one_line
ok $? "show: not there, not mine"
run 0 cancel --json 7 && json 'o == {"job": 7, "state": "cancelled", "bytes_sent": 100000000}' &&
	run 0 cancel 12 7 && says out '^job 12: failed after 1000 bytes$' && says out '^job 7: cancelled'
ok $? "cancel"
run 1 cancel 99 7 13 && says err 'no job 99' && says err 'cancelling it needs CAP_NET_ADMIN' &&
	says out '^job 7: cancelled' && [ "$(wc -l <"$tmp/out")" -eq 1 ]
ok $? "cancel: the others are cancelled all the same"
run 2 cancel && run 2 cancel 7 x && one_line && run 2 show 7 8 && run 2 monitor 1 && run 2 stats 1 &&
	run 2 monitor --interval 0 && run 2 stats --json --prometheus && run 2 top --count 0 &&
	run 2 top --interval x && run 2 completion && run 2 completion tcsh && run 2 completion bash x
ok $? "bad usage"

# Kernels that say no.
good=0
for verb in list "show 7" "cancel 7" monitor stats "top --batch"; do
	# shellcheck disable=SC2086 # words
	{ ZCP_FAKE=absent run 1 $verb && says err 'zcp module is (not loaded|older)' && one_line; } || good=1
done
ok $good "no module: each verb says so, in one line"
ZCP_FAKE=refuses run 1 list && says err "cannot list the jobs: the kernel's own words" && one_line &&
	ZCP_FAKE=refuses run 1 top --batch && one_line && ZCP_FAKE=refuses run 1 monitor &&
	says err 'watching events needs CAP_NET_ADMIN' && one_line
ok $? "the kernel's refusals"

# monitor
# watch SIGNAL ARG...: until it has printed all there is
preload=
watch() {
	signal=$1
	lines=$2
	shift 2
	: >"$tmp/out"
	TZ=UTC timeout 60 env LD_PRELOAD="$preload" "$fake" monitor "$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for _ in $(seq 200); do
		[ "$(wc -l <"$tmp/out")" -ge "$lines" ] && break
		sleep 0.05
	done
	kill -"$signal" $pid
	wait $pid
}
# piped ARG...: into whatever; its exit status goes to a file
piped() {
	ZCP_FAKE=busy timeout 60 "$fake" monitor "$@" 2>/dev/null
	echo $? >"$tmp/err"
}
watch INT 6 --json && json '[l["event"] for l in lines] == ["new", "stage", "progress", "progress",
	"overrun", "done"] and lines[4]["overruns"] == 1 and "job" not in lines[4] and
	o["state"] == "done" and abs(o["time"] - 1700000000.123456789) < 1e-6 and o["pid"] == 4242' &&
	[ "$(cat "$tmp/err")" = "watching the jobs of this network namespace" ]
ok $? "monitor --json: each event at once; SIGINT ends it well"
watch TERM 6 && says out '^22:13:20\.123  new       job 7  running    100000000 of 1000000000 bytes' &&
	says out '  overrun   events were lost, for the 1\. time$' && says out '  server\[4242\]  /srv/'
ok $? "monitor: a line for each"
watch INT 4 --json --no-progress && json '"progress" not in [l["event"] for l in lines] and
	len(lines) == 4'
ok $? "monitor --no-progress"
watch INT 5 --json --interval 60 && json '[l["event"] for l in lines].count("progress") == 1 and
	len(lines) == 5'
ok $? "monitor --interval"
preload=$late
watch TERM 6 --json
ok $? "monitor: a signal just before it waits"
preload=
piped --json --interval 3600 | head -n 1000 >"$tmp/out"
[ "$(cat "$tmp/err")" = 0 ] && json 'len({l["job"] for l in lines}) == len(lines) == 1000'
ok $? "monitor --interval: a thousand jobs"
piped | head -n 3 >"$tmp/out"
[ "$(cat "$tmp/err")" = 0 ] && [ "$(wc -l <"$tmp/out")" -eq 3 ]
ok $? "monitor: a reader that goes away is no failure"

# Each verb says that its output is lost; whatever monitor says before.
good=0
for verb in list "list --json" "show 7" stats "stats --prometheus" "top --batch --interval 0.1" \
	"top --batch --json --interval 0.1" monitor "monitor --json"; do
	# shellcheck disable=SC2086
	timeout 60 "$fake" $verb >/dev/full 2>"$tmp/err"
	[ $? -eq 1 ] && [ "$(sed '/^watching/d' "$tmp/err")" = \
		"zcpctl: cannot write to stdout: No space left on device" ] || good=1
done
ok $good "stdout is full"

# Nobody reads: one signal ends it as it does else. stalled ARG...
mkfifo "$tmp/fifo"
# fills SECONDS: whether the pipe at 9 is full by then
fills() {
	python3 - "$1" <<-'END'
		import select, sys, time
		end = time.monotonic() + float(sys.argv[1])
		while select.select([], [9], [], 0)[1] and time.monotonic() < end:
		    time.sleep(0.05)
		sys.exit(bool(select.select([], [9], [], 0)[1]))
	END
}
stalled() {
	# A new one, which is empty.
	exec 9<>"$tmp/fifo"
	ZCP_FAKE=busy "$fake" "$@" >"$tmp/fifo" 2>"$tmp/err" 9>&- &
	pid=$!
	fills 60 || echo "# zcpctl $*: the pipe has room"
	kill -TERM $pid
	for _ in $(seq 600); do
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL $pid 2>/dev/null
	fills 0 && wait $pid && ! grep -qv '^watching' "$tmp/err"
	well=$?
	exec 9>&-
	[ $well -eq 0 ] && return 0
	echo "# not stalled, not ended, or not well: zcpctl $*"
	return 1
}
good=0
for verb in "top --batch --interval 0.1" "top --json --interval 0.1" monitor "monitor --json"; do
	# shellcheck disable=SC2086
	stalled $verb || good=1
done
ok $good "a signal while nobody reads stdout"

# stats
run 0 stats --json && json 'o["jobs_submitted"] == 10 and o["zerocopy_share"] == 0.9 and
	o["copied"] == {"small": 40000, "no-sg": 60000} and o["memory"] == 12345 and
	o["workers"] == 1 and o["events_lost"] == 6'
ok $? "stats --json"
run 0 stats && says out '^  zero-copied: +900000 \(90%\)$' && says out '^    no-sg +60000$' &&
	says out '^workers: +1$'
ok $? "stats"
run 0 stats --prometheus
if has prometheus_client; then
	$python - "$tmp/out" >"$tmp/err" 2>&1 <<-'END'
		import sys
		from prometheus_client.parser import text_string_to_metric_families as parse
		text = open(sys.argv[1]).read()
		families = {f.name: f for f in parse(text)}
		names = [l.split()[2] for l in text.splitlines() if l.startswith("# TYPE")]
		assert len(names) == len(set(names)), "a metric is there twice"
		for f in families.values():
		    assert f.documentation and f.samples, f
		    assert f.type in ("counter", "gauge"), f
		    for s in f.samples:
		        assert s.name.endswith("_total") == (f.type == "counter"), s
		copied = {s.labels["reason"]: s.value for s in families["zcp_copied_bytes"].samples}
		assert copied["no-sg"] == 60000 and copied["inline"] == 0 and "none" not in copied, copied
		ended = {s.labels["state"]: s.value for s in families["zcp_jobs_ended"].samples}
		assert ended == {"done": 5, "failed": 2, "cancelled": 1}, ended
		assert families["zcp_sent_bytes"].samples[0].value == 1000000
		assert families["zcp_memory_bytes"].type == "gauge"
	END
	ok $? "stats --prometheus: parsed by Prometheus' own client"
else
	skip "stats --prometheus: parsed by Prometheus' own client" "needs python3-prometheus-client"
fi

# top, without a terminal and on one.
LC_ALL=C COLUMNS=80 run 0 top --batch --count 2 --interval 0.1 && [ "$(grep -c '^PROCESS' "$tmp/out")" -eq 2 ] &&
	says out '^server +a film.mkv 10' && ! grep -q "$(printf '\033')" "$tmp/out" &&
	[ "$(awk 'length($0) > 80' "$tmp/out" | wc -l)" -eq 0 ] &&
	says out '^[0-9:]{8}  jobs 2  [0-9.]+[kMG]bit/s  in flight 66kB  memory 12kB  workers 1$'
ok $? "top --batch: lines of 80 columns"
good=0
for columns in 80 132 511; do
	ZCP_FAKE=paths LC_ALL=C.UTF-8 COLUMNS=$columns run 0 top --batch --count 1 --interval 0.1 &&
		[ "$(grep -c '/film\.mkv ' "$tmp/out")" -eq 3 ] &&
		[ "$(LC_ALL=C awk 'length($0) > '$columns "$tmp/out" | wc -l)" -eq 0 ] || good=1
done
ok $good "top --batch: the ends of long paths, also of what takes no column"
run 0 top --json --count 3 --interval 0.1 && json 'len(lines) == 3 and
	all(1e8 < l["bits_per_second"] < 2e9 and 1e8 < l["jobs"][0]["bits_per_second"] < 2e9 and
		[j["job"] for j in l["jobs"]] == [7, 8, 12] for l in lines)'
ok $? "top --json: rates are those since the refresh before, large ones first"
# A signal does not wait for the end of the interval.
ZCP_FAKE=signal timeout 10 "$fake" top --batch --interval 30 >"$tmp/out" 2>"$tmp/err" &&
	LD_PRELOAD="$late" LATE_WAIT=15 timeout 10 "$fake" top --batch --interval 30 \
		>"$tmp/out" 2>"$tmp/err" && [ ! -s "$tmp/err" ]
ok $? "top --batch: a signal while it refreshes, and just before it waits"
run 1 top && says err 'top needs a terminal; try --batch' && one_line
ok $? "top without a terminal"

# on_terminal STEP... -- ARG...
# What pyte is, as far as it goes: it knows no repeated characters, as xterm does.
on_terminal() {
	TERM=${terminal:-linux} LC_ALL=${locale:-C.UTF-8} $python "$here/terminal.py" "$@" >"$tmp/out" 2>"$tmp/err"
}
if has pyte; then
	on_terminal see '^PROCESS .* ZC$' see 'server.*running.* 99%$' see 'q quit' key q end 0 -- \
		"$fake" top && says out 'PROGRESS'
	ok $? "top: 80x24"
	on_terminal see server key F see '^-.*\nserver.*\nevil' key c see 'cancel job 12' key n \
		gone 'cancel job' key G key c see 'cancel job 7\? y/n' key y see 'job 7: cancelled after 1[0-9]+ bytes' \
		see 'server.*cancel' key q end 0 -- "$fake" top --interval 60
	ok $? "top: sort, and cancel after a confirmation"
	on_terminal see server key /EVIL see 'filter: EVIL_' gone server key '\n' \
		see 'filter: EVIL \(1 of 3 jobs\)' see evil key '/\e' see server key / key 'x\b8' \
		see 'filter: 8_' key '\n' gone server key q end 0 -- "$fake" top --interval 60
	ok $? "top: filter"
	on_terminal see server key h see 'sort by QUEUE' see 'reverse the order' key x gone 'sort by' \
		key r see 'evil.*\n-.*\nserver' key q end 0 -- "$fake" top --interval 60
	ok $? "top: help, reverse"
	good=0
	for locale in C C.UTF-8; do
		on_terminal see server size 132x40 see '^PROCESS {18}' size 50x10 see '^PROCESS .*PEER' \
			size 20x3 see '^PROCESS' size 1x1 see '^[0-9]$' size 80x24 \
			see 'server.*running' key q end 0 -- "$fake" top --interval 60 || good=1
	done
	locale=
	ok $good "top: sizes"
	on_terminal see server size 50x10 see '^PROCESS .*PEER' size 80x24 see 'server.*running' \
		kill TERM end 0 -- env LD_PRELOAD="$late" "$fake" top --interval 60
	ok $? "top: a change of size and a signal just before it waits"
	on_terminal see 'failed.*\n(.*\n)*q quit' color some key q end 0 -- "$fake" top &&
		NO_COLOR=1 on_terminal see 'failed.*\n(.*\n)*q quit' color none key q end 0 -- \
			"$fake" top && terminal=vt100 on_terminal see 'failed.*\n(.*\n)*q quit' \
			color none key q end 0 -- "$fake" top
	ok $? "top: colors, none with NO_COLOR or where there are none"
	on_terminal see server see ' 12%' see ' 13%' kill INT end 0 -- "$fake" top --interval 0.2 &&
		on_terminal see server end 0 -- "$fake" top --interval 0.1 --count 5
	ok $? "top: refreshes, SIGINT, --count"
	ZCP_FAKE=busy on_terminal see 'jobs 2' key F key 'jjj' key '\e[6~' key '\e[4~' key c \
		see 'cancel job 1099' key n key '\e[1~' key c see 'cancel job 100\?' key n key q end 0 -- \
		"$fake" top --interval 60
	ok $? "top: a thousand jobs"
	# Slowly, so that there is time to look.
	cat >"$tmp/slow.py" <<-'END'
		import socket, sys, time
		end = time.monotonic() + 60
		while True:
		    try:
		        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		        break
		    except ConnectionRefusedError:
		        if time.monotonic() > end:
		            raise
		        time.sleep(0.1)
		for _ in range(12):
		    s.sendall(b"x" * 1048576)
		    time.sleep(0.1)
	END
	port=$($python -c 'import socket; s = socket.create_server(("", 0)); print(s.getsockname()[1])')
	$python "$tmp/slow.py" "$port" &
	on_terminal see '^listening' see '^ +[0-9.]+ MiB +[0-9.]+ Gbit/s' see '^received 12582912 bytes' \
		end 0 -- "$fake" recv --once -o /dev/null "127.0.0.1:$port"
	ok $? "recv: progress on a terminal"
	terminal=nosuchterm on_terminal see 'terminal "nosuchterm" is not known; try --batch' end 1 -- \
		"$fake" top
	ok $? "top: a terminal that is not known"
else
	for name in "80x24" "sort, and cancel after a confirmation" filter "help, reverse" sizes \
		"a change of size and a signal just before it waits" \
		"colors, none with NO_COLOR or where there are none" \
		"refreshes, SIGINT, --count" "a thousand jobs" "a terminal that is not known"; do
		skip "top: $name" "needs python3-pyte"
	done
	skip "recv: progress on a terminal" "needs python3-pyte"
fi

echo "1..$count"
