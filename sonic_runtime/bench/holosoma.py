"""The other side of a comparison: the policy loop of a holosoma_inference checkout, unchanged, on a transport of lists.

Runs in an interpreter that has the checkout's requirements and imports nothing of ours but `turns`. What cannot
be had without a robot is put in its place and named in the answer: the binding to the robot's SDK, and those modules
that are not touched in a tick. The loop timed is the runtime's own `run`, from the end of one sleep of its rate limiter
to the beginning of the next.
"""

from __future__ import annotations

import importlib
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sonic_runtime.bench.turns import (
    States,
    Stopwatch,
    TimedSession,
    answer_requests,
    load_states,
    take_standard_output,
)

CONFIG = "g1-29dof-wbt"
_BINDING = "unitree_interface"
_OUTSIDE_A_TICK = {
    "netifaces": "network addresses, read at the start",
    "sshkeyboard": "keys, in a thread of their own",
    "wandb": "downloads, at the start",
    "termcolor": "colours of log lines",
}


class _Numbers:
    """A bag of attributes, as messages of the binding are."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class _Robot:
    """The binding's robot: the states in turn, the last command kept."""

    def __init__(self, states: States) -> None:
        self._states = states
        self.index = 0
        self.command: Any = None

    def set_control_mode(self, mode: int) -> None:
        """Do nothing."""

    def get_control_mode(self) -> int:
        """Return the mode asked for."""
        return 0

    def read_low_state(self) -> _Numbers:
        """Return the state at `index`; `run` moves on."""
        index, states = self.index % len(self._states), self._states
        return _Numbers(
            imu=_Numbers(quat=states.base_quat_wxyz[index], omega=states.base_ang_vel_b[index]),
            motor=_Numbers(q=states.joint_pos[index], dq=states.joint_vel[index]),
        )

    def create_zero_command(self) -> _Numbers:
        """Return an empty command."""
        return _Numbers()

    def write_low_command(self, command: _Numbers) -> None:
        """Keep the command."""
        self.command = command

    def read_wireless_controller(self) -> None:
        """Return that nobody holds it."""


class _Rate:
    """In place of the rate limiter: its sleeps are the bounds of the ticks, and the last one ends the loop."""

    def __init__(self, watch: Stopwatch, robot: _Robot) -> None:
        self._watch, self._robot = watch, robot
        self.left = 0

    def sleep(self) -> None:
        """End a tick and begin the next; after the last one, leave as on Ctrl-C."""
        self.left -= 1
        if self.left <= 0:
            self._watch.wait()
            raise KeyboardInterrupt
        self._robot.index += 1
        self._watch.wait()


def stub_missing_modules(robot: _Robot) -> dict[str, str]:
    """Put the binding in its place, and a module without content where one is missing that no tick touches.

    Returns:
        What was put in its place, and why that is harmless.
    """
    binding: Any = types.ModuleType(_BINDING)
    binding.RobotType = binding.MessageType = binding.ControlMode = _Anything()
    binding.create_robot = lambda *arguments: robot
    sys.modules[_BINDING] = binding
    stubs = {_BINDING: "the robot itself: hands over and takes lists of numbers, sends nothing"}
    for name, why in _OUTSIDE_A_TICK.items():
        try:
            importlib.import_module(name)
        except ImportError:
            module: Any = types.ModuleType(name)
            module.listen_keyboard = None
            module.colored = lambda text, *arguments, **options: text
            sys.modules[name] = module
            stubs[name] = why
    return stubs


class _Anything:
    """An enumeration with every member."""

    def __getattr__(self, name: str) -> str:
        return name


def build_policy(checkout: Path, model: Path) -> Any:
    """Return holosoma's whole-body tracking policy on a model, in its own configuration.

    Args:
        checkout: folder that holds the package holosoma_inference.
        model: the ONNX file.
    """
    sys.path.insert(0, str(checkout))
    values = importlib.import_module("holosoma_inference.config.config_values.inference")
    policies = importlib.import_module("holosoma_inference.policies.wbt")
    config = values.DEFAULTS[CONFIG]
    config = replace(config, task=replace(config.task, model_path=str(model), interface="lo"))
    policy = policies.WholeBodyTrackingPolicy(config)
    policy.onnx_policy_session = TimedSession(policy.onnx_policy_session)
    return policy


def _start(policy: Any) -> None:
    """Stop, forget the last action, take headings and begin: what its keys o and ] do."""
    policy.handle_keyboard_button("o")
    policy.last_policy_action = np.zeros_like(policy.last_policy_action)
    policy.handle_keyboard_button("]")


def main(arguments: list[str]) -> None:
    """Measure as asked: checkout, ONNX file, file of states, "lockstep" or "real_time"."""
    checkout, model, states_file, clock_name = arguments
    answers = take_standard_output()
    states = load_states(Path(states_file))
    robot = _Robot(states)
    stubs = stub_missing_modules(robot)
    policy = build_policy(Path(checkout), Path(model))
    watch = Stopwatch(policy.onnx_policy_session, clock_name == "real_time")
    policy.rate = _Rate(watch, robot)

    def check() -> list[list[float]]:
        targets = []
        for robot.index in range(len(states)):
            _start(policy)
            policy.policy_action()
            targets.append([float(q) for q in robot.command.q_target])
        return targets

    def run(ticks: int) -> Stopwatch:
        robot.index = 0
        _start(policy)
        policy.handle_keyboard_button("s")
        policy.rate.left = ticks
        watch.begin()
        policy.run()
        return watch

    answer_requests(answers, {"name": "holosoma_inference", "stubs": stubs}, check, run)


if __name__ == "__main__":
    main(sys.argv[1:])
