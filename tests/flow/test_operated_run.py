"""A run from one terminal: keys in, what happens out, the terminal as it was found."""

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

import pytest

from sonic_runtime.contract.operator import bindings_table

ROOT = Path(__file__).resolve().parents[2]


class Operated:
    """A program on a pseudo terminal of its own."""

    def __init__(self, *arguments):
        # a terminal that outlives the program, so that its mode can be looked at afterwards
        self.fd, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (40, 200))
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
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


@pytest.fixture
def operated():
    program = Operated("-m", "tests.flow.operated_run")
    yield program
    program.close()


def test_everything_from_one_terminal(operated):
    operated.expect("keys: ] starts, o or space stops, . shows all")
    operated.expect("waiting: nothing moves; ] ramps")
    assert not termios.tcgetattr(operated.slave)[3] & termios.ECHO
    operated.press("n")
    operated.expect("motion 2 of 2: turning, 4.0 s")
    operated.press("p]")
    operated.expect("ramp: to the default pose")
    operated.expect("ready: holds the default pose; ] hands over")
    operated.press("]")
    operated.expect("stand: the policy balances; t plays")
    operated.press("t")
    operated.expect("active: tracks its goal")
    operated.expect(r"active \| \[play\] \| track \| turning 1/2: on the way to it, playing \| g1 \| tick")
    operated.expect(r"turning 1/2: frame \d+/400, playing")
    operated.press("k")
    operated.expect(r"turning 1/2: frame \d+/400, paused")
    operated.press("\x1b[A")  # an arrow key is nothing
    operated.press("z")
    operated.expect("encoder: teleop")
    operated.press("N")
    operated.expect("motion 2 of 2")
    operated.expect(r"turning 2/2: frame 1/200, paused \| teleop")
    time.sleep(0.8)
    operated.press("]")
    operated.expect("start refused: there is nothing to start in the mode active")
    operated.press("?")
    for row in bindings_table().splitlines():
        operated.expect(re.escape(row))
    operated.press(" ")
    operated.expect("damping: every joint brakes; the run ends")
    assert operated.wait() == 0
    assert "ended by stopped" in operated.text
    assert termios.tcgetattr(operated.slave) == operated.before


def test_a_ramp_that_is_not_over_refuses_to_hand_over(operated):
    operated.expect("waiting")
    operated.press("]")
    operated.expect("ramp: to")
    time.sleep(0.8)  # a second press, not the repeat of a held key
    operated.press("]")
    operated.expect("start refused: the ramp is not over yet")
    operated.press("o")
    operated.expect("ended by stopped")
    assert operated.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_in_damping_and_gives_the_terminal_back(operated, number):
    operated.expect("waiting")
    operated.press("\x03") if number == signal.SIGINT else operated.process.send_signal(number)
    operated.expect("damping: every joint brakes")
    assert operated.wait() == 0
    assert termios.tcgetattr(operated.slave) == operated.before


def test_a_bug_gives_the_terminal_back():
    operated = Operated("-m", "tests.flow.operated_run", "bug")
    assert operated.wait() == 1
    assert "ZeroDivisionError" in operated.text
    assert termios.tcgetattr(operated.slave) == operated.before
    operated.close()


def test_a_terminal_that_is_closed_ends_the_run_in_damping(operated, tmp_path):
    operated.expect("waiting")
    operated.press("]")
    operated.expect("ramp: to")
    for end in ("slave", "fd"):
        os.close(getattr(operated, end))
        setattr(operated, end, None)
    assert operated.process.wait(30.0) >= 0  # it ended by itself, and was not killed by the hang-up
