#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# docs/guide.md as its reader meets it: runs what it says to type, on the hosts
# where it says so, in its order, and compares what it shows.
#
#   ```sh HOST        run by the shell of that host, which lives through the guide
#   ```crontab HOST   the command of its lines is run there
#   ```text output    what the block before has printed; … is any text
#   ```c FILE         is in that file of docs/examples
#
# Of the rows of its table about trouble, each has a function here that makes
# the trouble; what the first two columns quote has to be seen then.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

guide=$top/docs/guide.md
limit=120

cleanup() {
	local pid

	# What the shells have started and not ended.
	for pid in "${shells[@]}"; do
		kill -KILL -- "-$pid" 2>/dev/null
	done
	umount /etc/hosts 2>/dev/null
	umount -l "$tmp/media" 2>/dev/null
}

lacking=$(missing cc pkg-config curl jq fincore mkfs.ext4 ethtool setpriv ss)
if [ -n "$lacking" ]; then
	skip "the guide" "needs: $lacking"
	finish
	exit
fi

# libzcp as make install leaves it, but nothing of it in this system.
installed() {
	mkdir -p "$tmp/usr/include/linux" "$tmp/usr/lib/pkgconfig" &&
		ln -s "$top/include/zcp" "$tmp/usr/include/zcp" &&
		ln -s "$top"/include/uapi/linux/*.h "$tmp/usr/include/linux" &&
		ln -s "$top"/user/lib/libzcp.so* "$tmp/usr/lib" &&
		sed -e "s|@PREFIX@|$tmp/usr|" -e 's|@VERSION@|0|' \
			-e "s|@LIBDIR@|$tmp/usr/lib|" "$top/user/lib/libzcp.pc.in" \
			>"$tmp/usr/lib/pkgconfig/libzcp.pc"
}

# A shell that reads commands until the test ends; it says how each of them
# ended: start_host NAME [COMMAND...]
declare -A input
shells=()
start_host() {
	local name=$1 fd

	shift
	mkdir -p "$tmp/$name"
	mkfifo "$tmp/$name.in" "$tmp/$name.said"
	(cd "$tmp/$name" && exec setsid "$@" bash --noprofile --norc <"$tmp/$name.in") &
	children+=("$!")
	shells+=("$!")
	exec {fd}>"$tmp/$name.in"
	input[$name]=$fd
	printf '%s\n' "export ZCP='$top' PKG_CONFIG_PATH='$tmp/usr/lib/pkgconfig'" \
		"export LD_LIBRARY_PATH='$tmp/usr/lib'" \
		"trap 'echo failed >$tmp/$name.said' EXIT" "echo >$tmp/$name.said" >&"$fd"
	read -r -t "$limit" <>"$tmp/$name.said"
}

# Runs the file block: on HOST
on() {
	local host=$1 said=

	[ -n "${input[$host]:-}" ] || {
		echo "there is no host $host"
		return 1
	}
	printf '%s\n' "set -e; . $tmp/block >$tmp/out 2>$tmp/err </dev/null; set +e" \
		"echo ended >$tmp/$host.said" >&"${input[$host]}"
	read -r -t "$limit" said <>"$tmp/$host.said"
	[ "$said" = ended ] || {
		echo "on $host: ${said:-no end after $limit seconds}"
		tail -n 50 "$tmp/block" "$tmp/out" "$tmp/err"
		return 1
	}
}

# A pattern of the shell from what the guide shows.
pattern() {
	sed -e 's/[][\\*?()|+@!]/\\&/g' -e 's/…/*/g'
}

shown() {
	local want have

	want=$(pattern <"$tmp/block")
	have=$(<"$tmp/out")
	# shellcheck disable=SC2053 # it is a pattern
	[[ $have == $want ]] || {
		printf 'shown:\n%s\nprinted:\n%s\n' "$(<"$tmp/block")" "$have"
		cat "$tmp/err"
		return 1
	}
}

quoted() {
	[[ $(<"$top/docs/examples/$1") == *"$(<"$tmp/block")"* ]] || {
		echo "docs/examples/$1 does not have this any more:"
		cat "$tmp/block"
		return 1
	}
}

# One block: block INFO-STRING; its lines are in the file block
block() {
	local kind where

	read -r kind where <<<"$1"
	case $kind in
	sh)
		check "$where: $(head -n 1 "$tmp/block")" on "$where"
		;;
	crontab)
		sed -i -E 's/^([^ ]+ +){5}root +//' "$tmp/block"
		check "$where: cron: $(head -n 1 "$tmp/block")" on "$where"
		;;
	text) check "it prints: $(head -n 1 "$tmp/block")" shown ;;
	c) check "$where: $(head -n 1 "$tmp/block")" quoted "$where" ;;
	*)
		check "a block of kind \"$1\"" false
		;;
	esac
}

# All blocks, until one fails.
blocks() {
	local line info='' inside=

	while IFS= read -r line; do
		case $inside$line in
		'```'*)
			info=${line#'```'}
			inside=y
			: >"$tmp/block"
			;;
		'y```')
			inside=
			block "$info" || return 1
			;;
		y*) printf '%s\n' "$line" >>"$tmp/block" ;;
		esac
	done <"$guide"
}

# What goes wrong, row by row of the table. Each prints what a user would see.
no_device() {
	unshare --mount sh -c "mount -t tmpfs none /dev; mount -t tmpfs none /sys/module
		zcpctl send '$tmp/file' 127.0.0.1:9
		zcpctl doctor"
}

