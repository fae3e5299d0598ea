#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# zcpctl from the outside: usage, JSON, recv, and send through the mock.
# Needs python3 to read JSON.
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
zcpctl=$user/zcpctl/zcpctl
mock=$user/$OBJ/test/mock.so
late=$user/$OBJ/test/late.so
if ! command -v python3 >/dev/null; then
	echo "ok 1 - zcpctl from the outside # SKIP there is no python3 here"
	echo 1..1
	exit 0
fi
tmp=$(mktemp -d)
. "$here/tap.sh"

# Ends what was started and not waited for, if it still runs.
cleanup() {
	jobs -l >"$tmp/jobs"
	sed -n 's/.* \([0-9][0-9]*\) Running.*/\1/p' "$tmp/jobs" | while read -r pid; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# run STATUS ARG...: zcpctl must exit with STATUS
run() {
	want=$1
	shift
	"$zcpctl" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ $got -eq "$want" ] && return 0
	echo "# exit status $got, not $want: zcpctl $*"
	return 1
}

mocked() {
	LD_PRELOAD=$mock run "$@"
}

# says FILE REGEX
says() {
	grep -Eq -- "$2" "$tmp/$1"
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

# receiver ARG...: start zcpctl recv on a free port of 127.0.0.1, in $port
receiver() {
	: >"$tmp/recv.err"
	"$zcpctl" recv "$@" 127.0.0.1:0 >"${recv_out:-$tmp/recv.out}" 2>"$tmp/recv.err" &
	receiver=$!
	until_lines "$tmp/recv.err" '^listening on ' 1 &&
		port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/recv.err")
}

# until_lines FILE REGEX N: wait for N such lines, 20 s at most
until_lines() {
	for _ in $(seq 200); do
		[ "$(grep -Ec "$2" "$1")" -ge "$3" ] && return 0
		sleep 0.1
	done
	return 1
}

# push PORT: stdin to a port
push() {
	python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(sys.stdin.buffer.read())' "$1"
}

head -c 300000 /dev/urandom >"$tmp/file"
digest=$(sha256sum <"$tmp/file" | cut -d' ' -f1)

# Usage and help.
run 2 && says err 'zcpctl help'
ok $? "no verb"
run 2 frobnicate && says err 'no verb "frobnicate"'
ok $? "an unknown verb"
run 0 --help && says out '^  doctor ' && [ ! -s "$tmp/err" ]
ok $? "help goes to stdout"
run 0 --version && [ "$(cat "$tmp/out")" = "zcpctl $VERSION" ]
ok $? "--version"
run 0 version --json && [ "$(cat "$tmp/out")" = "{\"version\":\"$VERSION\"}" ]
ok $? "version --json"
good=0
for verb in send recv list show cancel monitor stats top caps info doctor completion version help; do
	{ run 0 help $verb && says out "^usage: zcpctl $verb"; } || good=1
	cp "$tmp/out" "$tmp/help"
	{ run 0 $verb --help && cmp -s "$tmp/out" "$tmp/help"; } || good=1
	{ run 0 $verb -h && cmp -s "$tmp/out" "$tmp/help"; } || good=1
done
ok $good "help of each verb, three ways"
run 2 send "$tmp/file" && run 2 send --mode fast f h:1 && run 2 send f nohost &&
	run 2 send --offset -1 f h:1 && run 2 send --offset 0x1g f h:1 && run 2 send f ::1:80 &&
	run 2 send --length && run 2 send --interval 0 f h:1 && run 2 send --wait "done" f h:1
ok $? "send: bad usage"
good=0
for rate in 0 -1 x 1x 1kk 1Kb 1.5M '' ' 1' i M 18446744073709551616 16777216T 1025Gi \
	1099511627777 99999999999999999999999999999999999; do
	{ run 2 send --rate "$rate" "$tmp/file" h:1 && says err 'is not a value'; } || good=1
done
ok $good "send: rates that are none"
run 2 send --streams 0 f h:1 && run 2 send --streams 65 f h:1 && run 2 send --streams x f h:1 &&
	run 2 send --streams -1 f h:1 && run 2 send --streams 2 --header x f h:1 &&
	says err 'takes no --header' && run 2 send --trailer x --streams 2 f h:1 &&
	run 2 send --nocache --wait sent f h:1 && says err 'needs --wait acked'
ok $? "send: streams that cannot be, options that do not go together"
run 2 recv --streams 1 && says err 'needs -o FILE' && run 2 recv --streams -o - 1
ok $? "recv: streams need a file"
run 2 recv && run 2 recv 1 2 && run 2 recv -x 1 && says err '-x is not an option'
ok $? "recv: bad usage"
run 2 show && run 2 show abc && run 2 cancel 1x && run 2 list 1 && run 2 info --js=1 &&
	run 2 version x && run 2 doctor --nosuch &&
	run 2 caps noport
ok $? "others: bad usage"

# Output that cannot be written, which is a failure. unwritten STATUS REGEX ARG...
unwritten() {
	want=$1
	regex=$2
	shift 2
	: >"$tmp/out"
	"$zcpctl" "$@" >/dev/full 2>"$tmp/err"
	got=$?
	[ $got -eq "$want" ] && says err "$regex" && [ "$(wc -l <"$tmp/err")" -eq 1 ] && return 0
	echo "# exit status $got, not $want: zcpctl $*"
	return 1
}
full='^zcpctl: cannot write to stdout: No space left on device$'
good=0
for verb in --help -h help 'help send' 'send --help' --version version 'version --json' \
	'completion bash'; do
	# shellcheck disable=SC2086
	unwritten 1 "$full" $verb || good=1
done
export LD_PRELOAD="$mock"
unwritten 1 "$full" info && unwritten 1 "$full" info --json || good=1
unset LD_PRELOAD
ok $good "stdout is full"
unwritten 2 'no verb "frobnicate"' frobnicate
ok $? "stdout is full, which is not what is wrong"
python3 - "$zcpctl" <<'END' >"$tmp/out" 2>"$tmp/err"
import os, signal, subprocess, sys
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
r, w = os.pipe()
os.close(r)
p = subprocess.run([sys.argv[1], "help"], stdout=w, stderr=subprocess.PIPE, restore_signals=False)
sys.exit(p.returncode or bool(p.stderr))
END
ok $? "nobody reads stdout, and SIGPIPE is ignored"

# Without a device. On a host with the module loaded these would not fail.
if [ -e /dev/zcp ]; then
	for name in info send "send --json"; do
		skip "$name says what is wrong" "needs a machine without /dev/zcp"
	done
else
	run 1 info && says err '/dev/zcp: No such file.*modprobe zcp' &&
		[ "$(wc -l <"$tmp/err")" -eq 1 ]
	ok $? "info says what is wrong without the module, in one line"
	run 1 send "$tmp/file" 127.0.0.1:1 && says err 'modprobe zcp' && [ ! -s "$tmp/out" ]
	ok $? "send does too"
	run 1 send --json "$tmp/file" 127.0.0.1:1 &&
		json 'o["state"] == "failed" and o["errno"] == 2 and "modprobe" in o["error"]'
	ok $? "and has a JSON object for it"
fi
run 1 send /nonexistent 127.0.0.1:1 && says err 'cannot open /nonexistent: No such file'
ok $? "send: no file"
mkfifo "$tmp/fifo"
run 1 send "$tmp/fifo" 127.0.0.1:1 && says err 'fifo is not a regular file' &&
	run 1 send --json "$tmp" 127.0.0.1:1 && json 'o["errno"] == 21'
ok $? "send: a FIFO and a directory"

# recv, with any program that sends.
receiver --once -o "$tmp/got" && push "$port" <"$tmp/file" && wait "$receiver" &&
	cmp -s "$tmp/file" "$tmp/got" &&
	grep -q "^received 300000 bytes .*sha256 $digest" "$tmp/recv.out"
ok $? "recv to a file: bytes and digest"
receiver --once --json -o "$tmp/got" && push "$port" </dev/null && wait "$receiver" &&
	cp "$tmp/recv.out" "$tmp/out" && [ ! -s "$tmp/got" ] &&
	json 'o["bytes"] == 0 and o["sha256"].startswith("e3b0c442") and o["error"] is None'
ok $? "recv overwrites, and nothing has a digest"
receiver --once && push "$port" <"$tmp/file" && wait "$receiver" &&
	cmp -s "$tmp/file" "$tmp/recv.out" && grep -q "sha256 $digest" "$tmp/recv.err"
ok $? "recv to stdout: the result on stderr"
receiver --json -o "$tmp/got" && push "$port" <"$tmp/file" && push "$port" <"$tmp/file" &&
	until_lines "$tmp/recv.out" sha256 2 && kill -INT "$receiver" && wait "$receiver" &&
	cp "$tmp/recv.out" "$tmp/out" &&
	json 'len(lines) == 2 and o["sha256"] == "'"$digest"'" and o["seconds"] > 0'
ok $? "recv serves until it is interrupted"
receiver --once --quiet -o /nonexistent/x && push "$port" <"$tmp/file"
wait "$receiver"
[ $? -eq 1 ] && grep -q 'cannot open /nonexistent/x' "$tmp/recv.err"
ok $? "recv: no place for the file"
receiver --once -o "$tmp/got" && python3 -c '
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.send(b"x" * 100)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))' "$port"
wait "$receiver"
[ $? -eq 1 ] && grep -q 'Connection reset' "$tmp/recv.err"
ok $? "recv: a reset is a failure"
# ends STATUS [PID]: the receiver, or another process, does so within 5 s
ends() {
	ending=${2:-$receiver}
	for _ in $(seq 50); do
		kill -0 "$ending" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$ending" 2>/dev/null
	wait "$ending"
	[ $? -eq "$1" ]
}

