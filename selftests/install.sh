#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What make install has put somewhere, in use: zcpctl, and the example of docs,
# which was built from there.
# shellcheck source=tap.sh
. "$(dirname "$0")/tap.sh"
own_namespaces "$@"
tap_begin

bin=${ZCP_TEST_BIN:-$top/.build/selftests}
installed=$bin/root/usr
export LD_LIBRARY_PATH=$installed/lib

zcpctl_runs() {
	local version

	version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$top/CHANGELOG.md" | head -n 1)
	"$installed/bin/zcpctl" version >"$tmp/version" && grep -qw "$version" "$tmp/version" &&
		"$installed/bin/zcpctl" info && "$installed/bin/zcpctl" bench --list
}

example_sends() {
	head -c 1000001 /dev/urandom >"$tmp/file" && receive -o "$tmp/got" &&
		"$bin/send_file" "$address" "$port" "$tmp/file" >"$tmp/out" && received &&
		{ cat "$tmp/file" && echo; } | cmp - "$tmp/got" &&
		same "done: 1000002 bytes sent, 1000002 acknowledged, 1000001 by reference, 1 copied (inline)" \
			"$(cat "$tmp/out")" "its account"
}

# Receives nothing, and is told why.
example_refused() {
	receive -o "$tmp/got" || return 1
	"$bin/send_file" "$address" "$port" /proc/version 2>"$tmp/err"
	same 1 $? "exit status" && grep '^send_file: this file is refused: ' "$tmp/err"
	local status=$?

	stop
	return $status
}

check "install: zcpctl, and zcp-bench by it" zcpctl_runs
check "install: the example sends a file and says what became of it" example_sends
check "install: the example says that a file is refused" example_refused
finish
