"""Which operator inputs a run has: nobody, a script that starts by itself, several devices as one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.ports import OperatorInput
from teleop.gamepad import Gamepad
from teleop.keyboard import Keyboard
from teleop.operator_device import Say, StopWhenLost
from teleop.wireless_remote import WirelessRemote


class NoOperator:
    """An OperatorInput that never asks for anything."""

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return no event."""
        return ()

    def close(self) -> None:
        """Nothing to release."""


class AutoStart:
    """An OperatorInput for runs without an operator: says start in the modes waiting and ready, and play after it."""

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what leads on from this mode."""
        if mode == "waiting":
            return (OperatorEvent("start", origin="auto"),)
        if mode == "ready":
            return OperatorEvent("start", origin="auto"), OperatorEvent("play", origin="auto")
        return ()

    def close(self) -> None:
        """Nothing to release."""


class Inputs:
    """Several operator inputs as one; each of them may stop the robot."""

    def __init__(self, inputs: Sequence[OperatorInput]) -> None:
        self._inputs = tuple(inputs)

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return the events of all inputs, in their order."""
        return [event for one in self._inputs for event in one.read(state, mode)]

    def close(self) -> None:
        """Close all inputs."""
        for one in self._inputs:
            one.close()

class OperatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may operate the robot; every input may stop it."""

    keyboard: bool
    """Keys of the terminal; ? shows them."""
    gamepad: bool
    """The first gamepad under /dev/input."""
    remote: bool
    """The robot's own wireless remote."""
    auto_start: bool
    """Start and play without an operator, for scripts with a simulator. Never on a robot."""
    stop_when_lost: StopWhenLost
    """What the loss of an input does: in_use stops the robot if that input was used in this run; always; never."""


def open_operator(config: OperatorConfig, say: Say) -> Inputs:
    """Open the inputs that are asked for.

    Args:
        config: which.
        say: where their messages go.
    """
    inputs: list[OperatorInput] = []
    if config.keyboard:
        inputs.append(Keyboard(say, config.stop_when_lost))
    if config.gamepad:
        inputs.append(Gamepad(say, config.stop_when_lost))
    if config.remote:
        inputs.append(WirelessRemote(say, config.stop_when_lost))
    if config.auto_start:
        inputs.append(AutoStart())
    return Inputs(inputs)
