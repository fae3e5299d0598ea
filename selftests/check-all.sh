#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# All tests on each kernel that is supported: what `make check-all` runs. Ends
# with a table, a row per kernel, and the line "N passed, N failed, N skipped",
# and with status 1 if any failed. It takes an hour without KVM.
#
#   KERNEL="6.1 newest"   other kernels than those of the table
set -u

here=$(cd "$(dirname "$0")" && pwd)
logs=$(dirname "$here")/.build/check
kernels=${KERNEL:-6.1 6.12 6.12-trixie 7.2 newest}
headers="6.1-arm64 6.12-arm64 um-7.2"
table=$logs/table
sum=(0 0 0)

row() {
	printf '%-12s %-22s %-34s %6s %6s %7s %6s\n' "$@"
}

# One run of check.sh is one row: stages NAME STAGES KERNELS BUILDS
stages() {
	local log=$logs/all-$1.log started=$SECONDS totals release=- compiler=-

	echo "== $1"
	KERNEL=$3 BUILD=$4 STAGES=$2 "$here/check.sh" | tee "$log"
	totals=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	# shellcheck disable=SC2086 # the words of the line
	set -- "$1" ${totals:-0 passed, 1 failed, 0 skipped}
	sum=($((sum[0] + $2)) $((sum[1] + $4)) $((sum[2] + $6)))
	if [ -e "$logs/build-$1.what" ]; then
		IFS='|' read -r release compiler <"$logs/build-$1.what"
	fi
	row "$1" "$release" "$compiler" "$2" "$4" "$6" \
		"$(((SECONDS - started) / 60)):$(printf %02d $(((SECONDS - started) % 60)))" >>"$table"
}

mkdir -p "$logs"
rm -f "$logs"/build-*.what
row kernel release compiler passed failed skipped time >"$table"
stages programs "user spec runner" "${kernels%% *}" ''
for kernel in $kernels; do
	stages "$kernel" "build vm" "$kernel" ''
done
for kernel in $headers; do
	stages "$kernel" build "$kernel" ''
done

echo
cat "$table"
echo
echo "${sum[0]} passed, ${sum[1]} failed, ${sum[2]} skipped"
[ "${sum[1]}" -eq 0 ]
