#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# msg_zerocopy.sh of the kernel's self-tests: nothing of zcp in it, but for the module
# that is loaded. What it says without zcp it says with it.
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin
suites=$(realpath "$1")

cd "$suites" || exit 1
check "msg_zerocopy.sh: its own verdict" suite ./msg_zerocopy.sh
check "msg_zerocopy.sh: it ran" grep -q 'OK. All tests passed' "$tmp/out"
finish
