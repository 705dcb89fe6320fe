"""Connections to a robot's motors and sensors, by name and settings, so that any process can open its own.

The writer's process and the loop's each have a connection to the motors: the loop uses its own only to damp, when the
writer is dead. A new kind of robot is one class and one line in `OUTPUTS`, and a `StateInput`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from sonic_runtime.contract.errors import ConfigError, RobotError
from sonic_runtime.contract.messages import JointTarget, RobotState
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter
from sonic_runtime.robot_io.records import MOTOR_COMMAND, ROBOT_STATE, put_target, state_of


class MotorOutput(Protocol):
    """An open connection to the motors; used by one thread of one process."""

    def write(self, target: JointTarget) -> None:
        """Send one message to the motors, at once. Raises RobotError where that fails."""
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


class StateInput(Protocol):
    """An open connection to the sensors."""

    def read(self) -> RobotState:
        """Return the newest state, at once. Raises RobotError where there is none."""
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to open a connection to the motors; travels to the writer's process as JSON."""

    kind: str
    """Name in `OUTPUTS`."""
    settings: dict[str, int | float | str] = {}
    """Arguments of the class behind the name."""
    fds: tuple[int, ...] = ()
    """File descriptors that a process needs to open it; they keep their numbers in a child process."""


class MailboxOutput:
    """Motors of a simulated robot on this machine, which reads its commands from a mailbox of `MOTOR_COMMAND`.

    Args:
        fd: descriptor of the mailbox; stays open and belongs to the caller.
    """

    def __init__(self, fd: int) -> None:
        self._box = MailboxWriter(fd, MOTOR_COMMAND)

    def write(self, target: JointTarget) -> None:
        """Put the target into the mailbox, stamped now."""
        put_target(self._box, target, time.monotonic_ns())

    def close(self) -> None:
        """Unmap the mailbox."""
        self._box.close()


class MailboxStates:
    """Sensors of a simulated robot on this machine, which puts its states into a mailbox of `ROBOT_STATE`.

    Args:
        fd: descriptor of the mailbox; stays open and belongs to the caller.
        require_alive: raises RobotError, saying why, where the robot's process has ended.
    """

    def __init__(self, fd: int, require_alive: Callable[[], None] = lambda: None) -> None:
        self._box = MailboxReader(fd, ROBOT_STATE)
        self._require_alive = require_alive
        self._last: tuple[int, RobotState] | None = None

    def read(self) -> RobotState:
        """Return the newest state; the same object while there is no newer one.

        Raises:
            RobotError: the robot's process has ended, or has given no state yet.
        """
        self._require_alive()
        record = self._box.newest()
        if record is not None and (self._last is None or record.number != self._last[0]):
            self._last = record.number, state_of(record)
        if self._last is None:
            raise RobotError("robot: expected a state, it has not measured any yet; wait until it has started")
        return self._last[1]

    def close(self) -> None:
        """Unmap the mailbox."""
        self._box.close()


def _unitree(**settings: Any) -> MotorOutput:
    # DDS is an extra of the installation
    from sonic_runtime.robot_io.unitree.motor_output import UnitreeOutput

    return UnitreeOutput(**settings)


OUTPUTS: dict[str, Callable[..., MotorOutput]] = {"mailbox": MailboxOutput, "unitree": _unitree}
"""Known connections to motors, by name."""


def mailbox_output(fd: int) -> OutputSpec:
    """Return how to open the motors behind a mailbox of `MOTOR_COMMAND`."""
    return OutputSpec(kind="mailbox", settings={"fd": fd}, fds=(fd,))


def open_output(spec: OutputSpec) -> MotorOutput:
    """Open a connection to the motors.

    Raises:
        ConfigError: there is no such kind.
        RobotError: it cannot be opened.
    """
    if spec.kind not in OUTPUTS:
        raise ConfigError(f"motor output {spec.kind!r}: expected one of {', '.join(OUTPUTS)}")
    return OUTPUTS[spec.kind](**spec.settings)


def close_fds(*fds: int) -> None:
    """Close file descriptors that may be closed already."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue
