"""Policies without our manifest: the ONNX files that NVIDIA released, which say nothing but their shapes.

They run only when the user asks for it by name, policy=sonic_release:FOLDER. Then joint order, default pose, gains and
action scale are the published constants in `robots/g1.py`, the input layout is that of the observation YAML, and what
is left to check are names, shapes, and that the outputs are finite. Nobody can tell from such a file whether those
constants are the ones it was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.manifest import EncoderSpec, PolicyManifest, TermSpec
from sonic_runtime.contract.observation_yaml import FILE_NAME, NamedTerm, ObservationYaml
from sonic_runtime.infer.expectations import heading_of_terms, robot_fields
from sonic_runtime.observe.assemble import TOKEN_DIM, expected_term

ACTION_CLIP = 20.0
"""The published training clips actions to this; the published runtime does not clip at all."""


@dataclass(frozen=True, slots=True)
class ReleasedContract:
    """What is assumed of files that say nothing.

    Attributes:
        name: what the user writes before the colon.
        history_fill: what stands in a history before it is full. The published runtime has zeros there, and gravity
            pointing up; training had copies of the first sample.
    """

    name: str
    history_fill: Literal["first", "zero"]

    @property
    def note(self) -> str:
        """One line that says what is taken on trust."""
        fill = "zeros, gravity upside down" if self.history_fill == "zero" else "copies of the first sample"
        return (
            f"contract {self.name}: no manifest in the ONNX files; joint order, default pose, gains and action scale "
            f"are the published constants of SONIC, histories start as {fill}"
        )


CONTRACTS: dict[str, ReleasedContract] = {
    "sonic_release": ReleasedContract("sonic_release", history_fill="zero"),
    "sonic_training": ReleasedContract("sonic_training", history_fill="first"),
}
"""As the published runtime ran the released models, and as their training did."""


def split_contract(policy: str) -> tuple[ReleasedContract | None, str]:
    """Split what the user wrote for a policy: "sonic_release:FOLDER" into contract and folder; None without a colon."""
    name, colon, folder = policy.partition(":")
    if colon and name in CONTRACTS:
        return CONTRACTS[name], folder
    return None, policy


def released_manifests(
    content: ObservationYaml, contract: ReleasedContract
) -> tuple[PolicyManifest, PolicyManifest, list[str]]:
    """Return what the manifests of encoder and decoder would say, and what is wrong with the observation YAML.

    Args:
        content: the observation YAML.
        contract: what to assume.

    Returns:
        Manifest of the encoder and of the decoder, without golden vectors; and one text for each problem.
    """
    section = content.encoder
    problems: list[str] = []
    encoder_inputs = _terms(section.encoder_observations, "encoder", problems)
    decoder_inputs = _terms(content.observations, "decoder", problems)
    encoders = tuple(
        EncoderSpec(name=m.name, mode_id=m.mode_id, required_terms=m.required_observations)
        for m in section.encoder_modes
    )
    problems += _mode_problems(encoders, encoder_inputs)
    if section.dimension != TOKEN_DIM:
        problems.append(f"encoder.dimension: expected {TOKEN_DIM}, found {section.dimension}")
    return (
        _manifest("encoder", encoder_inputs, encoders, contract),
        _manifest("decoder", decoder_inputs, (), contract),
        [f"{FILE_NAME}: {problem}" for problem in problems],
    )


def _terms(
    named: tuple[NamedTerm, ...], part: Literal["encoder", "decoder"], problems: list[str]
) -> tuple[TermSpec, ...]:
    terms = []
    for name in (t.name for t in named if t.enabled):
        try:
            terms.append(expected_term(name, part))
        except ContractError as error:
            problems.append(str(error))
    return tuple(terms)


def _mode_problems(encoders: tuple[EncoderSpec, ...], inputs: tuple[TermSpec, ...]) -> list[str]:
    problems = []
    if not encoders:
        problems.append("encoder.encoder_modes: expected at least one mode, found none")
    for key, values in (("name", [e.name for e in encoders]), ("mode_id", [e.mode_id for e in encoders])):
        if len(set(values)) < len(values):
            problems.append(f"encoder.encoder_modes: expected every {key} once, found {values}")
    known = {t.name for t in inputs}
    for encoder in encoders:
        unknown = [name for name in encoder.required_terms if name not in known]
        if unknown:
            problems.append(
                f"encoder.encoder_modes {encoder.name!r}: required observations {unknown} are not among the enabled "
                "encoder_observations"
            )
    return problems


def _manifest(
    part: Literal["encoder", "decoder"],
    inputs: tuple[TermSpec, ...],
    encoders: tuple[EncoderSpec, ...],
    contract: ReleasedContract,
) -> PolicyManifest:
    return PolicyManifest(
        part=part,
        pair_id="unknown",
        action_clip=ACTION_CLIP,
        history_fill=contract.history_fill,
        heading=heading_of_terms(inputs),
        inputs=inputs,
        encoders=encoders,
        training_revision="unknown",
        golden_input=(),
        golden_output=(),
        **robot_fields(),
    )