# flood PORT: sends without end, in the background
flood() {
	python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
try:
	while True:
		s.sendall(bytes(1 << 20))
except OSError:
	pass' "$1" &
}

receiver --once -o /dev/null && flood "$port" && sleep 1 && kill -TERM "$receiver" &&
	ends 1 && grep -Eq '^zcpctl: interrupted after [0-9]+ bytes$' "$tmp/recv.err"
ok $? "recv: interrupted while data flow"
# A reader that has stopped reading: once it does so, and once it never began.
mkfifo "$tmp/stalled"
exec 9<>"$tmp/stalled"
recv_out=$tmp/stalled
receiver --once && flood "$port" && sleep 1 && kill -TERM "$receiver" && ends 1 &&
	grep -Eq '^zcpctl: interrupted after [0-9]+ bytes$' "$tmp/recv.err" && {
	export LD_PRELOAD="$late" LATE_WRITE=15
	receiver --once
	unset LD_PRELOAD LATE_WRITE
	flood "$port" && ends 1
} && grep -q '^zcpctl: interrupted after 0 bytes$' "$tmp/recv.err"
ok $? "recv: interrupted while nobody reads stdout"
recv_out=
exec 9>&-
good=0
for streams in "" --streams; do
	# shellcheck disable=SC2086 # or none
	{ receiver --once $streams -o "$tmp/got" && kill -INT "$receiver" && ends 1 &&
		[ "$(sed 1d "$tmp/recv.err")" = \
			"zcpctl: interrupted before anything was received" ]; } || good=1
