"""Runs a recording through the same tick again and compares, bit for bit, what comes out.

What is fed back: state, events and time of each tick, raw stream messages, and what the loop told the guard. What is
compared, in the order in which one thing leads to the next: goal, mode, controller, token, action, wanted target,
written target, fault. The first difference is the one that explains the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sonic_runtime.contract.errors import SonicError
from sonic_runtime.contract.messages import TickReport
from sonic_runtime.record.channels import ACTION, COMMAND, GOAL
from sonic_runtime.record.read import RecordedTick
from sonic_runtime.record.rows import fields_of_goal
from sonic_runtime.record.stand_ins import RecordedWorld, same_bits
from sonic_runtime.robots import g1
from sonic_runtime.tick import TickParts, tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a replay and its recording part.

    Attributes:
        tick: number of the tick.
        seconds: time of the loop since the first tick [s].
        field: what differs: "action.action_pol[3] (left_hip_roll_joint)".
        recorded: what the recording holds.
        replayed: what the replay gave.
    """

    tick: int
    seconds: float
    field: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        return (
            f"first difference in tick {self.tick}, {self.seconds:.2f} s after the first: {self.field}: recorded "
            f"{self.recorded}, replayed {self.replayed}"
        )


@dataclass(slots=True, kw_only=True)
class ReplayResult:
    """What a replay found.

    Attributes:
        ticks: ticks compared.
        networks: ticks among them in which a network ran.
        differing: ticks in which anything differed.
        first: the first difference, None where there is none.
        unseen: ticks that are not in the recording because they ended in an exception.
    """

    ticks: int = 0
    networks: int = 0
    differing: int = 0
    first: Difference | None = None
    unseen: int = 0


def replay(ticks: Iterable[RecordedTick], parts: TickParts, world: RecordedWorld) -> ReplayResult:
    """Run recorded ticks through parts that were built anew.

    Args:
        ticks: the recording.
        parts: what a tick works with; robot, operator, clock and inboxes are those of `world`.
        world: what the recording is fed into.

    Returns:
        What was found.
    """
    result = ReplayResult()
    first_ns: int | None = None
    expected = 0
    for recorded in ticks:
        first_ns = recorded.now_ns if first_ns is None else first_ns
        result.unseen += recorded.index - expected
        expected = recorded.index + 1
        world.turn_to(recorded)
        world.tell(parts.guard)
        found = _compare_tick(recorded, parts, world, goals=result.unseen == 0)
        result.ticks += 1
        result.networks += bool(recorded.action)
        if found is None:
            continue
        result.differing += 1
        if result.first is None:
            seconds = (recorded.now_ns - first_ns) * 1e-9
            result.first = Difference(tick=recorded.index, seconds=seconds, **found)
    return result


def _compare_tick(
    recorded: RecordedTick, parts: TickParts, world: RecordedWorld, *, goals: bool
) -> dict[str, str] | None:
    """Return field, recorded and replayed of the first difference in a tick, None where there is none.

    Args:
        recorded: the tick.
        parts: what it is run with.
        world: what they read from.
        goals: whether goals are compared; after a tick that is not in the recording they cannot be.
    """
    try:
        report = tick(parts, recorded.index)
    except SonicError as error:
        # the recorded tick came to its end, or it would not be there
        return {"field": "tick", "recorded": "a report", "replayed": f"{type(error).__name__}: {error}"}
    if goals and (found := _different("goal", recorded.goal, _goal(report), GOAL.fields)):
        return found
    pairs = {
        "mode": (recorded.mode, report.mode),
        "controller": (recorded.controller, report.controller),
    }
    for field, (then, now) in pairs.items():
        if then != now:
            return {"field": field, "recorded": then, "replayed": now}
    action = {name: getattr(report.decision, name) for name in ("token", "action_pol")}
    command = {name: getattr(report.target, name) for name in COMMAND.fields if hasattr(report.target, name)}
    return (
        _different("action", recorded.action, action, ACTION.fields)
        or _different(
            "command",
            {"wanted_pos_hw": recorded.wanted_pos_hw},
            {"wanted_pos_hw": report.decision.target.joint_pos_hw},
            COMMAND.fields,
        )
        or _different("command", {name: getattr(recorded.command, name) for name in command}, command, COMMAND.fields)
        or _different_fault(recorded, report)
    )


def _goal(report: TickReport) -> dict[str, Any] | None:
    return None if report.goal is None else fields_of_goal(report.index, report.goal)


def _different(
    channel: str, recorded: dict[str, Any] | None, replayed: dict[str, Any] | None, fields: Any
) -> dict[str, str] | None:
    """Compare two messages field by field, in the order of the channel."""
    if recorded is None or replayed is None:
        if recorded is replayed:
            return None
        said = ["none" if content is None else "there" for content in (recorded, replayed)]
        return {"field": channel, "recorded": said[0], "replayed": said[1]}
    for name in fields:
        then, now = recorded.get(name), replayed.get(name)
        if then is None and now is None:
            continue
        if isinstance(then, np.ndarray) and isinstance(now, np.ndarray):
            if not same_bits(then, np.asarray(now, dtype=then.dtype)):
                return _first_element(f"{channel}.{name}", then, now)
        elif type(then) is not type(now) or then != now:
            said = ["none" if value is None else str(value) for value in (then, now)]
            return {"field": f"{channel}.{name}", "recorded": said[0], "replayed": said[1]}
    return None


def _first_element(field: str, then: np.ndarray, now: np.ndarray) -> dict[str, str]:
    if then.shape != now.shape:
        return {"field": field, "recorded": f"shape {then.shape}", "replayed": f"shape {now.shape}"}
    one, other = then.ravel(), np.asarray(now, dtype=then.dtype).ravel()
    index = next(i for i in range(one.size) if not same_bits(one[i : i + 1], other[i : i + 1]))
    names = {"hw": g1.JOINT_NAMES_HW, "pol": g1.JOINT_NAMES_POL}.get(field.rsplit("_", 1)[-1], ())
    joint = f" ({names[index]})" if len(names) == one.size else ""
    return {
        "field": f"{field}[{index}]{joint}",
        "recorded": repr(one[index].item()),
        "replayed": repr(other[index].item()),
    }


def _different_fault(recorded: RecordedTick, report: TickReport) -> dict[str, str] | None:
    if recorded.fault == report.fault:
        return None
    said = ["none" if fault is None else f"{fault.code} ({fault.detail})" for fault in (recorded.fault, report.fault)]
    return {"field": "guard.fault", "recorded": said[0], "replayed": said[1]}
