#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The man pages: that they are complete and can be read, and that each of the
# checks of this finds what it is there for.
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
top=$(dirname "$user")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$here/tap.sh"
export PYTHONDONTWRITEBYTECODE=1

# The real ones again, at a place where they can be spoilt.
copy() {
	rm -rf "$tmp/pages"
	cp -r "$user/.obj/man" "$tmp/pages"
}

check() {
	PAGES=$tmp/pages "$user/man/check.sh" "$1" >"$tmp/log" 2>&1
}

# The check fails, and this is all it says: finds CHECK REGEX
finds() {
	! check "$1" && [ "$(grep -c . "$tmp/log")" -eq "$(grep -cE "$2" "$tmp/log")" ]
}

# A tree with the sources of pages, to be changed.
tree() {
	rm -rf "$tmp/tree"
	mkdir -p "$tmp/tree/user" "$tmp/tree/docs"
	cp -r "$top/include" "$top/kmod" "$top/CHANGELOG.md" "$tmp/tree"
	cp -r "$user/zcpctl" "$user/man" "$tmp/tree/user"
	cp -r "$top/docs/man" "$tmp/tree/docs"
	[ ! -d "$top/docs/examples" ] || cp -r "$top/docs/examples" "$tmp/tree/docs"
}

generate() {
	rm -rf "$tmp/pages"
	"$tmp/tree/user/man/pages.py" "$tmp/tree" "$tmp/pages" "${1:-$user/zcpctl/zcpctl}" \
		>"$tmp/log" 2>&1
}

if ! command -v python3 >/dev/null; then
	skip "the pages" "needs python3"
	echo 1..1
	exit
fi

make -s -C "$user" man >"$tmp/log" 2>&1
ok $? "made from headers, module and zcpctl -h"
for name in functions ioctls parameters options; do
	copy && check $name
	ok $? "complete: $name"
done
for need in man:man-db lexgrog:man-db mandoc:mandoc; do
	command -v ${need%:*} >/dev/null || break
	need=
done
if [ -n "$need" ]; then
	skip "man, mandoc and lexgrog read them without a warning" \
		"needs ${need%:*} (package ${need#*:})"
else
	copy && check form
	ok $? "man, mandoc and lexgrog read them without a warning"
	copy && echo '.XY' >>"$tmp/pages/zcp_ctx_fd.3" && finds form 'XY'
	ok $? "an unknown macro is found"
	copy && sed -i 's/ \\- .*//' "$tmp/pages/zcp_ctx_fd.3" && finds form 'zcp_ctx_fd.3'
	ok $? "a line of NAME without a description is found"
fi

copy && rm "$tmp/pages/zcp_ctx_fd.3" && finds functions '^zcp_ctx_fd\(3\): .* no page$'
ok $? "a function of the library without a page is found"
copy && sed -i '/zcp_ctx_fd(/d' "$tmp/pages/zcp_ctx_fd.3" && finds functions 'how the function'
ok $? "a page without the function's prototype is found"
tree && sed -i 's/^ZCP_API const char \*zcp_version/ZCP_API int\n zcp_new(void);\n&/' \
	"$tmp/tree/include/zcp/zcp.h" && copy &&
	! TOP=$tmp/tree PAGES=$tmp/pages LIBRARY=$user/lib/libzcp.so "$user/man/check.sh" functions \
		>"$tmp/log" 2>&1 && grep -q '^zcp_new(3): .* no page$' "$tmp/log"
ok $? "a function of a header without a page is found"
copy && sed -i '/quota_bytes\\fR$/d' "$tmp/pages/zcp.4" && finds parameters 'quota_bytes is missing'
ok $? "a parameter of the module that is missing is found"
copy && sed -i '/ZCP_XFER_MORE/d; /ZCP_IOC_STATUS: /d' "$tmp/pages/zcp.4" &&
	finds ioctls 'ZCP_XFER_MORE is missing|ZCP_IOC_STATUS is missing'
