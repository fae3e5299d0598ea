# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Part of load.sh: the soak test with too little memory, of its memory cgroup or
# of the machine: nobody is killed for it, and all is right.

pressure_jobs=${LOAD_PRESSURE_JOBS:-200}
pressure_mib=${LOAD_PRESSURE_MIB:-24}
# What watches memory takes as much of it again.
case $(uname -r) in *-debug) pressure_mib=${LOAD_PRESSURE_MIB:-48} ;; esac
pressure_root=
pressure_group=

# A value of a file of names and values: counter NAME FILE
counter() {
	awk -v name="$1" '$1 == name { n += $2 } END { print n + 0 }' "$2"
}

# Files that are twice the memory; one process, so that its own memory is little.
pressure_soak() {
	"$@" "$bin/soak" -j "$pressure_jobs" -p 1 -t 2 -c 6 -w 512 -f "$pressure_mib" -s 5 \
		"$tmp/mnt/pressure" >"$tmp/figures" 2>&1 || {
		cat "$tmp/figures"
		return 1
	}
	say <"$tmp/figures" >&3
}

in_group() {
	(echo $BASHPID >"$pressure_group/cgroup.procs" && exec "$@")
}

pressure_make() {
	ip link set lo up
	disk pressure $((3 * pressure_mib + 32))
}

part_cleanup() {
	[ ! -d "$pressure_group" ] || rmdir "$pressure_group"
	[ -z "$pressure_root" ] || umount "$pressure_root"
	umount "$tmp/mnt/hog" 2>/dev/null
}

group_make() {
	local root

	root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	if [ -z "$root" ]; then
		root=$tmp/cgroup
		mkdir -p "$root" && mount -t cgroup2 none "$root" || return 1
		pressure_root=$root
	fi
	grep -qw memory "$root/cgroup.controllers" &&
		echo +memory >"$root/cgroup.subtree_control" &&
		mkdir "$root/zcp-load-$$" && pressure_group=$root/zcp-load-$$
}

memcg() {
	pressure_make && echo "${pressure_mib}M" >"$pressure_group/memory.max" || return 1
	echo 0 >"$pressure_group/memory.swap.max" 2>/dev/null
	pressure_soak in_group || return 1
	cat "$pressure_group/memory.events"
	same 0 "$(counter oom_kill "$pressure_group/memory.events")" "oom_kill of the cgroup" &&
		[ "$(counter max "$pressure_group/memory.events")" -gt 0 ] &&
		disks_down && nothing_left
}

# Memory is filled with what cannot be given back, but for the disk and a little.
hog() {
	local available

	mkdir -p "$tmp/mnt/hog" && mount -t tmpfs -o size=100%,nr_inodes=4 hog "$tmp/mnt/hog" ||
		return 1
	sync
	echo 3 >/proc/sys/vm/drop_caches
	available=$(awk '/^MemFree:/ { print int($2 / 1024) }' /proc/meminfo)
	fallocate -l $((available - 3 * pressure_mib))M "$tmp/mnt/hog/hog"
}

global() {
	local kills steals

	pressure_make && hog || return 1
	kills=$(counter oom_kill /proc/vmstat)
	steals=$(counter pgsteal_kswapd /proc/vmstat)
	pressure_soak || return 1
	grep -E '^(oom_kill|pgsteal_kswapd|pgsteal_direct|allocstall_normal) ' /proc/vmstat
	umount "$tmp/mnt/hog"
	same "$kills" "$(counter oom_kill /proc/vmstat)" oom_kill &&
		[ "$(counter pgsteal_kswapd /proc/vmstat)" -gt "$steals" ] &&
		disks_down && nothing_left
}

if group_make; then
	check "pressure: $pressure_jobs jobs in a cgroup of $pressure_mib MiB, of files twice as large" \
		memcg
else
	skip "pressure: in a cgroup" "needs the memory controller of cgroup2"
fi
starve=${LOAD_STARVE:-}
case $(uname -r) in *-uml*) starve=1 ;; esac
if [ -z "$starve" ]; then
	skip "pressure: of the machine" "needs LOAD_STARVE=1, and a machine that may be starved"
elif grep -q '[1-9]' <(tail -n +2 /proc/swaps); then
	skip "pressure: of the machine" "needs a machine without swap"
else
	check "pressure: $pressure_jobs jobs on a machine with $pressure_mib MiB free" global
fi
part_cleanup
unset -f part_cleanup
