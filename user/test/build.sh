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
relative=.build/test-$$
trap 'rm -rf "$tmp" "${top:?}/$relative" "${user:?}/$relative"' EXIT
trap 'exit 1' HUP INT TERM
. "$here/tap.sh"

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

# What make check was called with must not reach these: they say what they want.
unset MAKEFLAGS MAKEOVERRIDES
installed="DESTDIR=$tmp/dest PREFIX=/opt/zcp LIBDIR=/opt/zcp/lib"

# An older and a newer version are replaced: the list says that they are not there any more.
mkdir -p "$tmp/dest/opt/zcp/lib"
touch "$tmp/dest/opt/zcp/lib/libzcp.so.0.0.1" "$tmp/dest/opt/zcp/lib/libzcp.so.0.99.0"
# shellcheck disable=SC2086 # one word per variable
make -s -C "$user" install $installed LIBZCP="${LIBZCP:-static}" >"$tmp/log" 2>&1 &&
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
		./lib/zcp/libzcp-preload.so
		./lib/zcp/zcp-bench
		./share/bash-completion/completions/zcpctl
		./share/fish/vendor_completions.d/zcpctl.fish
		./share/zsh/site-functions/_zcpctl
		$(cd "$user/.obj/man" 2>/dev/null && printf '%s\n' * | sed 's|.*\(.\)$|./share/man/man\1/&|')
	END
	diff "$tmp/want" "$tmp/list" >>"$tmp/log"
ok $? "make install: what goes where"

example=$top/docs/examples/send_file.c
strict="-Wall -Wextra -Wpedantic -Wshadow -Werror"

# No device, or nobody who listens: it says so and ends with 1.
example_fails() {
	! LD_LIBRARY_PATH=$tmp/dest/opt/zcp/lib "$1" 127.0.0.1 1 "$0" >"$tmp/log" 2>&1 &&
		grep -Eq '^send_file: (/dev/zcp|127\.0\.0\.1): ' "$tmp/log"
}

# Builds it as its first comment says: example COMPILER NAME [OPTION...]
example() {
	compiler=$1
	name=$2
	shift 2
	# shellcheck disable=SC2046,SC2086 # one word per flag
	"$compiler" $strict "$@" -o "$tmp/$name" \
		$(pkg-config "$at" --cflags --libs $how libzcp) >"$tmp/log" 2>&1 &&
		example_fails "$tmp/$name"
}

if command -v pkg-config >/dev/null; then
	export PKG_CONFIG_PATH="$tmp/dest/opt/zcp/lib/pkgconfig"
	at=--define-variable=prefix=$tmp/dest/opt/zcp
	# shellcheck disable=SC2046 # one word per flag
	[ "$(pkg-config --modversion libzcp)" = "$VERSION" ] &&
		"$CC" "$tmp/use.c" -o "$tmp/use" $(pkg-config "$at" --cflags --libs libzcp) \
			>"$tmp/log" 2>&1 &&
		LD_LIBRARY_PATH=$tmp/dest/opt/zcp/lib "$tmp/use"
	ok $? "a program built by pkg-config"
	how=
	example "$CC" example -std=gnu11 "$example"
	ok $? "the example, as it is written in docs"
	if command -v "$CXX" >/dev/null; then
		cp "$example" "$tmp/example.cc"
		example "$CXX" example-cc -std=c++11 "$tmp/example.cc"
		ok $? "the example in C++"
	else
		skip "the example in C++" "there is no $CXX here (package g++)"
	fi
	# glibc warns that getaddrinfo() needs its shared libraries.
	how=--static
	example "$CC" example-static -static -Wl,--no-warnings "$example" &&
		! readelf -d "$tmp/example-static" 2>/dev/null | grep NEEDED >"$tmp/log"
	ok $? "the example, -static"
else
	skip "a program built by pkg-config" "there is no pkg-config here"
	skip "the example" "there is no pkg-config here"
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
touch "$tmp/dest/opt/zcp/lib/libzcp.so.0.0.1" "$tmp/dest/opt/zcp/lib/libzcp.so.0.99.0"
# shellcheck disable=SC2086 # one word per variable
make -s -C "$user" uninstall $installed >"$tmp/log" 2>&1 &&
	[ -z "$(find "$tmp/dest" -type f -o -type l)" ]
ok $? "make uninstall leaves nothing"

make -s -C "$user" install DESTDIR="$tmp/multi" PREFIX=/usr LIBDIR=/usr/lib/multi \
	LIBZCP="${LIBZCP:-static}" >"$tmp/log" 2>&1 &&
	[ -e "$tmp/multi/usr/lib/multi/libzcp.so.0" ] &&
	PKG_CONFIG_PATH=$tmp/multi/usr/lib/multi/pkgconfig pkg-config --variable=libdir libzcp \
		>"$tmp/log" 2>&1 && [ "$(cat "$tmp/log")" = /usr/lib/multi ] &&
	[ -x "$tmp/multi/usr/bin/../lib/zcp/zcp-bench" ] &&
	make -s -C "$user" uninstall DESTDIR="$tmp/multi" PREFIX=/usr LIBDIR=/usr/lib/multi &&
	[ -z "$(find "$tmp/multi" -type f -o -type l)" ]
