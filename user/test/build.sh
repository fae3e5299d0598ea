#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The library as other programs meet it: headers in C and C++, symbols, what
# make install puts where.
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
top=$(dirname "$user")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
count=0

ok() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' "$tmp/log" 2>/dev/null
	fi
}

skip() {
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

cat >"$tmp/use.c" <<'END'
#include <zcp/monitor.h>
#include <zcp/pool.h>
#include <zcp/zcp.h>

#include <errno.h>

int main(void)
{
	struct zcp_segment segment;
	struct zcp_pool *pool;
	void *buf;

	zcp_segment_file(&segment, 0, 0, ZCP_TO_EOF);
	if (zcp_pool_open(&pool, NULL) || zcp_pool_alloc(pool, 100, &buf) ||
	    zcp_pool_close(pool) != -EBUSY || zcp_pool_free(pool, buf) || zcp_pool_close(pool))
		return 1;
#ifndef NO_MONITOR
	if (zcp_snapshot_count(0) || zcp_monitor_fd(0) >= 0)
		return 1;
#endif
	return zcp_version()[0] == '0' && segment.flags == ZCP_SEGMENT_TO_EOF ? 0 : 1;
}
END
cp "$tmp/use.c" "$tmp/use.cc"
# Nothing but the headers may be needed, so they come first.
flags="-Wall -Wextra -Wpedantic -Werror -I$top/include -I$top/include/uapi"

for std in c99 c11 gnu11; do
	# shellcheck disable=SC2086 # one word per flag
	"$CC" -std=$std $flags -fsyntax-only "$tmp/use.c" >"$tmp/log" 2>&1
	ok $? "header in $std"
done
for std in c++11 c++17; do
	if command -v "$CXX" >/dev/null; then
		# shellcheck disable=SC2086 # one word per flag
		"$CXX" -std=$std $flags "$tmp/use.cc" -o "$tmp/use-$std" -L"$user/lib" -lzcp \
			>"$tmp/log" 2>&1 &&
			LD_LIBRARY_PATH=$user/lib "$tmp/use-$std" >>"$tmp/log" 2>&1
		ok $? "header in $std, linked and run"
	else
		skip "header in $std, linked and run" "there is no $CXX here (package g++)"
	fi
done

"$user/lib/check-map.sh" "$user/lib/libzcp.map" "$user/lib/libzcp.so" "$top"/include/zcp/*.h \
	>"$tmp/log" 2>&1
ok $? "header, version map and library agree"
grep -v zcp_ctx_fd "$user/lib/libzcp.map" >"$tmp/map"
! "$user/lib/check-map.sh" "$tmp/map" "$user/lib/libzcp.so" "$top"/include/zcp/*.h \
	>"$tmp/log" 2>&1
ok $? "a function that is missing in the map is found"
nm -D --defined-only --with-symbol-versions "$user/lib/libzcp.so" >"$tmp/log" &&
	grep -q ' T zcp_send_file@@LIBZCP_0.1$' "$tmp/log" &&
	grep -q ' T zcp_feature_name@@LIBZCP_0.2$' "$tmp/log" &&
	grep -q ' T zcp_monitor_open@@LIBZCP_0.3$' "$tmp/log" &&
	grep -q ' T zcp_send_msg@@LIBZCP_0.3$' "$tmp/log" &&
	! grep -Eq 'zcp_opts_get|zcp_event_wait|zcp_parse_job|slabs_|pool_lend' "$tmp/log"
ok $? "symbols have their version, others are hidden"
readelf -d "$user/lib/libzcp.so" >"$tmp/log" && grep -q 'SONAME.*\[libzcp\.so\.0\]' "$tmp/log" &&
	[ "$(grep -c NEEDED "$tmp/log")" -eq 3 ] && grep -q 'NEEDED.*\[libc\.so' "$tmp/log" &&
	grep -q 'NEEDED.*\[libnl-3\.so' "$tmp/log" && grep -q 'NEEDED.*\[libnl-genl-3\.so' "$tmp/log"
ok $? "the soname; nothing is needed but libc and libnl"

# Every function is described, with what it returns if it does.
awk '
	/^\/\*\*/ { doc = "" }
	/^ \*/ { doc = doc $0 "\n" }
	/^ZCP_API/ {
		name = $0
		sub(/\(.*/, "", name)
		sub(/.*[ *]/, "", name)
		if (index(doc, " * " name "() - ") != 1 || doc !~ /Since: [0-9]/ ||
		    ($0 !~ /^ZCP_API void/ && doc !~ /Return:/)) {
			print name
			bad = 1
		}
	}
	END { exit bad }' "$top"/include/zcp/*.h >"$tmp/log"
ok $? "kernel-doc of every function"

make -s -C "$user" install DESTDIR="$tmp/dest" PREFIX=/opt/zcp >"$tmp/log" 2>&1 &&
	(cd "$tmp/dest/opt/zcp" && find . -type f -o -type l) | sort >"$tmp/list" &&
	sed "s/VERSION/$VERSION/" <<-END | sort >"$tmp/want" &&
		./bin/zcpctl
		$(cd "$top/include/uapi" && printf './include/%s\n' linux/*.h)
		$(cd "$top/include" && printf './include/%s\n' zcp/*.h)
		./lib/libzcp.a
		./lib/libzcp.so
		./lib/libzcp.so.0
		./lib/libzcp.so.VERSION
		./lib/pkgconfig/libzcp.pc
		./lib/zcp/zcp-bench
		$(cd "$user/.obj/man" 2>/dev/null && printf '%s\n' * | sed 's|.*\(.\)$|./share/man/man\1/&|')
	END
	diff "$tmp/want" "$tmp/list" >>"$tmp/log"
ok $? "make install: what goes where"
if command -v pkg-config >/dev/null; then
	export PKG_CONFIG_PATH="$tmp/dest/opt/zcp/lib/pkgconfig"
	at=--define-variable=prefix=$tmp/dest/opt/zcp
	# shellcheck disable=SC2046 # one word per flag
	[ "$(pkg-config --modversion libzcp)" = "$VERSION" ] &&
		"$CC" "$tmp/use.c" -o "$tmp/use" $(pkg-config "$at" --cflags --libs libzcp) \
			>"$tmp/log" 2>&1 &&
		LD_LIBRARY_PATH=$tmp/dest/opt/zcp/lib "$tmp/use"
	ok $? "a program built by pkg-config"
else
	skip "a program built by pkg-config" "there is no pkg-config here"
fi
"$CC" -I"$tmp/dest/opt/zcp/include" -DNO_MONITOR "$tmp/use.c" -o "$tmp/static" \
	"$tmp/dest/opt/zcp/lib/libzcp.a" >"$tmp/log" 2>&1 && "$tmp/static"
ok $? "a program with libzcp.a, which needs libnl only for monitoring"
if command -v pkg-config >/dev/null; then
	# shellcheck disable=SC2046 # one word per flag
	"$CC" "$tmp/use.c" -o "$tmp/static" $(pkg-config "$at" --cflags libzcp) \
		"$tmp/dest/opt/zcp/lib/libzcp.a" \
		$(pkg-config --static --libs libzcp | sed 's/-lzcp//') >"$tmp/log" 2>&1 &&
		"$tmp/static"
	ok $? "a program with libzcp.a that monitors"
else
	skip "a program with libzcp.a that monitors" "there is no pkg-config here"
fi
make -s -C "$user" uninstall DESTDIR="$tmp/dest" PREFIX=/opt/zcp >"$tmp/log" 2>&1 &&
	[ -z "$(find "$tmp/dest" -type f -o -type l)" ]
ok $? "make uninstall leaves nothing"

echo "1..$count"
