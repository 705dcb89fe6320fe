"""Goals from the `planner` topic without a planner: the robot stands, and its arms and hands do as the message says.

SONIC's runtime plans whole-body motion from this topic with a network. Where none is loaded the answer is idle: the
standing reference, whatever mode is asked for. What a message says of VR points, upper body, hands and compliance needs
no planner and is followed. One second after the last message the robot stands with its arms in the default pose, as in
SONIC's idle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.motions.standing_reference import standing_goal, standing_reference
from teleop.heading import ANCHORING, Heading, Turning
from teleop.inbox import Inbox
from teleop.planner_packet import IDLE, MODES, PlannerCommand, unpack_planner
from teleop.stream_counters import MessageCounters

MAX_MESSAGES_PER_TICK = 8
TIMEOUT_NS = 1_000_000_000
"""Silence after which what the last message said ends; SONIC's value."""


@dataclass(slots=True)
class PlannerCounters(MessageCounters):
    """Messages of the `planner` topic.

    Attributes:
        unplanned: messages that asked for a motion and were answered with standing.
        vr_unused: messages with VR points for a policy without the teleop encoder.
        timeouts: how often the topic fell silent.
    """

    unplanned: int = 0
    vr_unused: int = 0
    timeouts: int = 0

    def line(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.messages_line()}; no planner: {self.unplanned} answered with standing; VR points unused: "
            f"{self.vr_unused}; fell silent: {self.timeouts}"
        )


class PlannerStream:
    """A GoalSource that stands, with the arms and hands of the `planner` topic.

    Args:
        inbox: where the messages come from; closed with the stream.
        encoders: encoders of the policy.
        say: where messages for the operator go.

    Attributes:
        counters: what came.
        latest: the last message, None before the first and after the time-out.
        newest_ns: when the last message came, on the clock of the loop [ns]; None before the first.
    """

    def __init__(self, inbox: Inbox, encoders: Collection[str], say: Callable[[str], None] = lambda text: None) -> None:
        self.counters = PlannerCounters()
        self.latest: PlannerCommand | None = None
        self.newest_ns: int | None = None
        self._inbox = inbox
        self._encoders = frozenset(encoders)
        self._say = say
        self._said: set[str] = set()
        self._hands: Array | None = None
        self._heading = Heading()
        self._turning = Turning()
        self._standing = standing_reference()

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the standing goal with what the last message adds to it; None before the first message."""
        begun = self.newest_ns is not None
        self._take_messages(state)
        if self.newest_ns is None:
            return None
        if not begun:
            self._anchor(state)
        for event in events:
            if event.kind in ANCHORING:
                self._anchor(state)
            elif event.kind == "turn":
                self._turning.ask(event.value)
        if step := self._turning.step():
            self._heading.turn(step)
        if self.latest is not None and state.stamp_ns - self.newest_ns > TIMEOUT_NS:
            self.counters.timeouts += 1
            self.latest = self._hands = None
        goal = standing_goal(self._standing, self._heading.quat_wxyz(), state)
        return goal if self.latest is None else self._dressed(goal, self.latest)

    def line(self) -> str:
        """Return the counts in one line."""
        return self.counters.line()

    def close(self) -> None:
        """Close the inbox; safe to call twice."""
        self._inbox.close()

    def _anchor(self, state: RobotState) -> None:
        self._turning.forget()
        self._heading.restart(state.base_quat_wxyz, self._standing.root_quat_wxyz[0])

    def _take_messages(self, state: RobotState) -> None:
        for message in self._inbox.take(MAX_MESSAGES_PER_TICK):
            self.counters.received += 1
            try:
                command = unpack_planner(message)
            except WireError as error:
                self.counters.reject(error)
                continue
            self._take(command, state)

    def _take(self, command: PlannerCommand, state: RobotState) -> None:
        self.latest, self.newest_ns = command, state.stamp_ns
        self._hands = command.hands.over(self._hands)
        if command.mode != IDLE:
            self.counters.unplanned += 1
            self._say_once(
                "unplanned",
                f"planner: {MODES[command.mode]} was asked for, but no planner is loaded: the robot stands; VR points, "
                "upper body, hands and compliance are followed. Stream poses to move it",
            )
        if command.vr is not None and "teleop" not in self._encoders:
            self.counters.vr_unused += 1
            self._say_once(
                "vr",
                "planner: VR points came, but the policy has no teleop encoder: they are not followed; use another "
                "policy, or send upper_body_position",
            )

    def _say_once(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._say(text)

    def _dressed(self, goal: Goal, command: PlannerCommand) -> Goal:
        """Return a standing goal with arms, hands and compliance of a message."""
        reference, encoder = goal.reference, goal.encoder
        if command.vr is not None and "teleop" in self._encoders:
            encoder = "teleop"
            reference = replace(reference, vr_pos_b=command.vr.pos_b[None], vr_quat_b_wxyz=command.vr.quat_b_wxyz[None])
        if command.upper_body_vel_pol is not None:
            # velocities of a reference that is not playing are zero
            reference = replace(reference, playing=True)
        return replace(
            goal,
            reference=reference,
            encoder=encoder,
            vr_compliance=command.compliance,
            hand_joint_pos=self._hands,
            upper_body_pos_pol=command.upper_body_pos_pol,
            upper_body_vel_pol=command.upper_body_vel_pol,
        )
