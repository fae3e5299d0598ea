#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# zcpctl as its users meet it: verbs, options, JSON, exit codes, streams.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

verbs='send recv list show cancel monitor stats top caps info doctor completion'
size=1000003
head -c $size /dev/urandom >"$tmp/file"
sum=$(digest "$tmp/file")

# Runs zcpctl; its streams go to out and err: run STATUS ARGUMENT...
run() {
	local want=$1 status

	shift
	zcpctl "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" -eq "$want" ] || {
		echo "zcpctl $*: status $status, expected $want"
		cat "$tmp/out" "$tmp/err"
		return 1
	}
}

empty() {
	[ ! -s "$1" ] || {
		echo "expected nothing in $(basename "$1"):"
		cat "$1"
		return 1
	}
}

# Each line of a file is one JSON value.
valid_json() {
	[ -s "$1" ] && python3 -c '
import json, sys
for line in open(sys.argv[1]):
	json.loads(line)' "$1"
}

help_on_stdout() {
	local verb

	run 0 help && empty "$tmp/err" || return 1
	for verb in $verbs; do
		grep -q "^  $verb " "$tmp/out" || {
			echo "help does not list $verb"
			return 1
		}
	done
	run 0 --help && empty "$tmp/err" || return 1
	for verb in $verbs; do
		run 0 "$verb" --help && empty "$tmp/err" && grep -q "zcpctl $verb" "$tmp/out" &&
			run 0 help "$verb" && empty "$tmp/err" || return 1
	done
}

usage_errors() {
	local args

	# Each is one wrong command line.
	for args in '' nosuchverb '--nosuchoption' 'help nosuchverb' 'send' 'send file' \
		'send file noport' 'send file host:1 more' "send --mode fast $tmp/file 127.0.0.1:9" \
		"send --offset -1 $tmp/file 127.0.0.1:9" "send --offset x $tmp/file 127.0.0.1:9" \
		"send --length 1k $tmp/file 127.0.0.1:9" "send --wait never $tmp/file 127.0.0.1:9" \
		"send --interval 0 $tmp/file 127.0.0.1:9" "send --nosuch $tmp/file 127.0.0.1:9" \
		"send $tmp/file 127.0.0.1:9 --header" "send $tmp/file 127.0.0.1:99999" \
		"send --rate 0 $tmp/file 127.0.0.1:9" "send --rate fast $tmp/file 127.0.0.1:9" \
		"send --rate -1 $tmp/file 127.0.0.1:9" "send --rate 1kB $tmp/file 127.0.0.1:9" \
		"send --rate 2Ti $tmp/file 127.0.0.1:9" "send $tmp/file 127.0.0.1:9 --rate" \
		"send --nocache --wait sent $tmp/file 127.0.0.1:9" \
		"send --streams 0 $tmp/file 127.0.0.1:9" "send --streams 65 $tmp/file 127.0.0.1:9" \
		"send --streams x $tmp/file 127.0.0.1:9" "send $tmp/file 127.0.0.1:9 --streams" \
		"send --streams 2 --header x $tmp/file 127.0.0.1:9" \
		"send --streams 2 --trailer x $tmp/file 127.0.0.1:9" \
		'recv --streams 1' 'recv --streams -o - 1' \
		'recv' 'recv 1 2' 'recv --nosuch 1' 'recv x' 'show' 'show x' 'show 1 2' 'cancel' \
		'cancel x' 'monitor x' 'monitor --interval 0' 'stats x' 'stats --json --prometheus' \
		'top x' 'top --count 0' 'completion' 'completion tcsh' 'caps' 'caps x' 'info x' 'list x' 'doctor x'; do
		# shellcheck disable=SC2086 # words
		run 2 $args && empty "$tmp/out" || return 1
		[ -s "$tmp/err" ] || {
			echo "zcpctl $args: nothing on stderr"
			return 1
		}
	done
}

version_printed() {
	local version

	version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)
	run 0 version && empty "$tmp/err" && same "zcpctl $version" "$(cat "$tmp/out")" version &&
		run 0 info --json && same "$version" "$(json module_version "$tmp/out")" module
}

