# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Files that each test runs among, and must leave alone: see canary.c. To be
# sourced by the Makefile after the kernel's runner.sh, whose way to start a test
# it wraps. What cannot be mounted here is not watched, which is said. That runner tells
# what failed, and does not fail: here it is noted how many tests have ended well.

# canary_begin PROGRAM: make the files
canary_begin() {
	canary_program=$1
	canary_well=$(mktemp /tmp/zcp-canary.XXXXXX) || return
	canary_dir=$(mktemp -d /tmp/zcp-canary.XXXXXX) || return
	trap canary_end EXIT
	mount -t tmpfs -o size=16m,mode=755 zcp-canary "$canary_dir" || {
		echo "# canary: only files of the root are watched: needs root"
		return
	}
	head -c 1000001 /dev/urandom >"$canary_dir/tmpfs"
	ZCP_CANARY=$canary_dir/tmpfs
	mkdir "$canary_dir/mnt"
	truncate -s 8M "$canary_dir/image"
	if PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q "$canary_dir/image" &&
	   mount -o loop "$canary_dir/image" "$canary_dir/mnt"; then
		head -c 1000001 /dev/urandom >"$canary_dir/mnt/ext4"
		sync -f "$canary_dir/mnt/ext4"
		ZCP_CANARY=$ZCP_CANARY:$canary_dir/mnt/ext4
	else
		echo "# canary: no file on ext4 is watched: needs mkfs.ext4 and a loop device"
	fi
	export ZCP_CANARY
}

# canary_end [TESTS]: remove them; it fails unless so many tests have ended well
canary_end() {
	trap - EXIT
	canary_count=$(wc -l <"$canary_well")
	rm -f "$canary_well"
	# Who uses it may be about to end.
	umount "$canary_dir/mnt" 2>/dev/null || umount -l "$canary_dir/mnt" 2>/dev/null
	umount "$canary_dir" 2>/dev/null || umount -l "$canary_dir" 2>/dev/null
	rmdir "$canary_dir" && [ "$canary_count" = "${1:-}" ]
}

tap_timeout() {
	# shellcheck disable=SC2086,SC2154 # one word for each argument; of runner.sh
	timeout --foreground "$kselftest_timeout" \
		timeout "$kselftest_timeout" "$canary_program" $1
	canary_status=$?
	# In a pipe, where variables are lost; 4 is for what was skipped.
	case $canary_status in 0 | 4) echo "$1" >>"$canary_well" ;; esac
	return $canary_status
}
