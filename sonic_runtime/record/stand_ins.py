"""The outside world of a replay: robot, operator, clock and inboxes that give what a recording holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sonic_runtime.contract.messages import Fault, JointTarget, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.guard.modes import Guard
from sonic_runtime.record.read import RecordedTick


class RecordedWorld:
    """Robot, operator, clock and inboxes in one; `turn_to` puts the next tick before them.

    Attributes:
        written: what was written to the robot in this tick, None before that.
    """

    def __init__(self) -> None:
        self.written: JointTarget | None = None
        self._tick: RecordedTick | None = None
        self._inboxes: dict[str, RecordedCalls] = {}

    def turn_to(self, tick: RecordedTick) -> None:
        """Put a tick before the parts of the run."""
        self._tick = tick
        self.written = None
        for inbox in self._inboxes.values():
            inbox.waiting.clear()
        for name, messages in tick.takes:
            self.inbox(name).waiting.append(messages)

    def inbox(self, name: str) -> RecordedCalls:
        """Return the inbox that was recorded under a name."""
        return self._inboxes.setdefault(name, RecordedCalls())

    def tell(self, guard: Guard) -> None:
        """Tell a guard what the loop told it between the tick before and this one."""
        for call in self._now().guard_calls:
            match call["call"]:
                case "late":
                    guard.note_late(call["late_ns"])
                case "fail":
                    guard.fail(Fault(code=call["code"], detail=call["detail"]))
                case "release":
                    guard.release()

    def _now(self) -> RecordedTick:
        if self._tick is None:
            # before the first tick; nothing has happened yet
            raise LookupError("the recording has not begun")
        return self._tick

    def state(self) -> RobotState:
        """Return what the robot measured in this tick."""
        return self._now().state

    def events(self) -> Sequence[OperatorEvent]:
        """Return what the operator asked for in this tick."""
        return self._now().events

    def now_ns(self) -> int:
        """Return the time of the loop in this tick [ns]; 0 before the first."""
        return 0 if self._tick is None else self._tick.now_ns


class RecordedRobot:
    """A RobotPort that measures what was measured, and moves nothing."""

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world

    def read(self) -> RobotState:
        """Return the state of the tick."""
        return self._world.state()

    def write(self, target: JointTarget) -> None:
        """Keep the target for comparison."""
        self._world.written = target

    def close(self) -> None:
        """Nothing to release."""


class RecordedOperator:
    """An OperatorInput that asks for what was asked for."""

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return the events of the tick."""
        return self._world.events()

    def close(self) -> None:
        """Nothing to release."""


class RecordedClock:
    """A Clock that tells the time of the tick and never waits."""

    def __init__(self, world: RecordedWorld) -> None:
        self._world = world

    def now_ns(self) -> int:
        """Return the time at which the mode was decided [ns]."""
        return self._world.now_ns()

    def wait_until(self, deadline_ns: int) -> int:
        """Return at once."""
        return 0


class RecordedCalls:
    """An inbox that gives, call for call, what was taken in the tick.

    Attributes:
        waiting: messages of each call still to come in this tick.
    """

    def __init__(self) -> None:
        self.waiting: list[list[bytes]] = []

    def take(self, limit: int) -> list[bytes]:
        """Return the messages of the next call; a call that the recorded run did not make gets none."""
        if not self.waiting:
            return []
        messages = self.waiting.pop(0)
        if len(messages) > limit:
            self.waiting.insert(0, messages[limit:])
        return messages[:limit]

    def close(self) -> None:
        """Nothing to release."""


def same_bits(recorded: np.ndarray, replayed: np.ndarray) -> bool:
    """Return whether two arrays are equal in shape and in every bit; two NaN are equal."""
    if recorded.shape != replayed.shape or recorded.dtype != replayed.dtype:
        return False
    if recorded.tobytes() == replayed.tobytes():
        return True
    if recorded.dtype.kind != "f":
        return False
    # zeros of unlike sign are equal numbers and unlike bits
    equal = (recorded == replayed) & (np.signbit(recorded) == np.signbit(replayed))
    return bool((equal | (np.isnan(recorded) & np.isnan(replayed))).all())
