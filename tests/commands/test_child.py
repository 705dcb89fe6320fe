"""Child processes: heard, watched, and never left behind."""

import os
import signal
import time

import pytest

from sonic_runtime.child import Child
from sonic_runtime.contract.errors import RobotError


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that a child runs; returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(code: str) -> str:
        (tmp_path / "child_under_test.py").write_text(code)
        return "child_under_test"

    return write


def test_output_is_heard_while_it_goes_on(module):
    code = "import sys, time\nprint('one', *sys.argv[1:])\ntime.sleep(0.2)\nprint('two')\ntime.sleep(60)"
    with Child("talker", module(code), ["a b"]) as child:
        child.wait_for_output("one a b", 20)
        child.wait_for_output("two", 20)
        assert child.output() == "one a b\ntwo\n"
        pid = child.pid
    assert gone(pid)


def test_early_end_is_an_error_with_its_last_words(module):
    with (
        Child("talker", module("raise SystemExit('cannot do it')"), []) as child,
        pytest.raises(RobotError, match="talker: it ended with exit code 1; it said: cannot do it"),
    ):
        child.wait_for_output("ready", 20)


def test_too_slow_is_an_error(module):
    with (
        Child("talker", module("import time\ntime.sleep(60)"), []) as child,
        pytest.raises(RobotError, match=r"ready within 0.3 s; it said nothing"),
    ):
        child.wait_for_output("ready", 0.3)


def test_one_that_will_not_end_is_killed(module, monkeypatch):
    monkeypatch.setattr("sonic_runtime.child._GRACE_S", 0.3)
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(60)"
    child = Child("talker", module(code), [])
    child.wait_for_output("deaf", 20)
    child.close()
    assert gone(child.pid)
    child.close()


def test_exception_in_the_block_ends_it(module):
    with pytest.raises(KeyError), Child("talker", module("import time\ntime.sleep(60)"), []) as child:
        raise KeyError
    assert gone(child.pid)


def test_ctrl_c_of_the_terminal_does_not_reach_it(module):
    with Child("talker", module("import time\nprint('up')\ntime.sleep(60)"), []) as child:
        child.wait_for_output("up", 20)
        assert os.getpgid(child.pid) != os.getpgid(0)
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.3)
        with pytest.raises(RobotError, match="KeyboardInterrupt"):
            child.require_alive()
