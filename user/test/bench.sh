#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# zcp-bench without a kernel module: its server and those who mean it ill, and what it says
# of what it leaves out. Needs python3 for the peers.
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
bench=$user/bench/zcp-bench
broken=$user/$OBJ/test/broken.so
if ! command -v python3 >/dev/null; then
	echo "ok 1 - zcp-bench serve # SKIP there is no python3 here"
	echo 1..1
	exit 0
fi
tmp=$(mktemp -d)
. "$here/tap.sh"
server=

cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# serve COMMAND...: start zcp-bench serve on a free port, in $port, by this command
serve() {
	: >"$tmp/log"
	"$@" serve --dir "$tmp" 127.0.0.1:0 >"$tmp/out" 2>"$tmp/log" &
	server=$!
	for _ in $(seq 200); do
		port=$(sed -n 's/^receiving on .*:\([0-9]*\)$/\1/p' "$tmp/log")
		[ -z "$port" ] || return 0
		sleep 0.1
	done
	return 1
}

# It runs on until a signal ends it.
served() {
	kill -TERM "$server" && wait "$server"
	[ $? -eq 143 ] && server=
}

peer() {
	timeout 90 python3 "$here/bench.py" "$1" "$port" >"$tmp/out" 2>"$tmp/err"
}

# peers WHAT COMMAND...: a peer does that to a server of its own
peers() {
	what=$1
	shift
	serve "$@" && peer "$what" && served
}

peers commands_unread "$bench"
ok $? "serve: commands whose answers nobody reads"
peers no_hello "$bench"
ok $? "serve: who says no hello is closed"
peers nonsense "$bench"
ok $? "serve: who says something else is closed"
peers descriptors python3 "$here/bench.py" run 64 "$bench"
ok $? "serve: more connections than descriptors"
# ENETDOWN, EPROTO, ECONNABORTED, EHOSTUNREACH; EMFILE, ENFILE, ENOBUFS, ENOMEM.
BROKEN_ACCEPT='100 71 103 113 24 23 105 12' LD_PRELOAD=$broken peers works "$bench"
ok $? "serve: errors of accept(2)"
BROKEN_WRITE=1 LD_PRELOAD=$broken peers disk_full "$bench"
ok $? "serve: a full disk ends a connection that stores"
peers too_many_stores "$bench"
ok $? "serve: no more is stored than has room"
peers too_many_alone "$bench"
ok $? "serve: refuses a thread when there are too many"
peers stalled_of_another "$bench"
ok $? "serve: who stalls is resumed by its client"
peers stalled_left "$bench"
ok $? "serve: who stalls ends with its client"
peers compared "$bench"
ok $? "serve: bytes are compared in each mode"

# run STATUS ARG...: zcp-bench must exit with STATUS
run() {
	want=$1
	shift
	timeout 120 "$bench" --smoke --dir "$tmp/dir" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ $got -eq "$want" ] && return 0
	echo "# exit status $got, not $want: zcp-bench --smoke $*"
	return 1
}

# The checks that failed are those, and no others: fails REGEX
fails() {
	grep '^not ok' "$tmp/out" | sort -u >"$tmp/log"
	[ "$(wc -l <"$tmp/log")" -eq 1 ] && grep -Eq "$1" "$tmp/log"
}

# A way of bulk that works everywhere.
bulk() {
	want=$1
	shift
	run "$want" --suite bulk "$@"
}

mkdir "$tmp/dir"
bulk 0 --methods sendfile --cases 'loopback-*' && ! grep '^not ok' "$tmp/out"
ok $? "what the user leaves out nobody misses"
if [ -e /dev/zcp ]; then
	skip "a way that is missing fails, and says why" "needs a system without /dev/zcp"
else
	bulk 1 --methods sendfile,zcp-job --cases 'loopback-*' &&
		fails '^not ok - bulk zcp-job: left out: /dev/zcp is missing: load the module' &&
		run 1 --suite many && fails '^not ok - many zcp-job: left out: /dev/zcp is missing'
	ok $? "a way that is missing fails, and says why"
fi
if [ -e /run/netns/tx ]; then
	skip "a path that is missing fails, and says why" "needs a system without a netns tx"
else
	bulk 1 --methods sendfile &&
		fails '^not ok - bulk veth: left out: it needs the network namespaces tx and rx'
	ok $? "a path that is missing fails, and says why"
fi
run 1 --suite cold --methods sendfile &&
	fails '^not ok - cold all cases: left out: it needs a block device'
ok $? "a disk that is missing fails, and says why"
bulk 1 --methods sendfile --cases 'nothing-like-this' &&
	fails '^not ok - bench all suites: something is measured' &&
	run 0 --suite bulk,many --methods sendfile --cases 'loopback-*' && ! grep '^not ok' "$tmp/out"
ok $? "to measure nothing fails"
timeout 60 "$bench" --suite bulk --dir "$tmp/not/there" >"$tmp/out" 2>"$tmp/err"
[ $? -eq 4 ]
ok $? "who cannot go on has a status of its own"

for name in zcp-bench-bulk zcp-bench-study; do
	echo mine >"$tmp/dir/$name"
done
bulk 0 --methods sendfile --cases 'loopback-*' && run 0 --suite study-a --methods sendfile &&
	[ "$(cat "$tmp/dir/zcp-bench-bulk" "$tmp/dir/zcp-bench-study")" = "mine
mine" ] && [ "$(find "$tmp/dir" -type f | wc -l)" -eq 2 ]
ok $? "files of another run are left alone"

# With wrong bytes nothing goes on: wrong ARG...
wrong() {
	BROKEN_SEND=1 LD_PRELOAD=$broken run 4 "$@" && grep -q 'wrong bytes' "$tmp/err"
}

run 0 --suite study-a,study-b,study-c --methods read-send-1m,malloc-copy
ok $? "studies: right bytes"
wrong --suite study-a --methods read-send-1m && wrong --suite study-b --methods read-send-1m &&
	wrong --suite study-b --methods read-send-1m --cases '*-stored' &&
	wrong --suite study-b --methods read-send-1m --cases '*-fixed' &&
	wrong --suite study-b --methods read-send-1m --cases 'streams-3'
ok $? "studies of files: a wrong byte is noticed"
wrong --suite study-c --methods malloc-copy
ok $? "study-c: a wrong byte is noticed"
wrong --suite bulk --methods read-send-1m --cases '*-store'
ok $? "bulk: a wrong byte is noticed by who stores"

serve "$bench" && run 0 --suite study-c --methods malloc-copy,zmq-copy \
	--peer "127.0.0.1:$port" --out "$tmp/results" && served &&
	grep -q '"malloc-copy"' "$tmp/results/results.json" &&
	! grep '"zmq-copy"' "$tmp/results/results.json" &&
	grep -q '^zmq-copy is left out by --peer' "$tmp/err"
ok $? "study-c: what does not go to the peer is not compared"
serve "$bench" && bulk 0 --methods sendfile --peer "127.0.0.1:$port" && served
ok $? "a peer that serves, to whom veth is no matter"

echo "1..$count"
