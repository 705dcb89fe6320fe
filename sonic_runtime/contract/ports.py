"""The seams of the loop: what a tick needs from the outside, as protocols."""

from __future__ import annotations

from typing import Protocol

from sonic_runtime.contract.messages import Decision, Goal, JointTarget, RobotState, TickReport


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

    def read(self, state: RobotState) -> Goal | None:
        """Return the goal of this tick, or None while there is none yet."""
        ...

    def close(self) -> None:
        """Release sockets and threads; safe to call twice."""
        ...


class Controller(Protocol):
    """Turns a state and a goal into a joint target."""

    def reset(self) -> None:
        """Forget history; called when the controller takes over."""
        ...

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return the decision for this tick."""
        ...


class ReportSink(Protocol):
    """Where tick reports go; must return quickly and never raise into the loop."""

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
