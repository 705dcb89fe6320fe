"""The observation YAML beside the two ONNX files, in the schema of the published SONIC runtime.

It repeats the names and order of the input terms, so that a policy of ours also runs there.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.manifest import EncoderSpec, PolicyManifest

FILE_NAME = "observation_config.yaml"


class NamedTerm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a list of terms; a disabled one takes no place in the vector."""

    name: str
    enabled: bool = True


class EncoderMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An encoder: name, mode id, and the terms it reads."""

    name: str
    mode_id: int
    required_observations: tuple[str, ...]


class EncoderSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The encoder: size of its token, terms of its input in order, and its modes.

    The published runtime reads the file line by line: the two numbers must stand before the lists.
    """

    dimension: int
    use_fp16: bool = False
    encoder_observations: tuple[NamedTerm, ...]
    encoder_modes: tuple[EncoderMode, ...]


class ObservationYaml(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file: terms of the decoder input in order, and the encoder."""

    observations: tuple[NamedTerm, ...]
    encoder: EncoderSection


def observation_yaml(encoder: PolicyManifest, decoder: PolicyManifest) -> str:
    """Return the file that describes a pair of manifests."""
    content = ObservationYaml(
        observations=tuple(NamedTerm(t.name) for t in decoder.inputs),
        encoder=EncoderSection(
            dimension=encoder.token_dim,
            encoder_observations=tuple(NamedTerm(t.name) for t in encoder.inputs),
            encoder_modes=tuple(EncoderMode(e.name, e.mode_id, e.required_terms) for e in encoder.encoders),
        ),
    )
    return msgspec.yaml.encode(content).decode()


def write_observation_yaml(path: Path, content: ObservationYaml) -> None:
    """Write the file."""
    path.write_bytes(msgspec.yaml.encode(content))


def read_observation_yaml(path: Path) -> ObservationYaml:
    """Read the file.

    Raises:
        ContractError: the file is missing or does not follow the schema.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ContractError(f"{path}: expected the observation YAML of the policy here ({error.strerror})") from error
    try:
        return msgspec.yaml.decode(text, type=ObservationYaml)
    except msgspec.DecodeError as error:
        reason = " ".join(str(error).split())
        raise ContractError(f"{path}: expected SONIC's observation schema: {reason}") from error


def yaml_differences(content: ObservationYaml, encoder: PolicyManifest, decoder: PolicyManifest) -> list[str]:
    """Compare the file with the manifests of the two ONNX files.

    Returns:
        One text for each difference, naming the key with what the ONNX file says and what the YAML says.
    """
    section = content.encoder
    pairs: list[tuple[str, object, object]] = [
        ("observations", _names(decoder), _enabled(content.observations)),
        ("encoder.dimension", encoder.token_dim, section.dimension),
        ("encoder.encoder_observations", _names(encoder), _enabled(section.encoder_observations)),
        ("encoder.encoder_modes", [_plain(e) for e in encoder.encoders], [_plain(m) for m in section.encoder_modes]),
    ]
    return [
        f"{FILE_NAME}: {key}: the ONNX file says {theirs}, the YAML {ours}"
        for key, theirs, ours in pairs
        if theirs != ours
    ]


def _names(manifest: PolicyManifest) -> list[str]:
    return [t.name for t in manifest.inputs]


def _enabled(terms: tuple[NamedTerm, ...]) -> list[str]:
    return [t.name for t in terms if t.enabled]


def _plain(encoder: EncoderSpec | EncoderMode) -> tuple[str, int, list[str]]:
    terms = encoder.required_terms if isinstance(encoder, EncoderSpec) else encoder.required_observations
    # which terms, not in which order: the order is that of the vector
    return encoder.name, encoder.mode_id, sorted(terms)