digest_equal() {
	deliver "$sum" "$tmp/file" && cmp "$tmp/file" "$tmp/got" &&
		same $size "$(json bytes "$tmp/recv.json")" bytes
}

json_keys() {
	local key

	deliver "$sum" "$tmp/file" && valid_json "$tmp/send.json" && valid_json "$tmp/recv.json" &&
		empty "$tmp/send.err" || return 1
	for key in job state errno bytes bytes_zerocopy bytes_copied copy_reason sent_ns acked_ns \
		bits_per_second; do
		[ -n "$(json $key "$tmp/send.json")" ] || {
			echo "no key $key in:"
			cat "$tmp/send.json"
			return 1
		}
	done
	same 0 "$(json errno "$tmp/send.json")" errno && accounts $size 0 none || return 1
	[ "$(json job "$tmp/send.json")" -gt 0 ] &&
		[ "$(json sent_ns "$tmp/send.json")" -gt 0 ] &&
		[ "$(json acked_ns "$tmp/send.json")" -ge "$(json sent_ns "$tmp/send.json")" ] &&
		[ "$(json bits_per_second "$tmp/send.json")" -gt 0 ]
}

text_output() {
	receive -o "$tmp/got" && run 0 send "$tmp/file" "127.0.0.1:$port" && received || return 1
	empty "$tmp/err" && grep -q "$size bytes" "$tmp/out" &&
		grep -q "$size zero-copied" "$tmp/out" &&
		receive -o "$tmp/got" && run 0 send --quiet "$tmp/file" "127.0.0.1:$port" &&
		received && empty "$tmp/out" && empty "$tmp/err"
}

recv_to_stdout() {
	receive && run 0 send "$tmp/file" "127.0.0.1:$port" && received &&
		cmp "$tmp/file" "$tmp/recv.json" && grep -q "$sum" "$tmp/recv.err"
}

recv_from_nc() {
	receive -o "$tmp/got" && nc -N 127.0.0.1 "$port" <"$tmp/file" && received &&
		same "$sum" "$(json sha256 "$tmp/recv.json")" sha256
}

send_to_socat() {
	local pid try

	socat -u TCP-LISTEN:9099,bind=127.0.0.1,reuseaddr "OPEN:$tmp/got,creat,trunc" &
	pid=$!
	children+=("$pid")
	for ((try = 0; try < 100; try++)); do
		ss -Hltn 'sport = :9099' | grep -q . && break
		sleep 0.1
	done
	run 0 send "$tmp/file" 127.0.0.1:9099 && wait "$pid" && cmp "$tmp/file" "$tmp/got"
}

empty_file() {
	: >"$tmp/empty"
	deliver "$(digest "$tmp/empty")" "$tmp/empty" && accounts 0 0 none
}

header_and_trailer() {
	head -c 40000 /dev/urandom >"$tmp/head"
	printf 'the end' >"$tmp/tail"
	cat "$tmp/head" "$tmp/file" "$tmp/tail" >"$tmp/all"
	deliver "$(digest "$tmp/all")" --header "@$tmp/head" --trailer 'the end' "$tmp/file" &&
		accounts $size 40007 inline || return 1
	{ printf 'GET / \r\n' && cat "$tmp/file" "$tmp/tail"; } >"$tmp/all"
	deliver "$(digest "$tmp/all")" --header $'GET / \r\n' --trailer "@$tmp/tail" "$tmp/file"
}

header_too_long() {
	head -c 65537 /dev/urandom >"$tmp/head"
	run 1 send --header "@$tmp/head" "$tmp/file" 127.0.0.1:9 && empty "$tmp/out" &&
		same 1 "$(wc -l <"$tmp/err")" "lines of error"
}

offset_and_length() {
	tail -c +12346 "$tmp/file" | head -c 500001 >"$tmp/part"
	deliver "$(digest "$tmp/part")" --offset 12345 --length 500001 "$tmp/file" || return 1
	tail -c 77 "$tmp/file" >"$tmp/part"
	deliver "$(digest "$tmp/part")" --offset $((size - 77)) "$tmp/file" &&
		accounts 0 77 small
}

