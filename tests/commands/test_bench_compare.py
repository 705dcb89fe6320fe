"""sonic-bench compare: against a double of holosoma_inference, and against the real one where there is a checkout."""

import json
import os
import sys
import textwrap
from pathlib import Path

import pytest

from sonic_runtime.bench.compare import CompareConfig, compare, find_checkout, main
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError, ContractError, RobotError
from tests.fakes.imported_files import holosoma_config, holosoma_file

CHECKOUT = os.environ.get("SONIC_HOLOSOMA", "")
PYTHON = os.environ.get("SONIC_HOLOSOMA_PYTHON", sys.executable)


def write_double(folder: Path, pose_error: float = 0.0) -> Path:
    """A package with the same seams, whose policy is ours behind their binding."""
    package = folder / "holosoma_inference"
    for name in ("", "config", "config/config_values", "policies"):
        (package / name).mkdir(parents=True, exist_ok=True)
        (package / name / "__init__.py").write_text("")
    (package / "config" / "config_values" / "inference.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import dataclass

            @dataclass(frozen=True)
            class Task:
                model_path: str = ""
                interface: str = ""

            @dataclass(frozen=True)
            class Config:
                task: Task = Task()

            DEFAULTS = {"g1-29dof-wbt": Config()}
            """
        )
    )
    (package / "policies" / "wbt.py").write_text(
        textwrap.dedent(
            f"""
            import numpy as np
            import sshkeyboard
            import unitree_interface
            from controllers.imported import load_imported
            from sonic_runtime.contract.messages import RobotState

            class WholeBodyTrackingPolicy:
                def __init__(self, config):
                    print("a line that belongs to nobody")
                    assert config.task.interface == "lo"
                    self.binding = unitree_interface.create_robot("lo", unitree_interface.RobotType.G1, None)
                    self.tracker = load_imported(config.task.model_path)
                    self.onnx_policy_session = self.tracker.policy.session
                    self.last_policy_action = np.zeros((1, 29))
                    self.rate = None

                def handle_keyboard_button(self, key):
                    assert key in "o]s"
                    if key == "]":
                        self.tracker.reset()
                        self.tracker.policy.session = self.onnx_policy_session

                def policy_action(self):
                    state = self.binding.read_low_state()
                    measured = RobotState(
                        stamp_ns=0,
                        joint_pos_hw=np.array(state.motor.q),
                        joint_vel_hw=np.array(state.motor.dq),
                        base_quat_wxyz=np.array(state.imu.quat),
                        base_ang_vel_b=np.array(state.imu.omega),
                        joint_torque_hw=np.zeros(29),
                    )
                    command = self.binding.create_zero_command()
                    target = self.tracker.act(measured, None).target
                    command.q_target = list(target.joint_pos_hw + {pose_error})
                    self.binding.write_low_command(command)

                def run(self):
                    try:
                        while True:
                            self.policy_action()
                            self.rate.sleep()
                    except KeyboardInterrupt:
                        pass
            """
        )
    )
    return folder


def config(*overrides) -> CompareConfig:
    return load_config("bench_compare", ["ticks=20", "rounds=2", "warm_up_ticks=2", *overrides], CompareConfig)


@pytest.fixture
def policy(tmp_path):
    return holosoma_file(holosoma_config()).write(tmp_path / "policy.onnx")


def test_both_sides_are_timed_on_the_same_work(tmp_path, policy, capsys):
    folder = write_double(tmp_path / "double")
    assert main([f"runtime={folder}", f"policy={policy}", "ticks=20", "rounds=2", "warm_up_ticks=2"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert any("stand-in for unitree_interface" in line for line in table)
    assert any("joint targets differ by at most" in line for line in table)
    numbers = json.loads(last)
    assert numbers["runtime"] == "holosoma_inference"
    assert numbers["ticks"] == 40
    assert numbers["target_difference_rad"] < 1e-9
    for side in (numbers["theirs"], numbers["ours"]):
        assert 0.0 < side["inference_p50_ms"] < side["tick_p50_ms"] <= side["tick_p99_ms"]
        assert side["rest_p50_ms"] < side["tick_p50_ms"]
    ratio = numbers["theirs"]["tick_p50_ms"] / numbers["ours"]["tick_p50_ms"]
    assert numbers["tick_ratio_p50"] == pytest.approx(ratio, rel=0.02)


def test_sides_that_do_not_do_the_same_are_not_compared(tmp_path, policy):
    folder = write_double(tmp_path / "double", pose_error=0.01)
    with pytest.raises(
        ContractError, match=r"do not do the same: on state \d+ the target of \w+_joint is .* there and"
    ):
        compare(config(f"runtime={folder}", f"policy={policy}"))


def test_real_time_leaves_twenty_milliseconds_a_tick(tmp_path, policy):
    folder = write_double(tmp_path / "double")
    result = compare(config(f"runtime={folder}", f"policy={policy}", "clock=real_time", "rounds=1"))
    assert result.line()["clock"] == "real_time"
    # the waits are not part of a tick
    assert result.theirs.tick.p50_ms < 15.0
    assert result.ours.tick.p50_ms < 15.0


def test_what_is_not_there_is_said(tmp_path, policy):
    with pytest.raises(ConfigError, match="runtime: expected the folder of a checkout"):
        compare(config())
    with pytest.raises(ConfigError, match="expected a checkout of holosoma_inference, found no such folder"):
        find_checkout(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="found none in this folder"):
        find_checkout(tmp_path)
    folder = write_double(tmp_path / "double")
    with pytest.raises(ConfigError, match="policy=None: expected an ONNX file, found none"):
        compare(config(f"runtime={folder}"))
    with pytest.raises(ConfigError, match="expected a Python interpreter"):
        compare(config(f"runtime={folder}", f"policy={policy}", f"python={tmp_path / 'python'}"))


def test_a_side_that_fails_says_why(tmp_path, policy):
    folder = write_double(tmp_path / "double")
    (folder / "holosoma_inference" / "policies" / "wbt.py").write_text("import pinocchio_of_another_world")
    with pytest.raises(RobotError, match=r"No module named 'pinocchio_of_another_world'.*say python=INTERPRETER"):
        compare(config(f"runtime={folder}", f"policy={policy}"))


@pytest.mark.benchmark
@pytest.mark.skipif(not CHECKOUT, reason="SONIC_HOLOSOMA does not name a checkout of holosoma")
def test_holosoma_itself_computes_the_same_targets():
    result = compare(config(f"runtime={CHECKOUT}", f"python={PYTHON}"))
    assert result.runtime == "holosoma_inference"
    assert result.target_difference_rad < 1e-5
