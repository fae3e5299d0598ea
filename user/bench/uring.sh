#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Print how to link liburing 2.3 or later, or nothing where there is none.
#
# usage: uring.sh CC
set -u

cc=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/test.c" <<EOF
#include <liburing.h>

int main(void)
{
	struct io_uring_sqe sqe;
	struct io_uring ring;

	io_uring_prep_send_zc_fixed(&sqe, 0, 0, 0, 0, 0, 0);
	return io_uring_queue_init(1, &ring, 0);
}
EOF
# With the library in it the program runs wherever it is copied to.
for flag in -l:liburing.a -luring; do
	# shellcheck disable=SC2086 # CC may have arguments
	if $cc -D_GNU_SOURCE -o "$tmp/test" "$tmp/test.c" $flag 2>/dev/null; then
		echo "$flag"
		break
	fi
done