ok $? "a constant or an ioctl that is missing is found"
copy && sed -i '/\\-\\-nocache/d' "$tmp/pages/zcpctl.1" && finds options 'option --nocache of send'
ok $? "an option that is missing is found"
copy && sed -i '/^.SS "caps"/d' "$tmp/pages/zcpctl.1" &&
	finds options 'verb caps has no section|of (info|caps) is missing'
ok $? "a verb that is missing is found"

# A zcpctl that promises more than it does.
cat >"$tmp/zcpctl" <<-END
	#!/bin/sh
	'$user/zcpctl/zcpctl' "\$@" | sed 's/^  --offset N .*/&\n  --twice  do it twice/'
	[ "\$*" != "help recv" ] || exit 0
	exec '$user/zcpctl/zcpctl' "\$@" >/dev/null
	END
chmod +x "$tmp/zcpctl"
tree && generate "$tmp/zcpctl" && grep -q 'twice' "$tmp/pages/zcpctl.1" &&
	! ZCPCTL=$tmp/zcpctl PAGES=$tmp/pages "$user/man/check.sh" options >"$tmp/log" 2>&1 &&
	grep -qx 'zcpctl send: its help names --twice, which it does not take' "$tmp/log" &&
	[ "$(wc -l <"$tmp/log")" -eq 1 ]
ok $? "an option in a help that the verb does not take is found"
tree && sed -i -e 's/{ "nocache", no_argument.*/&\n{ "secret", no_argument, NULL, 1 },/' \
	-e 's/^\tOPT("nocache",.*/\tOPT("secret", 1, NULL, ""),\n&/' \
	"$tmp/tree/user/zcpctl/send.c" && generate &&
	! TOP=$tmp/tree PAGES=$tmp/pages LIBRARY=$user/lib/libzcp.so ZCPCTL=$user/zcpctl/zcpctl \
		"$user/man/check.sh" options >"$tmp/log" 2>&1 &&
	[ "$(cat "$tmp/log")" = 'send.c: no help names the option --secret' ]
ok $? "an option that no help names is found"

# What the pages are made from.
tree && sed -i 's/^ \* zcp_ctx_fd() - .*/ * zcp_ctx_fd()/' "$tmp/tree/include/zcp/zcp.h" &&
	! generate && grep -q 'zcp.h:[0-9]*: zcp_ctx_fd has no short description' "$tmp/log"
ok $? "a function without a short description is refused"
tree && sed -i 's/^ \* zcp_ctx_fd() - /&\xe2\x98\xba /' "$tmp/tree/include/zcp/zcp.h" &&
	! generate && grep -q 'has no escape' "$tmp/log"
ok $? "a character that not each terminal has is refused"
tree && {
	echo '/**'
	echo ' * zcp_odd() - Do .something with -EIO, read(2), `` and a \ in it'
	echo " * @list: 'Many of them; @size says how many, %ZCP_TO_EOF or *none*."
	echo ' * @call: Called for each.'
	echo ' *'
	echo " * .not a macro, nor"
	echo " * 'this one."
	echo ' */'
	echo 'ZCP_API void zcp_odd(const int *const list[2], int (*call)(int a, void *b));'
} >"$tmp/tree/include/zcp/odd.h" && generate && {
	! command -v man >/dev/null || {
		check form && MANWIDTH=100 LC_ALL=C.UTF-8 man -E UTF-8 -l "$tmp/pages/zcp_odd.3" |
			tr -s ' ' >"$tmp/log" &&
			grep -qF 'o .something with -EIO, read(2), `` and a \ in it' "$tmp/log" &&
			grep -qF 'zcp_odd(const int *const list[2], int (*call)(int a, void *b));' "$tmp/log" &&
			grep -qF "'Many of them; size says how many, ZCP_TO_EOF or none." "$tmp/log" &&
			grep -qF ".not a macro, nor 'this one." "$tmp/log" &&
			grep -qF '#include <zcp/odd.h>' "$tmp/log"
	}
}
ok $? "a header that is new, with text that roff might take for its own"

echo "1..$count"
