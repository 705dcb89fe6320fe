"""What the files of other projects say about themselves, in the words of this runtime, read entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sonic_runtime.contract.messages import Array
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.observe.imported_terms import NOT_MEASURED, FileJoints, ImportedTerm, KnownTerm
from sonic_runtime.robots import g1

_ROUNDING = 0.5e-3 * (1.0 + 1e-6)
"""Exporters that write comma-separated lists write three decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedContract:
    """What a file says about itself, in the words of this runtime.

    Attributes:
        kind: which exporter wrote the file.
        joints: order of the file.
        default_pos_hw: (29,) [rad] pose at action zero.
        action_scale_hw: (29,) [rad] target = default + scale * action.
        stiffness_hw: (29,) [N m/rad].
        damping_hw: (29,) [N m s/rad].
        terms: the observation, in order.
        history_fill: what stands in a history before it is full.
        anchor_body: link whose orientation is compared with the motion's.
        action_clip: actions are clipped to +- this before scaling and before they are fed back; inf for not at all.
        note: what is taken on trust; empty where the file says everything.
    """

    kind: str
    joints: FileJoints
    default_pos_hw: Array
    action_scale_hw: Array
    stiffness_hw: Array
    damping_hw: Array
    terms: tuple[ImportedTerm, ...]
    history_fill: Literal["first", "zero"]
    anchor_body: str
    action_clip: float = np.inf
    note: str = ""


def file_joints(file: ImportedFile, key: str, names: Sequence[str]) -> FileJoints:
    """Match the joints of a file with the robot's by name.

    Args:
        file: the file, for errors.
        key: metadata key of the names, for errors.
        names: joints in the order of the file.

    Raises:
        ContractError: a joint is unknown, missing, or there twice.
    """
    unknown = [name for name in names if name not in g1.JOINT_NAMES_HW]
    missing = [name for name in g1.JOINT_NAMES_HW if name not in names]
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    problems = [
        f"{label} {', '.join(which)}"
        for label, which in (("unknown:", unknown), ("missing:", missing), ("twice:", repeated))
        if which
    ]
    if problems:
        raise file.error(
            f"metadata {key}: expected the {len(g1.JOINT_NAMES_HW)} joints of {g1.ROBOT_NAME}, found {len(names)} "
            f"({'; '.join(problems)}); this policy is for another robot"
        )
    return FileJoints(names)


def per_joint(
    file: ImportedFile,
    key: str,
    values: Sequence[float],
    joints: FileJoints,
    *,
    published: Array | None = None,
    positive: bool = False,
) -> Array:
    """Return one value for each joint, in hardware order.

    Args:
        file: the file, for errors.
        key: metadata key, for errors.
        values: in the order of the file; a single one stands for all joints.
        joints: the order.
        published: the values that the motors of the robot have in public; a value of the file that is one of these,
            rounded to three decimals, stands for it in full, whichever motor the project gives the joint. None for
            files that are not rounded.
        positive: whether zero and below are refused.

    Returns:
        (29,) f64.

    Raises:
        ContractError: too many or too few values, or one that is not positive.
    """
    count = len(g1.JOINT_NAMES_HW)
    if len(values) == 1:
        values = [*values] * count
    if len(values) != count:
        raise file.error(f"metadata {key}: expected one value for each of {count} joints, found {len(values)}")
    values_hw = np.array(values, dtype=np.float64)[joints.file_index_of_hw]
    if positive and not (values_hw > 0.0).all():
        joint = g1.JOINT_NAMES_HW[int(np.argmin(values_hw))]
        raise file.error(f"metadata {key}: expected positive numbers, found {values_hw.min():g} for {joint}")
    return values_hw if published is None else _unrounded(values_hw, published)


def _unrounded(values: Array, published: Array) -> Array:
    distance = np.abs(values[:, None] - published[None])
    nearest = published[distance.argmin(axis=1)]
    return np.where(np.abs(values - nearest) <= _ROUNDING, nearest, values)


def known_terms(
    file: ImportedFile, names: Sequence[str], known: dict[str, KnownTerm], without_estimation: str
) -> list[KnownTerm]:
    """Look up the terms of an observation.

    Args:
        file: the file, for errors.
        names: terms in order.
        known: terms of this kind of file.
        without_estimation: what to do about terms that a robot does not measure.

    Raises:
        ContractError: a term is unknown, or not measured on a robot.
    """
    for name in names:
        if name in NOT_MEASURED:
            raise file.error(
                f"the policy reads {name}, {NOT_MEASURED[name]}, for which the robot has no sensor; "
                f"{without_estimation}"
            )
        if name not in known:
            raise file.error(
                f"observation term {name!r}: this runtime has no such term; of this kind of policy it has "
                f"{', '.join(known)}"
            )
    return [known[name] for name in names]


def check_body(file: ImportedFile, key: str, name: str) -> str:
    """Return the name of a link of the robot.

    Raises:
        ContractError: the robot has no such link.
    """
    if name not in g1.BODY_NAMES:
        raise file.error(f"metadata {key}: expected links of {g1.ROBOT_NAME}, found {name!r}")
    return name
