"""One tick on its way to another process, and the messages of the channels that come of it there.

Packing runs in the tick, so it does little: it collects the arrays in a fixed order, copies their numbers into a block
of float64, which holds a float32 or a motor's error word as well, and leaves names and fields to the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np

from sonic_runtime.contract.messages import Goal, JointTarget, TickReport
from sonic_runtime.record import channels as ch
from sonic_runtime.record.frames import GoalFrame, Tick
from sonic_runtime.record.tape import Cut
from sonic_runtime.robots import g1
from sonic_runtime.tick import STAGES

Row = tuple[str, dict[str, Any]]
"""A topic and the fields of one message."""

_STATE = (
    "joint_pos_hw",
    "joint_vel_hw",
    "base_quat_wxyz",
    "base_ang_vel_b",
    "joint_torque_hw",
    "base_pos_w",
    "motor_temperature_c_hw",
    "motor_error_hw",
)
_GOAL = ("heading_quat_wxyz", "vr_compliance", "token", "hand_joint_pos", "upper_body_pos_pol", "upper_body_vel_pol")
_GOAL_SCALARS = ("encoder", "cursor", "frames", "frame_index", "playing", "stamp_ns")
_FRAME = ("joint_pos_pol", "joint_vel_pol", "root_quat_wxyz", "root_pos_w", "smpl_joints_b", "smpl_pose_rad")
_ACTION = ("token", "action_pol")
_TARGET = ("joint_pos_hw", "joint_vel_hw", "stiffness_hw", "damping_hw", "torque_ff_hw")
_ORDER: tuple[tuple[str, str], ...] = (
    *((ch.STATE.topic, name) for name in _STATE),
    *((ch.GOAL.topic, name) for name in (*_GOAL, *_FRAME)),
    (ch.ENCODER_INPUT.topic, "values"),
    (ch.DECODER_INPUT.topic, "values"),
    *((ch.ACTION.topic, name) for name in _ACTION),
    *((ch.COMMAND.topic, name) for name in (*_TARGET, "wanted_pos_hw")),
)
"""Topic and field of each array of a tick, in the order in which they are packed."""
_NO_GOAL = (None,) * (len(_GOAL) + len(_FRAME))

_state_arrays = attrgetter(*_STATE)
_goal_arrays = attrgetter(*_GOAL)
_frame_arrays = attrgetter(*_FRAME)
_action_arrays = attrgetter(*_ACTION)
_target_arrays = attrgetter(*_TARGET)


def frame_of_tick(report: TickReport, cut: Cut) -> Tick:
    """Return one tick, packed.

    Args:
        report: what the tick saw and did.
        cut: what else came in since the report before.
    """
    state, goal, decision, fault = report.state, report.goal, report.decision, report.fault
    arrays = (
        *_state_arrays(state),
        *(_NO_GOAL if goal is None else _arrays_of_goal(goal)),
        cut.encoder_input,
        cut.decoder_input,
        *_action_arrays(decision),
        *_target_arrays(report.target),
        decision.target.joint_pos_hw,
    )
    stage_ns = report.stage_ns
    return Tick(
        index=report.index,
        now_ns=report.now_ns,
        mode=report.mode,
        controller=report.controller,
        stamp_ns=int(state.stamp_ns),
        remote=state.wireless_remote,
        goal=None if goal is None else _scalars_of_goal(goal),
        events=[(event.kind, float(event.value), event.origin) for event in report.events],
        fault=None if fault is None else (fault.code, fault.detail),
        clamped=_clamped(decision.target, report.target),
        warnings=cut.warnings,
        refusal=cut.refusal,
        stage_ns=[stage_ns.get(stage, 0) for stage in STAGES],
        guard_calls=cut.guard_calls,
        takes=cut.takes,
        sizes=[-1 if array is None else array.size for array in arrays],
        numbers=np.concatenate([a for a in arrays if a is not None], axis=None, dtype=np.float64).tobytes(),
    )


def rows_of_frame(tick: Tick) -> Iterator[Row]:
    """Yield the messages of a tick in the order of the channels; `/tick` comes first."""
    index = tick.index
    yield ch.TICK.topic, _head(tick)
    arrays = _arrays_by_topic(tick)
    remote = {} if tick.remote is None else {"wireless_remote": tick.remote}
    yield ch.STATE.topic, {"tick": index, "stamp_ns": tick.stamp_ns, **arrays.pop(ch.STATE.topic), **remote}
    goal_arrays = arrays.pop(ch.GOAL.topic, {})
    if tick.goal is not None:
        yield ch.GOAL.topic, {"tick": index, **dict(zip(_GOAL_SCALARS, tick.goal, strict=True)), **goal_arrays}
    for topic, content in arrays.items():
        yield topic, {"tick": index, **content}
    for kind, value, origin in tick.events:
        yield ch.OPERATOR.topic, {"tick": index, "kind": kind, "value": value, "origin": origin}
    yield ch.GUARD.topic, _guard(tick)
    yield ch.TIMING.topic, _timing(tick)
    yield ch.INPUTS.topic, _inputs(tick)
    for name, messages in tick.takes:
        for message in messages:
            yield ch.STREAM.topic, {"tick": index, "inbox": name, "data": message}


def fields_of_goal(tick: int, goal: Goal) -> dict[str, Any]:
    """Return the fields of a goal's message, arrays as they are; of the reference the frame to track now."""
    return {
        "tick": tick,
        **dict(zip(_GOAL_SCALARS, _scalars_of_goal(goal), strict=True)),
        **dict(zip((*_GOAL, *_FRAME), _arrays_of_goal(goal), strict=True)),
    }


