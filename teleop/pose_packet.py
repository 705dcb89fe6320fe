"""The `pose` topic, protocol versions 1 to 4, checked and typed.

    version   meaning                     fields (SONIC's names)
    1         robot joints                joint_pos, joint_vel [N,29] policy order, absolute; root; frame_index
    2         a person                    smpl_joints [N,24,3], smpl_pose [N,21,3]; root; frame_index
    3         a person, and robot wrists  all of version 1 and 2; of joint_pos only the wrists matter
    4         a ready motion token        token_state, 64 values

Root: body_quat or body_quat_w, [N,4] or [N,B,4] wxyz, the first body is the root; that of the robot in version 1, that
of the SMPL body (z up, x forward) in 2 and 3. frame_index, or last_smpl_global_frames: [N].

Optional in all versions: left_hand_joints, right_hand_joints, [7] or [N,7], of which the first row counts. In 1 to 3:
vr_position (9), vr_orientation (12), catch_up, heading_increment [rad], timestamp_monotonic [s]. Other fields are
ignored, vr_compliance among them, as in SONIC: on this topic compliance is the operator's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.messages import Array
from sonic_runtime.motions.vr_points import VR_QUAT_STANDING_B_WXYZ
from sonic_runtime.robots import g1
from teleop.fields import FLOATS, INTEGERS, Fields
from teleop.wire import Packet, pack, unpack

TOPIC = "pose"
VERSIONS = (1, 2, 3, 4)
JOINT_COUNT = 29
TOKEN_SIZE = 64
MAX_FRAMES = 1000
"""[frame] Longest chunk taken, 20 s at 50 Hz; more would make merging slow."""
MAX_TOKEN = 1.25
"""[-] Tokens of the published encoders lie in [-1, 0.9375]; SONIC's VLA client refuses what exceeds 1.25."""

