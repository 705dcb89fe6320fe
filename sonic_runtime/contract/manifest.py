"""The policy manifest: what an exported network was trained on, and what the runtime refuses to start without.

Each of the two ONNX files of a policy (encoder, decoder) carries one manifest, as one JSON text at full float
precision under the metadata key `sonic_manifest`. The exporter writes it, the runtime compares it with itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.onnx_file import open_session

MANIFEST_KEY = "sonic_manifest"
FORMAT_VERSION = 1
FIELDS_OF_ONE_POLICY = ("pair_id", "training_revision", "golden_input", "golden_output")
"""Fields that belong to one policy rather than to what it expects; two policies may differ in them."""


class TermSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One term of a network input.

    Attributes:
        name: the published deploy name, e.g. "motion_joint_positions_10frame_step5".
        frames: number of frames, 1 for a term of the current frame alone.
        step: frames of the 50 Hz reference between two of them; 1 for a history.
        dim: number of values of the whole term, all frames.
    """

    name: str
    frames: int
    step: int
    dim: int


class EncoderSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One encoder of the encoder file.

    Attributes:
        name: "g1", "teleop" or "smpl".
        mode_id: value of the first input element that selects it.
        required_terms: names of the terms it reads; the runtime leaves the others zero.
    """

    name: str
    mode_id: int
    required_terms: tuple[str, ...]


class PolicyManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one ONNX file of a policy expects and returns. Per-joint values are in policy order.

    Attributes:
        format_version: version of this structure.
        part: which of the two files this is.
        robot: name of the robot, "g1_29dof".
        pair_id: hash shared by the encoder and the decoder that were trained together.
        joint_names_pol: joints in policy order.
        joint_names_hw: joints in hardware (motor) order.
        default_joint_pos_pol: pose at action zero [rad].
        action_scale_pol: target = default + scale * action [rad].
        stiffness_pol: motor gain [N m/rad].
        damping_pol: motor gain [N m s/rad].
        effort_limit_pol: torque limit in training [N m].
        action_clip: actions are clipped to +- this before scaling and before they are fed back.
        control_hz: rate of the policy [1/s].
        physics_hz: rate of the PD law and the physics in training [1/s].
        quaternion_order: order of quaternion components in every input.
        rot6d_order: "rows": the first two matrix columns, flattened row by row.
        history_fill: what stands in a history before it is full: the first sample, or zeros.
        history_order: order of the frames of a history.
        inputs: terms of the input vector, in order, without gaps.
        encoders: encoders of the encoder file; empty for a decoder.
        token_dim: number of values of the motion token.
        action_dim: number of actions.
        heading: which part of the robot's orientation the anchor terms take away: "full" or "yaw".
        training_revision: what the weights came from, e.g. a git revision and an iteration.
        golden_input: one input vector.
        golden_output: what the exported graph made of it.
    """

    format_version: int = FORMAT_VERSION
    part: Literal["encoder", "decoder"]
    robot: str
    pair_id: str
    joint_names_pol: tuple[str, ...]
    joint_names_hw: tuple[str, ...]
    default_joint_pos_pol: tuple[float, ...]
    action_scale_pol: tuple[float, ...]
    stiffness_pol: tuple[float, ...]
    damping_pol: tuple[float, ...]
    effort_limit_pol: tuple[float, ...]
    action_clip: float
    control_hz: float
    physics_hz: float
    quaternion_order: Literal["wxyz"] = "wxyz"
    rot6d_order: Literal["rows"] = "rows"
    history_fill: Literal["first", "zero"] = "first"
    history_order: Literal["oldest_first"] = "oldest_first"
    inputs: tuple[TermSpec, ...]
    encoders: tuple[EncoderSpec, ...] = ()
    token_dim: int = 64
    action_dim: int = 29
    heading: Literal["full", "yaw"] = "full"
    training_revision: str
    golden_input: tuple[float, ...]
    golden_output: tuple[float, ...]

    @property
    def input_dim(self) -> int:
        """Number of values of the input vector."""
        return sum(term.dim for term in self.inputs)

    @property
    def output_dim(self) -> int:
        """Number of values of the output vector."""
        return self.token_dim if self.part == "encoder" else self.action_dim


def manifest_json(manifest: PolicyManifest) -> str:
    """Return the manifest as JSON; every float survives the round trip bit by bit.

    Raises:
        ContractError: if the manifest contradicts itself (see `parse_manifest`).
    """
    problems = _contradictions(manifest)
    if problems:
        raise ContractError(f"manifest of the {manifest.part}: " + "; ".join(problems))
    return msgspec.json.encode(manifest).decode()


def parse_manifest(text: str, where: str) -> PolicyManifest:
    """Read a manifest from JSON.

    Args:
        text: the JSON.
        where: file it came from, for errors.

    Returns:
        The manifest, free of contradictions: per-joint lists have one value for each joint, the golden vectors have
        the sizes of input and output, every number is finite.

    Raises:
        ContractError: JSON or a field is malformed, unknown, missing, or contradicts another.
    """
    try:
        manifest = msgspec.json.decode(text, type=PolicyManifest)
    except msgspec.DecodeError as error:
        raise ContractError(
            f"{where}: metadata {MANIFEST_KEY!r}: {error}; export the policy with this version of the trainer"
        ) from error
    problems = _contradictions(manifest)
    if problems:
        raise ContractError(f"{where}: metadata {MANIFEST_KEY!r}: " + "; ".join(problems))
    return manifest


