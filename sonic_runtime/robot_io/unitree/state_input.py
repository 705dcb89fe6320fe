"""The robot's sensors over DDS: the newest good LowState as a RobotState.

What is bad is dropped on arrival (`low_state_feed`) and gets old in the eyes of the guard. What says that this is the
wrong robot, or that somebody else commands it, is an error at once.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter
from typing import Any

from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.robot_io.unitree.bus import LOW_STATE, TORSO_IMU, Bus, has_link
from sonic_runtime.robot_io.unitree.config import StateChecks
from sonic_runtime.robot_io.unitree.idl import ImuState, wire_of
from sonic_runtime.robot_io.unitree.layout import LowStateFields, low_state_fields
from sonic_runtime.robot_io.unitree.layout_small import ImuFields, imu_fields
from sonic_runtime.robot_io.unitree.low_state_feed import MODE_MACHINE_AT, LowStateFeed, low_state_reader
from sonic_runtime.robot_io.unitree.other_controllers import OtherControllers

MODE_MACHINES: dict[int, str] = {
    5: "29 joints, rev 1.0",
    11: "29 joints, hip gear 22.5",
}
"""Variants of the G1 that a policy for 29 joints was made for; README of Unitree's g1_description."""
OTHER_MACHINES: dict[int, str] = {
    0: "a simulator that leaves it empty",
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
_SILENT_NS = 500_000_000
_POLL_S = 0.005


class UnitreeStates:
    """Sensors of a G1; a StateInput.

    Args:
        bus: the network; other participants of the same group may command the robot, nobody else.
        checks: what messages must satisfy.

    Attributes:
        others: who else commands the motors; looked at once a second where it is set.

    Raises:
        RobotError: no good state comes, or it is another robot.
    """

    def __init__(self, bus: Bus, checks: StateChecks) -> None:
        self.others: OtherControllers | None = None
        self._bus = bus
        self._checks = checks
        self._feed = LowStateFeed(checks.crc, checks.tick)
        torso_topic = Topic(bus.participant, TORSO_IMU, ImuState)
        self._torso_reader: Any = DataReader(bus.participant, torso_topic, bus.reader_qos())
        self._readers = [low_state_reader(bus, self._feed), self._torso_reader]
        # cyclonedds waits for a listener when its reader is deleted, and at the end of the interpreter none can run
        weakref.finalize(self, self._readers.clear)
        self._torso: tuple[int, ImuFields] | None = None
        self._newest: tuple[int, bytes] | None = None
        self._state: RobotState | None = None
        self._peers_checked_s = time.monotonic()
        try:
            self._await_first_state()
        except RobotError:
            self.close()
            raise

    @property
    def received(self) -> int:
        """Messages of rt/lowstate so far."""
        return self._feed.received

    @property
    def dropped(self) -> Counter[str]:
        """Messages that were not used, by reason."""
        return self._feed.dropped

    @property
    def mode_machine(self) -> int:
        """Variant of the robot, as it says; 0 before the first state."""
        return 0 if self._newest is None else self._newest[1][MODE_MACHINE_AT]

    def fields(self) -> LowStateFields:
        """Return everything the newest good state says.

        Raises:
            RobotError: there is none.
        """
        if self._feed.newest is None:
            raise RobotError(self.why_no_state())
        return low_state_fields(self._feed.newest[1])

    def read(self) -> RobotState:
        """Return the newest state that passed the checks, stamped with its arrival; the same object while it is that.

        Raises:
            RobotError: it is not the robot the policy is for, or another program commands it too.
        """
        newest = self._feed.newest
        if newest is not None and newest is not self._newest:
            self._newest = newest
            fields = low_state_fields(newest[1])
            if self._checks.mode_machine:
                require_machine(fields.mode_machine)
            self._state = _state_of(fields, newest[0])
        if time.monotonic() - self._peers_checked_s > _PEER_CHECK_S:
            self._peers_checked_s = time.monotonic()
            self.require_peers()
        if self._state is None:
            raise RobotError(self.why_no_state())
        return self._state

    def torso_imu(self) -> tuple[int, ImuFields] | None:
        """Return what the torso's IMU said last, and when it was looked at [ns]; None while it is silent."""
        for message in self._torso_reader.take(N=1):
            if isinstance(message, ImuState):
                self._torso = time.monotonic_ns(), imu_fields(wire_of(message))
        if self._torso is None or time.monotonic_ns() - self._torso[0] > _SILENT_NS:
            return None
        return self._torso

    def require_peers(self) -> None:
        """Check that there is one robot, and that nobody else commands it.

        Raises:
            RobotError: there are more, or somebody does.
        """
        if self._checks.one_robot and (robots := self._bus.publishers(LOW_STATE).count) > 1:
            raise RobotError(
                f"{LOW_STATE} on {self._bus.where()}: expected one robot, found {robots} programs that publish states; "
                "end the simulator, or use another domain for it"
            )
        if self.others is not None:
            self.others.require_silence()

    def close(self) -> None:
        """Leave the topics; safe to call twice."""
        self._readers.clear()

    def _await_first_state(self) -> None:
        # the first messages of a robot can carry another mode_machine than all later ones
        deadline = time.monotonic() + self._checks.first_state_s
        while True:
            newest = self._feed.newest
            known = newest is not None and newest[1][MODE_MACHINE_AT] in MODE_MACHINES
            if newest is not None and (known or not self._checks.mode_machine):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)
        self.read()
        self.require_peers()

    def why_no_state(self) -> str:
        """Return why there is no state, as far as can be told from here."""
        where = self._bus.where()
        if not has_link(self._bus.interface):
            return f"{LOW_STATE} on {where}: the interface has no link; is the cable plugged in at both ends?"
        if self.dropped:
            reasons = ", ".join(f"{count} for {reason}" for reason, count in self.dropped.items())
            return (
                f"{LOW_STATE} on {where}: messages came, none passed the checks ({reasons}); a simulator that leaves "
                "checksum or tick empty needs unitree.checks.crc=false or unitree.checks.tick=false"
            )
        publishers = self._bus.publishers(LOW_STATE)
        others = sorted({kind for kind in publishers.foreign if not kind.endswith("hg::msg::dds_::LowState_")})
        if others:
            return (
                f"{LOW_STATE} on {where}: expected messages of type unitree_hg::msg::dds_::LowState_, its publisher "
                f"has {', '.join(others)}; that is another robot, such as a Go2 or an H1, or another program"
            )
        if publishers.count:
            return (
                f"{LOW_STATE} on {where}: there is a publisher, but no message in {self._checks.first_state_s:g} s; is "
                "the robot starting up, or a firewall between?"
            )
        return (
            f"{LOW_STATE} on {where}: nobody publishes it; is the robot on, is this the interface with its cable "
            "(192.168.123.x), and is the domain right (0 on the robot, 1 with Unitree's simulators)?"
        )


def require_machine(mode_machine: int) -> None:
    """Check that a robot is one that policies for 29 joints are made for.

    Raises:
        RobotError: it is not.
    """
    if mode_machine in MODE_MACHINES:
        return
    known = ", ".join(f"{number} ({what})" for number, what in MODE_MACHINES.items())
    what = OTHER_MACHINES.get(mode_machine, "unknown to this program")
    raise RobotError(
        f"robot: expected mode_machine {known}, it says {mode_machine} ({what}); the policy moves 29 joints "
        "and would be wrong on it. For a simulator that leaves the number empty: unitree.checks.mode_machine=false"
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
