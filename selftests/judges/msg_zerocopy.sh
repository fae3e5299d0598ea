#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# msg_zerocopy.sh of the kernel's self-tests, its TCP part: nothing of zcp in it, but for
# the module that is loaded. Its receivers of UDP do not wait for a sender that is slow.
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin
suites=$(realpath "$1")

# It gives a receiver 0.2 s to listen, which is not enough for an emulated machine.
mkdir "$tmp/bin"
cat >"$tmp/bin/sleep" <<-'END'
	#!/bin/sh
	exec /bin/sleep $(echo "$1" | awk '{ print $1 < 1 ? $1 * 20 : $1 }')
END
chmod 755 "$tmp/bin/sleep"

# tcp 4|6: without MSG_ZEROCOPY, then with it
tcp() {
	PATH=$tmp/bin:$PATH suite ./msg_zerocopy.sh "$1" tcp -t 1 && cat "$tmp/out" &&
		same 2 "$(grep -c "^ipv$1 tcp" "$tmp/out")" runs && grep -qix ok "$tmp/out"
}

cd "$suites" || exit 1
check "msg_zerocopy.sh 4 tcp: its own verdict" tcp 4
check "msg_zerocopy.sh 6 tcp: its own verdict" tcp 6
finish
