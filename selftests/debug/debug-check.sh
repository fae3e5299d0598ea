#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The self-tests on kernels that watch what the module does, and count what of it
# is run: what `make debug-check` does. Ends with the line "N passed, N failed,
# N skipped", and with status 1 if any failed. What a kernel reports fails its run.
# Each kernel is built once, which takes ten minutes or more.
#
#   KERNEL="uml-debug uml-gcov kcsan"   on which of them
#   TARGETS="race cancel"   some of the tests
#   ZCP_VM_TIMEOUT=3600     seconds for each VM
#
# usage: debug-check.sh [--quick]     some tests of lives and failures, on uml-debug
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
export KERNEL=${KERNEL:-uml-debug uml-gcov kcsan} TARGETS=${TARGETS-}
export ZCP_VM_TIMEOUT=${ZCP_VM_TIMEOUT:-3600}

case ${1-} in
'') ;;
--quick)
	KERNEL=uml-debug
	TARGETS='race cancel events unload stuck leave shares failnth failjobs'
	;;
*)
	sed -n '/^# usage/s/^# //p' "$0" >&2
	exit 2
	;;
esac

# Not while others are tested.
"$top/selftests/vm/deps.sh" build vm debug
for kernel in $KERNEL; do
	"$top/selftests/vm/kernel.sh" get "$kernel" >/dev/null
done
BUILD='' STAGES=vm exec "$top/selftests/check.sh"
