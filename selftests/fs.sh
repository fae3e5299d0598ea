#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# File systems: cold and hot files, holes and tails, from images mounted by
# loop devices; what is sent is what the file has, its bytes go by reference
# where the file system has a page cache, and it can be unmounted at once.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

mnt=$tmp/mnt
src=$tmp/src
small=$(cat /sys/module/zcp/parameters/small_bytes)
bindfs=
bin=${ZCP_TEST_BIN:-$top/.build/selftests}

cleanup() {
	umount -R "$mnt" 2>/dev/null
	umount "$tmp/lower" 2>/dev/null
	[ -z "$bindfs" ] || kill "$bindfs" 2>/dev/null
}

mkdir -p "$mnt" "$src" "$tmp/lower"
# Not a multiple of a page, larger than any readahead.
head -c 5000011 /dev/urandom >"$src/file"
head -c 3 /dev/urandom >"$src/tiny"
# Data between holes, and a hole at the end.
truncate -s 3000001 "$src/holes"
head -c 10000 /dev/urandom | dd of="$src/holes" bs=1000 seek=500 conv=notrunc status=none
head -c 4097 /dev/urandom | dd of="$src/holes" bs=1 seek=2000000 conv=notrunc status=none
declare -A sum
for name in file tiny holes; do
	sum[$name]=$(digest "$src/$name")
done

# The files are written to be as fragmented as can be, for those that take it.
fill() {
	local i

	cp "$src/tiny" "$mnt/" && cp --sparse=always "$src/holes" "$mnt/" || return 1
	: >"$mnt/file"
	for ((i = 0; i < 5; i++)); do
		dd if="$src/file" of="$mnt/file" bs=1M skip=$i seek=$i count=1 conv=notrunc,fsync \
			status=none || return 1
		dd if=/dev/zero of="$mnt/between$i" bs=64K count=1 conv=fsync status=none || return 1
	done
	same "${sum[file]}" "$(digest "$mnt/file")" "copy of the file"
}

cold() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# zerocopy_except MAX: all but that many bytes of the last transfer went by reference.
zerocopy_except() {
	local copied zerocopy bytes

	bytes=$(json bytes "$tmp/send.json")
	zerocopy=$(json bytes_zerocopy "$tmp/send.json")
	copied=$(json bytes_copied "$tmp/send.json")
	same "$bytes" $((zerocopy + copied)) "zero-copied and copied" || return 1
	[ "$copied" -le "$1" ] || {
		echo "$copied of $bytes bytes copied, reason $(json copy_reason "$tmp/send.json")"
		return 1
	}
}

# All that is sent from a file system that is mounted: contents SHARE
contents() {
	local name

	for name in file tiny holes; do
		cold
		deliver "${sum[$name]}" "$mnt/$name" || return 1
		[ "$1" != zerocopy ] || [ $name = holes ] || zerocopy_except "$small" || return 1
		deliver "${sum[$name]}" "$mnt/$name" || return 1
		[ "$1" != zerocopy ] || [ $name = holes ] || zerocopy_except "$small" || return 1
	done
	# Unaligned, across the extents.
	tail -c +1048500 "$src/file" | head -c 200003 >"$tmp/part"
	cold
	deliver "$(digest "$tmp/part")" --offset 1048499 --length 200003 "$mnt/file" || return 1
	tail -c 4099 "$src/file" >"$tmp/part"
	deliver "$(digest "$tmp/part")" --offset $((5000011 - 4099)) "$mnt/file" || return 1
	[ "$1" != copy ] || accounts 0 4099 fs
}

# Nothing of zcp keeps it busy: unmounted in the first attempt.
sent_and_unmounted() {
	contents "$1" && deliver "${sum[file]}" "$mnt/file" && umount "$mnt"
}

# on_image SHARE SIZE MKFS...: the image's name is added
on_image() {
	local share=$1 size=$2

	shift 2
	rm -f "$tmp/image"
	truncate -s "$size" "$tmp/image"
	"$@" "$tmp/image" && mount -o loop "$tmp/image" "$mnt" && fill &&
		sent_and_unmounted "$share"
}

# What is made with its contents: on_packed TYPE MAKE...
on_packed() {
	local type=$1

	shift
	rm -f "$tmp/image"
	"$@" && mount -t "$type" -o loop,ro "$tmp/image" "$mnt" && sent_and_unmounted zerocopy
}

# Opened with O_DIRECT a file has no page cache to send from: copies, reason fs.
# direct BYTES
direct() {
	rm -f "$tmp/image"
	truncate -s 64M "$tmp/image"
	mkfs.ext4 -q "$tmp/image" && mount -o loop "$tmp/image" "$mnt" &&
		head -c "$1" "$src/file" >"$mnt/file" && sync && "$bin/direct" "$mnt/file" &&
		umount "$mnt"
}

# Of a range within a file nothing else is read, however much is to be read ahead.
range_alone() {
	local offset=1048576 length=3145728 resident

	rm -f "$tmp/image"
	truncate -s 64M "$tmp/image"
	mkfs.ext4 -q -b 4096 "$tmp/image" && mount -o loop "$tmp/image" "$mnt" &&
		cp "$src/file" "$mnt/" && sync && umount "$mnt" &&
		mount -o loop "$tmp/image" "$mnt" || return 1
	tail -c +$((offset + 1)) "$src/file" | head -c $length >"$tmp/part"
	deliver "$(digest "$tmp/part")" --offset $offset --length $length "$mnt/file" || return 1
	resident=$(fincore -b -n -r -o RES "$mnt/file")
	# 64 KiB: a folio is read as a whole.
	if [ "$resident" -lt $length ] || [ "$resident" -gt $((length + 65536)) ]; then
		echo "$resident bytes are resident, of $length"
		return 1
	fi
	umount "$mnt"
}

