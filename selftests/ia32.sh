#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of the ABI as 32-bit (i386) programs on a 64-bit kernel: the C tests
# named here, built from the same sources, as one stream of TAP.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
tap_begin

# The Makefile builds these as NAME.ia32.
tests="abi layout fds limits xfer events"
bin=${ZCP_TEST_BIN:-$top/.build/selftests}

# The results of a program, numbered on, become results of this script: merge NAME
merge() {
	local line result

	while read -r line; do
		case $line in
		ok\ * | not\ ok\ *)
			tap_count=$((tap_count + 1))
			result=${line%% "${line#*ok }"}
			line=${line#*ok }
			echo "$result $tap_count $1: ${line#* }"
			case $line in *'# SKIP'*) tap_skipped=$((tap_skipped + 1)) ;; esac
			[ "$result" = ok ] || tap_failed=$((tap_failed + 1))
			;;
		1..*) planned=${line#1..} ;;
		\#*) echo "$line" ;;
		*) echo "# $line" ;;
		esac
	done
}

# All of its tests, and that it ended as they say: run NAME
run() {
	local before=$tap_count failed=$tap_failed planned=none status

	"$bin/$1.ia32" >"$tmp/out" 2>&1 </dev/null
	status=$?
	if [ $status -eq 126 ]; then
		skip "$1" "the kernel lacks CONFIG_IA32_EMULATION"
		return
	fi
	merge "$1" <"$tmp/out"
	check "$1: all of its tests, and its status" ended \
		"$planned" $((tap_count - before)) $status $((tap_failed > failed))
}

# ended PLANNED SEEN STATUS FAILED: the harness exits with 1 if any failed
ended() {
	same "$1" "$2" "tests" && same "$4" "$3" "status"
}

for name in $tests; do
	if [ ! -x "$bin/$name.ia32" ]; then
		skip "$name" "needs i686-linux-gnu-gcc when it is built: there is no $bin/$name.ia32"
	else
		run "$name"
	fi
done
finish
