"""What a recording holds: the channels, the fields of their messages, and both directions of their encoding.

Every message is one JSON object with a JSON schema, so that Foxglove and other MCAP readers open and plot it. Arrays
are flat lists in the order given here. JSON floats are the shortest decimal that reads back as the same float64, so a
recording returns every number bit for bit; what JSON cannot write is the text "nan", "inf" or "-inf" in its place.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.tick import STAGES

FORMAT_VERSION = 1
Kind = Literal["int", "float", "text", "flag", "f64", "f32", "i64", "bytes", "texts", "counts", "calls"]
Value = Any
"""A field in memory: int, float, str, bool, numpy array, bytes, list of texts, or list of guard calls."""

ARRAY_DTYPES: dict[str, type[np.generic]] = {"f64": np.float64, "f32": np.float32, "i64": np.int64}
"""Kinds that are arrays, and the type of their numbers."""
_SCHEMAS: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "text": {"type": "string"},
    "flag": {"type": "boolean"},
    "f64": {"type": "array", "items": {"type": "number"}},
    "f32": {"type": "array", "items": {"type": "number"}},
    "i64": {"type": "array", "items": {"type": "integer"}},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "counts": {"type": "array", "items": {"type": "integer"}},
    "calls": {"type": "array", "items": {"type": "object", "properties": {"call": {"type": "string"}}}},
}


class Field(NamedTuple):
    """One field of a message: kind, meaning with unit, shape of an array with more than one dimension."""

    kind: Kind
    meaning: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic and the fields of its messages; fields that a tick lacks are left out of its message."""

    topic: str
    meaning: str
    fields: Mapping[str, Field]


def _channel(topic: str, meaning: str, **fields: Field) -> Channel:
    return Channel(topic, meaning, {"tick": Field("int", "number of the tick, from 0"), **fields})


TICK = _channel(
    "/tick",
    "one a tick: time, mode and controller; the messages of a tick follow it",
    now_ns=Field("int", "time of the loop when the mode was decided [ns]"),
    mode=Field("text", "mode of the guard"),
    controller=Field("text", "controller in charge"),
)
STATE = _channel(
    "/state",
    "what the robot measured",
    stamp_ns=Field("int", "time of measurement on the clock of the loop [ns]"),
    joint_pos_hw=Field("f64", "29 joint angles, motor order [rad]"),
    joint_vel_hw=Field("f64", "29 joint speeds, motor order [rad/s]"),
    base_quat_wxyz=Field("f64", "orientation of the pelvis in the world"),
    base_ang_vel_b=Field("f64", "angular velocity of the pelvis, its own frame [rad/s]"),
    joint_torque_hw=Field("f64", "29 joint torques, motor order [N m]"),
    base_pos_w=Field("f64", "position of the pelvis, a simulator's truth [m]"),
    motor_temperature_c_hw=Field("f64", "temperature of 29 motors [degrees Celsius]"),
    motor_error_hw=Field("i64", "error word of 29 motors"),
    wireless_remote=Field("bytes", "the 40 bytes of the robot's remote control"),
)
GOAL = _channel(
    "/goal",
    "what to do, in ticks that have a goal; of the reference the frame to track now",
    encoder=Field("text", "encoder that reads the reference"),
    cursor=Field("int", "frame to track now, in the window of the reference"),
    frames=Field("int", "frames of the window"),
    frame_index=Field("int", "number of the frame in the count of its source"),
    playing=Field("flag", "whether the cursor moves"),
    stamp_ns=Field("int", "when the newest data of the reference arrived [ns]"),
    heading_quat_wxyz=Field("f64", "turn about z from the world of the reference to the robot's"),
    joint_pos_pol=Field("f64", "29 joint angles of the frame, policy order [rad]"),
    joint_vel_pol=Field("f64", "29 joint speeds of the frame, policy order [rad/s]"),
    root_quat_wxyz=Field("f64", "root orientation of the frame in the world of the reference"),
    root_pos_w=Field("f64", "root position of the frame in the world of the reference [m]"),
    smpl_joints_b=Field("f64", "24 SMPL joints of the frame in the SMPL root frame [m]", (24, 3)),
    smpl_pose_rad=Field("f64", "rotation vectors of SMPL joints 1 to 21 of the frame [rad]", (21, 3)),
    vr_compliance=Field("f64", "how far left wrist, right wrist and torso may give way"),
    token=Field("f32", "ready motion token of 64 numbers"),
    hand_joint_pos=Field("f64", "left and right hand, 7 joints each [rad]", (2, 7)),
    upper_body_pos_pol=Field("f64", "17 joint angles that replace those of the reference [rad]"),
    upper_body_vel_pol=Field("f64", "their speeds [rad/s]"),
)
ENCODER_INPUT = _channel(
    "/observation/encoder",
    "input of the encoder, in ticks where it ran; terms in the order of the policy's manifest",
    values=Field("f32", "the whole vector"),
)
DECODER_INPUT = _channel(
    "/observation/decoder",
    "input of the decoder, in ticks where it ran; terms in the order of the policy's manifest",
    values=Field("f32", "the whole vector"),
)
ACTION = _channel(
    "/action",
    "what the networks returned, in ticks where they ran",
    token=Field("f32", "motion token of 64 numbers"),
    action_pol=Field("f32", "29 raw actions, policy order"),
)
COMMAND = _channel(
    "/command",
    "what the motors were told; positions in motor order",
    joint_pos_hw=Field("f64", "29 target angles after the guard [rad]"),
    joint_vel_hw=Field("f64", "29 target speeds [rad/s]"),
    stiffness_hw=Field("f64", "29 gains [N m/rad]"),
    damping_hw=Field("f64", "29 gains [N m s/rad]"),
    torque_ff_hw=Field("f64", "29 torques added [N m]"),
    wanted_pos_hw=Field("f64", "29 target angles of the controller, before the guard [rad]"),
)
OPERATOR = _channel(
    "/operator",
    "one message for each thing the operator asked for",
    kind=Field("text", "what"),
    value=Field("float", "how much; radians for turn"),
    origin=Field("text", "keys, gamepad, remote, command"),
)
GUARD = _channel(
    "/guard",
    "what the guard decided",
    mode=Field("text", "mode of the guard"),
    fault=Field("text", "code of the first fault of the run, empty while there is none"),
    detail=Field("text", "the fault in a sentence"),
    clamped=Field("texts", "joints whose target the guard changed in this tick"),
    warnings=Field("texts", "what is not well and no fault, each as code and sentence"),
    refusal=Field("text", "why the last start was refused, empty where it was not"),
)
TIMING = _channel(
    "/timing",
    "how long the stages of the tick took",
    **{f"{stage}_us": Field("float", f"time of the stage {stage} [us]") for stage in STAGES},
    late_ms=Field("float", "how long after its deadline the tick before was over [ms]"),
)
INPUTS = _channel(
    "/inputs",
    "what else reached the tick from outside, for a replay; the messages themselves are in /stream",
    inboxes=Field("texts", "inbox of each time a source took messages"),
    taken=Field("counts", "messages taken each time"),
    guard_calls=Field("calls", "what the loop told the guard between the tick before and this one, in order"),
)
STREAM = _channel(
    "/stream",
    "one message for each message taken from a stream, as it arrived",
    inbox=Field("text", "inbox it was taken from"),
    data=Field("bytes", "the bytes"),
)