modes() {
	deliver "$sum" --mode auto "$tmp/file" && accounts $size 0 none &&
		deliver "$sum" --mode zerocopy "$tmp/file" && accounts $size 0 none &&
		deliver "$sum" --mode copy "$tmp/file" && accounts 0 $size asked
}

# A receiver that does not read: `sent` comes, `acked` does not.
wait_sent() {
	receive -o "$tmp/got" || return 1
	kill -STOP "$receiver"
	run 0 send --json --wait sent --length 20000 "$tmp/file" "127.0.0.1:$port" || return 1
	same "done" "$(json state "$tmp/out")" state &&
		same 20000 "$(json bytes "$tmp/out")" bytes || return 1
	kill -CONT "$receiver"
	received && same 20000 "$(json bytes "$tmp/recv.json")" bytes
}

# A receiver with little room that writes a line, which nobody reads, and reads a second
# later: closing the connection before would reset it, and what is not sent be lost.
wait_sent_to_who_writes() {
	local pid try

	: >"$tmp/port"
	python3 -u -c '
import socket, sys, time
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
l.bind(("127.0.0.1", 0))
l.listen()
print(l.getsockname()[1])
s = l.accept()[0]
s.sendall(b"hello\n")
time.sleep(1)
with open(sys.argv[1], "wb") as f:
	while data := s.recv(65536):
		f.write(data)' "$tmp/got" >"$tmp/port" &
	pid=$!
	children+=("$pid")
	for ((try = 0; try < 600; try++)); do
		[ ! -s "$tmp/port" ] || break
		sleep 0.1
	done
	run 0 send --json --wait sent "$tmp/file" "127.0.0.1:$(<"$tmp/port")" && wait "$pid" &&
		same "done" "$(json state "$tmp/out")" state &&
		same $size "$(json bytes "$tmp/out")" bytes && cmp "$tmp/file" "$tmp/got"
}

# Starts a send that cannot end, with lines of progress: sets $sender.
start_stalled() {
	local try joining=()

	[[ " $* " != *' --streams '* ]] || joining=(--streams)
	truncate -s 1G "$tmp/large"
	receive "${joining[@]}" -o /dev/null || return 1
	kill -STOP "$receiver"
	zcpctl send "$@" --interval 0.2 "$tmp/large" "127.0.0.1:$port" >"$tmp/out" 2>"$tmp/err" &
	sender=$!
	children+=("$sender")
	for ((try = 0; try < 600; try++)); do
		[ "$(cat "$tmp/out" "$tmp/err" | wc -l)" -lt 3 ] || return 0
		kill -0 "$sender" || break
		sleep 0.1
	done
	echo "no lines of progress:"
	cat "$tmp/out" "$tmp/err"
	return 1
}

interval_lines() {
	start_stalled && grep -q -i gbit "$tmp/out" "$tmp/err" || return 1
	stop
	start_stalled --json && valid_json "$tmp/out" || return 1
	stop
}

# Options of send may be given: interrupted [OPTION...]
interrupted() {
	local status=0

	start_stalled --json "$@" || return 1
	kill -INT "$sender"
	wait "$sender" || status=$?
	same 1 $status "exit status" && valid_json "$tmp/out" &&
		same cancelled "$(json state "$tmp/out")" state &&
		same 125 "$(json errno "$tmp/out")" errno && [ -s "$tmp/err" ] || return 1
	[ "$(json bytes "$tmp/out")" -gt 0 ] && [ "$(json bytes "$tmp/out")" -lt 1073741824 ] ||
		return 1
	kill -CONT "$receiver"
	# The receiver cannot take it for the end of the file.
	if received; then
		echo "the receiver saw a normal end"
		return 1
	fi
	same 104 "$(json errno "$tmp/recv.json")" "errno of the receiver" &&
		[ "$(json bytes "$tmp/recv.json")" -le "$(json bytes "$tmp/out")" ]
}

