"""Dex3 hands: told at every tick what the goal says, open where it says nothing, and let go in damping.

A target stays within 0.25 rad of what the hand measures, as in SONIC's runtime, so that a finger that meets something
presses no harder than its stiffness times that. A hand that is silent is told nothing but to stop.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from cyclonedds.core import DDSException
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array, TickReport
from sonic_runtime.robot_io.unitree.bus import Bus
from sonic_runtime.robot_io.unitree.idl import HAND_MOTORS, HandCmd, HandState, message_of, wire_of
from sonic_runtime.robot_io.unitree.layout_small import HandCmdFields, HandStateFields, hand_cmd_wire, hand_state_fields

SIDES = ("left", "right")
HAND_LIMITS = np.array(
    [
        [
            (-1.05, 1.05),
            (-0.724, 1.05),
            (0.0, 1.75),
            *((-1.57, 0.0), (-1.75, 0.0)) * 2,
        ],
        [
            (-1.05, 1.05),
            (-1.05, 0.742),
            (-1.75, 0.0),
            *((0.0, 1.57), (0.0, 1.75)) * 2,
        ],
    ]
)
"""(2, 7, 2) [rad] lowest and highest angle of each motor of the left and the right hand: the thumb's three, then two
and two of the fingers; maxLimits and minLimits of Unitree's Dex3 example."""
OPEN_HAND = np.zeros((2, HAND_MOTORS))
"""(2, 7) [rad] Straight fingers."""
_STIFFNESS, _DAMPING = 1.5, 0.1
"""[N m/rad], [N m s/rad]; SONIC's runtime."""
_MOST_AHEAD_RAD = 0.25
_SILENT_NS = 500_000_000
_MOTORS = np.arange(HAND_MOTORS)
_ENABLED = _MOTORS | 1 << 4
_TIMED_OUT = _ENABLED | 1 << 7
"""Mode byte: number of the motor, status 1, and a bit by which Unitree's example stops a motor."""


def hand_state_topic(side: str) -> str:
    """Return the topic of a hand's state."""
    return f"rt/dex3/{side}/state"


def hand_cmd_topic(side: str) -> str:
    """Return the topic of a hand's commands."""
    return f"rt/dex3/{side}/cmd"


def hand_target(wanted: Array | None, measured: Array, hand: int) -> Array:
    """Return the angles to command to a hand, within its limits and near what it measures.

    Args:
        wanted: (7,) [rad]; None, or what is not finite, opens the hand.
        measured: (7,) [rad].
        hand: 0 for the left one, 1 for the right one.
    """
    if wanted is None or not np.isfinite(wanted).all():
        wanted = OPEN_HAND[hand]
    near = np.clip(wanted, measured - _MOST_AHEAD_RAD, measured + _MOST_AHEAD_RAD)
    return np.clip(near, HAND_LIMITS[hand, :, 0], HAND_LIMITS[hand, :, 1])


class Hand:
    """One Dex3 hand.

    Args:
        bus: the network.
        hand: 0 for the left one, 1 for the right one.
        dry_run: build every message and send none.

    Attributes:
        problem: why its last message was no use; empty where it was.
    """

    def __init__(self, bus: Bus, hand: int, dry_run: bool) -> None:
        self.problem = ""
        self._hand = hand
        self._state: tuple[int, HandStateFields] | None = None
        participant, side = bus.participant, SIDES[hand]
        topic = Topic(participant, hand_state_topic(side), HandState)
        self._reader: Any = DataReader(participant, topic, bus.reader_qos())
        self._writer: DataWriter | None = None
        if not dry_run:
            self._writer = DataWriter(participant, Topic(participant, hand_cmd_topic(side), HandCmd), bus.writer_qos())

    def measured(self) -> HandStateFields | None:
        """Return the newest state; None where the hand is silent."""
        for message in self._reader.take(N=1):
            if not isinstance(message, HandState):
                continue
            try:
                self._state = time.monotonic_ns(), hand_state_fields(wire_of(message))
            except RobotError as error:
                self.problem = str(error)
        if self._state is None or time.monotonic_ns() - self._state[0] > _SILENT_NS:
            return None
        return self._state[1]

    def command(self, wanted: Array | None) -> Array | None:
        """Send the hand towards some angles (7,) [rad], None opens it; return what it was told, None where silent."""
        state = self.measured()
        if state is None:
            self.stop()
            return None
        target = hand_target(wanted, state.joint_pos, self._hand)
        gains = np.full(HAND_MOTORS, _STIFFNESS), np.full(HAND_MOTORS, _DAMPING)
        self._send(HandCmdFields(mode=_ENABLED, joint_pos=target, stiffness=gains[0], damping=gains[1]))
        return target

    def stop(self) -> None:
        """Take the torque off the fingers."""
        zeros = np.zeros(HAND_MOTORS)
        self._send(HandCmdFields(mode=_TIMED_OUT, joint_pos=zeros, stiffness=zeros, damping=zeros))

    def close(self) -> None:
        """Leave the topics."""
        self._writer = None

    def _send(self, fields: HandCmdFields) -> None:
        wire = hand_cmd_wire(fields)
        if self._writer is None:
            return
        try:
            self._writer.write(message_of(HandCmd, wire))
        except DDSException as error:
            # a hand is not worth a fall
            self.problem = f"cannot send ({error})"


class Hands:
    """Both hands; a ReportSink, called at the end of every tick.

    Args:
        bus: the network.
        dry_run: build every message and send none.
        wait_s: how long to wait for the hands' first states [s].

    Attributes:
        present: which hands there are, by side.
        told: what each was told last (7,) [rad], None where nothing.
    """

    def __init__(self, bus: Bus, dry_run: bool, wait_s: float = 0.5) -> None:
        self._hands = [Hand(bus, hand, dry_run) for hand in range(len(SIDES))]
        self.told: list[Array | None] = [None, None]
        deadline = time.monotonic() + wait_s
        while not all(hand.measured() for hand in self._hands) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.present = {side: hand.measured() is not None for side, hand in zip(SIDES, self._hands, strict=True)}

    def put(self, report: TickReport) -> None:
        """Tell the hands what the goal of a tick says."""
        if report.mode == "waiting":
            return
        for i, hand in enumerate(self._hands):
            if not self.present[SIDES[i]]:
                continue
            if report.mode == "damping":
                hand.stop()
                self.told[i] = None
                continue
            goal = report.goal
            wanted = None if goal is None or goal.hand_joint_pos is None else goal.hand_joint_pos[i]
            self.told[i] = hand.command(wanted)

    def measured(self) -> list[HandStateFields | None]:
        """Return the newest state of each hand; None for one that is silent."""
        return [hand.measured() for hand in self._hands]

    def notes(self) -> list[str]:
        """Return a line for each hand that is not there or speaks another language."""
        lines = []
        for side, hand in zip(SIDES, self._hands, strict=True):
            if hand.problem:
                lines.append(f"{side} hand: {hand.problem}")
            elif not self.present[side]:
                lines.append(f"{side} hand: no Dex3 answers on {hand_state_topic(side)}; it is left alone")
        return lines

    def close(self) -> None:
        """Let go of the hands and leave the topics; safe to call twice."""
        for side, hand in zip(SIDES, self._hands, strict=True):
            if self.present[side]:
                hand.stop()
            hand.close()
