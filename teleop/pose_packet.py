"""The `pose` topic, protocol version 1: a chunk of consecutive reference frames, checked and typed.

Fields of version 1 (SONIC's names): joint_pos [N,29] and joint_vel [N,29] in policy order, absolute; body_quat or
body_quat_w [N,4] or [N,B,4] wxyz (the first body is the root); frame_index (or last_smpl_global_frames) [N].
Optional: catch_up [1], heading_increment [1] rad. Other fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.messages import Array
from teleop.wire import pack, unpack

TOPIC = "pose"
VERSION = 1
JOINT_COUNT = 29
MAX_FRAMES = 1000
"""[frame] Longest chunk taken, 20 s at 50 Hz; more would make merging slow."""

_MAX_BODIES = 64
_MAX_JOINT_POS = 2.0 * np.pi
"""[rad] No joint of a G1 turns further; angles in degrees are caught by it."""
_MAX_JOINT_VEL = 200.0
"""[rad/s] Five times the fastest motor of the G1 (37 rad/s)."""
_MAX_NORM_ERROR = 0.02
"""[-] A quaternion in f16 is off by 1e-3."""
_MAX_FRAME_INDEX = 1 << 53

_FLOATS = (np.float64, np.float32, np.float16)
_INTEGERS = (np.int64, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFrames:
    """N consecutive frames of a streamed reference.

    Attributes:
        frame_index: (N,) i64 numbers of the frames, evenly spaced, not falling.
        joint_pos_pol: (N, 29) f64 [rad], policy order, absolute.
        joint_vel_pol: (N, 29) f64 [rad/s], policy order.
        root_quat_wxyz: (N, 4) f64 unit quaternions, world of the reference.
        catch_up: whether playback may jump forward when it lags too far.
        heading_increment_rad: added to the heading offset of the stream.
    """

    frame_index: npt.NDArray[np.int64]
    joint_pos_pol: Array
    joint_vel_pol: Array
    root_quat_wxyz: Array
    catch_up: bool = True
    heading_increment_rad: float = 0.0

    def __len__(self) -> int:
        return len(self.frame_index)

    @property
    def step(self) -> int:
        """Spacing of the frame numbers; 1 for a single frame and for repeated numbers."""
        if len(self.frame_index) < 2:
            return 1
        return abs(int(self.frame_index[1]) - int(self.frame_index[0])) or 1


def pack_pose(frames: PoseFrames) -> bytes:
    """Build a `pose` version 1 message, little endian, values in f32, frame numbers in i64."""
    fields: dict[str, npt.ArrayLike] = {
        "joint_pos": frames.joint_pos_pol.astype(np.float32),
        "joint_vel": frames.joint_vel_pol.astype(np.float32),
        "body_quat_w": frames.root_quat_wxyz.astype(np.float32),
        "frame_index": frames.frame_index.astype(np.int64),
        "catch_up": np.array([frames.catch_up]),
    }
    if frames.heading_increment_rad:
        fields["heading_increment"] = np.array([frames.heading_increment_rad])
    return pack(TOPIC, VERSION, fields)


def unpack_pose(message: bytes) -> PoseFrames:
    """Read a `pose` message of version 1.

    Raises:
        WireError: if the framing is unsound, the version is not 1, a field is missing, or a value has another dtype,
            shape or range than the protocol says; the message names the field, what was expected and what came.
    """
    packet = unpack(message, TOPIC)
    if packet.version != VERSION:
        raise WireError(
            f"pose: expected protocol version {VERSION}, got {packet.version}; "
            "let the sender stream joint angles (version 1)"
        )
    fields = packet.fields
    frame_index = _frame_index(fields)
    count = len(frame_index)
    return PoseFrames(
        frame_index=frame_index,
        joint_pos_pol=_joint_values(fields, "joint_pos", count, _MAX_JOINT_POS, "rad"),
        joint_vel_pol=_joint_values(fields, "joint_vel", count, _MAX_JOINT_VEL, "rad/s"),
        root_quat_wxyz=_root_quat(fields, count),
        catch_up=_catch_up(fields),
        heading_increment_rad=_heading_increment(fields),
    )


def _field(fields: Mapping[str, npt.NDArray], names: tuple[str, ...], dtypes: tuple[type, ...]) -> npt.NDArray:
    for name in names:
        if name in fields:
            array = fields[name]
            if array.dtype.type not in dtypes:
                wanted = ", ".join(np.dtype(d).name for d in dtypes)
                raise WireError(f"pose: {name}: expected one of the dtypes {wanted}, got {array.dtype.name}")
            return array
    raise WireError(f"pose: expected a field {' or '.join(names)}, got only {', '.join(sorted(fields)) or 'none'}")


def _frame_index(fields: Mapping[str, npt.NDArray]) -> npt.NDArray[np.int64]:
    index = _field(fields, ("frame_index", "last_smpl_global_frames"), _INTEGERS).astype(np.int64)
    if index.ndim != 1 or not 1 <= len(index) <= MAX_FRAMES:
        raise WireError(f"pose: frame_index: expected shape [N] with 1 <= N <= {MAX_FRAMES}, got {list(index.shape)}")
    first, last = int(index[0]), int(index[-1])
    steps = index[1:] - index[:-1]
    step = int(steps[0]) if len(steps) else 0
    # the last condition sees differences that have wrapped around
    if step < 0 or (steps != step).any() or last != first + step * len(steps):
        raise WireError(f"pose: frame_index: expected evenly spaced rising numbers, got {first} to {last}")
    if first < 0 or last > _MAX_FRAME_INDEX:
        raise WireError(f"pose: frame_index: expected numbers from 0 to {_MAX_FRAME_INDEX}, got {first} to {last}")
    return index


def _joint_values(fields: Mapping[str, npt.NDArray], name: str, count: int, limit: float, unit: str) -> Array:
    values = _field(fields, (name,), _FLOATS)
    if values.shape != (count, JOINT_COUNT):
        raise WireError(f"pose: {name}: expected shape {[count, JOINT_COUNT]}, got {list(values.shape)}")
    values = values.astype(np.float64)
    # false for what is not finite, too
    if not (values.max() <= limit and values.min() >= -limit):
        _require_finite(name, values)
        worst = float(np.abs(values).max())
        raise WireError(
            f"pose: {name}: expected values within {limit:.2f} {unit}, got {worst:.2f}; angles are in radians"
        )
    return values


def _root_quat(fields: Mapping[str, npt.NDArray], count: int) -> Array:
    quat = _field(fields, ("body_quat", "body_quat_w"), _FLOATS)
    shape = list(quat.shape)
    if quat.ndim == 3 and 1 <= quat.shape[1] <= _MAX_BODIES:
        quat = quat[:, 0]
    if quat.shape != (count, 4):
        raise WireError(f"pose: body_quat: expected shape [{count}, 4] or [{count}, B, 4], got {shape}")
    quat = quat.astype(np.float64)
    # huge numbers first, so that their squares do not overflow; false for what is not finite, too
    bounded = quat.max() <= 2.0 and quat.min() >= -2.0
    norm = np.sqrt((quat * quat).sum(axis=1)) if bounded else np.zeros(count)
    if not (norm.max() <= 1.0 + _MAX_NORM_ERROR and norm.min() >= 1.0 - _MAX_NORM_ERROR):
        raise _quat_error(quat)
    return quat / norm[:, None]


def _quat_error(quat_wxyz: Array) -> WireError:
    """Say which of the quaternions (N, 4) is none."""
    _require_finite("body_quat", quat_wxyz)
    norm = np.linalg.norm(np.clip(quat_wxyz, -10.0, 10.0), axis=-1)
    worst = int(np.abs(norm - 1.0).argmax())
    return WireError(f"pose: body_quat: expected unit quaternions (wxyz), got norm {norm[worst]:.3f} at frame {worst}")


def _catch_up(fields: Mapping[str, npt.NDArray]) -> bool:
    if "catch_up" not in fields:
        return True
    value = _field(fields, ("catch_up",), (np.bool_, np.uint8, *_INTEGERS))
    if value.size != 1:
        raise WireError(f"pose: catch_up: expected shape [1], got {list(value.shape)}")
    return bool(value.reshape(-1)[0])


def _heading_increment(fields: Mapping[str, npt.NDArray]) -> float:
    if "heading_increment" not in fields:
        return 0.0
    value = _field(fields, ("heading_increment",), _FLOATS)
    if value.size != 1:
        raise WireError(f"pose: heading_increment: expected shape [1], got {list(value.shape)}")
    increment = float(value.reshape(-1)[0])
    if not abs(increment) <= np.pi:
        raise WireError(f"pose: heading_increment: expected a number within pi rad, got {increment}")
    return increment


def _require_finite(name: str, values: Array) -> None:
    if not np.isfinite(values).all():
        frame = int(np.argmin(np.isfinite(values).all(axis=-1)))
        raise WireError(f"pose: {name}: expected finite numbers, got a non-finite one at frame {frame} of the chunk")
