"""A G1 over DDS as the robot of a run: its sensors here, its motors behind the writer's process, its hands."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from sonic_runtime.contract.errors import ConfigError, RobotError
from sonic_runtime.contract.messages import TickReport
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.open_robot import OpenRobot
from sonic_runtime.realtime import RealTimeConfig
from sonic_runtime.robot_io.motor_output import OutputSpec
from sonic_runtime.robot_io.unitree.bus import TORSO_IMU, Bus, has_link, hurry_receive_threads
from sonic_runtime.robot_io.unitree.config import UnitreeConfig
from sonic_runtime.robot_io.unitree.hands import Hands
from sonic_runtime.robot_io.unitree.motion_switcher import release_stock_controller
from sonic_runtime.robot_io.unitree.other_controllers import OtherControllers
from sonic_runtime.robot_io.unitree.state_input import MODE_MACHINES, UnitreeStates
from sonic_runtime.robot_io.unitree.vitals import Vitals
from sonic_runtime.robot_io.writer_link import WriterLink
from sonic_runtime.robots import g1

_TORSO_WAIT_S = 1.0
_LISTEN_S = 0.5
"""Finding a publisher takes some tenths of a second; commands come at least every 20 ms."""


def open_unitree(config: UnitreeConfig, realtime: RealTimeConfig, guard: GuardConfig, opened: ExitStack) -> OpenRobot:
    """Reach a G1 over DDS; nothing is sent to its motors before the loop's first command.

    In this order: the message types are checked, the robot's states are read and checked, the stock controller is let
    go, nobody else may send commands, then the writer starts.

    Args:
        config: network and checks.
        realtime: priorities and deadlines.
        guard: for the gain of damping.
        opened: what is opened is closed with it.

    Raises:
        ConfigError: no interface is named.
        RobotError: the network or the robot cannot be used.
    """
    bus = open_bus(config)
    states = UnitreeStates(bus, config.checks)
    opened.callback(states.close)
    _require_torso(config, states, bus)
    vitals = Vitals(bus, config.battery_warning_percent)
    opened.callback(vitals.close)
    notes = [f"robot: G1 with mode_machine {states.mode_machine}{_variant(states)} on {bus.where()}"]
    if relaxed := config.checks.relaxed():
        notes.append(f"CHECKS OF THE ROBOT ARE OFF: {', '.join(relaxed)} (unitree.checks)")
    if config.releases():
        released = release_stock_controller(bus)
        notes += [f"robot: its controller {name!r} was let go" for name in released]
    others = OtherControllers(bus)
    opened.callback(others.close)
    notes += _look_at_others(config, states, others)
    sinks: list[Hands | Vitals | WouldSend] = [vitals]
    if config.hands:
        hands = Hands(bus, config.dry_run)
        opened.callback(hands.close)
        sinks.append(hands)
        notes += hands.notes()
    would = WouldSend(states.mode_machine)
    if config.dry_run:
        sinks.append(would)
        notes.append("DRY RUN: everything is read, nothing is sent; the robot does what it did before")
    output = output_spec(config, bus)
    link = WriterLink(states, output, output, realtime, guard.damping_nm_s_per_rad)
    opened.callback(link.close)
    if realtime.priority and not hurry_receive_threads(realtime.priority):
        notes.append("DDS: its receive threads run at ordinary priority; SCHED_FIFO is not permitted")
    vitals.look()
    notes += [f"robot: {vitals.line()}", *link.writer_notes()]

    def last_words() -> list[str]:
        return [*([would.line()] if config.dry_run else []), *_about_messages(states, bus)]

    return OpenRobot(
        port=link,
        begins="waiting",
        sinks=sinks,
        notes=notes,
        last_words=last_words,
        warnings=vitals.warnings,
        line=would.line if config.dry_run else str,
    )


def open_bus(config: UnitreeConfig) -> Bus:
    """Join the robot's network.

    Raises:
        ConfigError: no interface is named.
        RobotError: it cannot be used.
    """
    if config.interface is None:
        raise ConfigError(
            "interface: expected the network interface with the robot's cable, found null; `ip -br addr` lists "
            "them, the robot's is the one with an address 192.168.123.x; lo is for sonic-sim"
        )
    return Bus(config.interface, config.domain, f"{os.getpid()}-{secrets.token_hex(4)}")


def output_spec(config: UnitreeConfig, bus: Bus) -> OutputSpec:
    """Return how any process of this run opens the motors."""
    settings: dict[str, int | float | str] = {
        "interface": bus.interface,
        "domain": bus.domain,
        "group": bus.group,
        "crc": int(config.checks.crc),
        "dry_run": int(config.dry_run),
    }
    return OutputSpec(kind="unitree", settings=settings)


class WouldSend:
    """A ReportSink that keeps what a dry run would have told the motors.

    Args:
        mode_machine: what the commands would echo.
    """

    def __init__(self, mode_machine: int) -> None:
        self._mode_machine = mode_machine
        self._report: TickReport | None = None
        self._ticks = 0

    def put(self, report: TickReport) -> None:
        """Take one report."""
        self._report = report
        self._ticks += 1

    def line(self) -> str:
        """Return a phrase about the last target: its largest step and torque, and where."""
        report = self._report
        if report is None:
            return "dry run: nothing to send yet"
        target, state = report.target, report.state
        step = target.joint_pos_hw - state.joint_pos_hw
        torque = (
            target.stiffness_hw * step
            + target.damping_hw * (target.joint_vel_hw - state.joint_vel_hw)
            + target.torque_ff_hw
        )
        most = int(np.abs(torque).argmax())
        kind = "damping" if not target.stiffness_hw.any() else "targets"
        return (
            f"dry run, nothing is sent: {kind}, mode_machine {self._mode_machine}, largest torque {torque[most]:+.1f} "
            f"N m at {g1.JOINT_NAMES_HW[most]} ({step[most]:+.2f} rad from where it is); {self._ticks} ticks"
        )


def _variant(states: UnitreeStates) -> str:
    name = MODE_MACHINES.get(states.mode_machine)
    return f" ({name})" if name else ""


def _require_torso(config: UnitreeConfig, states: UnitreeStates, bus: Bus) -> None:
    if not config.checks.torso_imu:
        return
    deadline = time.monotonic() + _TORSO_WAIT_S
    while states.torso_imu() is None:
        if time.monotonic() > deadline:
            raise RobotError(
                f"{TORSO_IMU} on {bus.where()}: expected the IMU of the torso within {_TORSO_WAIT_S:g} s, got nothing; "
                "a robot without it is damaged or not a G1. A simulator without it: unitree.checks.torso_imu=false"
            )
        time.sleep(0.01)


def _look_at_others(config: UnitreeConfig, states: UnitreeStates, others: OtherControllers) -> Sequence[str]:
    if config.dry_run or not config.checks.alone:
        heard = others.listen(_LISTEN_S)
        return [f"other programs command the motors now ({heard} messages heard)"] if heard else []
    others.require_silence(_LISTEN_S)
    states.others = others
    note = others.note()
    return [note] if note else []


def _about_messages(states: UnitreeStates, bus: Bus) -> list[str]:
    lines = []
    if states.dropped:
        reasons = ", ".join(f"{count} for {reason}" for reason, count in states.dropped.items())
        lines.append(f"robot: {states.received} states came, not used: {reasons}")
    if not has_link(bus.interface):
        lines.append(f"robot: {bus.interface} has no link now; is the cable still plugged in at both ends?")
    return lines
