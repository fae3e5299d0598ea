#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The headers, the version map and the shared library must name the same
# functions.
#
# usage: check-map.sh MAP LIBRARY HEADER...
set -eu

map=$1
library=$2
shift 2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

sed -n 's/^ZCP_API .*\<\(zcp_[a-z_]*\)(.*/\1/p' "$@" | sort >"$tmp/header"
sed -n 's/^[[:space:]]*\(zcp_[a-z_]*\);.*/\1/p' "$map" | sort >"$tmp/map"
nm -D --defined-only "$library" | sed -n 's/^[0-9a-f]* T \([^@]*\)@*.*$/\1/p' |
	sort >"$tmp/library"

test -s "$tmp/header"
status=0
diff -u "$tmp/header" "$tmp/map" >&2 || {
	echo "check-map.sh: the headers and $map differ" >&2
	status=1
}
diff -u "$tmp/map" "$tmp/library" >&2 || {
	echo "check-map.sh: $map and $library differ" >&2
	status=1
}
exit $status
