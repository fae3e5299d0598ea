#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Those who talk to `zcp-bench serve`: what they do, and what is expected of it then.

usage: bench.py WHAT PORT | bench.py run NOFILE COMMAND...
"""

import ctypes
import os
import resource
import select
import socket
import struct
import sys
import time

MAGIC = 0x7A637064
DISCARD, READ, STORE, CHECK, STALL = range(5)
CONTROL = 0xFF
ALONE, COMPARE = 1, 8
# Of receiver.c and receiver_bytes.c.
ALONE_MAX = 128
STORES, STORE_BYTES = 2 << 30, 256 << 20
HELLO_SECONDS = 10
PR_CAPBSET_DROP, CAP_SYS_RESOURCE = 24, 24

port = 0


def hello(mode, unit=0, flags=0, client=0, header=0, offset=0, step=0, wrap=0):
    return struct.pack("=IHHQQQQQQQ", MAGIC, mode, flags, unit, header, offset, step,
                       4096 if flags & ALONE else 0, wrap, client)


def connect(data=b"", patience=20):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(patience)
    sock.sendall(data)
    return sock


def answer(sock):
    try:
        return sock.recv(1)
    except ConnectionResetError:
        return b""


def welcome(*args, **options):
    """A connection that is taken."""
    sock = connect(hello(*args, **options))
    got = answer(sock)
    assert got == b"y", got
    return sock


def refused(*args, **options):
    sock = connect(hello(*args, **options))
    got = answer(sock)
    assert got == b"r", got
    assert answer(sock) == b""


def quiet(sock, seconds=0.5):
    """Nothing comes, and it does not end."""
    sock.settimeout(seconds)
    try:
        got = sock.recv(1)
    except TimeoutError:
        sock.settimeout(20)
        return
    raise AssertionError(got)


def works():
    """All its threads serve others: two that share, and one for who asks for it."""
    for flags in (0, 0, 0, 0, ALONE):
        sock = welcome(DISCARD, unit=1000, flags=flags)
        sock.sendall(bytes(1000))
        assert answer(sock) == b"y"
        sock.close()


def file_bytes(offset, length):
    """file_fill() of file.c."""
    words = []
    for i in range(offset // 8, (offset + length) // 8 + 1):
        x = i * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        words.append(struct.pack("<Q", x ^ x >> 29))
    return b"".join(words)[offset % 8:][:length]


def commands_unread():
    """Commands without end, whose answers are not read; on each of the threads."""
    socks = [welcome(CONTROL, client=client) for client in range(2)]
    end = time.monotonic() + 60
    for sock in socks:
        sock.setblocking(False)
    while socks and time.monotonic() < end:
        _, ready, _ = select.select([], socks, [], 1)
        for sock in ready:
            try:
                sock.send(b"C" * 65536)
            except BlockingIOError:
                pass
            except ConnectionError:
                socks.remove(sock)
    works()
    assert not socks


def no_hello():
    """Some bytes of a hello, or none, are not waited for longer than it says."""
    whole = hello(DISCARD, unit=1000)
    socks = [connect(whole[:n], 3 * HELLO_SECONDS) for n in (0, 0, 1, len(whole) - 1)]
    good = welcome(DISCARD, unit=1000)
    begun = time.monotonic()
    for sock in socks:
        assert answer(sock) == b""
    took = time.monotonic() - begun
    assert HELLO_SECONDS / 2 < took < 2 * HELLO_SECONDS, took
    # Who has said it may take his time.
    good.sendall(bytes(1000))
    assert answer(good) == b"y"


def nonsense():
    for data in (b"GET / HTTP/1.1\r\n\r\n" + bytes(100), bytes(100), b"\xff" * 100):
        assert answer(connect(data)) == b""
    works()


def descriptors():
    """More connections than it may have descriptors; they end, and there is room."""
    socks = [connect() for _ in range(100)]
    time.sleep(0.5)
    for sock in socks:
        sock.close()
    works()


def stalled_of_another():
    """A command resumes those of its client only."""
    mine, other = welcome(CONTROL, client=1), welcome(CONTROL, client=2)
    stalls = [welcome(STALL, unit=1000, client=client) for client in (1, 2)]
    for sock in stalls:
        sock.sendall(bytes(1000))
    other.sendall(b"R")
    assert answer(other) == b"R"
    assert answer(stalls[1]) == b"y"
    quiet(stalls[0])
    mine.sendall(b"R")
    assert answer(mine) == b"R"
    assert answer(stalls[0]) == b"y"


def stalled_left():
    """What a client has stalled ends with it, and nobody else's."""
    mine, other = welcome(CONTROL, client=1), welcome(CONTROL, client=2)
    stalls = [welcome(STALL, unit=1000, client=client) for client in (1, 1, 2)]
    mine.close()
    assert answer(stalls[0]) == b""
    assert answer(stalls[1]) == b""
    quiet(stalls[2])
    stalls[2].sendall(bytes(1000))
    other.sendall(b"R")
    assert answer(stalls[2]) == b"y"
    # Nobody could resume it.
    refused(STALL, unit=1000, client=3)
    refused(CONTROL, client=2)


def too_many_alone():
    socks = [welcome(DISCARD, unit=1000, flags=ALONE) for _ in range(ALONE_MAX)]
    refused(DISCARD, unit=1000, flags=ALONE)
    for sock in socks:
        sock.sendall(bytes(1000))
        assert answer(sock) == b"y"
    for sock in socks:
        sock.close()
    time.sleep(0.5)
    works()


def too_many_stores():
    socks = [welcome(STORE) for _ in range(STORES // STORE_BYTES)]
    refused(STORE)
    for sock in socks:
        sock.close()
    time.sleep(0.5)
    welcome(STORE, unit=1000).close()
    works()


def disk_full():
    for flags in (0, ALONE):
        sock = welcome(STORE, unit=1000, flags=flags)
        sock.sendall(bytes(1000))
        assert answer(sock) == b""
    works()


def compared():
    """Each mode, with and without a thread; a file that begins again; one wrong byte."""
    data = file_bytes(0, 3000)
    again = data[1000:] + data[:3000]
    for mode in (DISCARD, READ, STORE, CHECK):
        for flags in (0, ALONE) if mode != CHECK else (0,):
            for wrong in (None, 0, 1999, 2000, 4999):
                sock = welcome(mode, unit=5000, flags=flags | COMPARE, offset=1000, wrap=3000)
                sent = bytearray(again)
                if wrong is not None:
                    sent[wrong] ^= 1
                sock.sendall(sent)
                got = answer(sock)
                assert got == (b"y" if wrong is None else b"n"), (mode, flags, wrong, got)


def limited(count, command):
    """With so many descriptors, which root cannot raise either."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
    os.execvp(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        limited(int(sys.argv[2]), sys.argv[3:])
    port = int(sys.argv[2])
    globals()[sys.argv[1]]()
