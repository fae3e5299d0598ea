# SPDX-License-Identifier: GPL-2.0-only
"""A program on a terminal that is made up, driven by a script.

usage: terminal.py [--size COLUMNSxLINES] STEP... -- PROGRAM [ARGUMENT...]

A step is
  see REGEX     wait until the screen has it
  gone REGEX    wait until the screen does not have it any more
  color WORD    wait until something on the screen has a color: some; or nothing: none
  key TEXT      type it; \\e is Escape, \\n Return, \\b Backspace
  size CxL      change the size of the terminal
  kill SIGNAL   send a signal
  end STATUS    wait for the end of the program, with that exit status

What the screen shows last goes to stdout. The exit status is 1, with a line
that says which, when a step does not come true within 30 seconds.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

import pyte

LIMIT = 30


class Terminal:
    def __init__(self, columns, lines, command):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # The size is to be there before the program asks for it.
            set_size(0, columns, lines)
            os.execvp(command[0], command)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def colored(self):
        return any(c.fg != "default" or c.bg != "default"
                   for line in self.screen.buffer.values() for c in line.values())

    def read(self, seconds):
        """Takes what the program prints; False at its end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.stream.feed(data)
        return bool(data)

    def wait(self, condition):
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end or not self.read(0.1):
                return condition()
        return True

    def ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def step(self, what, value):
        if what == "see":
            return self.wait(lambda: re.search(value, self.text(), re.M))
        if what == "gone":
            return self.wait(lambda: not re.search(value, self.text(), re.M))
        if what == "color":
            return self.wait(lambda: self.colored() == (value == "some"))
        if what == "key":
            for name, key in (("\\e", "\033"), ("\\n", "\r"), ("\\b", "\177")):
                value = value.replace(name, key)
            os.write(self.fd, value.encode())
        elif what == "size":
            columns, lines = map(int, value.split("x"))
            self.screen.resize(lines, columns)
            self.screen.reset()
            set_size(self.fd, columns, lines)
        elif what == "kill":
            os.kill(self.pid, getattr(signal, "SIG" + value))
        elif what == "end":
            end = time.monotonic() + LIMIT
            while not self.ended() and time.monotonic() < end:
                if not self.read(0.1):
                    time.sleep(0.05)
            return self.status == int(value)
        else:
            sys.exit("terminal.py: no step " + what)
        return True


def set_size(fd, columns, lines):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def main():
    args = sys.argv[1:]
    columns, lines = 80, 24
    if args[0] == "--size":
        columns, lines = map(int, args[1].split("x"))
        args = args[2:]
    at = args.index("--")
    steps, command = args[:at], args[at + 1:]
    terminal = Terminal(columns, lines, command)
    failed = None
    while steps and not failed:
        if not terminal.step(steps[0], steps[1]):
            failed = "%s %s (status %s)" % (steps[0], steps[1], terminal.status)
        steps = steps[2:]
    if not terminal.ended():
        os.kill(terminal.pid, signal.SIGKILL)
    print(terminal.text())
    if failed:
        sys.exit("terminal.py: it did not come true: " + failed)


main()