ok $? "make install with LIBDIR, and uninstall"

# A kernel to install for that tells where the module would go.
mkdir -p "$tmp/kdir"
# shellcheck disable=SC2016 # make's
printf 'modules:\nmodules_install:\n\t@echo $(INSTALL_MOD_PATH)\n' >"$tmp/kdir/Makefile"
make -s -C "$top" user_install device_install DESTDIR=$relative PREFIX=/usr/local SYSCONFDIR=/etc \
	VERSION="$VERSION" LIBZCP="${LIBZCP:-static}" >"$tmp/log" 2>&1 && [ -x "$top/$relative/usr/local/bin/zcpctl" ] &&
	[ -e "$top/$relative/etc/modules-load.d/zcp.conf" ] &&
	[ "$(make -s -C "$top" modules_install KDIR="$tmp/kdir" DESTDIR=$relative)" = "$top/$relative" ]
ok $? "make install with a relative DESTDIR"
rm -rf "${top:?}/$relative" "${user:?}/$relative"

# What the top Makefile adds to it: the rule, the group, the file for modules-load.d.
device="DESTDIR=$tmp/device PREFIX=/usr/local SYSCONFDIR=/etc VERSION=$VERSION"
# shellcheck disable=SC2086 # one word per variable
make -s -C "$top" device_install $device >"$tmp/log" 2>&1 &&
	(cd "$tmp/device" && find . -type f) | sort >"$tmp/list" &&
	diff - "$tmp/list" >>"$tmp/log" <<-END
		./etc/modules-load.d/zcp.conf
		./usr/local/lib/sysusers.d/zcp.conf
		./usr/local/lib/udev/rules.d/60-zcp.rules
	END
ok $? "make device_install: what goes where"
! grep -v '^#' "$tmp/device/etc/modules-load.d/zcp.conf" >"$tmp/log"
ok $? "the module is not loaded by what is installed"
# shellcheck disable=SC2086 # one word per variable
make -s -C "$top" device_uninstall $device >"$tmp/log" 2>&1 &&
	[ -z "$(find "$tmp/device" -type f)" ] &&
	make -s -C "$top" device_install $device &&
	echo zcp >>"$tmp/device/etc/modules-load.d/zcp.conf" &&
	make -s -C "$top" device_install $device &&
	make -s -C "$top" device_uninstall $device &&
	[ "$(find "$tmp/device" -type f)" = "$tmp/device/etc/modules-load.d/zcp.conf" ] &&
	grep -qx zcp "$tmp/device/etc/modules-load.d/zcp.conf"
ok $? "make device_uninstall leaves nothing but what was edited"

# What dkms builds from is the module's source, and nothing that was built.
make -s -C "$top" dkms_source DESTDIR="$tmp/dkms" VERSION="$VERSION" >"$tmp/log" 2>&1 &&
	(cd "$tmp/dkms/usr/src/zcp-$VERSION" && find . -type f) | sort >"$tmp/list" &&
	grep -qx "PACKAGE_VERSION=\"$VERSION\"" "$tmp/dkms/usr/src/zcp-$VERSION/dkms.conf" &&
	grep -qx ./kmod/main.c "$tmp/list" && grep -qx ./include/uapi/linux/zcp.h "$tmp/list" &&
	! grep -Ev '^\./(Kbuild|dkms\.conf|CHANGELOG\.md|LICENSES/[^/]*|include/uapi/linux/[^/]*\.h)$|^\./kmod/.*[.][ch]$' \
		"$tmp/list" >>"$tmp/log" &&
	! grep -E '\.mod\.c$|probed\.h$' "$tmp/list" >>"$tmp/log"
ok $? "make dkms_source: what dkms builds from"

# With a dkms that takes its time.
mkdir -p "$tmp/bin"
# shellcheck disable=SC2016 # not here
printf '#!/bin/sh\nsleep 1\n[ "$1" = status ] || echo "$@"\n' >"$tmp/bin/dkms"
chmod 755 "$tmp/bin/dkms"
PATH="$tmp/bin:$PATH" make -s -j 4 -C "$top" dkms DESTDIR="$tmp/dkms" VERSION="$VERSION" \
	>"$tmp/log" 2>&1 && grep -qx "install zcp/$VERSION" "$tmp/log" &&
	[ -e "$tmp/dkms/usr/src/zcp-$VERSION/dkms.conf" ]
ok $? "make -j dkms: the sources are there when dkms builds"

echo "1..$count"