done
ok $good "recv --once: interrupted before anything came"
export LD_PRELOAD="$late"
receiver -o "$tmp/got" && kill -TERM "$receiver" && ends 0 && [ ! -s "$tmp/recv.out" ]
status=$?
unset LD_PRELOAD
ok $status "recv: a signal just before it waits"
export LD_PRELOAD="$late" LATE_ABORTED=1
receiver --once -o "$tmp/got"
unset LD_PRELOAD LATE_ABORTED
push "$port" </dev/null && push "$port" <"$tmp/file" 2>/dev/null && ends 0 &&
	cmp -s "$tmp/file" "$tmp/got"
ok $? "recv --once: a connection that is gone before it is accepted"
receiver -o "$tmp/got" && run 1 recv 127.0.0.1:"$port" && says err 'Address already in use'
ok $? "recv: the port is taken"
kill "$receiver"
wait "$receiver"

# The verbs that ask the device.
mocked 0 info --json &&
	json 'o["max_inline"] == 65536 and o["modes"] == ["auto", "zerocopy", "copy"] and
		o["features"] == ["nocache", "rate", "header", "submit-events"] and
		o["feature_bits"] == 15' &&
	mocked 0 info && says out '^features: +nocache rate header submit-events$' &&
	ZCP_MOCK_FEATURES=0x102 mocked 0 info && says out '^features: +rate unknown$' &&
	ZCP_MOCK_FEATURES=0 mocked 0 info --json && json 'o["features"] == []'
ok $? "info"
receiver -o /dev/null && mocked 0 caps --json 127.0.0.1:"$port" &&
	json 'o["sg"] and o["auto_mode"] == "zerocopy" and o["ifname"] == "mock0" and
		o["mss"] > 0' &&
	ZCP_MOCK_REASON=4 mocked 0 caps 127.0.0.1:"$port" && says out 'scatter/gather: no' &&
	says out 'ethtool -K mock0 sg on'
ok $? "caps"
kill "$receiver"
wait "$receiver"
mocked 1 caps 127.0.0.1:1 && says err 'cannot connect to 127.0.0.1 port 1: Connection refused'
ok $? "caps: nobody there"
{ ZCP_MOCK_OPEN_ERRNO=13 mocked 1 info && says err 'Permission denied; th(is user|e group) '; }
ok $? "no permission"
"$zcpctl" doctor --json >"$tmp/out" 2>"$tmp/err"
doctor=$?
json 'all(set(f) == {"level", "check", "found", "advice"} for f in o) and
	{"module", "device", "kernel"} <= {f["check"] for f in o} and
	any(f["level"] == "fail" for f in o) == ('$doctor' == 1)'
ok $? "doctor"

# A part must not look like the whole: the receiver has to see a reset.
was_reset() {
	wait "$receiver"
	[ $? -eq 1 ] && grep -q 'Connection reset' "$tmp/recv.err"
}

