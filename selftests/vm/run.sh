#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run a command as root in a VM that has zcp.ko loaded.
#
# usage: run.sh [--kernel VERSION] [--nic veth|e1000e|virtio|ne2k_pci|all]
#               [--timeout SECONDS] [--cpus N] [--mem MIB]
#               [--share DIR] [--disk FILE[:SIZE]] [--pin]
#               --shell | [--] COMMAND
#
# Exits with the command's status, or with 124 after the time limit, 125 when
# the kernel complained or zcp.ko could not be unloaded, 126 when the VM died.
# See nic.sh for the VM's network.  The VM sees this system's files, but what
# it writes is gone when it ends, except in DIR.  FILE is a disk, made with
# SIZE if it is not there, and $ZCP_DISK is its device.  With --pin each CPU of
# User-mode Linux stays on one of the host's, if there are as many, and threads
# of its drivers give way to them.
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=${ZCP_TOP:-$(cd "$here/../.." && pwd)}
kernel=${KERNEL:-}
nic=${NIC:-veth}
limit=600
cpus=2
mem=2048
shell=
share=
disk=
pin=

usage() {
	sed -n '/^# usage/,/^#$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

die() {
	echo "vm: $*" >&2
	exit 126
}

while [ $# -gt 0 ]; do
	case $1 in
	--kernel | --nic | --timeout | --cpus | --mem | --share | --disk)
		[ $# -ge 2 ] || usage
		case $1 in
		--kernel) kernel=$2 ;;
		--nic) nic=$2 ;;
		--timeout) limit=$2 ;;
		--cpus) cpus=$2 ;;
		--mem) mem=$2 ;;
		--share) share=$2 ;;
		--disk) disk=$2 ;;
		esac
		shift 2
		;;
	--shell)
		shell=1
		shift
		;;
	--pin)
		pin=1
		shift
		;;
	--)
		shift
		break
		;;
	-*) usage ;;
	*) break ;;
	esac
done
[ -n "$shell" ] || [ $# -gt 0 ] || usage
case $nic in
veth | e1000e | virtio | ne2k_pci | all) ;;
*) usage ;;
esac

case $kernel in
uml*)
	"$here/deps.sh" build uml
	# shellcheck source=uml-run.sh
	. "$here/uml-run.sh"
	;;
*)
	"$here/deps.sh" build vm
	# shellcheck source=qemu.sh
	. "$here/qemu.sh"
	;;
esac

if [ -n "$share" ]; then
	[ -d "$share" ] || die "no directory $share"
	share=$(realpath "$share")
fi
if [ -n "$disk" ]; then
	size=
	if [[ $disk =~ ^(.*):([0-9]+[KMGT]?)$ ]]; then
		disk=${BASH_REMATCH[1]}
		size=${BASH_REMATCH[2]}
	fi
	if [ ! -e "$disk" ]; then
		[ -n "$size" ] || die "no disk $disk: FILE:SIZE makes it"
		truncate -s "$size" "$disk"
	fi
	disk=$(realpath "$disk")
fi

assignments=$("$here/kernel.sh" get ${kernel:+"$kernel"})
release='' image='' root='' kdir='' arch='' userland=''
eval "$assignments"
[ -n "$image" ] || die "no image of Linux $release, its headers only"
# The root of the VM, the tree in it, and what else of this system is there
# at the same path.
vm_root=/
tree=$top
mounts=()
inside=()
if [ -n "$userland" ]; then
	vm_root=$("$here/userland.sh" get "$userland")
	# As long as it is a root it is not made again.
	exec 6<"$vm_root.lock"
	flock -s 6
	tree=$("$here/userland.sh" build "$userland" "$top")
	ksft=$("$here/kernel.sh" source 6.1)/tools/testing/selftests
	mounts=("$tree" "$root/lib/modules/$release" "$ksft")
	inside=("$here/userland.sh" run "$userland" "$tree" "$root" --)
else
	mkdir -p "$top/.build"
	flock "$top/.build/user.lock" make -s -C "$top" user >&2
fi
machine_prepare
ko=$("${inside[@]}" "$tree/selftests/vm/build.sh" "$tree" "$release" "$kdir" "$arch")

find "$top/.build" -maxdepth 1 -name "console-*.log" -mtime +1 -delete
dir=$(mktemp -d "$top/.build/run.XXXXXX")
console=$top/.build/console-${dir##*.}.log
children=
terminal=$(stty -g 2>/dev/null || :)
cleanup() {
	machine_ended
	[ -z "$shell" ] || [ -z "$terminal" ] || stty "$terminal"
	# shellcheck disable=SC2086 # one word per process
	[ -z "$children" ] || kill $children 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

token=$(head -c 16 /proc/sys/kernel/random/uuid)
parameters="ignore_loglevel printk.time=1 printk.devkmsg=on log_buf_len=4M"
parameters+=" panic=-1 oops=panic sysctl.kernel.hung_task_panic=0"
parameters+=" sysctl.kernel.hung_task_timeout_secs=60"
# shellcheck disable=SC2034 # used by name
tty='' disk_device=''
machine_command

# shellcheck disable=SC2034 # used by name
read -r rows columns < <(stty size 2>/dev/null || echo 24 80)
cp "$here/guest.sh" "$here/nic.sh" "$ko" "${ko%/*}"/selftests/module/*.ko "$dir"
printf '%s\n' "$*" >"$dir/command"
{
	printf 'top=%q mounts=(%s)\n' "$tree" "${mounts[*]@Q}"
	for name in arch root userland release shell limit token rows columns tty share; do
		printf '%s=%q\n' "$name" "${!name}"
	done
	printf 'zcpctl_dir=%q\n' "$tree/${ZCPCTL_DIR:-user/zcpctl}"
	printf 'ZCP_NIC=%q ZCP_KERNEL=%q ZCP_DISK=%q TERM=%q\n' "$nic" "$release" \
		"$disk_device" "${TERM:-dumb}"
} >"$dir/config"

started=$SECONDS
status=0
if [ -n "$shell" ]; then
	"${machine[@]}" || status=$?
else
	timeout "${machine_kill[@]}" "$limit" "${machine[@]}" </dev/null >"$dir/machine.log" 2>&1 &
	vm=$!
	children=$vm
	machine_read
	children+=" $readers"
	# Not bash's own word about a process that was killed.
	wait "$vm" 2>/dev/null || status=$?
	machine_ended
	# shellcheck disable=SC2086 # one word per process
	wait $readers || :
	children=
fi

"$here/result.sh" "$dir" "$console" "$token" "$status" "$((SECONDS - started))"
