"""Opens the robot of a run: the simulator inside the loop, one in a process of its own, or a G1 over DDS."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import msgspec

from sonic_runtime.clock import LockstepClock
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.ports import Clock, ReportSink, RobotPort
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.guard.warning import GuardWarning
from sonic_runtime.realtime import RealTimeConfig
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robot_io.simulated_robot import SimulatedRobot
from sonic_runtime.robot_io.unitree.config import UnitreeConfig
from sonic_runtime.robot_io.writer_link import WriterLink


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulated robot of robot=mujoco in real time."""

    start: Literal["hanging", "standing"]
    """hanging with all joints at zero, and the run waits for its operator; or standing in the default pose, and the
    policy takes over at once."""
    gantry: bool
    """Carry the robot until a policy takes over; false lets a robot that nobody commands fall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRobot:
    """A robot that can be used.

    Attributes:
        port: for the loop.
        begins: whether the run waits for its operator, or the robot stands already and the policy takes over at once.
        sinks: parts of the robot that want the reports.
        notes: what was found when it was opened, one line each.
        last_words: lines about the run when it is over.
        warnings: what is not well with the robot now, beside what the guard sees in its states.
        line: a phrase for the line that is kept up to date; empty where there is nothing to say.
    """

    port: RobotPort
    begins: Literal["waiting", "stand"]
    sinks: Sequence[ReportSink] = ()
    notes: Sequence[str] = ()
    last_words: Callable[[], list[str]] = list
    warnings: Callable[[], Sequence[GuardWarning]] = tuple
    line: Callable[[], str] = str


def open_mujoco(
    clock: Clock, simulator: SimulatorConfig, realtime: RealTimeConfig, guard: GuardConfig, opened: ExitStack
) -> OpenRobot:
    """Open the simulated robot.

    In lockstep it is part of the loop, stands already, and the run is the same every time. In real time it is a process
    of its own that moves whether anyone commands it or not, and a writer process stands between it and the loop, as on
    a robot.

    Args:
        clock: clock of the loop; decides between the two.
        simulator: how the robot begins.
        realtime: priorities and deadlines.
        guard: for the gain of damping.
        opened: what is opened is closed with it.

    Raises:
        RobotError: a process does not start.
    """
    if isinstance(clock, LockstepClock):
        return OpenRobot(port=MujocoSim(clock.now_ns), begins="stand")
    robot = SimulatedRobot(start=simulator.start, gantry=simulator.gantry, priority=realtime.priority)
    opened.callback(robot.close)
    link = WriterLink(robot.states(), robot.writer_output, robot.own_output, realtime, guard.damping_nm_s_per_rad)
    opened.callback(link.close)
    begins: Literal["waiting", "stand"] = "waiting" if simulator.start == "hanging" else "stand"

    def last_words() -> list[str]:
        warning = robot.status().warning
        return [warning] if warning else []

    return OpenRobot(port=link, begins=begins, sinks=[robot], notes=link.writer_notes(), last_words=last_words)


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotSettings:
    """What robots are opened with; each takes what concerns it."""

    clock: Clock
    simulator: SimulatorConfig
    unitree: UnitreeConfig
    realtime: RealTimeConfig
    guard: GuardConfig


def _mujoco(settings: RobotSettings, opened: ExitStack) -> OpenRobot:
    return open_mujoco(settings.clock, settings.simulator, settings.realtime, settings.guard, opened)


def _unitree(settings: RobotSettings, opened: ExitStack) -> OpenRobot:
    if isinstance(settings.clock, LockstepClock):
        raise ConfigError("clock=lockstep: expected real_time for robot=unitree; a robot keeps to real time")
    if importlib.util.find_spec("cyclonedds") is None:
        raise ConfigError("robot=unitree: expected the package cyclonedds, found none; pip install 'sonic-wbc[robot]'")
    # DDS is an extra of the installation
    from sonic_runtime.robot_io.unitree.port import open_unitree

    return open_unitree(settings.unitree, settings.realtime, settings.guard, opened)


ROBOTS: dict[str, Callable[[RobotSettings, ExitStack], OpenRobot]] = {"mujoco": _mujoco, "unitree": _unitree}
"""Robots by name."""


def open_robot(name: str, settings: RobotSettings, opened: ExitStack) -> OpenRobot:
    """Open a robot by name.

    Args:
        name: one of `ROBOTS`.
        settings: of the run.
        opened: what is opened is closed with it.

    Raises:
        ConfigError: there is no such robot.
        RobotError: it cannot be used.
    """
    if name not in ROBOTS:
        raise ConfigError(f"robot={name}: expected one of {', '.join(ROBOTS)}")
    return ROBOTS[name](settings, opened)
