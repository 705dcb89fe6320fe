"""What this runtime expects of a policy: one comparison for everything that could make a robot fall silently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.manifest import PolicyManifest, TermSpec, differences
from sonic_runtime.observe.assemble import TOKEN_DIM, expected_term
from sonic_runtime.observe.terms import MODE_TERMS, TOKEN_TERMS
from sonic_runtime.robots import g1

CONTROL_HZ = 50.0
"""Rate of the loop; the published policies run at it."""
PHYSICS_HZ = 200.0
"""Rate of physics and PD law in training and in the simulator port; real motors run the PD law faster."""


def manifest_problems(manifest: PolicyManifest) -> list[str]:
    """Compare a manifest with the robot table and the terms of this runtime.

    Returns:
        One text for each differing field, with what was expected and found; empty where the policy can run.
    """
    found_inputs, unknown = _expected_inputs(manifest)
    expected = msgspec.structs.replace(
        manifest, inputs=found_inputs, heading=heading_of_terms(manifest.inputs), **robot_fields()
    )
    problems = unknown + differences(manifest, expected)
    if manifest.action_clip <= 0.0:
        problems.append(f"action_clip: expected a positive number, found {manifest.action_clip}")
    return [f"{manifest.part}: {problem}" for problem in problems]


def robot_fields() -> dict[str, Any]:
    """Return the manifest fields that the robot table and this runtime fix, whatever the policy."""
    return {
        "robot": g1.ROBOT_NAME,
        "joint_names_pol": g1.JOINT_NAMES_POL,
        "joint_names_hw": g1.JOINT_NAMES_HW,
        "default_joint_pos_pol": tuple(g1.to_policy_order(g1.DEFAULT_POS_HW).tolist()),
        "action_scale_pol": tuple(g1.to_policy_order(g1.ACTION_SCALE_HW).tolist()),
        "stiffness_pol": tuple(g1.to_policy_order(g1.STIFFNESS_HW).tolist()),
        "damping_pol": tuple(g1.to_policy_order(g1.DAMPING_HW).tolist()),
        "effort_limit_pol": tuple(g1.to_policy_order(g1.EFFORT_LIMIT_HW).tolist()),
        "control_hz": CONTROL_HZ,
        "physics_hz": PHYSICS_HZ,
        "quaternion_order": "wxyz",
        "rot6d_order": "rows",
        "history_order": "oldest_first",
        "token_dim": TOKEN_DIM,
        "action_dim": len(g1.JOINT_NAMES_POL),
    }


def heading_of_terms(terms: Iterable[TermSpec]) -> Literal["full", "yaw"]:
    """Return which part of the robot's orientation the anchor terms take away, as their names say."""
    return "yaw" if any("_orientation_heading" in t.name for t in terms) else "full"


def pair_problems(encoder: PolicyManifest, decoder: PolicyManifest) -> list[str]:
    """Compare the two files of a policy with each other; see `manifest_problems`."""
    problems: list[str] = []
    for name, manifest in (("encoder", encoder), ("decoder", decoder)):
        if manifest.part != name:
            problems.append(f"{name}.onnx: expected the {name}, found a file that says it is the {manifest.part}")
    if encoder.pair_id != decoder.pair_id:
        problems.append(
            f"pair_id: encoder {encoder.pair_id!r} and decoder {decoder.pair_id!r} were not exported together"
        )
    if encoder.training_revision != decoder.training_revision:
        problems.append(
            f"training_revision: encoder {encoder.training_revision!r}, decoder {decoder.training_revision!r}"
        )
    return problems


def _expected_inputs(manifest: PolicyManifest) -> tuple[tuple[TermSpec, ...], list[str]]:
    expected: list[TermSpec] = []
    unknown: list[str] = []
    for term in manifest.inputs:
        try:
            expected.append(expected_term(term.name, manifest.part))
        except ContractError as error:
            expected.append(term)
            unknown.append(str(error))
    names = [term.name for term in manifest.inputs]
    needed = MODE_TERMS if manifest.part == "encoder" else TOKEN_TERMS
    if not any(name in needed for name in names):
        unknown.append(f"inputs: expected the term {' or '.join(map(repr, needed))} among them, found none")
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        unknown.append(f"inputs: expected every term once, found {repeated} more than once")
    return tuple(expected), unknown