# The same as deliver, in parts: deliver_streams N SHA256 [OPTION...] FILE
deliver_streams() {
	local streams=$1 want=$2

	shift 2
	receive --streams -o "$tmp/got" || return 1
	zcpctl send --json --streams "$streams" "$@" "127.0.0.1:$port" >"$tmp/send.json" \
		2>"$tmp/send.err" || {
		echo "zcpctl send --streams $streams $*: status $?"
		cat "$tmp/send.json" "$tmp/send.err"
		return 1
	}
	received && valid_json "$tmp/send.json" && valid_json "$tmp/recv.json" &&
		empty "$tmp/send.err" &&
		same "done" "$(json state "$tmp/send.json")" state &&
		same "$want" "$(json sha256 "$tmp/recv.json")" "sha256 of $*" &&
		same "$want" "$(digest "$tmp/got")" "sha256 of what is in the file" &&
		same "$streams" "$(json streams "$tmp/recv.json")" streams &&
		same "$(json bytes "$tmp/send.json")" "$(json bytes "$tmp/recv.json")" bytes &&
		same "$(json bytes "$tmp/send.json")" "$(json bytes_acked "$tmp/send.json")" acked
}

# The parts of the last transfer are N, and all of it: parts_of N
parts_of() {
	python3 -c '
import json, sys
o = json.load(open(sys.argv[1]))
at = 0
for s in o["streams"]:
	assert s["offset"] == at and s["length"] == s["bytes"] == s["bytes_acked"], s
	assert s["state"] == "done" and s["bytes_zerocopy"] + s["bytes_copied"] == s["bytes"], s
	at += s["length"]
assert at == o["bytes"] and len(o["streams"]) == int(sys.argv[2]), o
assert len({s["job"] for s in o["streams"]}) == len(o["streams"]), o
for key in ("bytes_zerocopy", "bytes_copied"):
	assert sum(s[key] for s in o["streams"]) == o[key], key' "$tmp/send.json" "$1"
}

streams() {
	local n

	for n in 2 3 4 64; do
		deliver_streams $n "$sum" "$tmp/file" && parts_of $n &&
			same $size "$(json bytes "$tmp/send.json")" bytes || return 1
	done
	# None of 64 parts is so short that it is copied; the headers do not count.
	accounts $size 0 none
}

streams_of_little() {
	local bytes

	for bytes in 0 1 3 4097; do
		head -c $bytes "$tmp/file" >"$tmp/part"
		deliver_streams 4 "$(digest "$tmp/part")" "$tmp/part" && parts_of 4 &&
			same $bytes "$(json bytes "$tmp/send.json")" bytes || return 1
	done
}

streams_of_a_range() {
	tail -c +12346 "$tmp/file" | head -c 500001 >"$tmp/part"
	deliver_streams 3 "$(digest "$tmp/part")" --offset 12345 --length 500001 --mode copy \
		"$tmp/file" && accounts 0 500001 asked && parts_of 3
}

one_stream() {
	deliver "$sum" --streams 1 "$tmp/file" && same "" "$(json streams "$tmp/send.json")" streams &&
		receive --streams -o "$tmp/got" || return 1
	zcpctl send --json "$tmp/file" "127.0.0.1:$port" >"$tmp/send.json" 2>"$tmp/send.err"
	if received; then
		echo "without a header it was joined"
		return 1
	fi
	grep -q 'header of a stream' "$tmp/recv.err"
}

streams_text() {
	receive --streams -o "$tmp/got" &&
		run 0 send --streams 3 "$tmp/file" "127.0.0.1:$port" && received &&
		empty "$tmp/err" && same 1 "$(wc -l <"$tmp/out")" lines &&
		grep -q "$size bytes.*, 3 streams$" "$tmp/out"
}

streams_interrupted() {
	interrupted --streams 3
}

streams_too_short() {
	receive --streams -o "$tmp/got" &&
		run 1 send --json --streams 3 --length $((size + 1)) "$tmp/file" \
			"127.0.0.1:$port" &&
		same 61 "$(json errno "$tmp/out")" errno &&
		same 1 "$(wc -l <"$tmp/err")" "lines of error" && grep -q "$tmp/file" "$tmp/err" ||
		return 1
	if received; then
		echo "the receiver takes it for complete"
		return 1
	fi
}