# send, through the mock's engine.
printf 'HEAD' >"$tmp/head"
receiver --once -o "$tmp/got" &&
	mocked 0 send --json --header @"$tmp/head" --trailer TAIL --offset 10 --length 1000 \
		"$tmp/file" localhost:"$port" && wait "$receiver" &&
	{ printf HEAD && tail -c +11 "$tmp/file" | head -c 1000 && printf TAIL; } |
	cmp -s - "$tmp/got" &&
	json 'o["state"] == "done" and o["errno"] == 0 and o["error"] is None and
		o["bytes"] == 1008 and o["bytes_acked"] == 1008 and o["bytes_zerocopy"] == 1000 and
		o["bytes_copied"] == 8 and o["copy_reason"] == "inline" and o["job"] > 0 and
		0 < o["sent_ns"] <= o["acked_ns"] <= o["end_ns"] and o["bits_per_second"] > 0 and
		o["wait"] == "acked" and o["mode"] == "auto" and o["ifname"] == "mock0" and
		o["peer"].endswith(":'"$port"'") and o["file"].endswith("/file")'
ok $? "send: header, range, trailer; the JSON object"
receiver --once -o "$tmp/got" && mocked 0 send "$tmp/file" 127.0.0.1:"$port" && wait "$receiver" &&
	cmp -s "$tmp/file" "$tmp/got" && [ "$(wc -l <"$tmp/out")" -eq 1 ] && [ ! -s "$tmp/err" ] &&
	says out '^done: 300000 bytes in .* s, .* Gbit/s, 300000 zero-copied' &&
	says out ', 0 copied \(none\), 300000 acked$'
ok $? "send: one line of text"
receiver --once -o "$tmp/got" &&
	mocked 0 send --quiet --wait sent "$tmp/file" 127.0.0.1:"$port" &&
	wait "$receiver" && [ ! -s "$tmp/out" ] && [ ! -s "$tmp/err" ]
ok $? "send --quiet"
receiver --once -o "$tmp/got" &&
	ZCP_MOCK_DELAY_US=100000 mocked 0 send --json --interval 0.1 "$tmp/file" \
		127.0.0.1:"$port" &&
	wait "$receiver" && json 'len(lines) >= 3 and "seconds" in lines[0] and
		lines[0]["state"] in ("running", "sent") and o["state"] == "done"'
ok $? "send --interval --json"
receiver --once -o "$tmp/got" &&
	ZCP_MOCK_DELAY_US=100000 mocked 0 send --wait sent --interval 0.1 "$tmp/file" \
		127.0.0.1:"$port" &&
	wait "$receiver" && says out '^ +0\.[0-9]* s +[0-9]+ bytes +[0-9.]+ Gbit/s$'
ok $? "send --interval"
receiver --once -o "$tmp/got" &&
	mocked 1 send --json --length 300001 "$tmp/file" 127.0.0.1:"$port" &&
	was_reset && says err 'ended after 300000 of the 300001 bytes' &&
	json 'o["state"] == "failed" and o["errno"] == 61 and o["bytes"] == 300000'
ok $? "send: the file is too short"
receiver --once -o "$tmp/got" &&
	ZCP_MOCK_REASON=4 mocked 1 send --json --mode zerocopy "$tmp/file" 127.0.0.1:"$port" &&
	was_reset &&
	says err '^zcpctl: zerocopy refused: mock0 has no scatter/gather \(no-sg\); ' &&
	says err 'use --mode auto, or try: ethtool -K mock0 sg on$' &&
	[ "$(wc -l <"$tmp/err")" -eq 1 ] &&
	json 'o["state"] == "failed" and o["errno"] == 95 and o["copy_reason"] == "no-sg" and
		o["bytes"] == 0 and o["bits_per_second"] == 0'
ok $? "send --mode zerocopy is refused with what to do"
receiver --once -o "$tmp/got" && {
	: >"$tmp/out"
	LD_PRELOAD=$mock ZCP_MOCK_DELAY_US=300000 "$zcpctl" send --json --interval 0.1 \
		--wait sent "$tmp/file" 127.0.0.1:"$port" >"$tmp/out" 2>"$tmp/err" &
	sender=$!
	until_lines "$tmp/out" '"bytes":[1-9]' 1
	kill -TERM $sender
	wait $sender
	[ $? -eq 1 ]
} && says err 'interrupted after [0-9]+ bytes' &&
	json 'o["state"] == "cancelled" and 0 < o["bytes"] < 300000 and o["errno"] == 125'
ok $? "send: interrupted"
was_reset
ok $? "send: the receiver of a part sees a reset"
head -c 65537 /dev/zero >"$tmp/long"
mocked 1 send --header @"$tmp/long" "$tmp/file" 127.0.0.1:1 && says err '65536 bytes together'
ok $? "send: the header is too long"
mocked 1 send "$tmp/file" 127.0.0.1:1 && says err 'Connection refused'
ok $? "send: nobody there"

# unsent: it was interrupted, and nobody was connected to
unsent() {
	[ "$(cat "$tmp/err")" = "zcpctl: interrupted before anything was sent" ] &&
		json 'o["state"] == "cancelled" and o["errno"] == 125 and o["bytes"] == 0' &&
		push "$port" <"$tmp/head" && wait "$receiver" && cmp -s "$tmp/head" "$tmp/got"
}
good=0
for streams in 1 2; do
	{ receiver --once -o "$tmp/got" && LD_PRELOAD="$late:$mock" LATE_LOOKUP=2 run 1 send --json \
		--streams $streams "$tmp/file" localhost:"$port" && unsent; } || good=1
