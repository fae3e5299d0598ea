#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the judges that come as source: self-tests of the kernel, from Debian's
# package linux-source-VERSION. Prints their directory, below .build; next to it is the
# stress-ng of Debian 13, with what it needs, if this system's has no --fd-race-dev.
#
# usage: prepare.sh VERSION
set -eu
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
vm=$top/selftests/vm
version=$1
out=$top/.build/judges/$version
# The tls.c of linux-source-6.1 does not compile.
tls_version=7.2

headers() {
	local tree

	[ ! -e "$out/$1/include/linux/tls.h" ] || return 0
	tree=$("$vm/kernel.sh" source "$1")
	mkdir -p "$out/$1/headers"
	make -s -C "$tree" O="$out/$1/headers" INSTALL_HDR_PATH="$out/$1" headers_install >&2
	rm -rf "$out/$1/headers"
}

# build VERSION NAME: into where the suite's own script looks for it
build() {
	local net

	net=$("$vm/kernel.sh" source "$1")/tools/testing/selftests/net
	[ "$out/$2" -nt "$net/$2.c" ] || gcc -O2 -w -D_GNU_SOURCE= -I"$net/.." \
		-I"$net/../../../include" -isystem "$out/$1/include" -o "$out/$2" "$net/$2.c" >&2
}

stress_ng() {
	local dir=$top/.build/judges/stress-ng tmp

	! stress-ng --help 2>/dev/null | grep -q -e --fd-race-dev || return 0
	[ ! -x "$dir/run" ] || return 0
	mkdir -p "$top/.build/judges"
	tmp=$(mktemp -d "$dir.XXXXXX")
	"$vm/apt.sh" unpack trixie "$tmp" stress-ng libc6 libipsec-mb2 libbsd0 libmd0 \
		libjpeg62-turbo libjudydebian1 libkmod2 libegl1 libglvnd0 libgles2 libgbm1 \
		libdrm2 libexpat1 libmpfr6 libgmp10 libsctp1 libxxhash0 zlib1g libstdc++6 \
		libgcc-s1 libacl1 libapparmor1 libcrypt1 libzstd1 liblzma5 libssl3t64 \
		libwayland-server0
	cat >"$tmp/run" <<-'END'
		#!/bin/sh
		root=$(dirname "$0")
		exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path \
			"$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/stress-ng" "$@"
	END
	chmod 755 "$tmp" "$tmp/run"
	rm -rf "$dir"
	mv "$tmp" "$dir"
}

mkdir -p "$out/mptcp"
net=$("$vm/kernel.sh" source "$version")/tools/testing/selftests/net
for name in mptcp/mptcp_lib.sh mptcp/mptcp_connect.sh msg_zerocopy.sh lib.sh lib; do
	[ ! -e "$net/$name" ] || cp -r "$net/$name" "$out/$(dirname "$name")"
done
headers "$version"
headers $tls_version
build "$version" mptcp/mptcp_connect
build "$version" msg_zerocopy
build $tls_version tls
stress_ng
echo "$out"
