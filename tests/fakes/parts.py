"""Small real parts for tests of the loop: a robot that records, goals and controllers that do as told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sonic_runtime.app import build_parts
from sonic_runtime.clock import LockstepClock
from sonic_runtime.config import load_config
from sonic_runtime.contract.messages import Decision, Goal, JointTarget, Reference, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.robots import g1
from sonic_runtime.tick import TickParts
from teleop.operator_inputs import AutoStart

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def guard_config(**changes: object) -> GuardConfig:
    """The shipped limits, some changed."""
    import msgspec

    class Shipped(msgspec.Struct, frozen=True, kw_only=True):
        guard: GuardConfig

    return msgspec.structs.replace(load_config("bench", [], Shipped).guard, **changes)


def make_state(**changes) -> RobotState:
    """A robot at rest in the default pose, upright."""
    values = {
        "stamp_ns": 0,
        "joint_pos_hw": g1.DEFAULT_POS_HW.copy(),
        "joint_vel_hw": np.zeros(29),
        "base_quat_wxyz": IDENTITY.copy(),
        "base_ang_vel_b": np.zeros(3),
        "joint_torque_hw": np.zeros(29),
    }
    return RobotState(**{**values, **changes})


def make_reference(frames: int = 60, **changes) -> Reference:
    """A reference in which every number tells frame and joint: pos = frame + joint / 100, vel = minus that."""
    numbers = np.arange(frames)[:, None] + np.arange(29) / 100.0
    values = {
        "joint_pos_pol": numbers,
        "joint_vel_pol": -numbers,
        "root_quat_wxyz": np.tile(IDENTITY, (frames, 1)),
        "cursor": 0,
    }
    return Reference(**{**values, **changes})


def make_goal(reference: Reference | None = None, **changes) -> Goal:
    values = {
        "reference": make_reference() if reference is None else reference,
        "encoder": "g1",
        "heading_quat_wxyz": IDENTITY,
        "stamp_ns": 0,
    }
    return Goal(**{**values, **changes})


def make_target(joint_pos_hw: np.ndarray | None = None) -> JointTarget:
    return JointTarget(
        joint_pos_hw=g1.DEFAULT_POS_HW.copy() if joint_pos_hw is None else joint_pos_hw,
        joint_vel_hw=np.zeros(29),
        stiffness_hw=g1.STIFFNESS_HW,
        damping_hw=g1.DAMPING_HW,
        torque_ff_hw=np.zeros(29),
    )


class FakeRobot:
    """Returns a state, remembers every target."""

    def __init__(self, clock: LockstepClock, calls: list[str] | None = None) -> None:
        self.written: list[JointTarget] = []
        self.state_of: Callable[[int], RobotState] | None = None
        self.reads = 0
        self.calls = [] if calls is None else calls
        self._clock = clock

    def read(self) -> RobotState:
        self.calls.append("read")
        self.reads += 1
        if self.state_of is not None:
            return self.state_of(self.reads - 1)
        return make_state(stamp_ns=self._clock.now_ns())

    def write(self, target: JointTarget) -> None:
        self.calls.append("write")
        self.written.append(target)

    def close(self) -> None:
        pass


class FakeGoals:
    """Returns a fresh goal each tick, unless told otherwise."""

    def __init__(self, clock: LockstepClock, calls: list[str] | None = None) -> None:
        self.goal_of: Callable[[int], Goal | None] | None = None
        self.reads = 0
        self.calls = [] if calls is None else calls
        self._clock = clock
        self._goal = make_goal()

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        self.calls.append("goal")
        self.reads += 1
        if self.goal_of is not None:
            return self.goal_of(self.reads - 1)
        return make_goal(self._goal.reference, stamp_ns=self._clock.now_ns())

    def close(self) -> None:
        pass


class FakeController:
    """Asks for the default pose, unless told otherwise."""

    def __init__(self, calls: list[str] | None = None) -> None:
        self.decision_of: Callable[[int], Decision] | None = None
        self.acts = 0
        self.resets = 0
        self.calls = [] if calls is None else calls

    @property
    def memory(self) -> object:
        return self

    def reset(self) -> None:
        self.resets += 1

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        self.calls.append("act")
        self.acts += 1
        if self.decision_of is not None:
            return self.decision_of(self.acts - 1)
        return Decision(target=make_target(), action_pol=np.zeros(29, dtype=np.float32))


class FakeRun:
    """Parts of a run with a fake at every end."""

    def __init__(self, ramp_s: float | None = None, **limits: object) -> None:
        self.calls: list[str] = []
        self.clock = LockstepClock()
        self.robot = FakeRobot(self.clock, self.calls)
        self.goals = FakeGoals(self.clock, self.calls)
        self.controller = FakeController(self.calls)
        self.parts: TickParts = build_parts(
            robot=self.robot,
            goals=self.goals,
            controller=self.controller,
            guard=guard_config(**limits),
            clock=self.clock,
            operator=AutoStart(),
            begins="stand" if ramp_s is None else "waiting",
            ramp_s=ramp_s or 0.0,
        )
