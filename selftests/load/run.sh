#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The load tests at full scale: what `make load` runs, each in a VM of its own.
# Ends with the number of those that failed, as its status.
#
#   LOAD="soak,stalled,pressure,cycles,disk"   which of them
#   KERNEL=uml                                 the kernel
#   LOAD_JOBS LOAD_LINKS ...                   another scale, see load.sh
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
vm=$top/selftests/vm
kernel=${KERNEL:-uml}
parts=${LOAD:-soak,stalled,pressure,cycles,disk}
# So many jobs in a VM; each part has another seed.
chunk=200000
failed=0

cd "$top" || exit 1
"$vm/deps.sh" build vm check || exit 1
ksft=$("$vm/kernel.sh" source 6.1)/tools/testing/selftests
make -s user && make -s -C selftests KSFT_DIR="$ksft" TARGETS=load.sh || exit 1

# run TIMEOUT MIB CPUS PART [VARIABLE=VALUE...]
run() {
	local limit=$1 mem=$2 cpus=$3 part=$4

	shift 4
	KERNEL='' "$vm/run.sh" --kernel "$kernel" --timeout "$limit" --mem "$mem" --cpus "$cpus" -- \
		"$* selftests/load.sh $part" || {
		echo "not ok - load: $part $*: status $?"
		failed=$((failed + 1))
	}
}

soak() {
	local left=${LOAD_JOBS:-1000000} seed=${LOAD_SEED:-1} jobs

	while [ "$left" -gt 0 ]; do
		jobs=$((left < chunk ? left : chunk))
		run 3000 2048 2 soak "LOAD_JOBS=$jobs" "LOAD_SEED=$seed"
		left=$((left - jobs))
		seed=$((seed + 1))
	done
}

for part in ${parts//,/ }; do
	case $part in
	soak) soak ;;
	stalled)
		# One CPU: where the host takes away the one of who has a lock, others
		# wait for it all the time, and measure that.
		run 1200 4096 1 stalled "LOAD_LINKS=${LOAD_LINKS:-10000}" \
			"LOAD_ROUNDS=${LOAD_ROUNDS:-11}" "LOAD_SECONDS=${LOAD_SECONDS:-4}"
		;;
	pressure)
		run 1200 1024 2 pressure "LOAD_PRESSURE_JOBS=${LOAD_PRESSURE_JOBS:-20000}" \
			"LOAD_PRESSURE_MIB=${LOAD_PRESSURE_MIB:-64}" "LOAD_STARVE=${LOAD_STARVE-1}"
		;;
	cycles) run 1200 2048 2 cycles "LOAD_CYCLES=${LOAD_CYCLES:-500}" ;;
	disk) run 600 2048 2 disk ;;
	*)
		echo "load: no part $part" >&2
		exit 2
		;;
	esac
done
[ $failed -eq 0 ] || echo "load: $failed failed"
exit $failed
