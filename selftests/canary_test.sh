#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The canary itself: that it catches a byte of a watched file that changes, in
# whatever way, and is not noticed otherwise.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
tap_begin

canary=${ZCP_TEST_BIN:-$top/.build/selftests}/canary
# Those that this test itself is watched with are not for trying.
outer=${ZCP_CANARY-}
unset ZCP_CANARY

# canaries COMMAND: runs it with a file of 100,000 bytes in "$1"
canaries() {
	head -c 100000 /dev/urandom >"$tmp/file"
	ZCP_CANARY=$tmp/file "$canary" sh -c "$1" sh "$tmp/file" >"$tmp/out" 2>&1
}

silent() {
	# shellcheck disable=SC2016 # the inner shell's
	canaries 'cat "$1" >/dev/null; exit 7'
	same 7 $? "status" && same '' "$(cat "$tmp/out")" "output"
}

killed() {
	# shellcheck disable=SC2016
	canaries 'kill -TERM $$'
	same 143 $? "status"
}

# caught OFFSET COMMAND: it fails the command, and says which page
caught() {
	canaries "$2"
	same 1 $? "status" &&
		same "not ok - canary: 1 pages of $tmp/file have changed, the first at $1" \
			"$(cat "$tmp/out")" "output"
}

written() {
	# shellcheck disable=SC2016
	caught 40960 'byte=$(od -An -tu1 -j41000 -N1 "$1"); byte=$(((byte + 1) % 256))
		printf "\\$(printf %o $byte)" |
			dd of="$1" bs=1 seek=41000 conv=notrunc status=none'
}

# As a stray write to the page would: by a mapping, and one bit of the last byte.
mapped() {
	# shellcheck disable=SC2016
	caught 98304 'exec python3 -c "
import mmap, sys
with open(sys.argv[1], \"r+b\") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[99999] ^= 1" "$1"'
}

unwatchable() {
	ZCP_CANARY=/nonexistent "$canary" true
	same 1 $? "status"
}

# Run by the Makefile a test is among files of tmpfs and ext4.
watching() {
	same tmpfs "$(stat -f -c %T "${outer%%:*}")" "first file" &&
		same ext2/ext3 "$(stat -f -c %T "${outer#*:}")" "second file"
}

check "passes on a command's status, and says nothing" silent
check "passes on a signal" killed
check "one byte written" written
check "one bit changed through a mapping" mapped
check "what cannot be watched is a failure" unwatchable
if [ -n "$outer" ]; then
	check "the tests run among files of tmpfs and ext4" watching
else
	skip "the tests run among files of tmpfs and ext4" "needs make run_tests"
fi
finish