CHANNELS: dict[str, Channel] = {
    channel.topic: channel
    for channel in (
        *(TICK, STATE, GOAL, ENCODER_INPUT, DECODER_INPUT, ACTION, COMMAND, OPERATOR, GUARD, TIMING, INPUTS, STREAM),
    )
}


def json_schema(channel: Channel) -> bytes:
    """Return the JSON schema of a channel's messages."""
    properties = {name: {**_SCHEMAS[f.kind], "description": f.meaning} for name, f in channel.fields.items()}
    return msgspec.json.encode(
        {"title": channel.topic, "description": channel.meaning, "type": "object", "properties": properties}
    )


def to_json(channel: Channel, content: Mapping[str, Value]) -> bytes:
    """Encode a message.

    Args:
        channel: where it goes.
        content: values by field; arrays of any shape are written flat.
    """
    fields = channel.fields
    return msgspec.json.encode({name: _plain(fields[name].kind, value) for name, value in content.items()})


def from_json(channel: Channel, data: bytes) -> dict[str, Value]:
    """Decode a message: arrays as numpy arrays of the field's type and shape, bytes as bytes.

    Raises:
        RecordingError: it is no message of this channel.
    """
    try:
        content = msgspec.json.decode(data, type=dict[str, Any])
        return {name: _value(channel.fields[name], value) for name, value in content.items()}
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            f"{channel.topic}: expected a message with the fields {', '.join(channel.fields)}, got {data[:80]!r} "
            f"({type(error).__name__}: {error}); the file is damaged or of another program"
        ) from error


def _plain(kind: Kind, value: Value) -> Value:
    if kind in ARRAY_DTYPES:
        # a float32 is written as the float64 of the same value, and read back as itself
        plain = np.asarray(value, dtype=np.int64 if kind == "i64" else np.float64).ravel().tolist()
        return plain if kind == "i64" or math.isfinite(sum(plain)) else [_finite_or_text(v) for v in plain]
    if kind == "bytes":
        return base64.b64encode(value).decode()
    return _finite_or_text(value) if kind == "float" else value


def _finite_or_text(value: float) -> float | str:
    return value if math.isfinite(value) else repr(value)


def _value(field: Field, value: Value) -> Value:
    if field.kind in ARRAY_DTYPES:
        # numpy reads the texts "nan" and "inf" as what they say
        array = np.array(value, dtype=ARRAY_DTYPES[field.kind])
        return array.reshape(field.shape) if field.shape else array
    if field.kind == "bytes":
        return base64.b64decode(value, validate=True)
    return float(value) if field.kind == "float" else value
