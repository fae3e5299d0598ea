#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# How much of the module the tests run: what `make coverage` does. Boots the
# kernel uml-gcov, runs the self-tests or COMMAND in it, and prints a table of
# lines and branches by file. What was not run is listed, with its text, in
# .build/coverage/uncovered. Fails when a test does, and when a line was not run by
# all of them that docs/coverage.md does not explain.
#
# Its status is that of the VM (see run.sh), which is also left in .build/coverage/status,
# or else 1 when there are no counts, and 3 when a line is not explained.
#
# usage: coverage.sh [COMMAND]
#        coverage.sh --add [COMMAND]   count on from the run before
#        coverage.sh --check           look again at what was counted
#
#   TARGETS="abi cli.sh"   some of the self-tests
#   TIMEOUT=1800           seconds for the VM
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
vm=$top/selftests/vm
out=$top/.build/coverage

mkdir -p "$out"
if [ "${1-}" = --check ]; then
	exec "$here/coverage.py" --check "$top" "$out/uncovered" "$out"/run-*.json
fi
"$vm/deps.sh" build uml check debug || exit 1
if [ "${1-}" = --add ]; then
	shift
else
	rm -f "$out"/run-*.json
fi
check=(--check)
[ $# -eq 0 ] && [ -z "${TARGETS-}" ] || check=()
ksft=$("$vm/kernel.sh" source 6.1)/tools/testing/selftests
command="make -s -C selftests run_tests KSFT_DIR='$ksft' TARGETS='${TARGETS-}'"
if [ $# -gt 0 ]; then
	command=$*
else
	flock "$top/.build/user.lock" make -s -C "$top" user
	make -s -C "$top/selftests" KSFT_DIR="$ksft"
fi
release=''
assignments=$("$vm/kernel.sh" get uml-gcov)
eval "$assignments"

# The counts are of objects, which lie as they were compiled.
counts=$(mktemp -d "$out/counts.XXXXXX")
trap 'rm -rf "$counts"' EXIT
status=0
KERNEL='' "$vm/run.sh" --kernel uml-gcov --nic all --timeout "${TIMEOUT:-1800}" --share "$counts" -- \
	"($command) 2>&1; status=\$?; selftests/debug/gcda.sh '$counts'; exit \$status" \
	>"$out/log" 2>&1 || status=$?
echo "$status" >"$out/status"
if ! compgen -G "$counts/kmod/*.gcda" >/dev/null; then
	tail "$out/log"
	echo "coverage.sh: the kernel counted nothing, see $out/log" >&2
	exit 1
fi
tree=$top/.build/$release
rsync -a --prune-empty-dirs --include='*/' --include='*.[ch]' --include='*.gcno' --exclude='*' \
	"$tree/" "$counts"
run=$(mktemp -u "$out/run-XXXXXX.json")
(cd "$counts" && gcovr -r . --filter 'kmod/' --exclude 'kmod/compat/probes/' --json "$run" .) \
	>"$out/gcovr.log" 2>&1 || {
	cat "$out/gcovr.log"
	exit 1
}
if [ "$status" -ne 0 ]; then
	grep -E '^(# )?not ok |^vm: ' "$out/log" || tail "$out/log"
	echo "coverage.sh: the command's status was $status, see $out/log"
fi
covered=0
"$here/coverage.py" "${check[@]}" "$top" "$out/uncovered" "$out"/run-*.json || covered=$?
[ "$status" -ne 0 ] || status=$covered
exit "$status"
