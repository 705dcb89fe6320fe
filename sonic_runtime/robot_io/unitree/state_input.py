"""The robot's sensors over DDS: newest LowState, checked, as a RobotState.

cyclonedds' receive thread notes the time of arrival and keeps the bytes; everything else happens when the loop reads.
A message that fails a check is dropped and counted, so that a stream of bad messages gets old and the guard damps;
what says that this is the wrong robot, or that somebody else commands it, is an error at once.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated, Any

import msgspec
import numpy as np
from cyclonedds.core import Listener
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array, RobotState
from sonic_runtime.robot_io.unitree.bus import LOW_CMD, LOW_STATE, TORSO_IMU, Bus
from sonic_runtime.robot_io.unitree.crc import low_state_crc
from sonic_runtime.robot_io.unitree.idl import ImuState, LowState, wire_of
from sonic_runtime.robot_io.unitree.layout import LOW_STATE_BYTES, LowStateFields, low_state_fields, payload_of

MODE_MACHINES: dict[int, str] = {
    5: "29 joints, rev 1.0",
    11: "29 joints, hip gear 22.5",
}
"""Variants of the G1 that a policy for 29 joints was made for; README of Unitree's g1_description."""
OTHER_MACHINES: dict[int, str] = {
    1: "23 joints (deprecated)",
    2: "29 joints (deprecated)",
    3: "waist locked (deprecated)",
    4: "23 joints, rev 1.0",
    6: "waist locked, rev 1.0",
    9: "two arms without legs",
    10: "23 joints, hip gear 22.5",
    12: "waist locked, hip gear 22.5",
}
_PEER_CHECK_S = 1.0