# The last transfer took LEAST to MOST milliseconds: took LEAST MOST
took() {
	local ms=$(($(json end_ns "$tmp/send.json") / 1000000))

	if [ "$ms" -lt "$1" ] || [ "$ms" -ge "$2" ]; then
		echo "took $ms ms, expected $1 to $2"
		return 1
	fi
}

# A burst of a page or two does not matter to that many bytes.
rate() {
	head -c 2000000 /dev/urandom >"$tmp/part"
	deliver "$(digest "$tmp/part")" --rate 1M "$tmp/part" && took 1800 6000 &&
		same 1000000 "$(json rate "$tmp/send.json")" rate &&
		deliver "$(digest "$tmp/part")" --rate 4Mi "$tmp/part" && took 400 4000 &&
		same 4194304 "$(json rate "$tmp/send.json")" rate &&
		deliver_streams 4 "$(digest "$tmp/part")" --rate 1M "$tmp/part" && took 1800 6000
}

progress_on_a_terminal() {
	local file=$tmp/part

	head -c 2000000 /dev/urandom >"$file"
	receive -o "$tmp/got" && TERM=linux LC_ALL=C.UTF-8 /usr/bin/python3 \
		"$top/user/test/terminal.py" see '^ *[0-9]?[0-9]% \[#+ +\] .* MiB .*ETA' \
		see ' 2000000 zero-copied' end 0 -- \
		zcpctl send --rate 1M "$file" "127.0.0.1:$port" && received &&
		same "$(digest "$file")" "$(json sha256 "$tmp/recv.json")" sha256
}

# Only what a transfer has brought into the page cache is dropped, and counted. On
# one machine the last packets may hold pages for longer than that.
nocache_of_a_disk() {
	local cached=24002560 dropped part

	truncate -s 64M "$tmp/image" && mkfs.ext4 -q "$tmp/image" && mkdir "$tmp/mnt" &&
		mount -o loop "$tmp/image" "$tmp/mnt" &&
		head -c 24000001 /dev/urandom >"$tmp/mnt/file" || return 1
	part=$(digest "$tmp/mnt/file")
	sync
	echo 3 >/proc/sys/vm/drop_caches
	deliver "$part" --nocache "$tmp/mnt/file" || return 1
	dropped=$(json bytes_dropped "$tmp/send.json")
	if [ "$dropped" -le $((cached / 2)) ] || [ "$dropped" -gt $cached ]; then
		echo "$dropped bytes of a cold file were dropped, of $cached"
		return 1
	fi
	deliver_streams 3 "$part" --nocache "$tmp/mnt/file" &&
		[ "$(json bytes_dropped "$tmp/send.json")" -gt 0 ] &&
		deliver "$part" "$tmp/mnt/file" &&
		same 0 "$(json bytes_dropped "$tmp/send.json")" "dropped without --nocache" &&
		deliver "$part" --nocache "$tmp/mnt/file" &&
		same 0 "$(json bytes_dropped "$tmp/send.json")" "dropped of a hot file" &&
		umount "$tmp/mnt"
}

# What the last test may have left mounted, in a namespace of its own.
cleanup() {
	! mountpoint -q "$tmp/mnt" || umount -l "$tmp/mnt"
}

nocache() {
	deliver "$sum" --nocache "$tmp/file" && same true "$(json nocache "$tmp/send.json")" nocache &&
		accounts $size 0 none && [ "$(json bytes_dropped "$tmp/send.json")" -le $size ] &&
		deliver_streams 3 "$sum" --nocache "$tmp/file" && accounts $size 0 none
}

# NAME ERRNO ARGUMENT...: exit status 1, one line on stderr, the errno in JSON.
fails_with() {
	local error=$1

	shift
	run 1 send "$@" && empty "$tmp/out" && same 1 "$(wc -l <"$tmp/err")" "lines of error" &&
		run 1 send --json "$@" && valid_json "$tmp/out" &&
		same failed "$(json state "$tmp/out")" state &&
		same "$error" "$(json errno "$tmp/out")" errno &&
		same 1 "$(wc -l <"$tmp/err")" "lines of error"
}

failures() {
	fails_with 2 "$tmp/nosuchfile" 127.0.0.1:9 &&
		fails_with 111 "$tmp/file" 127.0.0.1:9 &&
		receive -o "$tmp/got" && fails_with 21 "$tmp" "127.0.0.1:$port"
}