done
ok $good "send: interrupted while a name is looked up"
# Its queue is full, so it does not answer.
: >"$tmp/port"
python3 -u -c '
import socket, time
l = socket.socket()
l.bind(("127.0.0.1", 0))
l.listen(0)
others = [socket.socket() for _ in range(4)]
for s in others:
	s.setblocking(False)
	s.connect_ex(l.getsockname())
print("port", l.getsockname()[1])
time.sleep(60)' >"$tmp/port" &
silent=$!
until_lines "$tmp/port" '^port' 1
port=$(sed 's/^port //' "$tmp/port")
good=0
for wait in 0 15; do
	{ { [ $wait -eq 0 ] && export LD_PRELOAD="$mock"; } ||
		export LD_PRELOAD="$late:$mock" LATE_WAIT=$wait; }
	"$zcpctl" send --json "$tmp/file" 127.0.0.1:"$port" >"$tmp/out" 2>"$tmp/err" &
	sender=$!
	unset LD_PRELOAD LATE_WAIT
	[ $wait -ne 0 ] || { sleep 1 && kill -INT $sender; }
	{ ends 1 $sender && [ "$(cat "$tmp/err")" = "zcpctl: interrupted before anything was sent" ] &&
		json 'o["state"] == "cancelled" and o["errno"] == 125'; } || good=1
done
kill $silent
ok $good "send: interrupted while it connects, and just before it waits for that"
mkfifo "$tmp/full"
exec 9<>"$tmp/full"
head -c 65536 /dev/zero >&9
receiver --once -o "$tmp/got" && {
	LD_PRELOAD=$mock ZCP_MOCK_DELAY_US=300000 "$zcpctl" send --json --interval 0.1 \
		"$tmp/file" 127.0.0.1:"$port" >"$tmp/full" 2>"$tmp/err" &
	sender=$!
	sleep 1
	kill -INT $sender
	ends 1 $sender
} && says err '^zcpctl: interrupted after [0-9]+ bytes$' && was_reset
ok $? "send: interrupted while nobody reads stdout"
exec 9>&-

# chatty END: a receiver that writes a line, which nobody reads, and has little room. After
# a second it reads what there is and keeps it (all), resets (reset) or sleeps on (none).
chatty() {
	: >"$tmp/port"
	python3 -u -c '
import socket, struct, sys, time
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
l.bind(("127.0.0.1", 0))
l.listen()
print("port", l.getsockname()[1])
s = l.accept()[0]
s.sendall(b"hello\n")
time.sleep(1)
if sys.argv[1] == "none":
	time.sleep(30)
if sys.argv[1] == "reset":
	s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	sys.exit()
with open(sys.argv[2], "wb") as f:
	while data := s.recv(65536):
		f.write(data)' "$1" "$tmp/got" >"$tmp/port" 2>"$tmp/recv.err" &
	receiver=$!
	until_lines "$tmp/port" '^port' 1 && port=$(sed 's/^port //' "$tmp/port")
}
chatty all && mocked 0 send --json --wait sent "$tmp/file" 127.0.0.1:"$port" && wait "$receiver" &&
	cmp -s "$tmp/file" "$tmp/got" && json 'o["state"] == "done" and o["bytes"] == 300000'
ok $? "send --wait sent: a receiver that writes has all"
chatty reset && mocked 1 send --json --wait sent "$tmp/file" 127.0.0.1:"$port" &&
	says err '^zcpctl: the connection broke before all bytes were acknowledged: ' &&
	[ "$(wc -l <"$tmp/err")" -eq 1 ] && json 'o["state"] == "failed" and o["errno"] in (32, 104)'
ok $? "send --wait sent: a reset afterwards is a failure"
chatty none && {
	LD_PRELOAD=$mock timeout -s TERM -k 5 2 "$zcpctl" send --json --wait sent "$tmp/file" \
		127.0.0.1:"$port" >"$tmp/out" 2>"$tmp/err"
	# It was the signal that ended it, and not the second one.
	[ $? -eq 124 ]
} && says err '^zcpctl: interrupted before all bytes were acknowledged$' &&
	json 'o["state"] == "cancelled" and o["errno"] == 125'
ok $? "send --wait sent: interrupted while the receiver does not read"
kill "$receiver"

# What a job may have since 0.2.0.
receiver --once -o "$tmp/got" &&
	mocked 0 send --json --rate 300k "$tmp/file" 127.0.0.1:"$port" && wait "$receiver" &&
	cmp -s "$tmp/file" "$tmp/got" &&
	json 'o["rate"] == 300000 and 0.95 < o["seconds"] < 5 and not o["nocache"]'
