#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the VM as process 1: prepares the system, loads zcp.ko, runs the
# command and reports how it went.  /run/zcp is the host's directory of this
# run (see run.sh), which only User-mode Linux can write to.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
run=/run/zcp
arch='' top='' root='' release='' shell='' limit='' token='' rows='' columns='' tty=''
share='' zcpctl_dir='' userland='' mounts=()
# shellcheck source=/dev/null
. $run/config

# The kernel log is the only thing that always arrives.
say() {
	echo "<5>zcp-vm: $*" >/dev/kmsg
}

die() {
	say "fatal: $*"
	poweroff
}

poweroff() {
	sync
	busybox poweroff -f
	sleep 60
}

# A tmpfs, which must not hide the sources nor the kernel.
mount_tmp() {
	local dir number=0

	# With another root they are not here yet.
	if [ -n "$userland" ]; then
		mount -t tmpfs -o mode=1777 tmp /tmp
		return
	fi
	for dir in "$top" "$root"; do
		case $dir in
		/tmp/*)
			mkdir -p /run/keep/$((++number))
			mount --bind "$dir" /run/keep/$number
			;;
		esac
	done
	mount -t tmpfs -o mode=1777 tmp /tmp
	number=0
	for dir in "$top" "$root"; do
		case $dir in
		/tmp/*)
			mkdir -p "$dir"
			mount --move /run/keep/$((++number)) "$dir"
			;;
		esac
	done
}

# What is of the host when the root is not: its directories, below a tmpfs that
# takes all writes, at the same paths.
mount_host() {
	local i dir

	for i in "${!mounts[@]}"; do
		dir=/run/mount$i
		mkdir -p "$dir"/{lower,upper,work} "${mounts[i]}"
		mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 \
			"zcp-mount$i" "$dir/lower" || return 1
		mount -t overlay -o "lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work,xino=off" \
			tree "${mounts[i]}" || return 1
	done
}

# The directory that the host gave for writing.
mount_share() {
	[ -n "$share" ] || return 0
	mkdir -p "$share"
	if [ "$arch" = um ]; then
		busybox mount -t hostfs -o "$share" zcp-share "$share"
	else
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 zcp-share "$share"
	fi
}

# Modules of the kernel that runs, and device nodes that load some of them.
modules() {
	local name node type number

	mkdir -p "/lib/modules/$release"
	# User-mode Linux has no modules.
	[ "$arch" != um ] || return 0
	if [ -n "$root" ]; then
		mount --bind "$root/lib/modules/$release" "/lib/modules/$release"
	fi
	mkdir -p /dev/mapper /dev/net
	while read -r name node type; do
		case $name in
		btrfs | dm_mod | fuse | loop | tun)
			number=${type:1}
			mknod -m 666 "/dev/$node" "${type:0:1}" "${number%:*}" "${number#*:}"
			;;
		esac
	done <"/lib/modules/$release/modules.devname"
	modprobe virtio_console || die "no virtio_console"
	[ -z "$ZCP_DISK" ] || modprobe virtio_blk || die "no virtio_blk"
}

# What the host reads this stream from, a file or virtio-serial port: port NAME
port() {
	local entry

	if [ "$arch" = um ]; then
		echo "$run/${1#zcp.}"
		return
	fi
	for entry in /sys/class/virtio-ports/*; do
		if [ "$(<"$entry/name")" = "$1" ]; then
			echo "/dev/${entry##*/}"
		fi
	done
}

load_zcp() {
	local module

	for module in $(modinfo -F depends $run/zcp.ko | tr , ' '); do
		modprobe "$module" || return 1
	done
	insmod $run/zcp.ko
}

# Shortly before the host ends the VM: tell where each process hangs.
watch() {
	local dir command line left

	read -r left _ </proc/uptime
	left=$((limit - 8 - ${left%.*}))
	[ "$left" -gt 0 ] || return
	sleep "$left"
	say "time limit"
	echo l >/proc/sysrq-trigger
	for dir in /proc/[0-9]*; do
		[ -e "$dir/exe" ] || continue
		command=$(tr '\0' ' ' <"$dir/cmdline")
		say "process ${dir##*/}: $command"
		while read -r line; do
			say "    $line"
		done <"$dir/stack"
	done
	poweroff
}

