"""The part of their metadata that whole_body_tracking and mjlab write alike."""

from __future__ import annotations

from sonic_runtime.infer.imported_contract import ImportedContract, check_body, file_joints, per_joint
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.infer.imported_policy import BakedBodies, ImportedPolicy
from sonic_runtime.observe.imported_terms import ImportedTerm
from sonic_runtime.robots import g1


def whole_numbers(file: ImportedFile, key: str, terms: int, lowest: int) -> list[int]:
    """Return one whole number for each observation term.

    Raises:
        ContractError: there are more or fewer, or one is no whole number or too small.
    """
    numbers = file.numbers(key)
    if len(numbers) != terms:
        raise file.error(
            f"metadata {key}: expected one value for each of {terms} observation terms, got {len(numbers)}"
        )
    if not all(number.is_integer() and number >= lowest for number in numbers):
        raise file.error(f"metadata {key}: expected whole numbers of at least {lowest}, found {file.text(key)}")
    return [int(number) for number in numbers]


def mimic_policy(file: ImportedFile, kind: str, terms: tuple[ImportedTerm, ...]) -> ImportedPolicy:
    """Read the keys that whole_body_tracking and mjlab share, and open the graph.

    Args:
        file: the file.
        kind: name of the exporter.
        terms: the observation.

    Raises:
        ContractError: a key is missing, or what it says does not fit the robot or the graph.
    """
    if "motion" not in file.names("command_names"):
        raise file.error(
            f"metadata command_names: expected a policy that tracks a motion, found the commands "
            f"{file.text('command_names')!r}"
        )
    joints = file_joints(file, "joint_names", file.names("joint_names"))

    def values(key: str, published: g1.Array, *, positive: bool = True) -> g1.Array:
        return per_joint(file, key, file.numbers(key), joints, published=published, positive=positive)

    anchor = check_body(file, "anchor_body_name", file.text("anchor_body_name"))
    bodies = tuple(check_body(file, "body_names", name) for name in file.names("body_names"))
    if anchor not in bodies:
        raise file.error(
            f"metadata anchor_body_name: expected one of body_names ({', '.join(bodies)}), found {anchor!r}"
        )
    contract = ImportedContract(
        kind=kind,
        joints=joints,
        default_pos_hw=values("default_joint_pos", g1.DEFAULT_POS_HW, positive=False),
        action_scale_hw=values("action_scale", g1.ACTION_SCALE_HW),
        stiffness_hw=values("joint_stiffness", g1.STIFFNESS_HW),
        damping_hw=values("joint_damping", g1.DAMPING_HW),
        terms=terms,
        history_fill="first",
        anchor_body=anchor,
    )
    return ImportedPolicy(file, contract, BakedBodies(output="body_quat_w", quaternion_order="wxyz", body_names=bodies))
