"""The `planner` topic: how a kinematic planner should move the robot, and what its arms and hands should do meanwhile.

Required: mode i32, movement [3], facing [3]. Optional: speed, height (-1 is the default of the mode),
upper_body_position and upper_body_velocity [17] in policy order, left_hand_joints, right_hand_joints [7], vr_position
(9), vr_orientation (12), vr_compliance [3]. Clamps are those of SONIC's runtime.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array
from sonic_runtime.robots import g1
from teleop.fields import Fields
from teleop.pose_packet import NO_HANDS, Hands, VrPoints, read_hands, read_vr
from teleop.wire import pack, unpack

TOPIC = "planner"
MODES: tuple[str, ...] = (
    "idle", "slow_walk", "walk", "run", "squat", "kneel_two", "kneel", "lying", "crawling", "idle_boxing",
    "walk_boxing", "left_punch", "right_punch", "random_punch", "elbow_crawl", "left_hook", "right_hook",
    "forward_jump", "stealth", "injured", "ledge", "object_carry", "stealth_2", "happy_dance", "zombie", "gun", "scare",
)  # fmt: skip
"""Names of the published modes, in the order of their numbers."""
IDLE = MODES.index("idle")
STATIC_MODES = frozenset({0, 4, 5, 6, 7, 9})
"""Modes that do not travel: their speed is always the default."""
LOW_MODES = frozenset({4, 5, 6, 7, 8, 14})
"""Squatting, kneeling, lying, crawling: their height is at least LOWEST_M."""
LOWEST_M = 0.2

UPPER_BODY_COUNT = len(g1.UPPER_BODY_NAMES)
_MAX_SPEED = 10.0
_MAX_HEIGHT_M = 2.0
_MAX_DIRECTION = 1e3
_MAX_JOINT_POS = 2.0 * np.pi
_MAX_JOINT_VEL = 200.0
_MAX_COMPLIANCE = 0.5
"""[1] The published runtime lets an operator go from 0 to this."""
_NO_DIRECTION = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerCommand:
    """A `planner` message.

    Attributes:
        mode: number of the mode, an index of MODES.
        movement: (3,) f64 unit direction to move in; zeros for none.
        facing: (3,) f64 unit direction to face; zeros leave it as it is.
        speed: [m/s], -1 for the default of the mode.
        height_m: pelvis height, -1 for the default of the mode.
        upper_body_pos_pol: (17,) f64 [rad], order of `g1.UPPER_BODY_NAMES`; None leaves the arms to the planner.
        upper_body_vel_pol: (17,) f64 [rad/s]; None stands for zeros.
        hands: where the hands should be.
        vr: where wrists and torso should be; None where no headset speaks.
        compliance: (3,) f64 from 0 to 0.5, of left wrist, right wrist, torso; None leaves it.
    """

    mode: int
    movement: Array
    facing: Array
    speed: float = -1.0
    height_m: float = -1.0
    upper_body_pos_pol: Array | None = None
    upper_body_vel_pol: Array | None = None
    hands: Hands = NO_HANDS
    vr: VrPoints | None = None
    compliance: Array | None = None


def unpack_planner(message: bytes) -> PlannerCommand:
    """Read a `planner` message.

    Raises:
        WireError: the framing is unsound, a field is missing, or a value has another dtype, shape, range or norm.
    """
    fields = Fields(TOPIC, unpack(message, TOPIC).fields)
    mode = fields.integer("mode", 0, len(MODES) - 1)
    speed = fields.number("speed", _MAX_SPEED, "m/s", -1.0)
    height_m = fields.number("height", _MAX_HEIGHT_M, "m", -1.0)
    return PlannerCommand(
        mode=mode,
        movement=_direction(fields, "movement"),
        facing=_direction(fields, "facing"),
        speed=-1.0 if mode in STATIC_MODES or speed <= 0.0 else speed,
        height_m=max(height_m, LOWEST_M) if mode in LOW_MODES else height_m,
        upper_body_pos_pol=fields.flat_or_none("upper_body_position", UPPER_BODY_COUNT, _MAX_JOINT_POS, "rad"),
        upper_body_vel_pol=fields.flat_or_none("upper_body_velocity", UPPER_BODY_COUNT, _MAX_JOINT_VEL, "rad/s"),
        hands=read_hands(fields),
        vr=read_vr(fields),
        compliance=_compliance(fields),
    )


def pack_planner(command: PlannerCommand) -> bytes:
    """Build a `planner` message with the dtypes that SONIC's clients send."""
    vr = command.vr
    values: dict[str, Array | None] = {
        "movement": command.movement,
        "facing": command.facing,
        "speed": np.array([command.speed]),
        "height": np.array([command.height_m]),
        "upper_body_position": command.upper_body_pos_pol,
        "upper_body_velocity": command.upper_body_vel_pol,
        "left_hand_joints": command.hands.left_pos,
        "right_hand_joints": command.hands.right_pos,
        "vr_position": None if vr is None else vr.pos_b.reshape(-1),
        "vr_orientation": None if vr is None else vr.quat_b_wxyz.reshape(-1),
        "vr_compliance": command.compliance,
    }
    fields: dict[str, npt.ArrayLike] = {"mode": np.array([command.mode], dtype=np.int32)}
    fields |= {name: value.astype(np.float32) for name, value in values.items() if value is not None}
    return pack(TOPIC, 1, fields)


def _direction(fields: Fields, name: str) -> Array:
    direction = fields.flat(name, 3, _MAX_DIRECTION, "(directions are normalised)")
    length = float(np.linalg.norm(direction))
    return direction / length if length > _NO_DIRECTION else np.zeros(3)


def _compliance(fields: Fields) -> Array | None:
    compliance = fields.flat_or_none("vr_compliance", 3, 1.0, "(compliance goes from 0 to 0.5)")
    if compliance is None:
        return None
    if compliance.min() < 0.0:
        raise fields.error("vr_compliance", f"expected values from 0 to 0.5, got {compliance.min():.3g}")
    return np.minimum(compliance, _MAX_COMPLIANCE)
