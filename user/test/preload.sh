#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# libzcp-preload.so as programs meet it, with the mock in the place of the device:
# what it exports, and a program that calls sendfile(2).
set -u

here=$(cd "$(dirname "$0")" && pwd)
user=$(dirname "$here")
lib=$user/preload/libzcp-preload.so
mock=$user/${OBJ:-.obj}/test/mock.so
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$here/tap.sh"

# Sends a file over a socket of a family, in two processes, and compares digests.
cat >"$tmp/send.py" <<'END'
import hashlib, os, socket, sys

family = {'inet': socket.AF_INET, 'unix': socket.AF_UNIX}[sys.argv[1]]
server = socket.socket(family)
server.bind(('127.0.0.1', 0) if family == socket.AF_INET else sys.argv[2])
server.listen()
data = os.urandom(300001)
with open(sys.argv[2] + '.data', 'wb') as f:
    f.write(data)
if not os.fork():
    out = socket.socket(family)
    out.connect(server.getsockname())
    fd = os.open(sys.argv[2] + '.data', os.O_RDONLY)
    at = 0
    # The first half by offsets, the rest by the file's position.
    while at < len(data) // 2:
        n = os.sendfile(out.fileno(), fd, at, 100000)
        assert n > 0
        at += n
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    os.lseek(fd, at, os.SEEK_SET)
    while os.sendfile(out.fileno(), fd, None, 100000):
        pass
    assert os.lseek(fd, 0, os.SEEK_CUR) == len(data)
    os._exit(0)
peer = server.accept()[0]
got = b''
while piece := peer.recv(1 << 16):
    got += piece
assert os.wait()[1] == 0
assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
END

# The sum of a count over all lines of the statistics: sum NAME
sum() {
	sed -n "s/.* $1=\([0-9]*\) .*/\1/p" "$tmp/stats" | awk '{ n += $1 } END { print n + 0 }'
}

# program FAMILY [VARIABLE=VALUE...]
program() {
	local family=$1

	shift
	rm -f "$tmp/stats" "$tmp/socket"*
	env "$@" LD_PRELOAD="$mock $lib" ZCP_PRELOAD_STATS="$tmp/stats" \
		python3 "$tmp/send.py" "$family" "$tmp/socket" >"$tmp/log" 2>&1 &&
		cat "$tmp/stats" >>"$tmp/log"
}

nm -D --defined-only "$lib" | awk '{ print $3 }' | sort | xargs >"$tmp/log" &&
	grep -qx '_Exit _exit sendfile sendfile64' "$tmp/log"
ok $? "what it exports"
readelf -d "$lib" >"$tmp/log" && [ "$(grep -c NEEDED "$tmp/log")" -eq 1 ] &&
	grep -q 'NEEDED.*\[libc\.so' "$tmp/log"
ok $? "nothing is needed but libc"
program inet && [ "$(sum served)" -gt 70 ] && [ "$(sum bytes)" -eq 300001 ] &&
	[ "$(sum passed)" -eq 1 ]
ok $? "TCP: served by the device, but for the end of the file"
program unix && [ "$(sum served)" -eq 0 ] && [ "$(sum passed)" -ge 4 ]
ok $? "a UNIX socket: left to the system call"
program inet ZCP_MOCK_OPEN_ERRNO=13 && [ "$(sum served)" -eq 0 ] && [ "$(sum passed)" -ge 4 ]
ok $? "no access to the device: left to the system call"

echo "1..$count"