_MAX_BODIES = 64
_MAX_JOINT_POS = 2.0 * np.pi
"""[rad] No joint of a G1 turns further; angles in degrees are caught by it."""
_MAX_JOINT_VEL = 200.0
"""[rad/s] Five times the fastest motor of the G1 (37 rad/s)."""
_MAX_HAND_POS = np.pi
"""[rad] No finger of a Dex3 hand turns further than 1.75."""
_MAX_REACH_M = 3.0
"""[m] No joint of a person, and no hand held by one, is further from the pelvis; millimetres are caught by it."""
_MAX_SMPL_POSE = 2.0 * np.pi
_MAX_TURN = np.pi
_MAX_TIME_S = 1e12
_MAX_FRAME_INDEX = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class VrPoints:
    """Where a headset and two hand controllers want the robot's torso and wrists.

    Attributes:
        pos_b: (3, 3) f64 [m] left wrist, right wrist, torso points in the root frame.
        quat_b_wxyz: (3, 4) f64 their orientations, unit.
    """

    pos_b: Array
    quat_b_wxyz: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Joint angles of the hands; a side that is not sent is None.

    Attributes:
        left_pos: (7,) f64 [rad], order of the Dex3 motors.
        right_pos: (7,) f64 [rad].
    """

    left_pos: Array | None = None
    right_pos: Array | None = None

    def over(self, known: Array | None) -> Array | None:
        """Return (2, 7) [rad]: these angles, and those known so far of a side that was not sent.

        Args:
            known: (2, 7) left and right, None where neither was ever sent; zeros then stand for the other side.
        """
        if self.left_pos is None and self.right_pos is None:
            return known
        left, right = np.zeros((2, 7)) if known is None else known
        return np.stack(
            [left if self.left_pos is None else self.left_pos, right if self.right_pos is None else self.right_pos]
        )


NO_HANDS = Hands()
"""A message that says nothing of the hands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedFrames:
    """What versions 1 to 3 have in common: N consecutive frames of a reference.

    Attributes:
        frame_index: (N,) i64 numbers of the frames, evenly spaced, not falling.
        root_quat_wxyz: (N, 4) f64 unit quaternions, world of the reference.
        catch_up: whether playback may jump forward when it lags too far.
        heading_increment_rad: added to the heading offset of the stream.
        hands: where the hands should be now.
        vr: where wrists and torso should be now; None where the sender says nothing.
        sent_s: the sender's monotonic clock when it sent this [s], None where it did not say.
    """

    frame_index: npt.NDArray[np.int64]
    root_quat_wxyz: Array
    catch_up: bool = True
    heading_increment_rad: float = 0.0
    hands: Hands = NO_HANDS
    vr: VrPoints | None = None
    sent_s: float | None = None

    def __len__(self) -> int:
        return len(self.frame_index)

    @property
    def step(self) -> int:
        """Spacing of the frame numbers; 1 for a single frame and for repeated numbers."""
        if len(self.frame_index) < 2:
            return 1
        return abs(int(self.frame_index[1]) - int(self.frame_index[0])) or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFrames(StreamedFrames):
    """Version 1: robot joints.

    Attributes:
        joint_pos_pol: (N, 29) f64 [rad], policy order, absolute.
        joint_vel_pol: (N, 29) f64 [rad/s], policy order.
    """

    joint_pos_pol: Array
    joint_vel_pol: Array

    @property
    def version(self) -> int:
        """1."""
        return 1

    def tracks(self) -> dict[str, Array]:
        """Return joints and root."""
        return {
            "joint_pos_pol": self.joint_pos_pol,
            "joint_vel_pol": self.joint_vel_pol,
            "root_quat_wxyz": self.root_quat_wxyz,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SmplFrames(StreamedFrames):
    """Versions 2 and 3: a person; the root is that of the SMPL body.

    Attributes:
        smpl_joints_b: (N, 24, 3) f64 [m], frame of the SMPL root.
        smpl_pose_rad: (N, 21, 3) f64 rotation vectors of SMPL joints 1 to 21 [rad].
        joint_pos_pol: (N, 29) f64 [rad], policy order, of which the wrists matter; None in version 2.
        joint_vel_pol: (N, 29) f64 [rad/s]; None in version 2.
    """

    smpl_joints_b: Array
    smpl_pose_rad: Array
    joint_pos_pol: Array | None = None
    joint_vel_pol: Array | None = None

    @property
    def version(self) -> int:
        """3 where there are wrists, else 2."""
        return 2 if self.joint_pos_pol is None else 3

    def tracks(self) -> dict[str, Array]:
        """Return SMPL and root; joints that were not sent are those of the default pose, at rest."""
        at_rest = np.zeros((len(self), JOINT_COUNT))
        return {
            "joint_pos_pol": at_rest + _DEFAULT_POS_POL if self.joint_pos_pol is None else self.joint_pos_pol,
            "joint_vel_pol": at_rest if self.joint_vel_pol is None else self.joint_vel_pol,
            "root_quat_wxyz": self.root_quat_wxyz,
            "smpl_root_quat_wxyz": self.root_quat_wxyz,
            "smpl_joints_b": self.smpl_joints_b,
            "smpl_pose_rad": self.smpl_pose_rad,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMessage:
    """Version 4: a ready motion token.

    Attributes:
        token: (64,) f32, at most MAX_TOKEN in size.
        hands: where the hands should be now.
        frame_index: the sender's count, None where it sends none; nothing depends on it.
    """

    token: npt.NDArray[np.float32]
    hands: Hands = NO_HANDS
    frame_index: int | None = None

    @property
    def version(self) -> int:
        """4."""
        return 4


Frames = PoseFrames | SmplFrames
PoseMessage = Frames | TokenMessage
_DEFAULT_POS_POL = g1.to_policy_order(g1.DEFAULT_POS_HW)


def unpack_pose(message: bytes) -> PoseMessage:
    """Read a `pose` message.

    Raises:
        WireError: if the framing is unsound, the version is unknown, a field is missing, or a value has another dtype,
            shape, range or norm than the protocol says; the message names the field, what was expected and what came.
    """
    packet = unpack(message, TOPIC)
    fields = Fields(TOPIC, packet.fields)
    match packet.version:
        case 1:
            return _joint_frames(fields)
        case 2 | 3:
            return _smpl_frames(fields, packet)
        case 4:
            return _token(fields)
    raise WireError(
        f"pose: expected one of the protocol versions {', '.join(map(str, VERSIONS))}, got {packet.version}"
    )


def pack_pose(message: PoseMessage) -> bytes:
    """Build a `pose` message of the version that carries this; little endian, values in f32, frame numbers in i64."""
    fields: dict[str, npt.ArrayLike] = {}
    if isinstance(message, TokenMessage):
        fields["token_state"] = message.token.astype(np.float32)[None]
        if message.frame_index is not None:
            fields["frame_index"] = np.array([message.frame_index], dtype=np.int64)
    else:
        fields |= _packed_frames(message)
    for name, pos in (("left_hand_joints", message.hands.left_pos), ("right_hand_joints", message.hands.right_pos)):
        if pos is not None:
            fields[name] = pos.astype(np.float32)
    return pack(TOPIC, message.version, fields)


def _packed_frames(frames: Frames) -> dict[str, npt.ArrayLike]:
    fields: dict[str, npt.ArrayLike] = {}
    if isinstance(frames, SmplFrames):
        fields["smpl_joints"] = frames.smpl_joints_b.astype(np.float32)
        fields["smpl_pose"] = frames.smpl_pose_rad.astype(np.float32)
    if frames.joint_pos_pol is not None and frames.joint_vel_pol is not None:
        fields["joint_pos"] = frames.joint_pos_pol.astype(np.float32)
        fields["joint_vel"] = frames.joint_vel_pol.astype(np.float32)
    fields["body_quat_w"] = frames.root_quat_wxyz.astype(np.float32)
    fields["frame_index"] = frames.frame_index.astype(np.int64)
    fields["catch_up"] = np.array([frames.catch_up])
    if frames.heading_increment_rad:
        fields["heading_increment"] = np.array([frames.heading_increment_rad])
    if frames.vr is not None:
        fields["vr_position"] = frames.vr.pos_b.astype(np.float32).reshape(-1)
        fields["vr_orientation"] = frames.vr.quat_b_wxyz.astype(np.float32).reshape(-1)
    if frames.sent_s is not None:
        fields["timestamp_monotonic"] = np.array([frames.sent_s])
    return fields


def _joint_frames(fields: Fields) -> PoseFrames:
    index = _frame_index(fields)
    count = len(index)
    return PoseFrames(
        frame_index=index,
        joint_pos_pol=fields.bounded("joint_pos", (count, JOINT_COUNT), _MAX_JOINT_POS, "rad"),
        joint_vel_pol=fields.bounded("joint_vel", (count, JOINT_COUNT), _MAX_JOINT_VEL, "rad/s"),
        root_quat_wxyz=_root_quat(fields, count),
        catch_up=fields.flag("catch_up", True),
        heading_increment_rad=fields.number("heading_increment", _MAX_TURN, "rad", 0.0),
        hands=read_hands(fields),
        vr=read_vr(fields),
        sent_s=_sent_s(fields),
    )


def _smpl_frames(fields: Fields, packet: Packet) -> SmplFrames:
    index = _frame_index(fields)
    count = len(index)
    wrists = packet.version == 3
    return SmplFrames(
        frame_index=index,
        smpl_joints_b=fields.bounded("smpl_joints", (count, 24, 3), _MAX_REACH_M, "m"),
        smpl_pose_rad=fields.bounded("smpl_pose", (count, 21, 3), _MAX_SMPL_POSE, "rad"),
        joint_pos_pol=fields.bounded("joint_pos", (count, JOINT_COUNT), _MAX_JOINT_POS, "rad") if wrists else None,
        joint_vel_pol=fields.bounded("joint_vel", (count, JOINT_COUNT), _MAX_JOINT_VEL, "rad/s") if wrists else None,
        root_quat_wxyz=_root_quat(fields, count),
        catch_up=fields.flag("catch_up", True),
        heading_increment_rad=fields.number("heading_increment", _MAX_TURN, "rad", 0.0),
        hands=read_hands(fields),
        vr=read_vr(fields),
        sent_s=_sent_s(fields),
    )


def _token(fields: Fields) -> TokenMessage:
    index = None
    if "frame_index" in fields:
        numbers = fields.array(("frame_index",), INTEGERS).reshape(-1)
        index = int(numbers[-1]) if numbers.size else None
    token = fields.flat("token_state", TOKEN_SIZE, MAX_TOKEN, "(a token is dimensionless)")
    return TokenMessage(token=token.astype(np.float32), hands=read_hands(fields), frame_index=index)


def read_hands(fields: Fields) -> Hands:
    """Return left_hand_joints and right_hand_joints, [7] or the first row of [N,7].

    Raises:
        WireError: one of them has another dtype, shape or range.
    """
    return Hands(left_pos=_hand(fields, "left_hand_joints"), right_pos=_hand(fields, "right_hand_joints"))


def read_vr(fields: Fields) -> VrPoints | None:
    """Return vr_position (9 values) and vr_orientation (12, the standing ones where it is not sent).

    Raises:
        WireError: one of them has another dtype, size, range or norm.
    """
    quats = fields.flat_or_none("vr_orientation", 12, 2.0, "(quaternions have norm 1)")
    pos = fields.flat_or_none("vr_position", 9, _MAX_REACH_M, "m")
    quats_b = VR_QUAT_STANDING_B_WXYZ if quats is None else fields.unit_quats("vr_orientation", quats.reshape(3, 4))
    return None if pos is None else VrPoints(pos_b=pos.reshape(3, 3), quat_b_wxyz=quats_b)


def _hand(fields: Fields, name: str) -> Array | None:
    if name not in fields:
        return None
    values = fields.array((name,), FLOATS)
    if values.shape[-1:] != (7,) or values.ndim > 2 or not values.size:
        raise fields.error(name, f"expected shape [7] or [N, 7], got {list(values.shape)}")
    return fields.within(name, values, _MAX_HAND_POS, "rad").reshape(-1, 7)[0]


def _sent_s(fields: Fields) -> float | None:
    if "timestamp_monotonic" not in fields:
        return None
    return fields.number("timestamp_monotonic", _MAX_TIME_S, "s")


def _frame_index(fields: Fields) -> npt.NDArray[np.int64]:
    index = fields.array(("frame_index", "last_smpl_global_frames"), INTEGERS).astype(np.int64)
    if index.ndim != 1 or not 1 <= len(index) <= MAX_FRAMES:
        raise fields.error("frame_index", f"expected shape [N] with 1 <= N <= {MAX_FRAMES}, got {list(index.shape)}")
    first, last = int(index[0]), int(index[-1])
    steps = index[1:] - index[:-1]
    step = int(steps[0]) if len(steps) else 0
    # the last condition sees differences that have wrapped around
    if step < 0 or (steps != step).any() or last != first + step * len(steps):
        raise fields.error("frame_index", f"expected evenly spaced rising numbers, got {first} to {last}")
    if first < 0 or last > _MAX_FRAME_INDEX:
        raise fields.error("frame_index", f"expected numbers from 0 to {_MAX_FRAME_INDEX}, got {first} to {last}")
    return index


def _root_quat(fields: Fields, count: int) -> Array:
    quat = fields.array(("body_quat", "body_quat_w"), FLOATS)
    shape = list(quat.shape)
    if quat.ndim == 3 and 1 <= quat.shape[1] <= _MAX_BODIES:
        quat = quat[:, 0]
    if quat.shape != (count, 4):
        raise fields.error("body_quat", f"expected shape [{count}, 4] or [{count}, B, 4], got {shape}")
    return fields.unit_quats("body_quat", quat)
