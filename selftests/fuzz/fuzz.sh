#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the fuzzer in a VM for longer: what `make fuzz` runs. Fails when it finds something.
#
#   TIME=600     seconds
#   KERNEL=uml   the kernel; with uml-kcov it looks for sequences that reach new
#                code, and keeps them in .build/fuzz
#   SEED=N       instead of another one each time
#   REPLAY=FILE  only the sequences of FILE, TIMES=1 times each
set -eu

here=$(cd "$(dirname "$0")" && pwd)
selftests=$(dirname "$here")
top=$(dirname "$selftests")
seconds=${TIME:-600}
kernel=${KERNEL:-uml}
unset KERNEL
ksft=$("$selftests/vm/kernel.sh" source 6.1)/tools/testing/selftests
keep=$top/.build/fuzz

mkdir -p "$keep"
flock "$top/.build/user.lock" make -s -C "$top" user
if [ -n "${REPLAY:-}" ]; then
	make -s -C "$selftests" KSFT_DIR="$ksft" TARGETS=fuzz
	command=".build/selftests/fuzz --replay '$(realpath "$REPLAY")' --times ${TIMES:-1}"
else
	make -s -C "$selftests" KSFT_DIR="$ksft" TARGETS=fuzz
	command="make -s -C selftests run_tests KSFT_DIR='$ksft' TARGETS=fuzz"
fi
exec "$selftests/vm/run.sh" --kernel "$kernel" --timeout $((seconds + 600)) \
	--share "$keep" -- "export ZCP_FUZZ_SECONDS=$seconds ZCP_FUZZ_KEEP='$keep' \
		${SEED:+ZCP_FUZZ_SEED=$SEED} ZCP_TEST_TIMEOUT=$((seconds + 500))
	$command"
