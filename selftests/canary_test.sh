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

# As the Makefile runs them, with other tests: run_tests STATUS TEST...
run_tests() {
	local want=$1

	shift
	env -u MAKEFLAGS -u MAKEOVERRIDES make -s -C "$here" run_tests OUTPUT="$(dirname "$canary")" \
		CC_IA32=none TARGETS= TEST_GEN_PROGS= TEST_GEN_FILES= TEST_PROGS="$*" >"$tmp/out" 2>&1
	same "$want" $? "status of make run_tests with $*" || {
		cat "$tmp/out"
		return 1
	}
}

# A test that is skipped does not fail, one that is not there does.
fails_with_a_test() {
	local status

	for status in 0 1 4; do
		printf '#!/bin/sh\nexit %s\n' $status >"$tmp/exits$status" &&
			chmod 755 "$tmp/exits$status" || return 1
	done
	run_tests 0 "$tmp/exits0" "$tmp/exits4" && run_tests 2 "$tmp/exits0" "$tmp/exits1" "$tmp/exits4" &&
		grep '^not ok 2 selftests: .*: exits1 # exit=1' "$tmp/out" &&
		run_tests 2 "$tmp/exits0" "$tmp/nothing"
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
check "make run_tests fails when a test does" fails_with_a_test
if [ -n "$outer" ]; then
	check "the tests run among files of tmpfs and ext4" watching
else
	skip "the tests run among files of tmpfs and ext4" "needs make run_tests"
fi
finish
