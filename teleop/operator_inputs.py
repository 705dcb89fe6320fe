"""Which operator inputs a run has: nobody, a script that starts by itself, several devices as one."""

from __future__ import annotations

from collections.abc import Sequence

from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.ports import OperatorInput
from teleop.operator_device import Say


class NoOperator:
    """An OperatorInput that never asks for anything."""

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return no event."""
        return ()

    def close(self) -> None:
        """Nothing to release."""


_ASK_AGAIN_NS = 1_000_000_000


class AutoStart:
    """An OperatorInput for runs without an operator: says start in the modes waiting and ready, then play, once.

    A start that is refused is asked for again after a second, as a person would.
    """

    def __init__(self) -> None:
        self._played = False
        self._asked: tuple[str, int] | None = None

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what leads on from this mode."""
        if mode in ("waiting", "ready"):
            if self._asked is not None and self._asked[0] == mode and state.stamp_ns - self._asked[1] < _ASK_AGAIN_NS:
                return ()
            self._asked = (mode, state.stamp_ns)
            return (OperatorEvent("start", origin="auto"),)
        if mode in ("stand", "active") and not self._played:
            self._played = True
            return (OperatorEvent("play", origin="auto"),)
        return ()

    def close(self) -> None:
        """Nothing to release."""


class Inputs:
    """Several operator inputs as one; each of them may stop the robot."""

    def __init__(self, inputs: Sequence[OperatorInput]) -> None:
        self._inputs = tuple(inputs)

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return the events of all inputs, in their order."""
        return [event for one in self._inputs for event in one.read(state, mode)]

    def close(self) -> None:
        """Close all inputs."""
        for one in self._inputs:
            one.close()


class NoEarlyStart:
    """An OperatorInput that drops a start from before the first tick; everything else counts, a stop above all.

    Devices listen while the robot is still being opened, which takes seconds. A start pressed then would move the robot
    at a moment when its operator may have come to stand beside it.

    Args:
        one: the input; closed with this.
        say: where messages go.
    """

    def __init__(self, one: OperatorInput, say: Say) -> None:
        self._one = one
        self._say = say
        self._first = True

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return the events of the input."""
        events = self._one.read(state, mode)
        if not self._first:
            return events
        self._first = False
        later = [event for event in events if event.kind != "start"]
        if len(later) < len(events):
            self._say("start was asked for before the robot was there and does not count; ask again")
        return later

    def close(self) -> None:
        """Close the input."""
        self._one.close()
