"""Goals of a robot that stands still, and standing until another source has a goal."""

from __future__ import annotations

from collections.abc import Sequence

from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.ports import GoalSource
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


class StandFirst:
    """A GoalSource that stands until another source has its first goal, and is that source from then on.

    A G1 does not stand by motor stiffness alone, so a policy must balance it while a stream is still to come. Once the
    other source has spoken, its silence is passed on: falling back to standing in the middle of a step would be no
    safer than what the guard does.

    Args:
        source: the other source; closed with this one.

    Attributes:
        standing: whether the goals are still those of standing.
    """

    def __init__(self, source: GoalSource) -> None:
        self.standing = True
        self._source = source
        self._stand = Standing()

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the other source's goal, or the standing goal before its first."""
        goal = self._source.read(state, events)
        if goal is None and self.standing:
            return self._stand.read(state)
        self.standing = False
        return goal

    def close(self) -> None:
        """Close the other source."""
        self._source.close()