ok $? "send --rate"
good=0
for rate in 1099511627776=1Ti 1000000000000=1T 2000000=2M 2097152=2Mi 3000=3K 3072=3Ki 9=9; do
	{ receiver --once -o "$tmp/got" &&
		mocked 0 send --json --length 1 --rate "${rate#*=}" "$tmp/file" \
			127.0.0.1:"$port" && wait "$receiver" &&
		json 'o["rate"] == '"${rate%=*}"; } || good=1
done
ok $good "send --rate: what the suffixes mean"
receiver --once -o "$tmp/got" &&
	mocked 0 send --nocache "$tmp/file" 127.0.0.1:"$port" && wait "$receiver" &&
	cmp -s "$tmp/file" "$tmp/got" && says out ', 300000 acked, 300000 dropped$' &&
	receiver --once -o "$tmp/got" &&
	mocked 0 send --json --nocache "$tmp/file" 127.0.0.1:"$port" && wait "$receiver" &&
	json 'o["nocache"] and o["bytes_dropped"] == 300000 and o["rate"] == 0'
ok $? "send --nocache"
ZCP_MOCK_FEATURES=2 mocked 1 send --json --nocache "$tmp/file" 127.0.0.1:1 &&
	says err 'too old for --nocache: it has no feature "nocache"$' &&
	json 'o["errno"] == 95 and o["state"] == "failed"' &&
	ZCP_MOCK_FEATURES=1 mocked 1 send --rate 1M "$tmp/file" 127.0.0.1:1 &&
	says err 'too old for --rate: it has no feature "rate"$' &&
	[ "$(wc -l <"$tmp/err")" -eq 1 ]
ok $? "send: a module without these features"

# Streams.
good=0
for n in 2 3 4 15; do
	{ receiver --once --json --streams -o "$tmp/got" &&
		mocked 0 send --json --streams $n "$tmp/file" localhost:"$port" &&
		wait "$receiver" && cmp -s "$tmp/file" "$tmp/got" &&
		json 'o["state"] == "done" and o["bytes"] == 300000 and
			o["bytes_zerocopy"] == 300000 and o["bytes_copied"] == 0 and
			o["copy_reason"] == "none" and o["bytes_acked"] == 300000 and
			0 < o["sent_ns"] <= o["acked_ns"] <= o["end_ns"] and
			len(o["streams"]) == '$n' and
			len({s["job"] for s in o["streams"]}) == '$n' and
			[s["offset"] for s in o["streams"]] == [sum(t["length"]
				for t in o["streams"][:i]) for i in range('$n')] and
			all(s["length"] == s["bytes"] == s["bytes_zerocopy"] and
				abs(s["length"] - 300000 / '$n') <= 4096 and
				s["state"] == "done" for s in o["streams"])' &&
		cp "$tmp/recv.out" "$tmp/out" &&
		json 'len(lines) == 1 and o["streams"] == '$n' and o["bytes"] == 300000 and
			o["sha256"] == "'"$digest"'" and o["seconds"] > 0 and o["errno"] == 0'
	} || good=1
done
ok $good "streams: sent in parts, received as a whole"
good=0
for bytes in 0 1 3 4097; do
	head -c $bytes "$tmp/file" >"$tmp/small"
	{ receiver --once --streams -o "$tmp/got" &&
		mocked 0 send --json --streams 4 "$tmp/small" 127.0.0.1:"$port" &&
		wait "$receiver" && cmp -s "$tmp/small" "$tmp/got" &&
		json 'o["bytes"] == '$bytes' and len(o["streams"]) == 4' &&
		grep -q "^received $bytes bytes .*, 4 streams, sha256 $(sha256sum <"$tmp/small" |
			cut -d' ' -f1)," "$tmp/recv.out"; } || good=1
done
ok $good "streams: files of fewer pages than streams"
receiver --once --streams -o "$tmp/got" &&
	mocked 0 send --json --streams 3 --offset 5001 --length 100001 --mode copy --wait sent \
		"$tmp/file" 127.0.0.1:"$port" &&
	wait "$receiver" && tail -c +5002 "$tmp/file" | head -c 100001 | cmp -s - "$tmp/got" &&
	json 'o["bytes"] == 100001 == o["bytes_copied"] and o["copy_reason"] == "asked" and
		all((5001 + s["offset"]) % 4096 == 0 for s in o["streams"][1:])'
ok $? "streams: a range, copied; parts begin with pages"
receiver --once --streams -o "$tmp/got" &&
	mocked 0 send --streams 2 --nocache --rate 10M "$tmp/file" 127.0.0.1:"$port" &&
	wait "$receiver" && cmp -s "$tmp/file" "$tmp/got" && [ "$(wc -l <"$tmp/out")" -eq 1 ] &&
	says out '^done: 300000 bytes .* 300000 acked, 300000 dropped, 2 streams$'
ok $? "streams: one line of text; --nocache, --rate"
receiver --once -o "$tmp/got" && mocked 0 send --streams 1 --json "$tmp/file" 127.0.0.1:"$port" &&
	wait "$receiver" && cmp -s "$tmp/file" "$tmp/got" && json '"streams" not in o'
