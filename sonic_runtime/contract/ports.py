"""The seams of the loop: what a tick needs from the outside, as protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sonic_runtime.contract.messages import Decision, Goal, JointTarget, Mode, RobotState, TickReport
from sonic_runtime.contract.operator import OperatorEvent


class RobotPort(Protocol):
    """A robot, or a simulator in its place."""

    def read(self) -> RobotState:
        """Return the newest measured state. Raises RobotError where none can be had."""
        ...

    def write(self, target: JointTarget) -> None:
        """Send a joint target that has passed the guard."""
        ...

    def close(self) -> None:
        """Release what the port holds; safe to call twice."""
        ...


class GoalSource(Protocol):
    """Where goals come from: a stream, a file, an operator. Called once a tick, never blocks."""

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the goal of this tick, or None while there is none yet.

        Args:
            state: measured in this tick.
            events: what the operator asked for since the last tick; a source heeds those that concern it. On "start"
                a source takes its heading anew: the policy is about to take over.
        """
        ...

    def close(self) -> None:
        """Release sockets and threads; safe to call twice."""
        ...


class OperatorInput(Protocol):
    """Keys, a gamepad, a remote, a topic: where an operator's events come from. Called once a tick, never blocks."""

    def read(self, state: RobotState, mode: str) -> Sequence[OperatorEvent]:
        """Return what was asked for since the last call; a device that is lost gives nothing, it does not raise.

        Args:
            state: measured in this tick; the robot's own remote is in it.
            mode: mode of the guard after the tick before.
        """
        ...

    def close(self) -> None:
        """Release the device; safe to call twice."""
        ...


class Controller(Protocol):
    """Turns a state and a goal into a joint target."""

    @property
    def memory(self) -> object:
        """What it remembers from tick to tick; controllers that share one hand over without forgetting or blending."""
        ...

    def reset(self) -> None:
        """Forget history; called when the controller takes over."""
        ...

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return the decision for this tick."""
        ...


class Controllers(Protocol):
    """All controllers of a run behind one door."""

    @property
    def current(self) -> str:
        """Name of the controller in charge."""
        ...

    @property
    def policy(self) -> str:
        """Name of what is in charge, now or later, in the modes stand and active."""
        ...

    def act(self, mode: Mode, state: RobotState, goal: Goal | None, events: Sequence[OperatorEvent] = ()) -> Decision:
        """Return the decision of the controller that mode and goal call for."""
        ...


class ReportSink(Protocol):
    """Where tick reports go; must return quickly.

    A sink that raises is left out from then on and the run goes on, except for a RecordingError: a run that was to be
    recorded and cannot be ends in damping.
    """

    def put(self, report: TickReport) -> None:
        """Take one report."""
        ...


class Clock(Protocol):
    """Time of the loop: real time, or lockstep where time moves only as the simulator is stepped."""

    def now_ns(self) -> int:
        """Return the time of the loop [ns]."""
        ...

    def wait_until(self, deadline_ns: int) -> int:
        """Return at the deadline; the result is how late [ns] it was already when called, 0 when in time."""
        ...
