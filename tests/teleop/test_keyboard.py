"""Keys of a terminal, on a pseudo terminal."""

import os
import pty
import select
import signal
import sys
import termios
import textwrap
import time

import pytest

from sonic_runtime.contract.operator import BINDINGS, bindings_table
from teleop.keyboard import Keyboard, KeyParser
from teleop.operator_device import events_by_button, events_by_key
from tests.teleop.test_pose_stream import state

TICK_NS = 20_000_000


@pytest.fixture
def terminal():
    ends = list(pty.openpty())
    yield ends
    for fd in ends:
        os.close(fd)


class Session:
    """A keyboard on a pseudo terminal, and what it said; every read is one tick later."""

    def __init__(self, master, slave, **options):
        self.master, self.said, self.now_ns = master, [], 0
        self.keyboard = Keyboard(self.said.append, fd=slave, **options)

    def read(self, mode="stand", ticks=1):
        self.now_ns += ticks * TICK_NS
        return self.keyboard.read(state(stamp_ns=self.now_ns), mode)

    def type(self, text, mode="stand", ticks=1):
        os.write(self.master, text.encode())
        return [event.kind for event in self.read(mode, ticks)]


@pytest.fixture
def session(terminal):
    session = Session(*terminal)
    yield session
    session.keyboard.close()


def test_every_key_of_the_table_gives_its_event(session):
    for binding in BINDINGS:
        for key in binding.keys:
            os.write(session.master, key.encode())
            (event,) = session.read(ticks=50)
            assert (event.kind, event.value, event.origin) == (binding.event.kind, binding.event.value, "keys")
            assert session.read() == ()


def test_keys_and_buttons_of_the_table_are_not_used_twice():
    assert len(events_by_key("k")) == sum(len(b.keys) for b in BINDINGS)
    assert len(events_by_button("b")) == sum(len(b.buttons) for b in BINDINGS)
    assert not {"?", "h"} & set(events_by_key("k"))


def test_capitals_and_enter_count(session):
    assert session.type("O") == ["stop"]
    assert session.type("\r") == ["source"]
    assert session.type("T") == ["play"]


def test_the_help_is_the_table(session):
    assert session.type("?") == []
    assert session.type("h") == []
    assert session.said[1].startswith(bindings_table())
    assert session.said[1] == session.said[2]


@pytest.mark.parametrize(
    "sequence", ["\x1b[A", "\x1b[D", "\x1bOP", "\x1bOq", "\x1b[1;5C", "\x1b[15~", "\x1bn", "ö", "\t"]
)
def test_escape_sequences_and_foreign_letters_are_no_keys(sequence):
    assert [key for key in KeyParser().feed(sequence.encode()) if key in events_by_key("k")] == []


def test_a_sequence_may_come_in_two_parts():
    parser = KeyParser()
    assert parser.feed(b"t\x1b[1") == ["t"]
    assert parser.feed(b";5Cn") == ["n"]


def test_a_lone_escape_does_not_swallow_a_stop(session):
    assert session.type("\x1b") == []
    assert session.read() == ()
    assert session.type("o") == ["stop"]
    assert session.type("\x1b[ ") == ["stop"]


def test_a_held_key_starts_once(session):
    kinds = session.type("]")
    session.read(ticks=25)
    for _ in range(30):  # the keyboard repeats after half a second, every 40 ms
        kinds += session.type("]", ticks=2)
    assert kinds == ["start"]
    assert session.type("]", ticks=40) == ["start"]
    assert session.type("nn") == ["next", "next"]


def test_of_a_paste_only_a_stop_counts(session):
    assert session.type("]ttt nnn o rrr") == ["stop"] * 4
    assert "not typed by hand" in session.said[-1]


def test_keys_typed_before_are_not_meant_for_the_robot(terminal):
    os.write(terminal[0], b"]t\n")
    assert select.select([terminal[1]], [], [], 5.0)[0]
    session = Session(*terminal)
    assert session.read() == ()
    session.keyboard.close()


def test_the_terminal_is_given_back_as_it_was_found(terminal):
    before = termios.tcgetattr(terminal[1])
    session = Session(*terminal)
    during = termios.tcgetattr(terminal[1])
    assert not during[3] & (termios.ECHO | termios.ICANON)
    assert during[3] & termios.ISIG
    session.keyboard.close()
    session.keyboard.close()
    assert termios.tcgetattr(terminal[1]) == before
    assert session.read() == ()


