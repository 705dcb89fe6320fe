"""Balances in the default pose with the policy, in the direction the robot faces when the controller takes over."""

from __future__ import annotations

from controllers.track_motion import TrackMotion
from sonic_runtime.contract.messages import Array, Decision, Goal, RobotState
from sonic_runtime.motions.standing_reference import heading_of_state, standing_goal, standing_reference

_AWAY_NS = 100_000_000
"""So long without a tick means that another controller was in charge; a late tick or two do not."""


class Stand:
    """A controller for the time without a goal: a G1 does not stand by motor stiffness alone.

    It tracks the standing reference with the networks, histories and last action of the tracker, so that either can
    take over from the other without a reset. The robot may have turned under the tracker; the heading is therefore
    taken anew after a reset, and whenever another controller has been in charge.

    Args:
        tracker: the controller whose policy balances.

    Raises:
        ContractError: its policy has no g1 encoder.
    """

    def __init__(self, tracker: TrackMotion) -> None:
        tracker.look_ahead_frames("g1")
        self._tracker = tracker
        self._reference = standing_reference()
        self._heading_wxyz: Array | None = None
        self._last_ns = 0

    @property
    def memory(self) -> object:
        """The tracker's: histories and last action."""
        return self._tracker.memory

    def reset(self) -> None:
        """Forget heading, histories and last action."""
        self._heading_wxyz = None
        self._tracker.reset()

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return the policy's decision for the standing goal; the goal given is not looked at."""
        if self._heading_wxyz is None or state.stamp_ns - self._last_ns > _AWAY_NS:
            self._heading_wxyz = heading_of_state(state)
        self._last_ns = state.stamp_ns
        return self._tracker.act(state, standing_goal(self._reference, self._heading_wxyz, state))
