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
calls=(ioctl read pread64 readv preadv poll ppoll select epoll_ctl fcntl dup dup2 dup3 close
	mmap lseek write sendfile splice)

if [ -n "$(missing trinity)" ]; then
	skip "trinity" "needs: $(missing trinity)"
	finish
	exit
fi

# It goes on until it is interrupted. All its descriptors are of the device (what is
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
		"${calls[@]/#/-c}" >"$tmp/out" 2>&1)
	status=$?
	tail -n 5 "$tmp/out"
	[ $status -eq 124 ] && grep -q 'Added 1 filenames from /dev/zcp' "$tmp/out"
}

touched() {
	local ioctls

	ioctls=$(calls zcp_ioctl)
	echo "$ioctls ioctls reached the module"
	[ "$ioctls" -gt 100 ]
}

if count_calls zcp_ioctl 2>/dev/null; then
	probed=1
fi
check "trinity: goes on for $seconds s, seed $seed" trinity_runs
if [ -n "${probed-}" ]; then
	check "trinity: its ioctls reached the module" touched
	say <"$tmp/log"
	end_calls zcp_ioctl
else
	skip "trinity: its ioctls reached the module" "this kernel has no probes: it lacks CONFIG_KPROBE_EVENTS"
fi
check "zcp works after it" works
finish
