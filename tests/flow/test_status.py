"""The status in the terminal."""

import io
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from sonic_runtime.contract.messages import Decision, Fault, TickReport
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.guard.config import LooserLimit
from sonic_runtime.guard.warning import GuardWarning
from sonic_runtime.status import Facts, Status
from tests.fakes.parts import make_goal, make_state, make_target

MS = 1_000_000
ROOT = Path(__file__).resolve().parents[2]


def make_report(index=0, mode="stand", **changes):
    values = {
        "index": index,
        "now_ns": index * 20 * MS,
        "state": make_state(),
        "goal": None,
        "mode": mode,
        "controller": "stand",
        "decision": Decision(target=make_target()),
        "target": make_target(),
        "stage_ns": {"sense": MS, "act": MS // 2},
    }
    return TickReport(**{**values, **changes})


@pytest.fixture
def log():
    status = Status(io.StringIO())
    yield status
    status.close()


def written(status):
    """Close a status that writes to memory, and return what it wrote, without times."""
    status.close()
    return [line.split("s] ", 1)[-1] for line in status._out.getvalue().splitlines()]


def test_the_line_may_be_asked_for_while_the_first_report_comes_in(log):
    class Asking(dict):
        """Stage times during whose sum the writing thread wakes."""

        def values(self):
            assert log.line() == ""
            return super().values()

    log.put(make_report(stage_ns=Asking(sense=MS)))
    assert "tick 1.0" in log.line()


def test_a_log_gets_what_is_new_and_nothing_else(log):
    for index in range(3):
        log.put(make_report(index, "waiting", controller="damping"))
    log.put(make_report(3, "ramp", controller="ramp", events=[OperatorEvent("start", origin="keys")]))
    log.put(make_report(4, "damping", controller="damping", fault=Fault(code="tilt", detail="it leans")))
    log.put(make_report(5, "damping", controller="damping", fault=Fault(code="tilt", detail="it leans")))
    assert written(log) == [
        "waiting: nothing moves; ] ramps to the default pose",
        "start (keys)",
        "ramp: to the default pose; o stops",
        "controller: damping -> ramp",
        "damping: every joint brakes; the run ends",
        "controller: ramp -> damping",
        "FAULT tilt: it leans",
    ]


def test_a_refused_start_says_why(log):
    log.watch(Facts(refusal=lambda: "the robot leans by 2 rad"))
    start = [OperatorEvent("start", origin="gamepad")]
    log.put(make_report(0, "waiting"))
    log.put(make_report(1, "waiting", events=start))
    log.watch(Facts())
    log.put(make_report(2, "active"))
    log.put(make_report(3, "active", events=start))
    lines = written(log)
    assert "start refused: the robot leans by 2 rad" in lines
    assert "start refused: there is nothing to start in the mode active" in lines
    assert "start (gamepad)" not in lines


def test_a_policy_that_is_chosen_before_the_start_is_named(log):
    log.watch(Facts(policy=lambda: "jump"))
    log.put(make_report(0, "waiting", controller="damping"))
    log.put(make_report(1, "waiting", controller="damping", events=[OperatorEvent("policy", origin="keys")]))
    assert "policy (keys): jump is selected" in written(log)


def test_warnings_come_and_go(log):
    warnings = []
    log.watch(Facts(warnings=lambda: warnings, checks_off=["tilt", "overrun"]))
    log.put(make_report())
    warnings.append(GuardWarning("temperature", "left_knee 91 C"))
    time.sleep(0.5)
    assert "!temperature | OFF: tilt overrun" in log.line()
    warnings.clear()
    time.sleep(0.5)
    assert "!" not in log.line()
    lines = written(log)
    assert lines[0] == "CHECKS OF THE GUARD ARE OFF: tilt, overrun"
    assert lines.count("WARNING temperature: left_knee 91 C") == 1
    assert lines[-1] == "warning temperature is over"


def test_limits_looser_than_shipped_are_told_like_checks_that_are_off(log):
    log.watch(Facts(looser={"tilt_rad": LooserLimit(shipped=1.2, value=3.2)}))
    log.put(make_report())
    assert "stand | LOOSER: tilt_rad" in log.line()
    assert written(log)[0] == "LIMITS OF THE GUARD ARE LOOSER THAN SHIPPED: tilt_rad=3.2 (shipped 1.2)"


def test_the_line_tells_what_the_run_does(log):
    received = [0]
    log.watch(Facts(source=lambda: "walk 2/5: frame 3/100, playing", received=lambda: received[0]))
    assert log.line() == ""
    for index in range(100):
        stages = {"act": 2 * MS} if index < 98 else {"act": 30 * MS}
        goal = make_goal(stamp_ns=(index * 20 - 12) * MS, encoder="smpl")
        now_ns = (index if index < 50 else index + 3) * 20 * MS
        log.put(make_report(index, "active", controller="track", goal=goal, stage_ns=stages, now_ns=now_ns))
    assert log.line().startswith(
        "active | track | walk 2/5: frame 3/100, playing | smpl | stream 72 ms old, 0/s | tick 2.0 p99 30.0 ms, late 1"
    )
    assert log.line().endswith("? keys")
    time.sleep(1.1)
    received[0] += 50
    log.put(make_report(100, "active", controller="track", events=[OperatorEvent("turn", 0.3, "keys")]))
    line = log.line()
    rate = float(line.split("no goal, ")[1].split("/s")[0])
    assert 20 < rate < 60
    assert "[turn]" in line


def test_a_loop_that_is_silent_is_told_first(log):
    log.put(make_report())
    time.sleep(0.6)
    assert log.line().startswith("NO TICK FOR 0.")


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 60))
    out = os.fdopen(slave, "w")
    yield master, out
    out.close()
    os.close(master)


