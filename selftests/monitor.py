#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The monitor of libzcp from another language: long lists, refusals, overruns.

usage: monitor.py LIBRARY
"""
import ctypes as c
import errno
import os
import select
import socket
import sys
import tempfile

U16, U32, U64 = c.c_uint16, c.c_uint32, c.c_uint64
NEW, DONE, OVERRUN = 1, 4, 5


class Options(c.Structure):
    _fields_ = [("size", c.c_size_t), ("flags", U32), ("buffer_bytes", U32)]


class Filter(c.Structure):
    _fields_ = [("size", c.c_size_t), ("fields", U32), ("link", U32), ("context", U64),
                ("state", U32), ("uid", U32)]


class JobInfo(c.Structure):
    _fields_ = [("size", c.c_size_t), ("job", U64), ("context", U64),
                *((name, U32) for name in (
                    "link", "state", "mode", "complete", "flags", "error", "copy_reason",
                    "nr_segments", "segment", "uid", "pid", "reserved")),
                *((name, U64) for name in (
                    "position", "bytes_total", "bytes_sent", "bytes_acked", "bytes_zerocopy",
                    "bytes_copied", "bytes_dropped", "rate", "submit_ns", "sent_ns", "acked_ns",
                    "end_ns")),
                ("copied", U64 * 16), ("comm", c.c_char_p), ("file", c.c_char_p)]


class ContextInfo(c.Structure):
    _fields_ = [("size", c.c_size_t), ("context", U64),
                *((name, U32) for name in (
                    "uid", "pid", "nr_links", "nr_jobs", "nr_events", "reserved")),
                ("inflight", U64), ("inline_bytes", U64), ("comm", c.c_char_p)]


class Event(c.Structure):
    _fields_ = [("size", c.c_size_t), ("type", U32), ("reserved", U32), ("time_ns", U64),
                ("overruns", U64)]


class Link(c.Structure):
    _fields_ = [("size", U32), ("flags", U32), ("fd", c.c_int32), ("link", U32),
                ("path", U32 * 6), ("ifname", c.c_char * 16)]


class Segment(c.Structure):
    _fields_ = [("type", U32), ("flags", U32), ("fd", c.c_int32), ("reserved", U32),
                ("addr", U64), ("len", U64)]


class Job(c.Structure):
    _fields_ = [("size", U32), ("flags", U32), ("link", U32), ("mode", U32), ("complete", U32),
                ("nr_segments", U32), ("segments", U64), ("user_data", U64), ("id", U64),
                ("rate", U64)]


class Record(c.Structure):
    _fields_ = [("size", U32), ("type", U32), ("job", U64), ("rest", U64 * 16)]


def made(kind, **members):
    """A structure that knows its size."""
    return kind(size=c.sizeof(kind), **members)


def expect(got, want, what):
    if got != want:
        sys.exit(f"{what}: {got}, not {want}")


class Sender:
    """A context with a link to a socket that is read only when asked to be."""

    def __init__(self, lib):
        self.lib, self.ctx = lib, c.c_void_p()
        expect(lib.zcp_ctx_open(c.byref(self.ctx), None), 0, "zcp_ctx_open")
        listener = socket.create_server(("127.0.0.1", 0))
        self.out = socket.create_connection(listener.getsockname())
        self.peer = listener.accept()[0]
        self.link = made(Link)
        expect(lib.zcp_link_add(self.ctx, self.out.fileno(), 0, c.byref(self.link)), 0,
               "zcp_link_add")

    def block(self):
        """A job that takes long, before those that are to wait."""
        self.file = tempfile.TemporaryFile()
        self.file.truncate(1 << 20)
        segment = Segment()
        self.lib.zcp_segment_file(c.byref(segment), self.file.fileno(), 0, 1 << 20)
        return self.submit_each(1, segment, 1000)

    def submit(self, count):
        text = b"0123456789"
        segment = Segment()
        self.lib.zcp_segment_inline(c.byref(segment), text, len(text))
        return self.submit_each(count, segment, 0)

    def submit_each(self, count, segment, rate):
        jobs = (Job * count)()
        for job in jobs:
            job.size, job.link, job.rate = c.sizeof(Job), self.link.link, rate
            job.segments, job.nr_segments = c.addressof(segment), 1
        done = 0
        while done < count:
            ret = self.lib.zcp_job_submit(self.ctx, c.byref(jobs, done * c.sizeof(Job)),
                                          count - done, None)
            if ret <= 0:
                sys.exit(f"zcp_job_submit: {ret}")
            done += ret
        return [job.id for job in jobs]

    def receive(self, count):
        while count:
            count -= len(self.peer.recv(count))

    def reap(self, count):
        records = (Record * 64)()
        while count:
            ret = self.lib.zcp_event_read(self.ctx, records, min(count, 64), 20000)
            if ret <= 0:
                sys.exit(f"zcp_event_read: {ret}")
            count -= ret


class Monitor:
    def __init__(self, lib, **options):
        self.lib, self.handle = lib, c.c_void_p()
        expect(lib.zcp_monitor_open(c.byref(self.handle), c.byref(made(Options, **options))), 0,
               "zcp_monitor_open")

    def error(self):
        return self.lib.zcp_monitor_error(self.handle).decode()

    def jobs(self, **fields):
        snapshot, found = c.c_void_p(), []
        expect(self.lib.zcp_monitor_jobs(self.handle, c.byref(made(Filter, **fields)),
                                         c.byref(snapshot)), 0, "zcp_monitor_jobs")
        for index in range(self.lib.zcp_snapshot_count(snapshot)):
            info = made(JobInfo)
            expect(self.lib.zcp_snapshot_job(snapshot, index, c.byref(info)), 0,
                   "zcp_snapshot_job")
            found.append(info)
        expect(self.lib.zcp_snapshot_job(snapshot, len(found), c.byref(made(JobInfo))),
               -errno.ENOENT, "behind the last job")
        expect(self.lib.zcp_snapshot_link(snapshot, 0, c.byref(made(JobInfo))), -errno.EINVAL,
               "a job as a link")
        self.lib.zcp_snapshot_free(snapshot)
        return found

    def read(self):
        event, info = made(Event), made(JobInfo)
        ret = self.lib.zcp_monitor_read(self.handle, c.byref(event), c.byref(info))
        if ret < 0:
            sys.exit(f"zcp_monitor_read: {ret} {self.error()}")
        return (event, info) if ret else None

    def ready(self, seconds):
        return bool(select.select([self.lib.zcp_monitor_fd(self.handle)], [], [], seconds)[0])


def long_lists(lib, monitor):
    """More than one message of a dump holds."""
    sender = Sender(lib)
    ids = sender.block() + sender.submit(599)
    jobs = monitor.jobs()
    expect([job.job for job in jobs], ids, "the jobs in the list")
    expect({job.pid for job in jobs}, {os.getpid()}, "their process")
    expect({job.bytes_total for job in jobs[1:]}, {10}, "their size")
    expect({job.state for job in jobs[1:]}, {1}, "their state")
    context = jobs[0].context
    expect(len(monitor.jobs(fields=1, context=context)), 600, "jobs of the context")
    expect(len(monitor.jobs(fields=1, context=context + 1)), 0, "jobs of no context")
    expect(len(monitor.jobs(fields=3, context=context, link=sender.link.link)), 600,
           "jobs of the link")
    snapshot, info = c.c_void_p(), made(ContextInfo)
    expect(lib.zcp_monitor_contexts(monitor.handle, c.byref(snapshot)), 0, "contexts")
    expect(lib.zcp_snapshot_count(snapshot), 1, "number of contexts")
    expect(lib.zcp_snapshot_context(snapshot, 0, c.byref(info)), 0, "the context")
    expect((info.context, info.nr_jobs, info.nr_links), (context, 600, 1), "what it has")
    lib.zcp_snapshot_free(snapshot)
    for job in ids[1:]:
        expect(lib.zcp_monitor_cancel(monitor.handle, job, None), 0, "zcp_monitor_cancel")
    expect({job.state for job in monitor.jobs()[1:]}, {7}, "states of those cancelled")
    lib.zcp_ctx_close(sender.ctx)
    expect(monitor.jobs(), [], "jobs when their context has gone")


def refusals(lib, monitor):
    info = made(JobInfo)
    expect(lib.zcp_monitor_job(monitor.handle, 1 << 60, c.byref(info)), -errno.ENOENT, "no job")
    expect(bool(monitor.error()), True, "a sentence about it")
    expect(monitor.error() != os.strerror(errno.ENOENT), True, "it is the kernel's")
    snapshot = c.c_void_p()
    expect(lib.zcp_monitor_jobs(monitor.handle, c.byref(made(Filter, fields=2, link=1)),
                                c.byref(snapshot)) < 0, True, "a link without its context")
    expect(bool(monitor.error()), True, "a sentence about that")
    expect(lib.zcp_monitor_jobs(monitor.handle, c.byref(made(Filter, fields=1 << 31)),
                                c.byref(snapshot)), -errno.EOPNOTSUPP, "a field that is none")
    expect(monitor.jobs(), [], "a list after that")
    expect(lib.zcp_monitor_fd(monitor.handle), -errno.EINVAL, "descriptor without subscribing")
    expect(lib.zcp_monitor_read(monitor.handle, c.byref(made(Event)), c.byref(info)),
           -errno.EINVAL, "reading without subscribing")


def overruns(lib):
    monitor = Monitor(lib, buffer_bytes=8192)
    expect(lib.zcp_monitor_subscribe(monitor.handle), 0, "zcp_monitor_subscribe")
    expect(lib.zcp_monitor_subscribe(monitor.handle), -errno.EALREADY, "subscribing twice")
    expect(monitor.read(), None, "an event before there is any")
    sender = Sender(lib)
    sender.submit(500)
    sender.receive(5000)
    sender.reap(500)
    expect(monitor.ready(10), True, "readable when it was overrun")
    types, seen = [], monitor.read()
    while seen:
        types.append(seen[0].type)
        if seen[0].type == OVERRUN:
            expect((seen[0].overruns > 0, seen[1].job), (True, 0), "the overrun")
        seen = monitor.read()
    expect(OVERRUN in types, True, "an overrun among the events")
    # Three for each job have not fit into 8 KiB, and some of them have.
    expect(1 < len(types) < 500, True, f"a few events of many ({len(types)})")
    # It goes on as if nothing had been.
    job = sender.submit(1)[0]
    sender.receive(10)
    sender.reap(1)
    types = []
    while not types or types[-1] != DONE:
        expect(monitor.ready(10), True, "readable")
        seen = monitor.read()
        while seen:
            expect(seen[1].job, job, "the job of the event")
            types.append(seen[0].type)
            seen = monitor.read()
    expect((types[0], OVERRUN in types), (NEW, False), "events after the overrun")
    lib.zcp_ctx_close(sender.ctx)
    lib.zcp_monitor_close(monitor.handle)


def main():
    lib = c.CDLL(sys.argv[1])
    lib.zcp_monitor_error.restype = c.c_char_p
    lib.zcp_snapshot_count.restype = c.c_size_t
    lib.zcp_monitor_job.argtypes = [c.c_void_p, U64, c.c_void_p]
    lib.zcp_monitor_cancel.argtypes = [c.c_void_p, U64, c.c_void_p]
    lib.zcp_segment_inline.argtypes = [c.c_void_p, c.c_char_p, c.c_size_t]
    lib.zcp_segment_inline.restype = None
    lib.zcp_segment_file.argtypes = [c.c_void_p, c.c_int, U64, U64]
    lib.zcp_segment_file.restype = None
    lib.zcp_snapshot_free.restype = None
    lib.zcp_snapshot_job.argtypes = [c.c_void_p, c.c_size_t, c.c_void_p]
    monitor = Monitor(lib)
    refusals(lib, monitor)
    long_lists(lib, monitor)
    overruns(lib)
    lib.zcp_monitor_close(monitor.handle)


main()
