"""The operator's devices as configured, as one input."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.ports import OperatorInput
from teleop.gamepad import DEVICES, Gamepad
from teleop.keyboard import Keyboard
from teleop.operator_device import Say, StopWhenLost
from teleop.operator_inputs import AutoStart, Inputs, NoEarlyStart
from teleop.wireless_remote import WirelessRemote


class OperatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who operates the robot."""

    keyboard: bool
    """Keys of the terminal; ? lists them. Ignored where standard input is no terminal."""
    gamepad: bool
    """A gamepad, plugged in at any time."""
    remote: bool
    """The robot's own wireless remote."""
    command: bool
    """The command and manager_state topics of the stream's sender."""
    auto_start: bool
    """Start and play without being asked; for simulators."""
    stop_when_lost: StopWhenLost
    """What the loss of a device leads to while the robot moves: in_use stops it where the device has been used or is
    the only one, always stops it, never leaves it to the other inputs."""


def open_station(config: OperatorConfig, say: Say, topics: Sequence[OperatorInput] = ()) -> Inputs:
    """Open the devices of the operator.

    The terminal is opened first, and it is there or not; a gamepad or a remote may come later. A device that is the
    only one stops the robot when it is lost, used or not. A start from before the first tick does not count.

    Args:
        config: which devices.
        say: where their messages go; called from other threads too.
        topics: inputs from the network, opened already; closed with the station.

    Raises:
        ConfigError: nobody and nothing could start the robot.
    """
    if not (config.keyboard or config.gamepad or config.remote or config.auto_start or topics):
        raise ConfigError(
            "operator: expected keyboard, gamepad, remote, command or auto_start to be true; nobody could start"
        )
    others = config.gamepad + config.remote
    inputs: list[OperatorInput] = list(topics)
    with ExitStack() as opened:
        terminal = False
        if config.keyboard:
            keyboard = Keyboard(say, _when(config, only=not others))
            opened.callback(keyboard.close)
            inputs.append(keyboard)
            terminal = keyboard.open
        only = others == 1 and not terminal
        if config.gamepad:
            gamepad = Gamepad(say, _when(config, only=only), DEVICES)
            opened.callback(gamepad.close)
            inputs.append(gamepad)
        if config.remote:
            inputs.append(WirelessRemote(say, _when(config, only=only)))
        opened.pop_all()
    operated = NoEarlyStart(Inputs(inputs), say)
    return Inputs([operated, AutoStart()] if config.auto_start else [operated])


def _when(config: OperatorConfig, *, only: bool) -> StopWhenLost:
    return "always" if only and config.stop_when_lost == "in_use" else config.stop_when_lost
