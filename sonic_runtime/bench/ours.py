"""Our side of a comparison: the whole loop, its guard included, on an imported policy and a transport of lists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from controllers.imported import load_imported
from sonic_runtime.app import build_parts
from sonic_runtime.bench.turns import (
    PERIOD_NS,
    States,
    Stopwatch,
    TimedSession,
    answer_requests,
    load_states,
    take_standard_output,
)
from sonic_runtime.contract.messages import Goal, JointTarget, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.loop import Loop, RunLimits


class ListTransport:
    """A robot that measures the same states over and over; numbers come and go as lists, as through a binding.

    Args:
        states: what it measures.
        clock: what the states are stamped with.
    """

    def __init__(self, states: States, clock: WatchedClock) -> None:
        self._states, self._clock = states, clock
        self.index = 0
        self.command: list[list[float]] = []

    def read(self) -> RobotState:
        """Return the next state."""
        index, states = self.index % len(self._states), self._states
        self.index += 1
        return RobotState(
            stamp_ns=self._clock.now_ns(),
            joint_pos_hw=np.array(states.joint_pos[index]),
            joint_vel_hw=np.array(states.joint_vel[index]),
            base_quat_wxyz=np.array(states.base_quat_wxyz[index]),
            base_ang_vel_b=np.array(states.base_ang_vel_b[index]),
            joint_torque_hw=np.zeros(len(states.joint_pos[index])),
        )

    def write(self, target: JointTarget) -> None:
        """Keep the command."""
        self.command = [
            target.joint_pos_hw.tolist(),
            target.joint_vel_hw.tolist(),
            target.stiffness_hw.tolist(),
            target.damping_hw.tolist(),
            target.torque_ff_hw.tolist(),
        ]

    def close(self) -> None:
        """Do nothing."""


class WatchedClock:
    """A clock whose waits end and begin the ticks of a stopwatch; its time moves by one period a tick."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the time of the loop [ns]."""
        return self._now_ns

    def wait_until(self, deadline_ns: int) -> int:
        """Be at the deadline; never late."""
        self._watch.wait()
        self._now_ns = deadline_ns
        return 0


class NoGoals:
    """A goal source for policies with a motion of their own."""

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Do nothing."""


def main(arguments: list[str]) -> None:
    """Measure as asked: policy, file of states, file of guard limits as JSON, "lockstep" or "real_time"."""
    name, states_file, guard_file, clock_name = arguments
    answers = take_standard_output()
    controller = load_imported(name)
    session = TimedSession(controller.policy.session)
    controller.policy.session = session  # pyright: ignore[reportAttributeAccessIssue]  it has all that is used
    states = load_states(Path(states_file))
    guard = msgspec.json.decode(Path(guard_file).read_bytes(), type=GuardConfig)
    watch = Stopwatch(session, clock_name == "real_time")

    def check() -> list[list[float]]:
        robot = ListTransport(states, WatchedClock(watch))
        targets = []
        for _ in range(len(states)):
            controller.reset()
            targets.append(controller.act(robot.read(), None).target.joint_pos_hw.tolist())
        return targets

    def run(ticks: int) -> Stopwatch:
        clock = WatchedClock(watch)
        robot = ListTransport(states, clock)
        parts = build_parts(robot=robot, goals=NoGoals(), controller=controller, guard=guard, clock=clock)
        watch.begin()
        summary = Loop(parts, hz=1e9 / PERIOD_NS).run(RunLimits(max_ticks=ticks, damping_ticks=0))
        if summary.fault is not None:
            raise AssertionError(f"the states of a comparison must not trip the guard: {summary.fault}")
        return watch

    answer_requests(answers, {"name": "sonic", "stubs": {}}, check, run)


if __name__ == "__main__":
    main(sys.argv[1:])
