"""The robot's motors over DDS: a JointTarget as a LowCmd, with the robot's own mode_machine echoed in every message."""

from __future__ import annotations

import time

import numpy as np
from cyclonedds.core import DDSException
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, Bus
from sonic_runtime.robot_io.unitree.idl import LowCmd, LowState, message_of, wire_of
from sonic_runtime.robot_io.unitree.layout import BODY_MOTORS, LowCmdFields, low_cmd_wire
from sonic_runtime.robot_io.unitree.state_input import Newest

_MODE_PR = 0
"""Ankles and waist are commanded as pitch and roll, not as the two motors behind them."""
_MODE_MACHINE_AT = 4 + 9
"""Place of mode_machine in a LowState with its header."""


class UnitreeOutput:
    """Motors of a G1; a MotorOutput.

    Motors 29 to 34, which a G1 does not have, stay disabled.

    Args:
        interface: network interface.
        domain: DDS domain.
        group: as in `Bus`.
        wait_s: how long to wait for the robot's first state, which says what to echo [s].

    Raises:
        RobotError: the network cannot be used, or the robot does not say what it is.
    """

    def __init__(self, interface: str, domain: int, group: str, wait_s: float = 5.0) -> None:
        self._bus = Bus(interface, domain, group)
        participant = self._bus.participant
        self._robot = Newest()
        self._reader = DataReader(
            participant, Topic(participant, LOW_STATE, LowState), self._bus.reader_qos(), self._robot
        )
        self._enabled = np.ones(BODY_MOTORS, dtype=bool)
        self._await_robot(wait_s)
        # only now, so that a robot is never told anything by a program that does not know what it is
        self._writer: DataWriter | None = DataWriter(
            participant, Topic(participant, LOW_CMD, LowCmd), self._bus.writer_qos()
        )

    def write(self, target: JointTarget) -> None:
        """Send one LowCmd.

        Raises:
            RobotError: the network does not take it.
        """
        if self._writer is None:
            raise RobotError(f"{LOW_CMD}: expected an open connection, this one was closed")
        try:
            self._writer.write(message_of(LowCmd, low_cmd_of(target, self._mode_machine(), self._enabled)))
        except DDSException as error:
            raise RobotError(f"{LOW_CMD} on {self._bus.where()}: cannot send ({error})") from error

    def close(self) -> None:
        """Leave the topics; safe to call twice."""
        self._writer = None

    def _mode_machine(self) -> int:
        arrival = self._robot.arrival
        return 0 if arrival is None else wire_of(arrival[1])[_MODE_MACHINE_AT]

    def _await_robot(self, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while self._robot.arrival is None:
            if time.monotonic() > deadline:
                raise RobotError(
                    f"{LOW_STATE} on {self._bus.where()}: expected a message within {wait_s:g} s, for its mode_machine "
                    "must be in every command; got none"
                )
            time.sleep(0.005)


def low_cmd_of(target: JointTarget, mode_machine: int, enabled_hw: np.ndarray) -> bytes:
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
