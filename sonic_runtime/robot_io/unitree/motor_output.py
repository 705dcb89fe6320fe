"""The robot's motors over DDS: a JointTarget as a LowCmd, with the robot's own mode_machine echoed in every message."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from cyclonedds.core import DDSException
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, Bus
from sonic_runtime.robot_io.unitree.idl import LowCmd, message_of
from sonic_runtime.robot_io.unitree.layout import BODY_MOTORS, LowCmdFields, low_cmd_wire
from sonic_runtime.robot_io.unitree.low_state_feed import MODE_MACHINE_AT, LowStateFeed, low_state_reader

_MODE_PR = 0
"""Ankles and waist are commanded as pitch and roll, not as the two motors behind them."""


class UnitreeOutput:
    """Motors of a G1; a MotorOutput.

    Motors 29 to 34, which a G1 does not have, stay disabled.

    Args:
        interface: network interface.
        domain: DDS domain.
        group: as in `Bus`.
        crc: whether to believe only states whose checksum is right, when mode_machine is echoed.
        dry_run: build every message and send none; nobody on the network sees a publisher.
        wait_s: how long to wait for the robot's first state, which says what to echo [s].

    Attributes:
        built: messages built so far.

    Raises:
        RobotError: the network cannot be used, or the robot does not say what it is.
    """

    def __init__(
        self, interface: str, domain: int, group: str, crc: bool = True, dry_run: bool = False, wait_s: float = 5.0
    ) -> None:
        self.built = 0
        self._bus = Bus(interface, domain, group)
        participant = self._bus.participant
        # no listener: in the loop's process this connection is silent unless the writer is dead
        self._feed = LowStateFeed(crc=bool(crc), tick=False)
        self._reader = low_state_reader(self._bus)
        self._enabled = np.ones(BODY_MOTORS, dtype=bool)
        self._await_robot(wait_s)
        self._dry_run = bool(dry_run)
        self._writer: DataWriter | None = None
        # only now, so that a robot is never told anything by a program that does not know what it is
        if not dry_run:
            topic = Topic(participant, LOW_CMD, LowCmd)
            self._writer = DataWriter(participant, topic, self._bus.writer_qos())

    def write(self, target: JointTarget) -> None:
        """Send one LowCmd.

        Raises:
            RobotError: the network does not take it.
        """
        wire = low_cmd_of(target, self._mode_machine(), self._enabled)
        self.built += 1
        if self._dry_run:
            return
        if self._writer is None:
            raise RobotError(f"{LOW_CMD}: expected an open connection, this one was closed")
        try:
            self._writer.write(message_of(LowCmd, wire))
        except DDSException as error:
            raise RobotError(f"{LOW_CMD} on {self._bus.where()}: cannot send ({error})") from error

    def close(self) -> None:
        """Leave the topics; safe to call twice."""
        self._writer = None

    def _mode_machine(self) -> int:
        self._feed.take(self._reader)
        newest = self._feed.newest
        return 0 if newest is None else newest[1][MODE_MACHINE_AT]

    def _await_robot(self, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while self._feed.newest is None:
            self._feed.take(self._reader)
            if time.monotonic() > deadline:
                raise RobotError(
                    f"{LOW_STATE} on {self._bus.where()}: expected a message within {wait_s:g} s, for its mode_machine "
                    "must be in every command; got none"
                )
            time.sleep(0.005)


def low_cmd_of(target: JointTarget, mode_machine: int, enabled_hw: npt.NDArray[np.bool_]) -> bytes:
    """Return the bytes of the LowCmd that a target becomes, header included."""
    return low_cmd_wire(
        LowCmdFields(
            mode_pr=_MODE_PR,
            mode_machine=mode_machine,
            enabled_hw=enabled_hw,
            joint_pos_hw=target.joint_pos_hw,
            joint_vel_hw=target.joint_vel_hw,
            torque_ff_hw=target.torque_ff_hw,
            stiffness_hw=target.stiffness_hw,
            damping_hw=target.damping_hw,
        )
    )
