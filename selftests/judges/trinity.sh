#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# trinity: random system calls, /dev/zcp being one of its files, as a user without
# rights but for that device.
#
#   JUDGE_SECONDS   (60)
#   JUDGE_SEED      (a random one)
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin

seconds=${JUDGE_SECONDS:-60}
seed=${JUDGE_SEED:-$RANDOM}
if [ -n "$(missing trinity)" ]; then
	skip "trinity" "needs: $(missing trinity)"
	finish
	exit
fi

# It goes on until it is interrupted; read(2) would wait for events that never come. All its descriptors are of the device (what is
# called pseudo are its files), which also keeps it from making sockets: the one of
# Debian 12 does not survive that.
trinity_runs() {
	local dir=$tmp/trinity status

	mkdir -p "$dir"
	chmod 755 "$tmp"
	chown nobody "$dir"
	chmod 666 /dev/zcp
	echo "seed $seed"
	(cd "$dir" && timeout -s INT -k 20 "$seconds" setpriv --reuid nobody --regid nogroup \
		--clear-groups trinity -q -q -l off -a 64 -C 4 -s "$seed" --enable-fds=pseudo -V /dev/zcp \
		-x read -x readv >"$tmp/out" 2>&1)
	status=$?
	tail -n 5 "$tmp/out"
	# It also stops when the kernel gets a taint. For one that is a fault the runner finds
	# the line in the log; Debian sets another for protocols that are hardly looked after.
	{ [ $status -eq 124 ] || grep -q 'kernel became tainted' "$tmp/out"; } &&
		grep -q 'Added 1 filenames from /dev/zcp' "$tmp/out"
}

# Its own count, and the module's where the kernel has probes.
did() {
	local number

	number=$(sed -n 's/.*Ran \([0-9]*\) syscalls.*/\1/p' "$tmp/out" | tail -n 1)
	echo "$number system calls"
	[ "${number:-0}" -gt 200 ]
}

reached() {
	local name sum=0

	for name in "${operations[@]}"; do
		sum=$((sum + $(calls "$name")))
	done
	echo "$sum of them reached the module"
	[ $sum -gt 0 ]
}

operations=(zcp_ioctl zcp_poll zcp_open)
probed=1
for name in "${operations[@]}"; do
	count_calls "$name" 2>/dev/null || probed=
done
check "trinity: goes on for $seconds s, seed $seed" trinity_runs
check "trinity: it did system calls" did
say <"$tmp/log"
if [ -n "$probed" ]; then
	check "trinity: some reached the module" reached
	say <"$tmp/log"
	end_calls "${operations[@]}"
else
	skip "trinity: some reached the module" \
		"this kernel has no probes: it lacks CONFIG_KPROBE_EVENTS"
fi
check "zcp works after it" works
finish
