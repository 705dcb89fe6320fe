"""A program on a pseudo terminal of its own, for tests that press keys and read what is shown."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _in_the_foreground():
    """Make the terminal the program's own, and hang-ups something it hears: tests may run under nohup."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class TerminalProgram:
    """A program on a pseudo terminal of its own."""

    def __init__(self, *arguments):
        # a terminal that outlives the program, so that its mode can be looked at afterwards
        self.fd, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (40, 200))
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True,
            preexec_fn=_in_the_foreground,
        )  # fmt: skip
        self.text = ""

    def expect(self, pattern, timeout_s=30.0):
        """Wait for a text that matches, and return what came before it."""
        deadline = time.monotonic() + timeout_s
        while not (match := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text[-3000:]!r}"
            self._read()
        before, self.text = self.text[: match.start()], self.text[match.end() :]
        return before

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def wait(self, timeout_s=30.0):
        """Wait for the end of the program and return its exit code; what it wrote to the end is in `text`."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            self._read()
            assert time.monotonic() < deadline, self.text[-3000:]
        self._read()
        return self.process.returncode

    def _read(self):
        while select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.text += os.read(self.fd, 4096).decode(errors="replace").replace("\r\n", "\n")
            except OSError:
                return

    def close(self):
        self.process.kill()
        self.process.wait()
        for fd in (self.fd, self.slave):
            if fd is not None:
                os.close(fd)