# The receiver serves one connection each time.
too_short_a_file() {
	receive -o "$tmp/got" &&
		run 1 send --json --length $((size + 1)) "$tmp/file" "127.0.0.1:$port" &&
		same 61 "$(json errno "$tmp/out")" errno &&
		same 0 "$(json bytes "$tmp/out")" bytes &&
		same 1 "$(wc -l <"$tmp/err")" "lines of error" && grep -q "$tmp/file" "$tmp/err"
}

peer_resets() {
	start_stalled --json || return 1
	kill -KILL "$receiver"
	wait "$sender"
	same 1 $? "exit status" && same failed "$(json state "$tmp/out")" state || return 1
	case $(json errno "$tmp/out") in
	32 | 104) ;;
	*)
		cat "$tmp/out"
		return 1
		;;
	esac
}

caps_of_loopback() {
	receive -o "$tmp/got" && run 0 caps --json "127.0.0.1:$port" && valid_json "$tmp/out" &&
		same lo "$(json ifname "$tmp/out")" ifname && same true "$(json sg "$tmp/out")" sg &&
		same true "$(json csum "$tmp/out")" csum &&
		same zerocopy "$(json auto_mode "$tmp/out")" auto_mode && received || return 1
	receive -o "$tmp/got" && run 0 caps "127.0.0.1:$port" && empty "$tmp/err" &&
		grep -q scatter "$tmp/out" && received && run 1 caps 127.0.0.1:9 && empty "$tmp/out"
}

info_and_list() {
	run 0 info && empty "$tmp/err" && run 0 info --json && valid_json "$tmp/out" &&
		[ "$(json max_links "$tmp/out")" -ge 1000 ] &&
		grep -q '"features":\["nocache","rate","header","submit-events"\]' "$tmp/out" &&
		run 0 list && empty "$tmp/err" && run 0 list --json && valid_json "$tmp/out" &&
		same '[]' "$(cat "$tmp/out")" list
}

show_and_cancel() {
	run 1 show 123456789 && empty "$tmp/out" && [ -s "$tmp/err" ] &&
		run 1 cancel 123456789 && empty "$tmp/out" && [ -s "$tmp/err" ]
}

# A connection with a layer on it is refused, and its name said: layer NAME WORDS
layer() {
	local status

	receive -o "$tmp/got" || return 125
	LD_PRELOAD=$ZCP_TEST_BIN/layer.so ZCP_LAYER=$1 zcpctl send /etc/passwd \
		"$address:$port" >"$tmp/out" 2>"$tmp/err"
	status=$?
	stop
	same 1 $status "exit status" && same 1 "$(wc -l <"$tmp/err")" "lines" &&
		grep -qF -e "zcp cannot use this connection: $2" "$tmp/err" && return
	cat "$tmp/err"
	return 1
}

have_mptcp() {
	modprobe -q mptcp
	[ "$(cat /proc/sys/net/mptcp/enabled 2>/dev/null)" = 1 ]
}

have_ulp() {
	modprobe -q "$1"
	receive -o "$tmp/got" || return 1
	LD_PRELOAD=$ZCP_TEST_BIN/layer.so ZCP_LAYER=$1 zcpctl send /etc/passwd \
		"$address:$port" >/dev/null 2>&1
	[ $? -ne 77 ] || {
		stop
		return 1
	}
	stop
}

doctor() {
	zcpctl doctor --json >"$tmp/out" 2>"$tmp/err"
	[ $? -le 1 ] && empty "$tmp/err" && valid_json "$tmp/out" || return 1
	zcpctl doctor >"$tmp/out" 2>"$tmp/err"
	[ $? -le 1 ] && empty "$tmp/err" && grep -qi module "$tmp/out" &&
		grep -qi 'CVE' "$tmp/out"
}

as_another() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v zcpctl)" "$@"
}

# What zcpctl says to another user: refused PATTERN
refused() {
	as_another info >"$tmp/out" 2>"$tmp/err"
	same 1 $? "exit status" && empty "$tmp/out" && same 1 "$(wc -l <"$tmp/err")" lines &&
		grep "/dev/zcp: Permission denied; $1" "$tmp/err"
}

