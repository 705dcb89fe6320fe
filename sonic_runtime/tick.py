"""What happens in 20 ms: sense, command, decide, act, guard, write. Runs in the loop's thread, never waits."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns

from sonic_runtime.contract.messages import JointTarget, TickReport
from sonic_runtime.contract.ports import Clock, Controllers, GoalSource, OperatorInput, RobotPort
from sonic_runtime.guard.modes import Guard

STAGES = ("sense", "command", "decide", "act", "guard", "write")


@dataclass(frozen=True, slots=True, kw_only=True)
class TickParts:
    """Everything a tick works with.

    Attributes:
        robot: where the state comes from and the target goes.
        operator: what is asked for.
        goals: what to do.
        controllers: what turns mode, state and goal into a target.
        guard: decides on the mode and admits targets.
        clock: time of the loop.
        damping_target: written wherever no controller's target may be; needs no measurement.
    """

    robot: RobotPort
    operator: OperatorInput
    goals: GoalSource
    controllers: Controllers
    guard: Guard
    clock: Clock
    damping_target: JointTarget


def tick(parts: TickParts, index: int) -> TickReport:
    """Run one control tick.

    Args:
        parts: robot, operator, goals, controllers, guard, clock.
        index: number of the tick, from 0.

    Returns:
        What was seen and done, with the time each stage took.

    Raises:
        Exception: whatever a part raises; the loop answers with damping.
    """
    guard = parts.guard
    t0 = perf_counter_ns()
    state = parts.robot.read()
    t1 = perf_counter_ns()
    events = parts.operator.read(state, guard.mode)
    goal = parts.goals.read(state, events)
    t2 = perf_counter_ns()
    now_ns = parts.clock.now_ns()
    mode = guard.decide(state, goal, events, now_ns)
    t3 = perf_counter_ns()
    decision = parts.controllers.act(mode, state, goal, events)
    t4 = perf_counter_ns()
    target = guard.admit(decision, state)
    if target is None:
        mode, target = guard.mode, parts.damping_target
    t5 = perf_counter_ns()
    parts.robot.write(target)
    times = (t0, t1, t2, t3, t4, t5, perf_counter_ns())
    return TickReport(
        index=index,
        now_ns=now_ns,
        state=state,
        events=events,
        goal=goal,
        mode=mode,
        controller=parts.controllers.current,
        decision=decision,
        target=target,
        fault=guard.fault,
        stage_ns={name: times[i + 1] - times[i] for i, name in enumerate(STAGES)},
    )
