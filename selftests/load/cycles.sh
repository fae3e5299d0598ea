# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Part of load.sh: the module goes as soon as the load has gone.

cycles_number=${LOAD_CYCLES:-8}
cycles_module=${ZCP_KO:-$top/zcp.ko}

part_cleanup() {
	[ -e /sys/module/zcp ] || insmod "$cycles_module"
}

cycles() {
	figures "$bin/cycles" "$cycles_number" "$cycles_module" && ! grep '^zcp' /proc/slabinfo
}

if [ -r "$cycles_module" ]; then
	check "cycles: loaded and unloaded $cycles_number times under load" cycles
	part_cleanup
else
	skip "cycles: loaded and unloaded under load" "needs $cycles_module: set ZCP_KO"
fi
unset -f part_cleanup
