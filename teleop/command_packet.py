"""The topics `command` and `manager_state`: what an operator at a headset asks for, and how that program stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from teleop.fields import Fields
from teleop.wire import pack, unpack

COMMAND_TOPIC = "command"
MANAGER_TOPIC = "manager_state"

StreamMode = Literal["off", "pose", "planner", "planner_frozen_upper", "pose_pause", "vr_3pt"]
STREAM_MODES: tuple[StreamMode, ...] = ("off", "pose", "planner", "planner_frozen_upper", "pose_pause", "vr_3pt")
"""What SONIC's headset client sends, in the order of its numbers."""

_MAX_TURN = np.pi


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A `command` message.

    Attributes:
        start: one step on towards tracking.
        stop: the end; damping.
        planner: whether goals come from the `planner` topic, else from `pose`.
        delta_heading_rad: turn of the reference, to the left; SONIC's clients send it, its runtime does not read it.
    """

    start: bool
    stop: bool
    planner: bool
    delta_heading_rad: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerState:
    """A `manager_state` message.

    Attributes:
        stream_mode: what the headset client streams now.
        toggle_data_collection: whether recording of data was begun or ended with this message.
        toggle_data_abort: whether what was recorded was thrown away with this message.
    """

    stream_mode: StreamMode
    toggle_data_collection: bool
    toggle_data_abort: bool


def unpack_command(message: bytes) -> Command:
    """Read a `command` message.

    Raises:
        WireError: the framing is unsound, a field is missing, or a value has another dtype, size or range.
    """
    fields = Fields(COMMAND_TOPIC, unpack(message, COMMAND_TOPIC).fields)
    return Command(
        start=fields.flag("start"),
        stop=fields.flag("stop"),
        planner=fields.flag("planner"),
        delta_heading_rad=fields.number("delta_heading", _MAX_TURN, "rad", 0.0),
    )


def pack_command(command: Command) -> bytes:
    """Build a `command` message with the dtypes that SONIC's clients send."""
    fields: dict[str, npt.ArrayLike] = {
        name: np.array([getattr(command, name)], dtype=np.uint8) for name in ("start", "stop", "planner")
    }
    if command.delta_heading_rad:
        fields["delta_heading"] = np.array([command.delta_heading_rad], dtype=np.float32)
    return pack(COMMAND_TOPIC, 1, fields)


def unpack_manager_state(message: bytes) -> ManagerState:
    """Read a `manager_state` message.

    Raises:
        WireError: the framing is unsound, a field is missing, or a value has another dtype, size or range.
    """
    fields = Fields(MANAGER_TOPIC, unpack(message, MANAGER_TOPIC).fields)
    return ManagerState(
        stream_mode=STREAM_MODES[fields.integer("stream_mode", 0, len(STREAM_MODES) - 1)],
        toggle_data_collection=fields.flag("toggle_data_collection"),
        toggle_data_abort=fields.flag("toggle_data_abort"),
    )


def pack_manager_state(state: ManagerState) -> bytes:
    """Build a `manager_state` message with the dtypes and the version number that SONIC's client sends."""
    fields: dict[str, npt.ArrayLike] = {
        "stream_mode": np.array([STREAM_MODES.index(state.stream_mode)], dtype=np.int32),
        "toggle_data_collection": np.array([state.toggle_data_collection]),
        "toggle_data_abort": np.array([state.toggle_data_abort]),
    }
    return pack(MANAGER_TOPIC, 3, fields)
