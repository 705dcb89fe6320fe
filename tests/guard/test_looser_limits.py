"""Limits looser than the shipped ones are told like checks that are off; limits in contradiction are refused."""

import msgspec
import pytest

from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.doctor.command import guard_findings
from sonic_runtime.guard.config import LOOSER, GuardConfig, LooserLimit, looser_limits, shipped_limits
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.run_config import RunConfig
from tests.fakes.parts import FakeRun, guard_config


def test_every_limit_declares_which_way_is_looser():
    assert set(LOOSER) == {field.name for field in msgspec.structs.fields(GuardConfig)} - {"off"}


def test_the_shipped_limits_are_not_looser_than_themselves():
    assert looser_limits(guard_config()) == {}
    assert shipped_limits() == guard_config()


@pytest.mark.parametrize("key", LOOSER)
def test_one_way_is_looser_and_the_other_is_not(key):
    shipped = getattr(shipped_limits(), key)
    # by a ten thousandth, which contradicts no other limit
    more, less = (shipped + 1, shipped - 1) if key == "motor_error_ticks" else (shipped * 1.0001, shipped * 0.9999)
    looser, tighter = (more, less) if LOOSER[key] == "higher" else (less, more)
    assert looser_limits(guard_config(**{key: looser})) == {key: LooserLimit(shipped=shipped, value=looser)}
    assert looser_limits(guard_config(**{key: tighter})) == {}


def test_the_summary_of_a_run_tells_them():
    run = FakeRun(tilt_rad=3.2)
    summary = Loop(run.parts).run(RunLimits(max_ticks=3, damping_ticks=1))
    assert msgspec.to_builtins(summary)["guard_looser"] == {"tilt_rad": {"shipped": 1.2, "value": 3.2}}


@pytest.mark.parametrize(("robot", "grade"), [("mujoco", "warning"), ("unitree", "failure")])
def test_the_doctor_tells_them(robot, grade):
    run = load_config("run", [f"robot={robot}", "guard.tilt_rad=3.2"], RunConfig)
    (found,) = guard_findings(run)
    assert (found.level, found.check) == (grade, "guard limits")
    assert "tilt_rad=3.2 (shipped 1.2)" in found.found


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"late_state_ms": 61.0}, "guard.late_state_ms=61: expected at most guard.stale_state_ms, which is 60"),
        ({"late_stream_ms": 600.0}, "guard.late_stream_ms=600: expected at most guard.stale_stream_ms"),
        ({"temperature_clear_c": 95.0}, "guard.temperature_clear_c=95: expected at most guard.temperature_warning_c"),
        ({"temperature_limit_c": 80.0}, "guard.temperature_warning_c=90: expected at most guard.temperature_limit_c"),
    ],
)
def test_limits_in_contradiction_are_refused(limits, says):
    with pytest.raises(ConfigError, match=says):
        load_config("run", [f"guard.{key}={value}" for key, value in limits.items()], RunConfig)