not_permitted() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$zcpctl" send "$tmp/hosts" 127.0.0.1:9
	setpriv --reuid 65534 --regid 65534 --clear-groups "$zcpctl" doctor
}

no_scatter_gather() {
	ethtool -K to-archive sg off >/dev/null
	receive_there && zcpctl send "$tmp/file" "archive:$port"
	wait "$receiver"
	zcpctl caps "archive:$port"
	zcpctl doctor
	ethtool -K to-archive sg on >/dev/null
}

zerocopy_refused() {
	ethtool -K to-archive sg off >/dev/null
	receive_there && zcpctl send --mode zerocopy "$tmp/file" "archive:$port"
	wait "$receiver"
	ethtool -K to-archive sg on >/dev/null
}

too_small_a_queue() {
	echo 4096 16384 65536 >/proc/sys/net/ipv4/tcp_wmem
	zcpctl doctor
	echo 4096 16384 4194304 >/proc/sys/net/ipv4/tcp_wmem
}

file_too_short() {
	receive_there && zcpctl send --length 2000000 "$tmp/file" "archive:$port"
	wait "$receiver"
}

no_page_cache() {
	receive_there && zcpctl send /proc/cpuinfo "archive:$port"
	wait "$receiver"
}

nobody_listens() {
	zcpctl send "$tmp/file" archive:9
}

limit_reached() {
	local links

	links=$(</sys/module/zcp/parameters/max_links)
	echo 0 >/sys/module/zcp/parameters/max_links
	receive_there && zcpctl send "$tmp/file" "archive:$port"
	wait "$receiver"
	zcpctl info
	echo "$links" >/sys/module/zcp/parameters/max_links
}

# Sets job to that of a sender whose receiver does not read.
stuck() {
	nsenter "--net=/proc/$other/ns/net" python3 -c '
import socket, time
s = socket.create_server(("10.90.0.2", 9999))
c = s.accept()
time.sleep(1000)' &
	children+=("$!")
	until nsenter "--net=/proc/$other/ns/net" ss -ltn | grep -q :9999; do
		sleep 0.1
	done
	truncate -s 1G "$tmp/large"
	zcpctl send --quiet "$tmp/large" archive:9999 2>/dev/null &
	children+=("$!")
	until zcpctl list --json | grep -q '"state":"blocked"'; do
		sleep 0.1
	done
	job=$(zcpctl list --json | sed 's/.*"job":\([0-9]*\).*/\1/')
}

stands_still() {
	stuck
	zcpctl show "$job"
}

not_ones_own() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$zcpctl" show "$job"
	stop
}
troubles=(no_device not_permitted no_scatter_gather zerocopy_refused too_small_a_queue
	file_too_short no_page_cache nobody_listens limit_reached stands_still not_ones_own)

# A receiver on the other host: sets receiver and port.
receive_there() {
	at_rx=(nsenter "--net=/proc/$other/ns/net")
	address=10.90.0.2
	receive -o "$tmp/got"
}

# What the columns quote between ` is in what is seen: row FUNCTION QUOTES
row() {
	local text

	[ -n "$2" ] || {
		echo "the row quotes nothing that could be seen"
		return 1
	}
	"$1" >"$tmp/seen" 2>&1
	while read -r text; do
		grep -qE -e "$(sed -e 's/[][\\*?(){}|+.^$]/\\&/g' -e 's/…/.*/g' <<<"$text")" "$tmp/seen" || {
			echo "not seen: $text"
			cat "$tmp/seen"
			return 1
		}
	done <<<"$2"
}

table() {
	local rows=() line n=0

	mapfile -t rows < <(sed -n '/^| symptom /,/^$/p' "$guide" | sed 1,2d | grep '^|')
	for line in "${rows[@]}"; do
		if [ $n -ge ${#troubles[@]} ]; then
			check "a row of the table that nothing here provokes: $line" false
			continue
		fi
		check "trouble: ${troubles[n]//_/ }" row "${troubles[n]}" \
			"$(cut -d '|' -f 2,3 <<<"$line" | tr '\140' '\n' | sed -n 'n;p')"
		n=$((n + 1))
	done
	check "the table has ${#troubles[@]} rows" [ $n -eq ${#troubles[@]} ]
}

zcpctl=$(command -v zcpctl)
head -c 1000000 /dev/urandom >"$tmp/file"
printf '%s\n' '127.0.0.1 localhost' '10.90.0.1 media' '10.90.0.2 archive player' >"$tmp/hosts"
# A disk, and names of hosts.
prepare() {
	mkdir "$tmp/media" && chmod 755 "$tmp" && truncate -s 64M "$tmp/disk" &&
		mkfs.ext4 -q "$tmp/disk" && mount -o loop "$tmp/disk" "$tmp/media" &&
		mount --bind "$tmp/hosts" /etc/hosts && installed
}
check "a disk, names of hosts, the library" prepare || {
	finish
	exit
}
# Two hosts: this namespace, and that of a process that only waits.
unshare --net sleep infinity &
other=$!
children+=("$other")
until [ "$(readlink "/proc/$other/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
	sleep 0.1
done
ip link add to-archive type veth peer name to-media netns "$other" &&
	ip address add 10.90.0.1/24 dev to-archive && ip link set to-archive up
nsenter "--net=/proc/$other/ns/net" sh -c 'ip link set lo up
	ip address add 10.90.0.2/24 dev to-media && ip link set to-media up'
start_host media
start_host archive nsenter "--net=/proc/$other/ns/net"
start_host player nsenter "--net=/proc/$other/ns/net"

blocks && table
finish