@pytest.mark.parametrize(
    ("option", "used", "mode", "expected"),
    [
        ("in_use", True, "active", ["stop"]),
        ("in_use", True, "waiting", []),
        ("in_use", False, "active", []),
        ("always", False, "active", ["stop"]),
        ("never", True, "active", []),
    ],
)
def test_a_terminal_that_is_closed(terminal, option, used, mode, expected):
    session = Session(*terminal, stop_when_lost=option)
    if used:
        assert session.type("t") == ["play"]
    os.close(terminal.pop(0))
    events = session.read(mode)
    assert [event.kind for event in events] == expected
    assert ("STOP" in session.said[-1]) == bool(expected)
    assert "terminal lost" in session.said[-1].lower()
    assert session.read(mode) == ()
    assert not session.keyboard.open


@pytest.mark.parametrize("target", [os.devnull, "pipe"])
def test_where_standard_input_is_no_terminal(target):
    fd = os.pipe()[0] if target == "pipe" else os.open(target, os.O_RDONLY)
    said = []
    keyboard = Keyboard(said.append, fd=fd)
    assert not keyboard.open
    assert keyboard.read(state(), "active") == ()
    assert "no terminal" in said[0]
    keyboard.close()
    os.close(fd)


PROGRAM = """
import sys, time
from teleop.keyboard import Keyboard
from tests.teleop.test_pose_stream import state
keyboard = Keyboard(lambda text: None)
print("open", flush=True)
{body}
"""
READ_FOREVER = """
while True:
    for event in keyboard.read(state(stamp_ns=time.monotonic_ns()), "stand"):
        print(event.kind, flush=True)
    time.sleep(0.01)
"""
# a shell with job control in miniature: the program runs in a process group of its own, in the foreground
SHELL = """
import os, signal, subprocess, sys
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], process_group=0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, job.pid)
print("job", job.pid, flush=True)
while True:
    _, status = os.waitpid(job.pid, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        print("exit", status, flush=True)
        break
    print("stopped", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, job.pid)
    os.kill(job.pid, signal.SIGCONT)
"""


class Shell:
    """A program on a pseudo terminal of its own, with job control."""

    def __init__(self, body):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            program = PROGRAM.format(body=textwrap.dedent(body))
            os.execv(sys.executable, [sys.executable, "-c", SHELL, program])
        self.text = ""

    def expect(self, text, timeout_s=20.0):
        deadline = time.monotonic() + timeout_s
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            if select.select([self.fd], [], [], 0.1)[0]:
                self.text += os.read(self.fd, 1000).decode()
        before, self.text = self.text.split(text, 1)
        return before

    def write(self, text):
        os.write(self.fd, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait_until_it_echoes(self, wanted):
        deadline = time.monotonic() + 5.0
        while self.echoes() != wanted:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def shell(request):
    shell = Shell(request.param)
    shell.expect("job ")
    yield shell
    shell.close()


@pytest.mark.parametrize("shell", [READ_FOREVER], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_a_program_that_is_stopped_and_continued(shell, number):
    pid = int(shell.expect("open").split()[0])
    assert not shell.echoes()
    shell.write("t")
    shell.expect("play")
    shell.write("\x1a")  # Ctrl-Z does nothing
    shell.write("k")
    shell.expect("pause")
    os.kill(pid, number)
    shell.expect("stopped")
    if number == signal.SIGTSTP:
        shell.wait_until_it_echoes(True)
    else:  # a program cannot give anything back on SIGSTOP; a shell does it, and the program takes it again
        attributes = termios.tcgetattr(shell.fd)
        attributes[3] |= termios.ECHO | termios.ICANON
        termios.tcsetattr(shell.fd, termios.TCSANOW, attributes)
    shell.write("\n")
    shell.wait_until_it_echoes(False)
    shell.write("n")
    shell.expect("next")
    shell.write("\x03")  # Ctrl-C still interrupts
    shell.expect("exit")
    assert shell.echoes()


@pytest.mark.parametrize(
    "shell", ["raise ZeroDivisionError", "sys.exit(3)", "pass", "import os; os.kill(os.getpid(), 2)"], indirect=True
)
def test_the_terminal_is_given_back_however_the_program_ends(shell):
    shell.expect("exit")
    assert shell.echoes()


def test_in_the_background_it_reads_nothing_and_is_not_stopped():
    """A program in the background that reads its terminal is stopped by the kernel."""
    body = """
    import os, signal
    time.sleep(0.5)  # the shell below has put it into the foreground
    os.tcsetpgrp(0, os.getppid())
    for _ in range(60):
        keyboard.read(state(), "stand")
        time.sleep(0.005)
    print("still here", flush=True)
    """
    shell = Shell(body)
    shell.expect("open")
    shell.write("ttt\n")
    time.sleep(0.3)
    shell.write("nnn\n")
    shell.expect("still here")
    shell.expect("exit 0")
    shell.close()