def read_manifest(path: Path) -> PolicyManifest:
    """Read the manifest of an ONNX file.

    Raises:
        ContractError: the file is not an ONNX model, or has no or a malformed manifest.
    """
    return manifest_of_metadata(open_session(path).get_modelmeta().custom_metadata_map, str(path))


def manifest_of_metadata(metadata: Mapping[str, str], where: str) -> PolicyManifest:
    """Read the manifest among the metadata of an ONNX file; raises as `read_manifest`."""
    if MANIFEST_KEY not in metadata:
        found = ", ".join(sorted(metadata)) or "no metadata at all"
        raise ContractError(
            f"{where}: expected the policy manifest under the metadata key {MANIFEST_KEY!r}, found {found}; "
            "this ONNX file was not written by sonic-export. For a model that NVIDIA released, ask for it by name: "
            "policy=sonic_release:FOLDER"
        )
    return parse_manifest(metadata[MANIFEST_KEY], where)


def differences(
    manifest: PolicyManifest, expected: PolicyManifest, ignore: tuple[str, ...] = FIELDS_OF_ONE_POLICY
) -> list[str]:
    """Compare two manifests field by field.

    Args:
        manifest: what was found.
        expected: what the reader would feed and do.
        ignore: fields not compared.

    Returns:
        One text for each differing field, naming it with what was expected and found; empty where they agree.
        Numbers may differ by one part in a million, the precision of float32.
    """
    found: list[str] = []
    for field in manifest.__struct_fields__:
        if field not in ignore:
            _compare(field, getattr(manifest, field), getattr(expected, field), found)
    return found


def _compare(path: str, found: Any, expected: Any, out: list[str]) -> None:
    if isinstance(expected, msgspec.Struct) and type(found) is type(expected):
        for field in expected.__struct_fields__:
            _compare(f"{path}.{field}", getattr(found, field), getattr(expected, field), out)
    elif isinstance(expected, tuple) and isinstance(found, tuple):
        if len(found) != len(expected):
            out.append(f"{path}: expected {len(expected)} entries, found {len(found)}")
        for i, (f, e) in enumerate(zip(found, expected, strict=False)):
            _compare(f"{path}[{i}]", f, e, out)
    elif isinstance(expected, float):
        if not math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9):
            out.append(f"{path}: expected {expected!r}, found {found!r}")
    elif found != expected:
        out.append(f"{path}: expected {expected!r}, found {found!r}")


def _contradictions(m: PolicyManifest) -> list[str]:
    problems: list[str] = []
    if m.format_version != FORMAT_VERSION:
        problems.append(f"format_version: expected {FORMAT_VERSION}, found {m.format_version}")
    n = len(m.joint_names_pol)
    if n != m.action_dim:
        problems.append(f"joint_names_pol: expected action_dim = {m.action_dim} joints, found {n}")
    if set(m.joint_names_hw) != set(m.joint_names_pol) or len(m.joint_names_hw) != n:
        problems.append("joint_names_hw: expected the joints of joint_names_pol in another order")
    for field in ("default_joint_pos_pol", "action_scale_pol", "stiffness_pol", "damping_pol", "effort_limit_pol"):
        if len(getattr(m, field)) != n:
            problems.append(f"{field}: expected one value for each of {n} joints, found {len(getattr(m, field))}")
    sizes = {"golden_input": m.input_dim, "golden_output": m.output_dim}
    for field, size in sizes.items():
        if len(getattr(m, field)) != size:
            problems.append(f"{field}: expected {size} values, found {len(getattr(m, field))}")
    problems += [f"{f}: expected finite numbers" for f in _float_fields(m) if not _all_finite(getattr(m, f))]
    problems += _encoder_contradictions(m)
    return problems


def _encoder_contradictions(m: PolicyManifest) -> list[str]:
    problems: list[str] = []
    if (m.part == "encoder") != bool(m.encoders):
        problems.append(f"encoders: expected them in the encoder file alone, found {len(m.encoders)} in {m.part}")
    known = {term.name for term in m.inputs}
    for encoder in m.encoders:
        unknown = [name for name in encoder.required_terms if name not in known]
        if unknown:
            problems.append(f"encoders {encoder.name!r}: required terms {unknown} are not among the inputs")
    return problems


def _float_fields(m: PolicyManifest) -> list[str]:
    return [
        f for f in m.__struct_fields__
        if isinstance(getattr(m, f), float)
        or (isinstance(getattr(m, f), tuple) and getattr(m, f) and isinstance(getattr(m, f)[0], float))
    ]  # fmt: skip


def _all_finite(value: float | tuple[float, ...]) -> bool:
    return all(map(math.isfinite, value if isinstance(value, tuple) else (value,)))
