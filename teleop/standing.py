"""Goals of a robot that stands still."""

from __future__ import annotations

from collections.abc import Sequence

from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.motions.standing_reference import heading_of_state, standing_goal, standing_reference
from teleop.heading import ANCHORING


class Standing:
    """A GoalSource of one frame: the default pose at rest, upright, in the direction the robot faced at the start.

    The direction is taken anew where the operator asks for it, or where this source takes over from another.
    """

    def __init__(self) -> None:
        self._reference = standing_reference()
        self._heading_wxyz: Array | None = None

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal:
        """Return the standing goal; it never gets old."""
        if self._heading_wxyz is None or any(event.kind in ANCHORING for event in events):
            self._heading_wxyz = heading_of_state(state)
        return standing_goal(self._reference, self._heading_wxyz, state)

    def close(self) -> None:
        """Do nothing."""
