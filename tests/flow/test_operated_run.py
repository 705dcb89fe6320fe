"""A run from one terminal: keys in, what happens out, the terminal as it was found."""

import os
import re
import signal
import termios
import time

import pytest

from sonic_runtime.contract.operator import bindings_table
from tests.fakes.terminal_program import TerminalProgram


@pytest.fixture
def operated():
    program = TerminalProgram("-m", "tests.flow.operated_run")
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_the_run_in_damping_and_gives_the_terminal_back(operated, number):
    operated.expect("waiting")
    key = {signal.SIGINT: "\x03", signal.SIGQUIT: "\x1c"}.get(number)
    operated.process.send_signal(number) if key is None else operated.press(key)
    operated.expect("damping: every joint brakes")
    assert operated.wait() == 0
    assert termios.tcgetattr(operated.slave) == operated.before


def test_a_bug_gives_the_terminal_back():
    operated = TerminalProgram("-m", "tests.flow.operated_run", "bug")
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
