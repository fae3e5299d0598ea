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
if ! command -v python3 >/dev/null; then
	echo "ok 1 - zcpctl from the outside # SKIP there is no python3 here"
	echo 1..1
	exit 0
fi
tmp=$(mktemp -d)
count=0
pids=

cleanup() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# ok STATUS NAME: the test went well when STATUS is 0
ok() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# out: /' "$tmp/out" 2>/dev/null
		sed 's/^/# err: /' "$tmp/err" 2>/dev/null
	fi
}

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
	"$zcpctl" recv "$@" 127.0.0.1:0 >"$tmp/recv.out" 2>"$tmp/recv.err" &
	receiver=$!
	pids="$pids $receiver"
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
good=0
for verb in send recv list show cancel caps info doctor version help; do
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
run 2 recv && run 2 recv 1 2 && run 2 recv -x 1 && says err '-x is not an option'
ok $? "recv: bad usage"
run 2 show && run 2 show abc && run 2 cancel 1x && run 2 list 1 && run 2 info --js=1 &&
	run 2 caps noport
ok $? "others: bad usage"

# Without a device. On a host with the module loaded these would not fail.
if [ -e /dev/zcp ]; then
	for name in "info says" "send says" "send --json says"; do
		count=$((count + 1))
		echo "ok $count - $name what is wrong # SKIP /dev/zcp exists here"
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
receiver -o "$tmp/got" && run 1 recv 127.0.0.1:"$port" && says err 'Address already in use'
ok $? "recv: the port is taken"
kill "$receiver"
wait "$receiver"

# The verbs that ask the device.
mocked 0 info --json &&
	json 'o["max_inline"] == 65536 and o["modes"] == ["auto", "zerocopy", "copy"]'
ok $? "info"
mocked 0 list --json && [ "$(cat "$tmp/out")" = "[]" ] && mocked 0 list &&
	says out '^ *JOB  STATE'
ok $? "list"
mocked 1 show 7 && says err 'no such job in this process: 7' && mocked 1 cancel 7 &&
	says err 'no such job in this process: 7'
ok $? "show and cancel: no such job"
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
{ ZCP_MOCK_OPEN_ERRNO=13 mocked 1 info && says err 'Permission denied; this user'; }
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

echo "1..$count"
