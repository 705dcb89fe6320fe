"""Observation terms of imported tracking policies, and the vector they make.

Formulas are those of the observation functions in whole_body_tracking (BeyondMimic), mjlab and holosoma, which agree;
holosoma has other names for the same terms. Joint values are in the order of the file. R6 are the first two columns of
a rotation matrix, row by row: R00 R01 R10 R11 R20 R21. No term has noise here: that is for training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.joints import JointOrder
from sonic_runtime.contract.messages import Array, RobotState
from sonic_runtime.observe import proprioception as felt
from sonic_runtime.observe.finite import require_finite
from sonic_runtime.observe.history import History
from sonic_runtime.observe.relative_rotation import relative_rot6d
from sonic_runtime.robots import g1

Vector = npt.NDArray[np.float32]


class FileJoints:
    """The joint order of a file beside the robot's own.

    Args:
        names: the 29 joints in the order of the file.

    Attributes:
        order: the order of the file.
        hw_index_of_file: (29,) x_file = x_hw[..., hw_index_of_file].
        file_index_of_hw: (29,) x_hw = x_file[..., file_index_of_hw].
        file_index_of_pol: (29,) x_pol = x_file[..., file_index_of_pol].

    Raises:
        ContractError: a name occurs twice, is none of the robot's, or one of the robot's is missing.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.order = JointOrder("file", names)
        self.hw_index_of_file = self.order.index_in(g1.HW)
        self.file_index_of_hw = g1.HW.index_in(self.order)
        self.file_index_of_pol = g1.POL.index_in(self.order)


@dataclass(frozen=True, slots=True)
class MotionFrame:
    """One frame of the motion inside a file.

    Attributes:
        joint_pos_file: (29,) f32 [rad], file order, absolute.
        joint_vel_file: (29,) f32 [rad/s], file order.
        anchor_quat_wxyz: (4,) f64 orientation of the anchor body in the world of the motion.
    """

    joint_pos_file: Array
    joint_vel_file: Array
    anchor_quat_wxyz: Array


@dataclass(slots=True)
class Moment:
    """All that a term may look at.

    Attributes:
        state: measured now.
        frame: frame of the motion to track now.
        anchor_quat_wxyz: (4,) f64 measured orientation of the anchor body in the world.
        heading_quat_wxyz: (4,) f64 rotation about z that turns the motion into the robot's world.
        last_action_file: (29,) f32 network output of the tick before, file order; zeros at the start.
        joints: order of the file.
        default_pos_hw: (29,) [rad] pose at action zero, hardware order.
    """

    state: RobotState
    frame: MotionFrame
    anchor_quat_wxyz: Array
    heading_quat_wxyz: Array
    last_action_file: Array
    joints: FileJoints
    default_pos_hw: Array


def command(moment: Moment) -> Array:
    """Reference joints: q_ref, then dq_ref [rad, rad/s], (58,), absolute."""
    return np.concatenate([moment.frame.joint_pos_file, moment.frame.joint_vel_file])


def anchor_orientation(moment: Moment) -> Array:
    """Reference anchor orientation seen from the robot's anchor: R6(conj(anchor) * heading * anchor_ref), (6,)."""
    reference = moment.frame.anchor_quat_wxyz[None]
    return relative_rot6d(moment.anchor_quat_wxyz, moment.heading_quat_wxyz, reference)[0]


def base_angular_velocity(moment: Moment) -> Array:
    """Pelvis gyro, body frame [rad/s], (3,)."""
    return moment.state.base_ang_vel_b


def projected_gravity(moment: Moment) -> Array:
    """Direction of gravity in the pelvis frame, (3,); (0, 0, -1) upright."""
    return felt.gravity_dir(moment.state, moment.last_action_file)


def joint_positions(moment: Moment) -> Array:
    """Measured q - q_default [rad], (29,)."""
    return (moment.state.joint_pos_hw - moment.default_pos_hw)[moment.joints.hw_index_of_file]


def joint_velocities(moment: Moment) -> Array:
    """Measured dq [rad/s], (29,)."""
    return moment.state.joint_vel_hw[moment.joints.hw_index_of_file]


