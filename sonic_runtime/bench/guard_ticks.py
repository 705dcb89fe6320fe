"""Hostile ticks for `sonic-bench guard`: states, goals, decisions and events that no robot and no policy would give.

Most are plausible, so that a run lasts long enough for its memory to matter; in the others some field, or a few of its
numbers, are replaced by what a broken sensor, a broken network or a broken policy may give: NaN, infinities, denormals,
the largest numbers, random bits, stamps of other clocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array, Decision, Goal, JointTarget, Reference, RobotState
from sonic_runtime.contract.operator import EventKind, OperatorEvent
from sonic_runtime.robots import g1

NOTHING, START, STOP, OTHERS = range(4)
"""What the operator asks for in a tick; a stop comes with a start before and after it."""
TICK_NS = 20_000_000
_JOINTS = len(g1.JOINT_NAMES_HW)
_SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 1.8e308, -1.8e308, 1e154, -1e154, 5e-324, -5e-324, 1e-310, -0.0, 0.0, 1e30, -1e30, 1.0]
)
_STAMP_ERRORS_NS = np.array([-1, 1, 59_999_999, 60_000_001, 500_000_001, 2**62, -(2**62), 10**9, -(10**9)])
_HOSTILITIES = (0.0, 0.0, 0.0, 0.0, 0.01, 0.01, 0.1, 0.5)
"""Probability of a wrong field; drawn for each tick."""
_EVENTS: tuple[EventKind, ...] = ("play", "pause", "next", "turn", "policy")
_REFERENCE = Reference(
    joint_pos_pol=np.zeros((1, _JOINTS)),
    joint_vel_pol=np.zeros((1, _JOINTS)),
    root_quat_wxyz=np.array([[1.0, 0.0, 0.0, 0.0]]),
    cursor=0,
)


@dataclass(frozen=True, slots=True)
class HostileTicks:
    """N ticks; every array has N rows.

    Attributes:
        state: arrays of the state by field name.
        target: arrays of the wanted target by field name.
        action_pol: (N, 29) f32.
        now_ns, state_stamp_ns, goal_stamp_ns: (N,) i64.
        has_goal, has_height, has_motors: (N,) bool: whether goal, base_pos_w, and temperature and error word are there.
        event: (N,) i64: NOTHING, START, STOP or OTHERS.
        begins_waiting: (N,) bool: whether a run that begins with this tick waits for its operator.
        late_ns: (N,) i64 how late the tick is said to have been.
    """

    state: dict[str, Array]
    target: dict[str, Array]
    motor_error_hw: npt.NDArray[np.int64]
    action_pol: npt.NDArray[np.float32]
    now_ns: npt.NDArray[np.int64]
    state_stamp_ns: npt.NDArray[np.int64]
    goal_stamp_ns: npt.NDArray[np.int64]
    has_goal: npt.NDArray[np.bool_]
    has_height: npt.NDArray[np.bool_]
    has_motors: npt.NDArray[np.bool_]
    event: npt.NDArray[np.int64]
    begins_waiting: npt.NDArray[np.bool_]
    late_ns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.now_ns)

    def tick(self, i: int) -> tuple[RobotState, Goal | None, Decision, tuple[OperatorEvent, ...]]:
        """Return what a guard is asked in tick i."""
        state = self.state
        motors = bool(self.has_motors[i])
        measured = RobotState(
            stamp_ns=int(self.state_stamp_ns[i]),
            joint_pos_hw=state["joint_pos_hw"][i],
            joint_vel_hw=state["joint_vel_hw"][i],
            base_quat_wxyz=state["base_quat_wxyz"][i],
            base_ang_vel_b=state["base_ang_vel_b"][i],
            joint_torque_hw=state["joint_vel_hw"][i],
            base_pos_w=state["base_pos_w"][i] if self.has_height[i] else None,
            motor_temperature_c_hw=state["motor_temperature_c_hw"][i] if motors else None,
            motor_error_hw=self.motor_error_hw[i] if motors else None,
        )
        goal = None
        if self.has_goal[i]:
            goal = Goal(
                reference=_REFERENCE,
                encoder="g1",
                heading_quat_wxyz=state["base_quat_wxyz"][i],
                stamp_ns=int(self.goal_stamp_ns[i]),
            )
        target = JointTarget(**{name: values[i] for name, values in self.target.items()})
        return measured, goal, Decision(target=target, action_pol=self.action_pol[i]), _EVENTS_OF[int(self.event[i])]


_EVENTS_OF: dict[int, tuple[OperatorEvent, ...]] = {
    NOTHING: (),
    START: (OperatorEvent("start"),),
    STOP: (OperatorEvent("start"), OperatorEvent("stop"), OperatorEvent("start")),
    OTHERS: tuple(OperatorEvent(kind) for kind in _EVENTS),
}


def hostile_ticks(seed: int, batch: int) -> Iterator[HostileTicks]:
    """Yield batches of hostile ticks without end, the same for the same seed.

    Args:
        seed: of the random numbers.
        batch: ticks in each.
    """
    rng = np.random.default_rng(seed)
    start_ns = 10**12
    while True:
        yield _batch(rng, batch, start_ns)
        start_ns += batch * TICK_NS


def _batch(rng: np.random.Generator, n: int, start_ns: int) -> HostileTicks:
    hostility = rng.choice(_HOSTILITIES, size=n)
    state, target = _plausible_state(rng, n), _plausible_target(rng, n)
    for values in (*state.values(), *target.values()):
        _spoil(rng, values, hostility / 4.0)
    action_pol = rng.normal(0.0, 3.0, (n, _JOINTS))
    _spoil(rng, action_pol, hostility / 4.0)
    errors = np.zeros((n, _JOINTS), dtype=np.int64)
    errors[rng.random(n) < hostility / 4.0, rng.integers(_JOINTS)] = rng.integers(-(2**31), 2**31)
    now_ns = start_ns + TICK_NS * np.arange(n)
    with np.errstate(all="ignore"):
        action_f32 = action_pol.astype(np.float32)
    return HostileTicks(
        state=state,
        target=target,
        motor_error_hw=errors,
        action_pol=action_f32,
        now_ns=now_ns,
        state_stamp_ns=_stamps(rng, now_ns, hostility / 4.0),
        goal_stamp_ns=_stamps(rng, now_ns, hostility / 4.0),
        has_goal=rng.random(n) < 0.99,
        has_height=rng.random(n) < 0.5,
        has_motors=rng.random(n) < 0.5,
        begins_waiting=rng.random(n) < 0.3,
        event=rng.choice(4, size=n, p=[0.6, 0.3, 0.005, 0.095]),
        late_ns=np.where(rng.random(n) < 0.01 * hostility, rng.integers(-(10**8), 10**8, n), 0),
    )


def _plausible_state(rng: np.random.Generator, n: int) -> dict[str, Array]:
    low, high = g1.JOINT_RANGE_HW.T
    lean = np.concatenate([np.ones((n, 1)), rng.normal(0.0, 0.12, (n, 3))], axis=1)
    return {
        "joint_pos_hw": rng.uniform(low - 0.05, high + 0.05, (n, _JOINTS)),
        "joint_vel_hw": rng.normal(0.0, 0.25, (n, _JOINTS)) * g1.VELOCITY_LIMIT_HW,
        "base_quat_wxyz": lean / np.linalg.norm(lean, axis=1, keepdims=True),
        "base_ang_vel_b": rng.normal(0.0, 2.0, (n, 3)),
        "base_pos_w": rng.normal([0.0, 0.0, 0.7], 0.1, (n, 3)),
        "motor_temperature_c_hw": rng.uniform(20.0, 95.0, (n, _JOINTS)),
    }


def _plausible_target(rng: np.random.Generator, n: int) -> dict[str, Array]:
    """Targets from well within the limits to far outside, by orders of magnitude."""
    size = 10.0 ** rng.uniform(-3.0, 3.0, (n, 1))
    # where the gains change from tick to tick, so do range, rate and torque; half of the ticks have the policy's own
    scale = np.where(rng.random((n, 1)) < 0.5, 1.0, rng.choice([0.0, 1e-12, 1e-3, 0.1, 0.7, 1.6], (n, 1)))
    feed_forward = np.where(rng.random((n, 1)) < 0.3, size, 0.0)
    return {
        "joint_pos_hw": g1.DEFAULT_POS_HW + size * rng.normal(0.0, 1.0, (n, _JOINTS)),
        "joint_vel_hw": feed_forward * rng.normal(0.0, 1.0, (n, _JOINTS)),
        "stiffness_hw": scale * g1.STIFFNESS_HW,
        "damping_hw": np.where(rng.random((n, 1)) < 0.8, 1.0, rng.uniform(0.2, 3.0, (n, 1))) * g1.DAMPING_HW,
        "torque_ff_hw": feed_forward * rng.normal(0.0, 30.0, (n, _JOINTS)),
    }


def _spoil(rng: np.random.Generator, values: Array, probability: Array) -> None:
    """Replace one number, or all, of some rows in place."""
    rows = np.flatnonzero(rng.random(len(values)) < probability)
    if not len(rows):
        return
    width = values.shape[1]
    share = np.where(rng.random((len(rows), 1)) < 0.7, 1.0 / width, 1.0)
    where = rng.random((len(rows), width)) < share
    special = rng.choice(_SPECIAL, (len(rows), width))
    any_bits = rng.integers(0, 2**64, (len(rows), width), dtype=np.uint64).view(np.float64)
    large = 10.0 ** rng.uniform(-4.0, 5.0, (len(rows), width)) * rng.choice([-1.0, 1.0], (len(rows), width))
    kind = rng.integers(0, 3, (len(rows), 1))
    with np.errstate(all="ignore"):
        hostile = np.select([kind == 0, kind == 1], [special, any_bits], large)
        values[rows] = np.where(where, hostile, values[rows])


def _stamps(rng: np.random.Generator, now_ns: npt.NDArray[np.int64], probability: Array) -> npt.NDArray[np.int64]:
    age_ns = rng.integers(0, 5_000_000, len(now_ns))
    wrong = rng.random(len(now_ns)) < probability
    return now_ns - np.where(wrong, rng.choice(_STAMP_ERRORS_NS, len(now_ns)), age_ns)
