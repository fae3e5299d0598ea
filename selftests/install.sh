#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What make install has put somewhere, in use: zcpctl, and the example of docs,
# which was built from there. And that depmod is told of the module.
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

# A kernel to install for that has no more than it takes, and a depmod that only says
# what it was asked for: make_modules [VARIABLE=VALUE...]
make_modules() {
	local kdir=$tmp/kdir

	rm -f "$tmp/depmod"
	mkdir -p "$kdir/include/generated" "$tmp/bin" &&
		echo '#define UTS_RELEASE "6.1.0-0-test"' >"$kdir/include/generated/utsrelease.h" &&
		printf 'modules modules_install:\n\t@:\n' >"$kdir/Makefile" &&
		printf '#!/bin/sh\necho "$*" >>%s\n' "$tmp/depmod" >"$tmp/bin/depmod" &&
		chmod +x "$tmp/bin/depmod" &&
		env -u MAKEFLAGS -u MAKEOVERRIDES PATH="$tmp/bin:$PATH" \
			make -s -C "$top" modules_install "KDIR=$kdir" "$@"
}

depmod_runs() {
	make_modules DESTDIR= && same "-a 6.1.0-0-test" "$(cat "$tmp/depmod")" "what depmod is told"
}

depmod_does_not_run() {
	make_modules "DESTDIR=$tmp/dest" && [ ! -e "$tmp/depmod" ]
}

check "install: zcpctl, and zcp-bench by it" zcpctl_runs
check "install: the example sends a file and says what became of it" example_sends
check "install: the example says that a file is refused" example_refused
check "install: depmod is run for the release of the headers" depmod_runs
check "install: depmod is not run with DESTDIR" depmod_does_not_run
finish