def _scalars_of_goal(goal: Goal) -> GoalFrame:
    reference, cursor = goal.reference, goal.reference.cursor
    # int and bool: numpy's own are no JSON
    return (
        goal.encoder,
        int(cursor),
        len(reference),
        int(reference.first_index + cursor),
        bool(reference.playing),
        int(goal.stamp_ns),
    )


def _arrays_of_goal(goal: Goal) -> tuple[Any, ...]:
    cursor = goal.reference.cursor
    frame = [None if track is None else track[cursor] for track in _frame_arrays(goal.reference)]
    return (*_goal_arrays(goal), *frame)


def _clamped(wanted: JointTarget, written: JointTarget) -> list[int]:
    # damping in the place of a target that was refused is no clamp
    if written is wanted or written.stiffness_hw is not wanted.stiffness_hw:
        return []
    changed = written.joint_pos_hw != wanted.joint_pos_hw
    if written.joint_vel_hw is not wanted.joint_vel_hw:
        changed |= written.joint_vel_hw != wanted.joint_vel_hw
    if written.torque_ff_hw is not wanted.torque_ff_hw:
        changed |= written.torque_ff_hw != wanted.torque_ff_hw
    return np.flatnonzero(changed).tolist()


def _arrays_by_topic(tick: Tick) -> dict[str, dict[str, Any]]:
    numbers = np.frombuffer(tick.numbers, dtype=np.float64)
    found: dict[str, dict[str, Any]] = {}
    start = 0
    for (topic, name), size in zip(_ORDER, tick.sizes, strict=True):
        if size >= 0:
            found.setdefault(topic, {})[name] = numbers[start : start + size]
            start += size
    return found


def _head(tick: Tick) -> dict[str, Any]:
    return {"tick": tick.index, "now_ns": tick.now_ns, "mode": tick.mode, "controller": tick.controller}


def _guard(tick: Tick) -> dict[str, Any]:
    code, detail = ("", "") if tick.fault is None else tick.fault
    return {
        "tick": tick.index,
        "mode": tick.mode,
        "fault": code,
        "detail": detail,
        "clamped": [g1.JOINT_NAMES_HW[i] for i in tick.clamped],
        "warnings": tick.warnings,
        "refusal": tick.refusal,
    }


def _timing(tick: Tick) -> dict[str, Any]:
    late_ns = [call["late_ns"] for call in tick.guard_calls if "late_ns" in call]
    stages = {f"{stage}_us": ns * 1e-3 for stage, ns in zip(STAGES, tick.stage_ns, strict=True)}
    return {"tick": tick.index, **stages, "late_ms": (late_ns[-1] if late_ns else 0) * 1e-6}


def _inputs(tick: Tick) -> dict[str, Any]:
    return {
        "tick": tick.index,
        "inboxes": [name for name, _ in tick.takes],
        "taken": [len(messages) for _, messages in tick.takes],
        "guard_calls": tick.guard_calls,
    }