def last_action(moment: Moment) -> Array:
    """Network output of the tick before, before scaling, (29,); zeros at the start."""
    return moment.last_action_file


@dataclass(frozen=True, slots=True)
class KnownTerm:
    """A term this runtime can compute: number of values and function."""

    dim: int
    compute: Callable[[Moment], Array]


MIMIC_TERMS: dict[str, KnownTerm] = {
    "command": KnownTerm(58, command),
    "motion_anchor_ori_b": KnownTerm(6, anchor_orientation),
    "base_ang_vel": KnownTerm(3, base_angular_velocity),
    "projected_gravity": KnownTerm(3, projected_gravity),
    "joint_pos": KnownTerm(29, joint_positions),
    "joint_vel": KnownTerm(29, joint_velocities),
    "actions": KnownTerm(29, last_action),
}
"""Names in whole_body_tracking and mjlab."""

HOLOSOMA_TERMS: dict[str, KnownTerm] = {
    "motion_command": KnownTerm(58, command),
    "motion_ref_ori_b": KnownTerm(6, anchor_orientation),
    "base_ang_vel": KnownTerm(3, base_angular_velocity),
    "projected_gravity": KnownTerm(3, projected_gravity),
    "dof_pos": KnownTerm(29, joint_positions),
    "dof_vel": KnownTerm(29, joint_velocities),
    "actions": KnownTerm(29, last_action),
}
"""Names in holosoma."""

NOT_MEASURED: dict[str, str] = {
    "base_lin_vel": "the velocity of the pelvis over the ground",
    "motion_anchor_pos_b": "the position of the robot in the world",
    "motion_ref_pos_b": "the position of the robot in the world",
}
"""Terms that exist in these projects and that a robot has no sensor for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTerm:
    """A term of the input vector: clip(scale * value, low, high), and the last `frames` of it.

    Attributes:
        name: its name in the file.
        known: what computes one sample.
        frames: samples in the vector, 1 for the newest alone; oldest first.
        scale: factor, one for all values or (dim,).
        low: lower bound after scaling, one for all values or (dim,); -inf for none.
        high: upper bound after scaling.
    """

    name: str
    known: KnownTerm
    frames: int = 1
    scale: float | Array = 1.0
    low: float | Array = -np.inf
    high: float | Array = np.inf

    @property
    def size(self) -> int:
        """Number of values, all frames."""
        return self.known.dim * self.frames

    @property
    def is_plain(self) -> bool:
        """Whether values pass as they are."""
        return bool(np.all(self.scale == 1.0) and np.all(np.isneginf(self.low)) and np.all(np.isposinf(self.high)))


class ImportedInput:
    """The input vector: term after term, each with its own history.

    Args:
        terms: in order.
        fill: what stands in a history before it is full: copies of the first sample, or zeros.

    Attributes:
        vector: (1, sum of sizes) f32; the same array for ever.
    """

    def __init__(self, terms: Sequence[ImportedTerm], fill: Literal["first", "zero"]) -> None:
        self.vector: Vector = np.zeros((1, sum(term.size for term in terms)), dtype=np.float32)
        self._histories: list[History] = []
        self._slots: list[tuple[ImportedTerm, Vector, History | None]] = []
        start = 0
        for term in terms:
            out = self.vector[0, start : start + term.size]
            history = History(out.reshape(term.frames, term.known.dim), fill) if term.frames > 1 else None
            self._slots.append((term, out, history))
            self._histories += [history] if history is not None else []
            start += term.size
        self._plain = [term.is_plain for term in terms]
        self._sizes = [(term.name, term.size) for term in terms]

    def reset(self) -> None:
        """Forget the histories."""
        for history in self._histories:
            history.reset()

    def fill(self, moment: Moment) -> Vector:
        """Compute every term and return `vector`.

        Raises:
            ContractError: a term is not finite.
        """
        for (term, out, history), plain in zip(self._slots, self._plain, strict=True):
            value = term.known.compute(moment)
            if not plain:
                value = np.minimum(np.maximum(value * term.scale, term.low), term.high)
            if history is None:
                out[:] = value
            else:
                history.push(value)
        return require_finite("imported policy", self.vector, self._sizes)
