#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The sendfile cases of net/tls.c of the kernel's self-tests. zcp refuses sockets
# with TLS, so that its answer is never the one that counts; plain text on the wire
# would fail the suite.
# shellcheck source=judge.sh
. "$(dirname "$0")/judge.sh"
tap_begin
suites=$(realpath "$1")

# Variants whose cipher this kernel lacks; the harness wants them before the cases.
without=()
lack() {
	modprobe -q "$1-generic"
	grep -Eq "^name +: $1$" /proc/crypto || without+=("${@:2}")
}
lack sm4 -V13_sm4_gcm -V13_sm4_ccm
lack aria -V12_aria_gcm -V12_aria_gcm_256

cases=(sendfile send_then_sendfile multi_chunk_sendfile mutliproc_sendpage_even
	mutliproc_sendpage_readers mutliproc_sendpage_writers)

modprobe -q tls
echo "# left out, for want of the cipher: ${without[*]:-none}"
check "tls, cases with sendfile: its own verdict" \
	preloaded "$suites/tls" "${without[@]}" "${cases[@]/#/-t}"
tell "tls: each case passed" each_passed "${cases[@]}"
check "tls: zcp was asked, and left all to the system call" passed_on 100
say <"$tmp/log"
finish
