"""One tick as messages of the channels, on its way to another process. Packing runs in the tick, so it does little.

The numbers of all arrays go in one block of float64, which holds a float32 or a motor's error word as well; in the
messages stands only how many of them belong to each field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from sonic_runtime.contract.messages import Array, Goal, JointTarget, TickReport
from sonic_runtime.record import channels as ch
from sonic_runtime.record.tape import Cut
from sonic_runtime.robots import g1
from sonic_runtime.tick import STAGES

Row = tuple[str, dict[str, Any]]
"""A topic and the fields of one message; for an array the number of its elements."""

_STATE = ("joint_pos_hw", "joint_vel_hw", "base_quat_wxyz", "base_ang_vel_b", "joint_torque_hw")
_STATE_WHERE_KNOWN = ("base_pos_w", "motor_temperature_c_hw", "motor_error_hw")
_GOAL = ("heading_quat_wxyz", "vr_compliance", "token", "hand_joint_pos", "upper_body_pos_pol", "upper_body_vel_pol")
_FRAME = ("joint_pos_pol", "joint_vel_pol", "root_quat_wxyz", "root_pos_w", "smpl_joints_b", "smpl_pose_rad")
_ACTION = ("action_pol", "token")
_TARGET = ("joint_pos_hw", "joint_vel_hw", "stiffness_hw", "damping_hw", "torque_ff_hw")
_STAGE_FIELDS = tuple(f"{stage}_us" for stage in STAGES)

_state_arrays = attrgetter(*_STATE, *_STATE_WHERE_KNOWN)
_goal_arrays = attrgetter(*_GOAL)
_frame_arrays = attrgetter(*_FRAME)
_action_arrays = attrgetter(*_ACTION)
_target_arrays = attrgetter(*_TARGET)


def rows_of_tick(report: TickReport, cut: Cut) -> tuple[list[Row], bytes]:
    """Return the messages of one tick, and the numbers of their arrays.

    Args:
        report: what the tick saw and did.
        cut: what else came in since the report before.
    """
    tick, state, decision = report.index, report.state, report.decision
    numbers: list[Array] = []
    head = {"tick": tick, "now_ns": report.now_ns, "mode": report.mode, "controller": report.controller}
    state_row: dict[str, Any] = {"tick": tick, "stamp_ns": int(state.stamp_ns)}
    _add(state_row, numbers, _STATE + _STATE_WHERE_KNOWN, _state_arrays(state))
    if state.wireless_remote is not None:
        state_row["wireless_remote"] = state.wireless_remote
    rows: list[Row] = [(ch.TICK.topic, head), (ch.STATE.topic, state_row)]
    if report.goal is not None:
        rows.append((ch.GOAL.topic, _goal(tick, report.goal, numbers)))
    for channel, vector in ((ch.ENCODER_INPUT, cut.encoder_input), (ch.DECODER_INPUT, cut.decoder_input)):
        if vector is not None:
            numbers.append(vector)
            rows.append((channel.topic, {"tick": tick, "values": vector.size}))
    if decision.action_pol is not None or decision.token is not None:
        action = {"tick": tick}
        _add(action, numbers, _ACTION, _action_arrays(decision))
        rows.append((ch.ACTION.topic, action))
    command = {"tick": tick}
    _add(command, numbers, _TARGET, _target_arrays(report.target))
    _add(command, numbers, ("wanted_pos_hw",), (decision.target.joint_pos_hw,))
    rows.append((ch.COMMAND.topic, command))
    for event in report.events:
        asked = {"tick": tick, "kind": event.kind, "value": float(event.value), "origin": event.origin}
        rows.append((ch.OPERATOR.topic, asked))
    rows.append((ch.GUARD.topic, _guard(report, cut)))
    rows.append((ch.TIMING.topic, _timing(report, cut)))
    rows.append((ch.INPUTS.topic, _inputs(tick, cut)))
    for name, messages in cut.takes:
        rows += [(ch.STREAM.topic, {"tick": tick, "inbox": name, "data": message}) for message in messages]
    return rows, np.concatenate(numbers, axis=None, dtype=np.float64).tobytes()


def unpacked(rows: Sequence[Row], block: bytes) -> Iterator[Row]:
    """Yield the messages with the arrays in their fields; undoes `rows_of_tick`."""
    numbers = np.frombuffer(block, dtype=np.float64)
    start = 0
    for topic, row in rows:
        fields = ch.CHANNELS[topic].fields
        for name, value in row.items():
            if fields[name].kind in ch.ARRAY_DTYPES:
                row[name] = numbers[start : start + value]
                start += value
        yield topic, row


def _add(row: dict[str, Any], numbers: list[Array], names: Sequence[str], arrays: Sequence[Array | None]) -> None:
    for name, array in zip(names, arrays, strict=True):
        if array is not None:
            row[name] = array.size
            numbers.append(array)


def fields_of_goal(tick: int, goal: Goal) -> dict[str, Any]:
    """Return the fields of a goal's message, arrays as they are; of the reference the frame to track now."""
    reference, cursor = goal.reference, goal.reference.cursor
    # int and bool: numpy's own are no JSON
    row: dict[str, Any] = {
        "tick": tick,
        "encoder": goal.encoder,
        "cursor": int(cursor),
        "frames": len(reference),
        "frame_index": int(reference.first_index + cursor),
        "playing": bool(reference.playing),
        "stamp_ns": int(goal.stamp_ns),
    }
    row.update(zip(_GOAL, _goal_arrays(goal), strict=True))
    for name, track in zip(_FRAME, _frame_arrays(reference), strict=True):
        row[name] = None if track is None else track[cursor]
    return row


def _goal(tick: int, goal: Goal, numbers: list[Array]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in fields_of_goal(tick, goal).items():
        if isinstance(value, np.ndarray):
            row[name] = value.size
            numbers.append(value)
        elif value is not None:
            row[name] = value
    return row


def _guard(report: TickReport, cut: Cut) -> dict[str, Any]:
    fault = report.fault
    return {
        "tick": report.index,
        "mode": report.mode,
        "fault": "" if fault is None else fault.code,
        "detail": "" if fault is None else fault.detail,
        "clamped": _clamped(report.decision.target, report.target),
        "warnings": cut.warnings,
        "refusal": cut.refusal,
    }


def _clamped(wanted: JointTarget, written: JointTarget) -> list[str]:
    # damping in the place of a target that was refused is no clamp
    if written is wanted or written.stiffness_hw is not wanted.stiffness_hw:
        return []
    changed = written.joint_pos_hw != wanted.joint_pos_hw
    if written.joint_vel_hw is not wanted.joint_vel_hw:
        changed |= written.joint_vel_hw != wanted.joint_vel_hw
    if written.torque_ff_hw is not wanted.torque_ff_hw:
        changed |= written.torque_ff_hw != wanted.torque_ff_hw
    return [g1.JOINT_NAMES_HW[i] for i in np.flatnonzero(changed)]


def _timing(report: TickReport, cut: Cut) -> dict[str, Any]:
    late_ns = 0
    for call in cut.guard_calls:
        late_ns = call.get("late_ns", late_ns)
    row: dict[str, Any] = {"tick": report.index, "late_ms": late_ns * 1e-6}
    for stage, name in zip(STAGES, _STAGE_FIELDS, strict=True):
        row[name] = report.stage_ns.get(stage, 0) * 1e-3
    return row


def _inputs(tick: int, cut: Cut) -> dict[str, Any]:
    return {
        "tick": tick,
        "inboxes": [name for name, _ in cut.takes],
        "taken": [len(messages) for _, messages in cut.takes],
        "guard_calls": cut.guard_calls,
    }
