#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The stages user, spec, runner, build and vm on Debian's kernels: what `make
# check-all` runs. It leaves out model, dkms and deb, User-mode Linux and kcsan. Ends
# with a table, a row per kernel, and the line "N passed, N failed, N skipped",
# and with status 1 if any failed. Without KVM it takes an hour on two CPUs: as
# many kernels run at a time.
#
#   KERNEL="6.1 newest"   other kernels than those of the table
set -u

here=$(cd "$(dirname "$0")" && pwd)
logs=$(dirname "$here")/.build/check
kernels=${KERNEL:-6.1 6.12 6.12-trixie 7.2 newest}
# These are built for.
headers="6.1-arm64 6.12-arm64 um-7.2"
log=$logs/all.log

row() {
	printf '%-12s %-22s %-34s %6s %6s %7s %6s\n' "$@"
}

# The row of what check.sh calls a group: row_of NAME
row_of() {
	local release=- compiler=- numbers=(0 1 0) seconds time=-

	# Without numbers it has not run, which is a failure.
	! grep -q "^$1 " "$logs/groups" || read -ra numbers <<<"$(sed -n "s/^$1 //p" "$logs/groups")"
	if [ -e "$logs/build-$1.what" ]; then
		IFS='|' read -r release compiler <"$logs/build-$1.what"
	fi
	if [ -e "$logs/vm-$1.seconds" ]; then
		seconds=$(cat "$logs/vm-$1.seconds")
		time=$((seconds / 60)):$(printf %02d $((seconds % 60)))
	fi
	row "$1" "$release" "$compiler" "${numbers[@]}" "$time"
	[ "${numbers[1]}" -eq 0 ]
}

mkdir -p "$logs"
rm -f "$logs/groups"
KERNEL=$kernels BUILD=$headers STAGES="user spec runner build vm" "$here/check.sh" | tee "$log"
[ "${PIPESTATUS[0]}" -eq 0 ]
status=$?

echo
row kernel release compiler passed failed skipped time
for group in programs $kernels $headers; do
	row_of "$group" || status=1
done
echo
totals=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
echo "${totals:-0 passed, 1 failed, 0 skipped}"
exit $status