def test_a_terminal_has_one_line_that_fits_and_is_cleared_in_the_end(terminal):
    master, out = terminal
    status = Status(out)
    status.watch(Facts(source=lambda: "a motion with a name that is longer than the terminal is wide, by far"))
    status.put(make_report())
    time.sleep(0.3)
    status.say("something new")
    status.close()
    data = b""
    while select.select([master], [], [], 0.2)[0]:
        data += os.read(master, 10_000)
    text = data.decode().replace("\r\n", "\n")
    pieces = text.split("\r\x1b[K")
    assert pieces[0] == ""
    assert pieces[-1] == ""
    assert all(len(line) < 60 for piece in pieces[2:] for line in piece.split("\n"))
    told, line = pieces[2].split("\n")
    assert told.endswith("s] something new")
    assert line.startswith("stand | stand | a motion with a name")


def test_output_that_nobody_reads_any_more_does_not_matter():
    read, write = os.pipe()
    os.close(read)
    status = Status(os.fdopen(write, "w"))
    status.say("to nobody")
    status.put(make_report())
    begin = time.monotonic()
    status.close()
    status.close()
    assert time.monotonic() - begin < 1.0


def test_a_terminal_that_takes_nothing_does_not_hold_up_the_loop():
    read, write = os.pipe()
    status = Status(os.fdopen(write, "w"))
    for index in range(5000):  # far more than a pipe holds
        status.say("x" * 1000)
        status.put(make_report(index, "stand" if index % 2 else "active"))
        if index % 100 == 0:
            time.sleep(0.01)
    begin = time.perf_counter()
    status.put(make_report(5000))
    assert time.perf_counter() - begin < 0.005
    begin = time.monotonic()
    status.close()
    assert time.monotonic() - begin < 4.0
    os.close(read)


def test_nothing_is_imported_once_it_exists():
    """A module that is compiled in a thread keeps the interpreter from the loop for as long as that takes."""
    code = (
        "import io, sys, time\n"
        "from sonic_runtime.status import Status\n"
        "from tests.fakes.parts import FakeRun\n"
        "from sonic_runtime.tick import tick\n"
        "status, run, seen = Status(io.StringIO()), FakeRun(), []\n"
        "tick(run.parts, 0)\n"
        "sys.addaudithook(lambda event, args: seen.append(args[0]) if event == 'import' else None)\n"
        "for index in range(1, 5):\n"
        "    status.put(tick(run.parts, index))\n"
        "status.line()\n"
        "time.sleep(0.5)\n"
        "status.close()\n"
        "print(seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
