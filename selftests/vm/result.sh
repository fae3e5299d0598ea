#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Judge a VM's run, part of run.sh: say what went wrong and exit with the
# status that run.sh documents.
#
# usage: result.sh DIR CONSOLE TOKEN VM-STATUS SECONDS
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=$1
console=$2
expected=$3
vm=$4
seconds=$5

show_console() {
	echo "vm: the last lines of $console:" >&2
	tail -n "$1" "$console" | tr -d '\r' >&2
}

touch "$console"
token=
status=
unloaded=
read -r token status unloaded 2>/dev/null <"$dir/status" || :

complaints=0
findings=$("$here/klog.sh" "$console") || complaints=1

if [ "$token" != "$expected" ]; then
	cat "$dir/machine.log" >&2 2>/dev/null || :
	show_console 40
	if [ "$vm" = 124 ] || [ "$vm" = 137 ] || grep -q 'zcp-vm: time limit' "$console"; then
		echo "vm: the time limit was reached, after $seconds seconds" >&2
		exit 124
	fi
	echo "vm: the VM died after $seconds seconds (status $vm)" >&2
	exit 126
fi
if [ "$complaints" = 1 ]; then
	echo "$findings" | tr -d '\r' >&2
	echo "vm: the kernel complained, see $console; the command's status was $status" >&2
	exit 125
fi
if [ "$unloaded" != 1 ]; then
	show_console 10
	echo "vm: zcp.ko could not be unloaded; the command's status was $status" >&2
	exit 125
fi
exit "$status"