class StateChecks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a LowState must satisfy; each can be relaxed by name for a simulator that leaves it empty."""

    crc: bool
    """The checksum is right."""
    tick: bool
    """The count of messages goes on; one that stands still is a frozen sender."""
    mode_machine: bool
    """The variant of the robot is one that policies for 29 joints are made for."""
    torso_imu: bool
    """The IMU of the torso sends too."""
    first_state_s: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)]
    """How long to wait for the first message [s]."""

    def relaxed(self) -> list[str]:
        """Return the names of the checks that are off."""
        return [name for name in ("crc", "tick", "mode_machine", "torso_imu") if not getattr(self, name)]


class Newest(Listener):
    """Keeps the newest message of a reader and when it came; called by cyclonedds' receive thread.

    Attributes:
        arrival: time [ns, monotonic] and message; None before the first.
        count: messages so far.
    """

    def __init__(self) -> None:
        self.arrival: tuple[int, Any] | None = None
        self.count = 0
        super().__init__()

    def on_data_available(self, reader: DataReader) -> None:
        """Take what has come."""
        for message in reader.take(N=1):
            self.arrival = time.monotonic_ns(), message
            self.count += 1


class UnitreeStates:
    """Sensors of a G1; a StateInput.

    Args:
        bus: the network; other participants of the same group may command the robot, nobody else.
        checks: what messages must satisfy.

    Attributes:
        dropped: messages that were not used, by reason.
        mode_machine: variant of the robot.

    Raises:
        RobotError: no state comes, it is another robot, or somebody else commands it.
    """

    def __init__(self, bus: Bus, checks: StateChecks) -> None:
        self.dropped: Counter[str] = Counter()
        self.mode_machine = 0
        self._bus = bus
        self._checks = checks
        self._low, self._torso = Newest(), Newest()
        self._readers = [
            DataReader(bus.participant, Topic(bus.participant, LOW_STATE, LowState), bus.reader_qos(), self._low),
            DataReader(bus.participant, Topic(bus.participant, TORSO_IMU, ImuState), bus.reader_qos(), self._torso),
        ]
        self._seen = 0
        self._tick: int | None = None
        self._state: RobotState | None = None
        self._peers_checked_s = time.monotonic()
        self._await_first_state()
        self._require_alone()

    @property
    def received(self) -> int:
        """Messages of rt/lowstate so far."""
        return self._low.count

    def read(self) -> RobotState:
        """Return the newest state that passed the checks, stamped with its arrival.

        Raises:
            RobotError: it is not the robot the policy is for, or another program commands it too.
        """
        if self._low.count != self._seen:
            self._seen = self._low.count
            self._take()
        if time.monotonic() - self._peers_checked_s > _PEER_CHECK_S:
            self._peers_checked_s = time.monotonic()
            self._require_alone()
        if self._state is None:
            raise RobotError(self._why_no_state())
        return self._state

    def torso_imu(self) -> tuple[int, Array, Array] | None:
        """Return arrival [ns], orientation wxyz (4,) and gyro (3,) [rad/s] of the torso; None while it is silent."""
        arrival = self._torso.arrival
        if arrival is None:
            return None
        stamp_ns, message = arrival
        return stamp_ns, np.array(message.quaternion, dtype=np.float64), np.array(message.gyroscope, dtype=np.float64)

    def close(self) -> None:
        """Leave the topics; safe to call twice."""
        self._readers.clear()

    def _take(self) -> None:
        arrival = self._low.arrival
        if arrival is None:
            return
        stamp_ns, message = arrival
        try:
            payload = payload_of(wire_of(message), LOW_STATE_BYTES, LOW_STATE)
        except RobotError:
            self.dropped["layout"] += 1
            return
        fields = low_state_fields(payload)
        if self._checks.crc and fields.crc != low_state_crc(payload):
            self.dropped["crc"] += 1
            return
        if self._checks.tick and fields.tick == self._tick:
            self.dropped["tick"] += 1
            return
        self._tick = fields.tick
        self._require_machine(fields)
        self._state = _state_of(fields, stamp_ns)

    def _require_machine(self, fields: LowStateFields) -> None:
        self.mode_machine = fields.mode_machine
        if not self._checks.mode_machine or fields.mode_machine in MODE_MACHINES:
            return
        known = ", ".join(f"{number} ({what})" for number, what in MODE_MACHINES.items())
        what = OTHER_MACHINES.get(fields.mode_machine, "unknown to this program")
        raise RobotError(
            f"robot: expected mode_machine {known}, it says {fields.mode_machine} ({what}); the policy moves 29 joints "
            "and would be wrong on it. For a simulator that leaves the number empty: unitree.checks.mode_machine=false"
        )

    def _require_alone(self) -> None:
        _, foreign = self._bus.publishers(LOW_CMD)
        if foreign:
            raise RobotError(
                f"{LOW_CMD} on {self._bus.where()}: expected to be the only controller, found {foreign} other "
                "publisher(s); two controllers fight over the motors. Stop the other program; if it is the robot's own "
                "controller, let it go (unitree.release_stock_controller=true)"
            )

    def _await_first_state(self) -> None:
        deadline = time.monotonic() + self._checks.first_state_s
        while self._state is None:
            if self._low.count != self._seen:
                self._seen = self._low.count
                self._take()
            elif time.monotonic() > deadline:
                self.close()
                raise RobotError(self._why_no_state())
            else:
                time.sleep(0.005)

    def _why_no_state(self) -> str:
        where, waited = self._bus.where(), self._checks.first_state_s
        if self.dropped:
            reasons = ", ".join(f"{count} for {reason}" for reason, count in self.dropped.items())
            return (
                f"{LOW_STATE} on {where}: messages came, none passed the checks ({reasons}); a simulator that leaves "
                "checksum or tick empty needs unitree.checks.crc=false or unitree.checks.tick=false"
            )
        if sum(self._bus.publishers(LOW_STATE)):
            return (
                f"{LOW_STATE} on {where}: there is a publisher, but no message in {waited:g} s; is the robot starting "
                "up, is a firewall between, or is its message type another one?"
            )
        return (
            f"{LOW_STATE} on {where}: nobody publishes it; is the robot on, is this the interface with its cable "
            "(192.168.123.x), and is the domain right (0 on the robot, 1 with Unitree's simulators)?"
        )


def _state_of(fields: LowStateFields, stamp_ns: int) -> RobotState:
    return RobotState(
        stamp_ns=stamp_ns,
        joint_pos_hw=fields.joint_pos_hw,
        joint_vel_hw=fields.joint_vel_hw,
        base_quat_wxyz=fields.quat_wxyz,
        base_ang_vel_b=fields.gyro_b,
        joint_torque_hw=fields.joint_torque_hw,
        motor_temperature_c_hw=fields.temperature_c_hw,
        motor_error_hw=fields.motor_error_hw,
        wireless_remote=fields.wireless_remote,
    )
