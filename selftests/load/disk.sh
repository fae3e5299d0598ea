# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Part of load.sh: a disk that cannot read a part of a file, by device mapper's
# error target, and one that stops reading, by its flakey target.

disk_name=zcp-load-$$
disk_loop=

disk_table() {
	dmsetup --noudevsync --noudevrules "$@" && dmsetup mknodes "$disk_name"
}

# Prints what is not here, and nothing when what is here does not work. What is a
# module is loaded for that.
disk_lacks() {
	missing dmsetup losetup mkfs.ext4
	modprobe -qa dm-mod dm-flakey loop ext4 2>/dev/null
	grep -qw device-mapper /proc/misc || printf 'device-mapper '
	[ -e /dev/loop-control ] || printf '/dev/loop-control '
	grep -qw ext4 /proc/filesystems || printf 'ext4 '
}

disk_make() {
	truncate -s 64M "$tmp/disk.img" &&
		disk_loop=$(losetup --show -f "$tmp/disk.img") &&
		disk_table create "$disk_name" --table "0 131072 linear $disk_loop 0" &&
		mkfs.ext4 -q -F "/dev/mapper/$disk_name" && mkdir -p "$tmp/mnt/disk" &&
		mount -o noatime "/dev/mapper/$disk_name" "$tmp/mnt/disk"
}

part_cleanup() {
	[ -n "$disk_loop" ] || return
	umount "$tmp/mnt/disk"
	dmsetup remove --noudevsync "$disk_name"
	losetup -d "$disk_loop"
	disk_loop=
}

disk_case() {
	"$bin/disk" "$1" "$tmp/mnt/disk" "$disk_name" "$disk_loop"
}

disk_needs=$(disk_lacks)
if [ -n "$disk_needs" ]; then
	skip "disk: errors in the middle of a file" "needs: $disk_needs"
elif check "disk: ext4 on device mapper" disk_make; then
	check "disk: a part that cannot be read ends the job there, with EIO; the link goes on" \
		disk_case error
	check "disk: the same for XFER" disk_case xfer
	if dmsetup targets >"$tmp/targets" && ! grep -q '^flakey ' "$tmp/targets"; then
		skip "disk: one that fails under a running job" "needs dm-flakey"
	else
		check "disk: one that fails under a running job" disk_case flakey
	fi
fi
part_cleanup
unset -f part_cleanup