ok $? "streams: one is none"
receiver --json --streams -o "$tmp/got" &&
	mocked 0 send --quiet --streams 3 "$tmp/file" 127.0.0.1:"$port" &&
	mocked 0 send --quiet --streams 2 "$tmp/head" 127.0.0.1:"$port" &&
	until_lines "$tmp/recv.out" sha256 2 && kill -INT "$receiver" && wait "$receiver" &&
	cmp -s "$tmp/head" "$tmp/got" && cp "$tmp/recv.out" "$tmp/out" &&
	json '[l["streams"] for l in lines] == [3, 2] and lines[0]["sha256"] == "'"$digest"'"'
ok $? "streams: one transfer after the other, until it is interrupted"
receiver --once --streams -o "$tmp/got" &&
	ZCP_MOCK_DELAY_US=50000 mocked 0 send --json --interval 0.1 --streams 2 "$tmp/file" \
		127.0.0.1:"$port" &&
	wait "$receiver" && json 'len(lines) >= 3 and lines[0]["state"] in ("queued", "running") and
		[l["bytes"] for l in lines] == sorted(l["bytes"] for l in lines)'
ok $? "streams: progress of the sum"

# A transfer of which a part fails.
receiver --once --streams -o "$tmp/got" &&
	mocked 1 send --json --streams 3 --length 300001 "$tmp/file" 127.0.0.1:"$port" &&
	was_reset && says err '^zcpctl: stream 3 of 3: .* ended after 300000 of the 300001 bytes' &&
	[ "$(wc -l <"$tmp/err")" -eq 1 ] &&
	json 'o["state"] == "failed" and o["errno"] == 61 and
		[s["state"] for s in o["streams"]] == ["done", "done", "failed"]'
ok $? "streams: the file is too short"
receiver --once --streams -o "$tmp/got" &&
	ZCP_MOCK_REASON=4 mocked 1 send --json --mode zerocopy --streams 2 "$tmp/file" \
		127.0.0.1:"$port" && was_reset &&
	says err '^zcpctl: stream 1 of 2: zerocopy refused: mock0 has no scatter/gather' &&
	json 'o["state"] == "failed" and o["errno"] == 95 and o["copy_reason"] == "no-sg" and
		o["bytes"] == 0'
ok $? "streams: --mode zerocopy is refused"
receiver --once --streams -o "$tmp/got" &&
	mocked 1 send --json --streams 16 "$tmp/file" 127.0.0.1:"$port" && was_reset &&
	says err '^zcpctl: stream 16 of 16: too many links: limit "links"' &&
	json 'o["errno"] == 11 and o["bytes"] == 0'
ok $? "streams: more than there may be links"
mocked 1 send --streams 3 "$tmp/file" 127.0.0.1:1 && says err 'Connection refused' &&
	[ "$(wc -l <"$tmp/err")" -eq 1 ]
ok $? "streams: nobody there"
receiver --once --json --streams -o "$tmp/got" && {
	: >"$tmp/out"
	LD_PRELOAD=$mock ZCP_MOCK_DELAY_US=300000 "$zcpctl" send --json --interval 0.1 \
		--wait sent --streams 2 "$tmp/file" 127.0.0.1:"$port" >"$tmp/out" 2>"$tmp/err" &
	sender=$!
	until_lines "$tmp/out" '"bytes":[1-9]' 1
	kill -INT $sender
	wait $sender
	[ $? -eq 1 ]
} && says err '^zcpctl: interrupted after [0-9]+ bytes' &&
	json 'o["state"] == "cancelled" and 0 < o["bytes"] < 300000 and o["errno"] == 125 and
		{s["state"] for s in o["streams"]} == {"cancelled"}' &&
	was_reset
ok $? "streams: interrupted"

# parts PORT PART...: a connection for each ID:STREAMS:INDEX:TOTAL:OFFSET:LENGTH:BYTES, or
# for =TEXT; they end together. @FILE:SIZE waits until the file has so many bytes, 20 s at most
parts() {
	python3 -c '
import os, socket, struct, sys, time
socks = []
for part in sys.argv[2:]:
	if part[0] == "@":
		name, size = part[1:].rsplit(":", 1)
		for _ in range(2000):
			if os.path.exists(name) and os.path.getsize(name) == int(size):
				break
			time.sleep(0.01)
		continue
	if part[0] == "=":
		data = part[1:].encode()
	else:
		id, *numbers, have = part.split(":")
		data = struct.pack("<8s16sIIQQQQ", b"zcpstrm1", id.encode() * 16, *map(int, numbers), 0)
		data += b"0123456789"[int(numbers[3]):][:int(have)] + b"x" * (int(have) - 10)
	try:
		socks.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
		socks[-1].sendall(data)
	except OSError:
		pass
	time.sleep(0.05)
for s in socks:
	s.close()' "$@"
}

