"""Operator events from the `command` topic, and the latest state of the headset client from `manager_state`.

One PUB message may be lost, and a stop that is lost cannot be sent again by a client that has ended: the topic is one
way to stop among several, and the guard's own checks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.operator import OperatorEvent
from teleop.command_packet import Command, ManagerState, unpack_command, unpack_manager_state
from teleop.inbox import Inbox
from teleop.stream_counters import MessageCounters

MAX_MESSAGES_PER_TICK = 64
"""As many as ZeroMQ holds for us, so that a stop never waits behind a flood."""
ORIGIN = "command"
_TRACKING = ("stand", "active", "damping")
START_AGAIN_NS = 1_000_000_000
"""Time without a start after which one counts again, for clients that never say that start is false."""


class CommandInput:
    """An OperatorInput for the `command` topic.

    Of the messages of one tick, stop is true where one of them says so, turns add up, and the last word on the planner
    counts. A start counts once, like a key that is held: again only after a message in which it is false, or after a
    second without one in which it is true. A client that repeats it does not walk the robot from waiting into the
    policy. SONIC's headset client says start at every change of its mode: where a policy is in charge already, that is
    not passed on.

    Args:
        inbox: where the messages come from; closed with this.
        planner_source: number, from 1, of the source of goals that `planner` true asks for; None where there is none.
        stream_source: number of the one that `planner` false asks for.

    Attributes:
        counters: what came.
    """

    def __init__(self, inbox: Inbox, planner_source: int | None = None, stream_source: int | None = None) -> None:
        self.counters = MessageCounters()
        self._inbox = inbox
        self._source_of = {True: planner_source, False: stream_source}
        self._planner: bool | None = None
        self._start_held = False
        self._start_ns = 0

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what was asked for since the last call."""
        commands = self._take()
        if not commands:
            return ()
        events: list[OperatorEvent] = []
        if any(command.stop for command in commands):
            events.append(OperatorEvent("stop", origin=ORIGIN))
        if self._starts(commands, state.stamp_ns) and mode not in _TRACKING:
            events.append(OperatorEvent("start", origin=ORIGIN))
        turn_rad = sum(command.delta_heading_rad for command in commands)
        if turn_rad:
            events.append(OperatorEvent("turn", turn_rad, ORIGIN))
        return [*events, *self._hand_over(commands[-1].planner)]

    def line(self) -> str:
        """Return the counts in one line."""
        return self.counters.messages_line()

    def close(self) -> None:
        """Close the inbox; safe to call twice."""
        self._inbox.close()

    def _take(self) -> list[Command]:
        commands: list[Command] = []
        for message in self._inbox.take(MAX_MESSAGES_PER_TICK):
            self.counters.received += 1
            try:
                commands.append(unpack_command(message))
            except WireError as error:
                self.counters.reject(error)
        return commands

    def _starts(self, commands: Sequence[Command], now_ns: int) -> bool:
        """Return whether start was asked for anew."""
        if now_ns - self._start_ns > START_AGAIN_NS:
            self._start_held = False
        anew = False
        for command in commands:
            anew |= command.start and not self._start_held
            self._start_held = command.start
            if command.start:
                self._start_ns = now_ns
        return anew

    def _hand_over(self, planner: bool) -> list[OperatorEvent]:
        """Ask for another source where the word on the planner has changed, and only then: clients repeat it."""
        if planner == self._planner:
            return []
        self._planner = planner
        number = self._source_of[planner]
        return [] if number is None else [OperatorEvent("source", float(number), ORIGIN)]


class ManagerStateInput:
    """An OperatorInput that asks for nothing and keeps what the headset client last said of itself.

    Args:
        inbox: where the messages come from; closed with this.

    Attributes:
        latest: the last message, None before the first.
        newest_ns: when it came, on the clock of the loop [ns].
        counters: what came.
    """

    def __init__(self, inbox: Inbox) -> None:
        self.latest: ManagerState | None = None
        self.newest_ns: int | None = None
        self.counters = MessageCounters()
        self._inbox = inbox

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Take what has come; return no event."""
        for message in self._inbox.take(MAX_MESSAGES_PER_TICK):
            self.counters.received += 1
            try:
                self.latest = unpack_manager_state(message)
                self.newest_ns = state.stamp_ns
            except WireError as error:
                self.counters.reject(error)
        return ()

    def line(self) -> str:
        """Return what the client does, and the counts, in one line."""
        mode = "not heard" if self.latest is None else self.latest.stream_mode
        return f"{mode}; {self.counters.messages_line()}"

    def close(self) -> None:
        """Close the inbox; safe to call twice."""
        self._inbox.close()