on_tmpfs() {
	mount -t tmpfs tmpfs "$mnt" && fill && sent_and_unmounted zerocopy
}

# Files of the lower layer, then of the upper one.
on_overlay() {
	mount -t tmpfs tmpfs "$tmp/lower" && mkdir "$tmp/lower/"{low,up,work} &&
		cp --sparse=always "$src"/* "$tmp/lower/low/" &&
		mount -t overlay -o "lowerdir=$tmp/lower/low,upperdir=$tmp/lower/up,workdir=$tmp/lower/work" \
			overlay "$mnt" &&
		contents zerocopy && touch "$mnt/"{file,tiny,holes} && [ -e "$tmp/lower/up/file" ] &&
		sent_and_unmounted zerocopy && umount "$tmp/lower"
}

# on_fuse SHARE OPTION...
on_fuse() {
	local share=$1 try

	shift
	bindfs -f "$@" "$src" "$mnt" &
	bindfs=$!
	for ((try = 0; try < 100; try++)); do
		mountpoint -q "$mnt" && break
		sleep 0.1
	done
	sent_and_unmounted "$share" && wait "$bindfs" && bindfs=
}

refused_files() {
	local file

	for file in /proc/version /proc/self/maps /sys/devices/system/cpu/online \
		/sys/module/zcp/version; do
		if send "$file"; then
			echo "$file was sent"
			return 1
		fi
		same 95 "$(json errno "$tmp/send.json")" "errno of $file" &&
			same 0 "$(json bytes "$tmp/send.json")" bytes || return 1
	done
}

# Submits a job of the whole file, closes the file, and stays: only the job has it.
# submit_and_close FILE
submit_and_close() {
	exec python3 -c '
import ctypes, fcntl, os, signal, socket, struct, sys
LINK, SUBMIT, FILE, TO_EOF = 0xf741, 0xf743, 1, 1
ctx = os.open("/dev/zcp", os.O_RDWR)
sock = socket.create_connection((sys.argv[2], int(sys.argv[3])))
link = bytearray(struct.pack("=IIi7I16x", 56, 0, sock.fileno(), *[0] * 7))
fcntl.ioctl(ctx, LINK, link)
file = os.open(sys.argv[1], os.O_RDONLY)
segment = ctypes.create_string_buffer(struct.pack("=IIiIQQ", FILE, TO_EOF, file, 0, 0, 0))
job = ctypes.create_string_buffer(struct.pack("=6I4Q", 56, 0, struct.unpack_from("=I", link, 12)[0],
    0, 0, 1, ctypes.addressof(segment), 0, 0, 0))
fcntl.ioctl(ctx, SUBMIT, struct.pack("=IIQ6IQII", 56, 0, ctypes.addressof(job), 1, 56, *[0] * 7))
os.close(file)
signal.pause()' "$1" "$address" "$port"
}

busy_while_in_flight() {
	local sender status=0

	mount -t tmpfs tmpfs "$mnt" && truncate -s 64M "$mnt/large" && receive -o /dev/null ||
		return 1
	kill -STOP "$receiver"
	submit_and_close "$mnt/large" &
	sender=$!
	children+=("$sender")
	until_blocked || status=1
	if find "/proc/$sender/fd" -lname "$mnt/*" | grep .; then
		echo "the sender has it open"
		status=1
	elif [ $status -eq 0 ] && umount "$mnt"; then
		echo "unmounted under a job"
		return 1
	fi
	kill -KILL "$sender"
	wait "$sender"
	stop
	umount "$mnt" && return $status
}

# fs NAME COMMANDS WHAT...: a test, or what it lacks
fs() {
	local name=$1 lacks

	lacks=$(missing "$2")
	shift 2
	if [ -n "$lacks" ]; then
		skip "fs: $name" "needs the command $lacks"
	else
		check "fs: $name: cold, hot, holes, tails, unmounted at once" "$@"
		umount "$mnt" 2>/dev/null
	fi
}

fs ext4 mkfs.ext4 on_image zerocopy 64M mkfs.ext4 -q -b 1024 -O ^has_journal
fs "ext4, inline data" mkfs.ext4 on_image any 64M mkfs.ext4 -q -I 256 -O inline_data
fs xfs mkfs.xfs on_image zerocopy 320M mkfs.xfs -q
fs btrfs mkfs.btrfs on_image zerocopy 128M mkfs.btrfs -q
fs tmpfs mount on_tmpfs
fs overlayfs mount on_overlay
fs squashfs mksquashfs on_packed squashfs mksquashfs "$src" "$tmp/image" -quiet -no-progress
fs erofs mkfs.erofs on_packed erofs mkfs.erofs --quiet "$tmp/image" "$src"
fs FUSE bindfs on_fuse zerocopy
check "fs: O_DIRECT: copied, reason fs; mode zerocopy refused" direct 4194304
umount "$mnt" 2>/dev/null
check "fs: O_DIRECT: a size that is not whole sectors" direct 4198405
umount "$mnt" 2>/dev/null
if [ -z "$(missing fincore)" ]; then
	check "fs: a range that is sent is read, and nothing beside it" range_alone
	umount "$mnt" 2>/dev/null
else
	skip "fs: a range that is sent is read, and nothing beside it" "needs the command fincore"
fi
check "fs: files of /proc and /sys are refused" refused_files
check "fs: busy while a job is in flight that alone has the file, free after SIGKILL" \
	busy_while_in_flight
finish
