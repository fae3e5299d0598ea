# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
# (variables are shared with run.sh; commas are within arguments)
#
# How run.sh boots a Debian kernel in QEMU.

# How it is ended at the time limit.
machine_kill=(-k 5)

machine_prepare() {
	initramfs=$("$here/initramfs.sh" "$release" "$root")
	vmlinux=$("$here/vmlinux.sh" "$image")
	accel=$("$here/kvm.sh" "$image")
}

# Two NICs on one hub: nic_pair HUB DRIVER
nic_pair() {
	local side

	for side in 1 2; do
		machine+=(-netdev "hubport,id=net$1$side,hubid=$1"
			-device "$2,netdev=net$1$side,mac=52:54:00:7a:0$1:0$side,romfile=")
	done
}

# Two NICs on two taps, in a network namespace of QEMU's own: nic_taps NR DRIVER
nic_taps() {
	local side

	for side in 1 2; do
		machine+=(-netdev "tap,id=net$1$side,ifname=zcp$side,script=no,downscript=no,vnet_hdr=on"
			-device "$2,netdev=net$1$side,mac=52:54:00:7a:0$1:0$side,romfile=")
	done
	inside=(unshare --net)
	[ "$(id -u)" = 0 ] || inside+=(--map-root-user)
	inside+=("$here/taps.sh" zcp1 zcp2)
}

# A directory of the host: host_directory ID DIRECTORY on|off
host_directory() {
	machine+=(-fsdev "local,id=$1,path=$2,security_model=none,readonly=$3,multidevs=remap"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=zcp-$1")
}

# A stream of bytes to the host: host_stream NAME
host_stream() {
	machine+=(-chardev "file,id=$1,path=$dir/$1"
		-device "virtserialport,chardev=$1,name=zcp.$1")
}

# Sets the array machine.
machine_command() {
	local append="console=ttyS0 $parameters mitigations=off secretmem.enable=1" inside=() i

	machine=(qemu-system-x86_64 -accel "$accel" -machine q35 -smp "$cpus" -m "$mem"
		-nodefaults -no-user-config -display none -no-reboot
		-kernel "$vmlinux" -initrd "$initramfs" -serial "file:$console"
		-device virtio-serial-pci)
	host_directory root "$vm_root" on
	for i in "${!mounts[@]}"; do
		host_directory "mount$i" "${mounts[i]}" on
	done
	host_directory run "$dir" on
	host_stream status
	if [ -n "$share" ]; then
		host_directory share "$share" off
	fi
	if [ -n "$disk" ]; then
		machine+=(-drive "if=none,id=disk,format=raw,file=$disk"
			-device virtio-blk-pci,drive=disk)
		disk_device=/dev/vda
	fi
	if [ "$accel" = tcg ]; then
		# One thread for all CPUs: with more, QEMU 7.2 misses that a kernel
		# patches its own code, and the guest dies of a stale int3.  The one
		# in which races are looked for patches none.  And on a busy host a
		# virtual CPU can wait for long.
		append+=" watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=90"
		# Nor does the timer tick as often as the kernel expects when it looks whether
		# it works at all.
		append+=" no_timer_check"
		# Kernels of other vendors' CPUs take it for unstable: what asks for the time
		# would do so by a device, by a system call each time.
		append+=" tsc=reliable"
		machine[2]=tcg,thread=single
		[ "$kernel" != kcsan ] || machine[2]=tcg,thread=multi
		machine+=(-cpu max,la57=off)
	else
		machine+=(-cpu host)
	fi
	case $nic in e1000e | all) nic_pair 0 e1000e ;; esac
	case $nic in virtio | all) nic_taps 1 virtio-net-pci ;; esac
	case $nic in ne2k_pci | all) nic_pair 2 ne2k_pci ;; esac
	if [ -n "$shell" ]; then
		tty=/dev/hvc0
		machine+=(-chardev stdio,id=tty,mux=on,signal=off -mon chardev=tty
			-device virtconsole,chardev=tty)
	else
		host_stream out
		host_stream err
	fi
	machine=("${inside[@]}" "${machine[@]}" -append "$append")
}

# Pass on what the command writes: sets $readers.
machine_read() {
	mkfifo "$dir/out" "$dir/err"
	cat "$dir/out" &
	readers=$!
	cat "$dir/err" >&2 &
	readers+=" $!"
}

# The VM has ended.
machine_ended() {
	# If QEMU never opened them.
	[ ! -p "$dir/out" ] || : 3<>"$dir/out" 4<>"$dir/err"
}
