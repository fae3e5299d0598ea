#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the tests of user/ and make one TAP stream of theirs. A program that
# crashes, hangs or says less than it planned is a failure.
#
# usage: CC= CXX= OBJ= VERSION= run.sh PROGRAM...
set -u

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
: >"$tmp/all"

# suite NAME COMMAND...
suite() {
	name=$1
	shift
	timeout -k 10 300 "$@" >"$tmp/one" 2>&1
	status=$?
	awk -v name="$name" -v status=$status '
		/^(not )?ok [0-9]+/ {
			seen++
			if ($1 == "not")
				failed++
			sub(/ok [0-9]+ - /, "ok - " name ": ")
		}
		/^1\.\.[0-9]+$/ { plan = substr($0, 4); next }
		!/^(not )?ok / && !/^#/ { $0 = "# " $0 }
		{ print }
		END {
			if (plan == "" || plan != seen + 0 || (status && !failed))
				print "not ok - " name ": ended early, exit status " status
		}' "$tmp/one" | tee "$tmp/part" >>"$tmp/all"
	# Numbers run through all suites.
	awk -v n="$total" '/^(not )?ok / { n++; sub(/ok -/, "ok " n " -") } { print }' "$tmp/part"
	total=$((total + $(grep -Ec '^(not )?ok ' "$tmp/part")))
}

total=0
for program in "$@"; do
	case $program in
	*/lib) suite lib env LD_LIBRARY_PATH=lib LD_PRELOAD="$PWD/$OBJ/test/mock.so" "$program" ;;
	*/pool-asan) suite pool-asan env ASAN_OPTIONS=handle_segv=0:handle_abort=0 "$program" 20000 ;;
	*/msg-tsan) suite msg-tsan "$program" 100 ;;
	*/pool-tsan) suite pool-tsan env TSAN_OPTIONS=handle_segv=0:handle_abort=0 "$program" 20000 ;;
	*) suite "$(basename "$program")" "$program" ;;
	esac
done
suite build test/build.sh
suite cli test/cli.sh
suite bench test/bench.sh
suite monitor test/monitor.sh
suite completion test/completion.sh
suite preloaded test/preload.sh
suite man test/man.sh

failed=$(grep -c '^not ok' "$tmp/all")
skipped=$(grep -c '# SKIP' "$tmp/all")
echo "1..$total"
echo "# $((total - failed - skipped)) passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$total" -gt 0 ]