# The command's own standard streams are pipes, so that /dev/stdout and such
# can be opened by name.
run_command() {
	local out err status watch

	watch &
	watch=$!
	mkfifo -m 600 /run/out /run/err
	cat /run/out >"$(port zcp.out)" &
	out=$!
	cat /run/err >"$(port zcp.err)" &
	err=$!
	setsid sh -c "$(<$run/command)" </dev/null >/run/out 2>/run/err
	status=$?
	kill -KILL $watch
	# What the command left behind may keep the pipes open.
	(sleep 2 && kill $out $err) &
	wait $out $err
	return $status
}

run_shell() {
	stty -F "$tty" sane rows "$rows" cols "$columns"
	echo "zcp on Linux $release, nic $ZCP_NIC; exit ends the VM" >"$tty"
	setsid -c bash -i <>"$tty" >&0 2>&1
}

# Whatever still runs must not keep the module in use.
unload_zcp() {
	local try

	kill -KILL -1 2>/dev/null
	[ -e /sys/module/zcp ] || return 0
	for try in 1 2 3 4 5 6 7 8 9 10; do
		rmmod zcp 2>/run/rmmod && return 0
		sleep 0.$try
	done
	say "rmmod zcp failed: $(cat /run/rmmod)"
	return 1
}

# What kmemleak, where the kernel has it, finds that the module has allocated:
# leaks loaded|unloaded. Of a module that is gone the addresses have no names.
leaks() {
	local where='\\[zcp\\]' found=/sys/kernel/debug/kmemleak

	[ -e $found ] || return 0
	[ "$1" = loaded ] || where='\\[zcp\\]|^ +0x[0-9a-f]+$'
	# It does not report what is younger than that.
	sleep 6
	echo scan >$found
	# Only what it finds twice is lost, and not on its way from hand to hand.
	echo scan >$found
	awk -v where="$where" -v when="$1" '
		/^unreferenced object/ { if (hit) print leak; leak = ""; hit = 0; $0 = "kmemleak: " $0 ", zcp " when }
		{ leak = leak (leak == "" ? "" : "\n") $0 }
		$0 ~ where { hit = 1 }
		END { if (hit) print leak }' $found | head -n 200 >/run/leaks
	while IFS= read -r line; do
		echo "<4>$line" >/dev/kmsg
	done </run/leaks
}

exec >/run/setup.log 2>&1
mount_tmp || die "no /tmp"
mount_host || die "cannot mount the tree: $(tail -n 3 /run/setup.log | tr '\n' ' ')"
modules
mount_share || die "no $share"
hostname zcp
ip link set lo up
# shellcheck source=nic.sh disable=SC1091
. $run/nic.sh
nic_setup "$ZCP_NIC" || die "network: $(tail -n 3 /run/setup.log | tr '\n' ' ')"
cd "$top" || die "no $top"

[ ! -e /sys/kernel/debug/kmemleak ] || echo clear >/sys/kernel/debug/kmemleak
say "loading zcp"
load_zcp || die "cannot load zcp.ko: $(tail -n 3 /run/setup.log | tr '\n' ' ')"

# In User-mode Linux the host's may be closed to the user.
ls /root >/dev/null || mount -t tmpfs -o mode=700 root /root
export HOME=/root USER=root LOGNAME=root LC_ALL=C.UTF-8
export TERM ZCP_NIC ZCP_KERNEL ZCP_DISK ZCP_KO=$run/zcp.ko ZCP_FRAGS_KO=$run/zcp_frags.ko \
	ZCP_PAUSE_KO=$run/zcp_pause.ko
export PATH="$zcpctl_dir:$PATH" LD_LIBRARY_PATH=$top/user/lib
say "running the command"
if [ -n "$shell" ]; then
	run_shell
else
	run_command
fi
status=$?
say "command exited with status $status"
leaks loaded
if unload_zcp; then unloaded=1; else unloaded=0; fi
leaks unloaded
say "done"
echo "$token $status $unloaded" >"$(port zcp.status)"
poweroff
