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
pressure_mounted=
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
	[ -z "$pressure_mounted" ] || umount "$pressure_root"
	umount "$tmp/mnt/hog" 2>/dev/null
}

# Where cgroup2 is mounted, if need be now.
group_root() {
	[ -z "$pressure_root" ] || return 0
	pressure_root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -z "$pressure_root" ] || return 0
	mkdir -p "$tmp/cgroup" && mount -t cgroup2 none "$tmp/cgroup" || return 1
	pressure_root=$tmp/cgroup
	pressure_mounted=1
}

# What is not there is told; what fails else is for the test.
group_lacks() {
	if ! grep -qw cgroup2 /proc/filesystems; then
		echo cgroup2
	elif group_root && ! grep -qw memory "$pressure_root/cgroup.controllers"; then
		echo "the memory controller of cgroup2"
	fi
}

group_make() {
	group_root && echo +memory >"$pressure_root/cgroup.subtree_control" &&
		mkdir "$pressure_root/zcp-load-$$" && pressure_group=$pressure_root/zcp-load-$$
}

memcg() {
	group_make && pressure_make && echo "${pressure_mib}M" >"$pressure_group/memory.max" ||
		return 1
	echo 0 >"$pressure_group/memory.swap.max" 2>/dev/null
	pressure_soak in_group || return 1
	cat "$pressure_group/memory.events"
	same 0 "$(counter oom_kill "$pressure_group/memory.events")" "oom_kill of the cgroup" &&
		[ "$(counter max "$pressure_group/memory.events")" -gt 0 ] &&
		disks_down && nothing_left
}

# Memory is filled with what cannot be given back, but for a little. The disk takes all
# that it can now: how much of that is free later depends on how soon it is written to.
# What was in use before is given back in a while.
hog() {
	local available=0 was=-1 try

	fallocate -l "$(stat -c %s "$tmp/pressure.img")" "$tmp/pressure.img" || return 1
	mkdir -p "$tmp/mnt/hog" && mount -t tmpfs -o size=100%,nr_inodes=4 hog "$tmp/mnt/hog" ||
		return 1
	for ((try = 0; try < 20 && available > was; try++)); do
		[ $try -eq 0 ] || sleep 0.5
		was=$available
		sync
		echo 3 >/proc/sys/vm/drop_caches
		available=$(awk '/^MemFree:/ { print int($2 / 1024) }' /proc/meminfo)
	done
	fallocate -l $((available - pressure_mib))M "$tmp/mnt/hog/hog"
}

# Pages that were taken back, by whoever.
steals() {
	echo $(($(counter pgsteal_kswapd /proc/vmstat) + $(counter pgsteal_direct /proc/vmstat)))
}

global() {
	local kills steals

	pressure_make && hog || return 1
	kills=$(counter oom_kill /proc/vmstat)
	steals=$(steals)
	pressure_soak || return 1
	grep -E '^(oom_kill|pgsteal_kswapd|pgsteal_direct|allocstall_normal) ' /proc/vmstat
	umount "$tmp/mnt/hog"
	same "$kills" "$(counter oom_kill /proc/vmstat)" oom_kill &&
		[ "$(steals)" -gt "$steals" ] &&
		disks_down && nothing_left
}

group_lacks >"$tmp/lacks" 2>"$tmp/log"
if [ ! -s "$tmp/lacks" ]; then
	check "pressure: $pressure_jobs jobs in a cgroup of $pressure_mib MiB, of files twice as large" \
		memcg
else
	skip "pressure: in a cgroup" "needs $(<"$tmp/lacks")"
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