# joined STATUS REGEX PART...: what recv --streams makes of them, and what it says about it
joined() {
	want=$1
	regex=$2
	shift 2
	rm -f "$tmp/got"
	receiver --once --streams -o "$tmp/got" || return 1
	parts "$port" "$@"
	wait "$receiver"
	got=$?
	cp "$tmp/recv.out" "$tmp/out"
	sed 1d "$tmp/recv.err" >"$tmp/err"
	[ $got -eq "$want" ] || return 1
	# Nothing, or one line.
	[ -z "$regex" ] && { [ ! -s "$tmp/err" ] || return 1; } && return 0
	[ "$(wc -l <"$tmp/err")" -eq 1 ] && says err "$regex"
}

joined 0 '' a:2:1:10:4:6:6 a:2:0:10:0:4:4 && [ "$(cat "$tmp/got")" = 0123456789 ]
ok $? "join: the header is as it is described"
joined 0 '' = a:1:0:10:0:10:10 && [ "$(cat "$tmp/got")" = 0123456789 ]
ok $? "join: who says nothing is nobody"
joined 1 'part (1 of 2 overlaps with part 2|2 of 2 overlaps with part 1)' a:2:1:10:3:7:7 a:2:0:10:0:4:4
ok $? "join: parts that overlap"
joined 1 'the 2 parts have 9 of 10 bytes' a:2:1:10:5:5:5 a:2:0:10:0:4:4
ok $? "join: parts that leave something out"
joined 1 'part 2 of 2 came twice' a:2:1:10:5:5:5 a:2:1:10:0:5:5
ok $? "join: a part that comes twice"
joined 1 'part 1 of 2 is of 11 bytes, but others are of 2 parts and 10 bytes' a:2:1:10:5:5:5 \
	"@$tmp/got:10" a:2:0:11:0:5:5 &&
	joined 1 'part 1 of 3 is of 10 bytes' a:2:1:10:5:5:5 "@$tmp/got:10" a:3:0:10:0:5:5
ok $? "join: different totals"
joined 1 'part 2 of 2 ended after 4 of 5 bytes' a:2:1:10:5:5:4 a:2:0:10:0:5:5
ok $? "join: a part that is too short"
joined 1 'part 1 of 1 is longer than the 10 bytes it should have' a:1:0:10:0:10:11
ok $? "join: a part that is too long"
joined 1 'part 1 of 2 is missing' a:2:1:10:5:5:5
ok $? "join: a part that does not come"
joined 1 'sends no header of a stream; was it zcpctl send --streams' "=$(head -c 100 /dev/zero |
	tr '\0' x)" && joined 1 'sends no header' =zcpstrm1
ok $? "join: no header"
good=0
for part in a:0:0:10:0:10:10 a:65:0:10:0:10:10 a:2:2:10:0:10:10 a:1:0:10:1:10:10 \
	a:1:0:10:18446744073709551615:2:2 a:1:0:9223372036854775808:0:10:10; do
	joined 1 'sends no header' $part || good=1
done
ok $good "join: numbers that cannot be"
joined 0 'refused 127.0.0.1:[0-9]*: it sends no header' a:2:1:10:5:5:5 \
	"@$tmp/got:10" "=$(printf '%0100d' 0)" a:2:0:10:0:5:5 &&
	[ "$(cat "$tmp/got")" = 0123456789 ]
ok $? "join: strangers do no harm"
# The one that comes first is the one whose part is written first.
rm -f "$tmp/got"
receiver --streams -o "$tmp/got" &&
	parts "$port" a:2:1:10:5:5:5 "@$tmp/got:10" b:2:0:9:0:5:5 a:2:0:10:0:5:5 b:2:1:9:5:4:4 &&
	until_lines "$tmp/recv.out" sha256 2 && [ "$(cat "$tmp/got")" = 012345678 ] &&
	sed -n 1p "$tmp/recv.out" | grep -q '^received 10 bytes' && kill -INT "$receiver" &&
	wait "$receiver" && [ "$(wc -l <"$tmp/recv.err")" -eq 1 ]
ok $? "join: two at a time are received one after the other"
mkfifo "$tmp/pipe"
receiver --once --streams -o "$tmp/pipe" && parts "$port" a:1:0:10:0:10:10
wait "$receiver"
[ $? -eq 1 ] && grep -q 'cannot join streams in .*pipe: Illegal seek' "$tmp/recv.err"
ok $? "join: a file that has no places"
receiver --once --streams --json -o /dev/null && parts "$port" a:1:0:10:0:10:10 &&
	wait "$receiver" && cp "$tmp/recv.out" "$tmp/out" &&
	json 'o["bytes"] == 10 and o["sha256"] is None'
ok $? "join: to a device there is no digest"
receiver --streams -o "$tmp/got" && kill -TERM "$receiver" && wait "$receiver" &&
	[ "$(wc -l <"$tmp/recv.err")" -eq 1 ]
ok $? "join: interrupted before anything came"

echo "1..$count"