not_allowed() {
	local owner status

	owner=$(stat -c %g /dev/zcp)
	chgrp 0 /dev/zcp && chmod 660 /dev/zcp && refused "this user may not use it" &&
		chgrp daemon /dev/zcp &&
		refused "the group daemon may use it: sudo usermod -aG daemon USER" &&
		as_another doctor | grep -A 1 '/dev/zcp (mode 0660, ' |
			grep -- '-> the group daemon may use it: sudo usermod -aG daemon USER' &&
		chmod 600 /dev/zcp && refused "this user may not use it"
	status=$?
	chgrp "$owner" /dev/zcp && chmod 660 /dev/zcp
	return $status
}

check "cli: help goes to stdout, and is there for each verb" help_on_stdout
check "cli: usage errors exit with 2 and go to stderr" usage_errors
check "cli: version is that of the changelog, in the module too" version_printed
check "cli: send to recv: digests equal" digest_equal
check "cli: JSON of send has its keys" json_keys
check "cli: text of send; --quiet" text_output
check "cli: recv writes to stdout" recv_to_stdout
if [ -z "$(missing nc)" ]; then
	check "cli: recv from nc" recv_from_nc
else
	skip "cli: recv from nc" "needs nc (netcat-openbsd)"
fi
if [ -z "$(missing socat)" ]; then
	check "cli: send to socat" send_to_socat
else
	skip "cli: send to socat" "needs socat"
fi
check "cli: empty file" empty_file
check "cli: --header and --trailer, STR and @FILE" header_and_trailer
check "cli: a header that is too long" header_too_long
check "cli: --offset and --length" offset_and_length
check "cli: --mode auto, zerocopy, copy" modes
check "cli: --wait sent" wait_sent
check "cli: --wait sent to a receiver that writes" wait_sent_to_who_writes
check "cli: --interval" interval_lines
check "cli: SIGINT cancels" interrupted
check "cli: --streams 2, 3, 4, 64: digests equal, and the parts are the whole" streams
check "cli: --streams 4 of files with less than that many pages" streams_of_little
check "cli: --streams of a range" streams_of_a_range
check "cli: --streams 1 has no header; recv --streams wants one" one_stream
check "cli: --streams: one line of text" streams_text
check "cli: --streams: SIGINT cancels all" streams_interrupted
check "cli: --streams: file shorter than --length" streams_too_short
check "cli: --rate" rate
if /usr/bin/python3 -c 'import pyte' 2>/dev/null; then
	check "cli: a bar of progress on a terminal" progress_on_a_terminal
else
	skip "cli: a bar of progress on a terminal" "needs python3-pyte"
fi
check "cli: --nocache" nocache
if [ -z "$(missing mkfs.ext4)" ]; then
	check "cli: --nocache: dropped is what was brought in" nocache_of_a_disk
else
	skip "cli: --nocache: dropped is what was brought in" "needs mkfs.ext4 (e2fsprogs)"
fi
check "cli: failures exit with 1, one line, errno in JSON" failures
check "cli: file shorter than --length" too_short_a_file
check "cli: peer resets" peer_resets
check "cli: caps" caps_of_loopback
check "cli: info, list" info_and_list
check "cli: show, cancel of a job that is not there" show_and_cancel
if [ ! -e "${ZCP_TEST_BIN:=$top/.build/selftests}/layer.so" ]; then
	skip "cli: layers by name" "needs $ZCP_TEST_BIN/layer.so (make -C selftests)"
else
	if have_mptcp; then
		check "cli: MPTCP is refused by name" layer mptcp "it is MPTCP"
	else
		skip "cli: MPTCP is refused by name" "the kernel lacks CONFIG_MPTCP"
	fi
	for ulp in tls espintcp; do
		if have_ulp $ulp; then
			check "cli: $ulp is refused by name" layer $ulp "it has the layer \"$ulp\""
		else
			skip "cli: $ulp is refused by name" "the kernel lacks $ulp"
		fi
	done
fi
check "cli: doctor" doctor
check "cli: a user who may not use the device" not_allowed
finish
