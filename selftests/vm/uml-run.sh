# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
# (variables are shared with run.sh; commas are within arguments)
#
# How run.sh boots User-mode Linux: a kernel that is a process of the host,
# at the speed of the host.  Its own processes are processes of the host too.

# How it is ended at the time limit, which is to die on the spot: asked to
# terminate it takes itself down on one CPU and goes on on the others.
machine_kill=(-s KILL)

machine_prepare() {
	local room

	case $nic in
	veth | all) ;;
	*) die "User-mode Linux has no NIC $nic: it has veth" ;;
	esac
	case $disk in
	*[,:]*) die "User-mode Linux has no disk whose name has a comma or colon: $disk" ;;
	esac
	room=$(df -m --output=avail /dev/shm 2>/dev/null | tail -n 1)
	[ "${room:-$mem}" -ge "$mem" ] ||
		die "/dev/shm has room for ${room// /} MiB, not for the VM's $mem: see --mem"
	initramfs=$("$here/initramfs.sh" "$release")
}

# Sets the array machine.
machine_command() {
	# The kernel makes a session, and with it a process group, of its own.
	# The terminal is opened anew: it would be left non-blocking.
	# shellcheck disable=SC2016 # not here
	local start='
		echo $$ >"$1/pid"
		exec 3<&0 4>&1
		[ ! -t 0 ] || exec 3<>"$(tty)" 4>&3
		exec </dev/null >"$1/machine.log" 2>"$2"
		ulimit -c 0
		shift 2
		exec "$@"'

	machine=(env -u TMPDIR -u TMP -u TEMP bash -c "$start" uml "$dir" "$console"
		"$image" "mem=${mem}M" "ncpus=$cpus" seccomp=auto "initrd=$initramfs"
		"uml_dir=$dir/" umid=uml "zcp_run=\"$dir\"" con=null con0=null,fd:2)
	if [ -n "$shell" ]; then
		tty=/dev/tty1
		machine+=(con1=fd:3,fd:4)
	fi
	if [ -n "$disk" ]; then
		machine+=("ubd0=$disk")
		disk_device=/dev/ubda
	fi
	# The allocator's arrays of free objects still have pointers to those in use,
	# for which kmemleak takes them. Caches that are checked have no such arrays.
	case $kernel in
	uml*debug) parameters+=" slab_debug=F,kmalloc-*,zcp_*" ;;
	esac
	# shellcheck disable=SC2206 # one word per parameter
	machine+=($parameters)
}

# A system call of a process there is two switches between a thread of the kernel,
# one for each CPU, and a process of the host, which inherits the CPUs of the thread
# that made it.  On one CPU that takes a tenth of what it does across two.  Other threads
# do what hardware does by itself, as reading from a disk, and have to leave the CPUs to
# those.
machine_pin() {
	local pid='' threads=() cpu thread

	[ "$(nproc)" -ge "$cpus" ] || return 0
	while [ -d "$dir" ]; do
		sleep 0.05
		read -r pid 2>/dev/null <"$dir/pid" || continue
		# Those of the CPUs come first: drivers are started later.
		mapfile -t threads < <(printf '%s\n' /proc/"$pid"/task/* | sort -V)
		[ ${#threads[@]} -le "$cpus" ] || break
	done
	for ((cpu = 0; cpu < cpus; cpu++)); do
		taskset -cp "$cpu" "${threads[cpu]##*/}" >/dev/null || :
	done
	# Of the drivers' the last one may come later.
	sleep 0.5
	for thread in /proc/"$pid"/task/*; do
		[[ " ${threads[*]:0:cpus} " == *" $thread "* ]] ||
			renice -n 10 -p "${thread##*/}" >/dev/null 2>&1 || :
	done
}

# Pass on what the command writes, to files: sets $readers.  They end when
# the process $vm has, and they have read all.
machine_read() {
	[ -z "$pin" ] || machine_pin &
	: >"$dir/out"
	: >"$dir/err"
	tail -s 0.1 --pid="$vm" -c +1 -f "$dir/out" &
	readers=$!
	tail -s 0.1 --pid="$vm" -c +1 -f "$dir/err" >&2 &
	readers+=" $!"
}

# The VM has ended, or has to.
machine_ended() {
	local pid

	# Mostly there is nothing left.
	if read -r pid 2>/dev/null <"$dir/pid"; then
		kill -KILL -- "-$pid" 2>/dev/null || :
	fi
}
