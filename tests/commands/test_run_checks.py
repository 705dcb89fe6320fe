"""What sonic-run refuses before it opens anything, and what it leaves behind where a bug ends it."""

import io
import json

import pytest

from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.run import run
from sonic_runtime.run_checks import require_safe_on_robot
from sonic_runtime.run_config import RunConfig
from sonic_runtime.status import Status
from tests.fakes.random_policy import write_random_policy

ROBOT = ("robot=unitree", "interface=enp2s0")
SIMULATED = ("robot=unitree", "interface=lo")


def config(*overrides: str) -> RunConfig:
    return load_config("run", overrides, RunConfig)


@pytest.mark.parametrize("robot", [ROBOT, SIMULATED])
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("ramp_s=0", "ramp_s=0: expected at least 1 s for robot=unitree"),
        ("ramp_s=0.99", "ramp_s=0.99: expected at least 1 s"),
        ("blend_s=0", "blend_s=0: expected at least 0.1 s for robot=unitree"),
    ],
)
def test_a_jump_of_the_target_is_refused_on_a_robot(tmp_path, robot, override, says):
    with pytest.raises(ConfigError, match=says):
        run(config(*robot, override, "policy=none_such", f"run_dir={tmp_path}/run"), lambda: True, io.StringIO())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overrides", [("interface=enp2s0",), ("interface=null",), ("unitree.interface=x",)])
def test_a_robot_is_not_started_by_the_program(overrides):
    with pytest.raises(ConfigError, match=r"operator.auto_start=true: expected false for robot=unitree on the"):
        require_safe_on_robot(config("robot=unitree", "operator.auto_start=true", *overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ROBOT,
        (*ROBOT, "ramp_s=1", "blend_s=0.1"),
        (*SIMULATED, "operator.auto_start=true"),
        ("ramp_s=0", "blend_s=0", "operator.auto_start=true"),
    ],
)
def test_what_is_sound_passes(overrides):
    require_safe_on_robot(config(*overrides))


def test_a_bug_leaves_the_summary_and_its_traceback(tmp_path, monkeypatch):
    policy = write_random_policy(tmp_path / "policy", action_gain=0.0)

    def divide(self, report):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Status, "put", divide)
    overrides = ["clock=lockstep", "goals.source=stand", "duration_s=0.2", "output.endpoint=null"]
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(config(f"policy={policy}", *overrides, f"run_dir={tmp_path}/run"), lambda: False, io.StringIO())
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["stop_reason"], summary["active_ticks"]) == ("duration", 10)
    assert "control" not in summary
