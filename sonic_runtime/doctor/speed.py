"""How fast the simulator and a tick are here."""

from __future__ import annotations

import time
from collections.abc import Callable

from sonic_runtime.bench.tick import BenchConfig, measure_tick
from sonic_runtime.clock import LockstepClock
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.doctor.finding import Finding, graded
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.loop import CONTROL_HZ
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from sonic_runtime.stage_times import TimeStats

PERIOD_MS = 1000.0 / CONTROL_HZ
_TICK_SHARES = (0.4, 0.75)
"""Of the control period: what is over the first leaves little for a busy moment, over the second none."""
_SLOW = (1.0 / 3.0, 1.0 / 1.2)
"""Wall time for a second of simulation [s]."""
_WARM_UP_TICKS = 20


def check_simulator(seconds: float, measure: Callable[[float], float] | None = None) -> list[Finding]:
    """Check how many times faster than real time the simulator is on this machine.

    Args:
        seconds: how long to measure [s].
        measure: returns the factor after so many seconds; None steps the simulator.
    """
    factor = (simulator_speed if measure is None else measure)(seconds)
    text = f"MuJoCo runs {factor:.1f} times as fast as real time"
    remedy = "end other programs and set the governor to performance; a simulator that lags makes the robot fall"
    return graded("simulator", text, 1.0 / max(factor, 1e-9), _SLOW, remedy)


def simulator_speed(seconds: float) -> float:
    """Return how many times faster than real time the simulator steps a G1 that stands."""
    robot = MujocoSim(LockstepClock().now_ns)
    zeros = g1.DEFAULT_POS_HW * 0.0
    target = JointTarget(
        joint_pos_hw=g1.DEFAULT_POS_HW,
        joint_vel_hw=zeros,
        stiffness_hw=g1.STIFFNESS_HW,
        damping_hw=g1.DAMPING_HW,
        torque_ff_hw=zeros,
    )
    ticks, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        if ticks % round(CONTROL_HZ) == 0:
            robot.stand()
        robot.write(target)
        ticks += 1
    return ticks / CONTROL_HZ / (time.perf_counter() - start)


def check_tick(
    policy: str,
    guard: GuardConfig,
    seconds: float,
    measure: Callable[[str, GuardConfig, int], TimeStats] | None = None,
) -> list[Finding]:
    """Check how long a tick takes with this policy, paced as on a robot, against the control period.

    Args:
        policy: as in sonic-run; it has been loaded before.
        guard: limits.
        seconds: how long to measure [s].
        measure: returns the times of so many ticks; None runs them.
    """
    ticks = max(1, round(seconds * CONTROL_HZ))
    times = (measure_paced if measure is None else measure)(policy, guard, ticks)
    text = f"{times.p50_ms:.2f} ms (half), {times.p99_ms:.2f} ms (99 %), of {PERIOD_MS:g} ms, in {ticks} ticks"
    remedy = "choose a smaller policy or a faster machine; end other programs"
    return graded("tick", text, times.p99_ms, (PERIOD_MS * _TICK_SHARES[0], PERIOD_MS * _TICK_SHARES[1]), remedy)


def measure_paced(policy: str, guard: GuardConfig, ticks: int) -> TimeStats:
    """Return the times of ticks without the simulator's physics, one every control period."""
    config = BenchConfig(policy=policy, clock="real_time", ticks=ticks, warm_up_ticks=_WARM_UP_TICKS, guard=guard)
    return measure_tick(config).tick
