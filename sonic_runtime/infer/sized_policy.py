"""Policies of the released sizes with random weights: what a tick costs, without the weights and without any skill.

The graph is that of the published export: one input vector, every encoder runs, the mode picks whose output passes,
finite scalar quantisation to multiples of 1/16; the decoder is one MLP. Files have the released names and, like the
released ones, no manifest.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonic_runtime.contract import layout
from sonic_runtime.contract.observation_yaml import (
    FILE_NAME,
    EncoderMode,
    EncoderSection,
    NamedTerm,
    ObservationYaml,
    write_observation_yaml,
)
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.onnx_writer import OnnxGraph
from sonic_runtime.infer.policy_folder import RELEASED_DECODER_FILE, RELEASED_ENCODER_FILE
from sonic_runtime.infer.released import CONTRACTS
from sonic_runtime.observe.assemble import expected_term
from sonic_runtime.observe.terms import MODE_TERMS
from sonic_runtime.robots import g1

_QUANTISER_SCALE = 31 * 1.001 / 2
_QUANTISER_OFFSET = 0.5
"""Finite scalar quantisation to 32 levels, as in vector_quantize_pytorch."""
ACTION_GAIN = 0.01
"""Scale of the last layer: actions so small that the robot keeps near its default pose."""


@dataclass(frozen=True, slots=True)
class PolicySize:
    """Hidden layers of every encoder, and of the decoder."""

    encoder_hidden: tuple[int, ...]
    decoder_hidden: tuple[int, ...]


RELEASE_SIZE = PolicySize((2048, 1024, 512, 512), (2048, 2048, 1024, 1024, 512, 512))
SIZED_POLICIES: dict[str, PolicySize] = {"release_size": RELEASE_SIZE}


@contextmanager
def sized_policy(size: PolicySize) -> Iterator[OnnxPolicy]:
    """Make a policy of the release layout in a temporary folder, which is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="sonic-") as folder:
        write_sized_policy(Path(folder), release_layout(), size)
        yield OnnxPolicy(Path(folder), CONTRACTS["sonic_release"])


def release_layout() -> ObservationYaml:
    """Return the published release configuration: 1762 encoder and 994 decoder inputs."""
    return ObservationYaml(
        observations=tuple(NamedTerm(t.name) for t in layout.RELEASE_DECODER_INPUTS),
        encoder=EncoderSection(
            dimension=64,
            encoder_observations=tuple(NamedTerm(t.name) for t in layout.RELEASE_ENCODER_INPUTS),
            encoder_modes=tuple(EncoderMode(e.name, e.mode_id, e.required_terms) for e in layout.RELEASE_ENCODERS),
        ),
    )


def write_sized_policy(folder: Path, content: ObservationYaml, size: PolicySize, seed: int = 0) -> None:
    """Write model_encoder.onnx, model_decoder.onnx and observation_config.yaml.

    Args:
        folder: an existing folder.
        content: the input layout; its encoder modes are numbered 0, 1, 2, ...
        size: hidden layers.
        seed: of the random weights; the same numbers every time.
    """
    rng = np.random.default_rng(seed)
    (folder / RELEASED_ENCODER_FILE).write_bytes(_encoder(content.encoder, size.encoder_hidden, rng))
    decoder_dim = sum(expected_term(t.name, "decoder").dim for t in content.observations if t.enabled)
    graph = OnnxGraph(layout.DECODER_INPUT, decoder_dim)
    action_dim = len(g1.JOINT_NAMES_POL)
    sizes = (decoder_dim, *size.decoder_hidden, action_dim)
    _mlp(graph, layout.DECODER_INPUT, sizes, rng, last_gain=ACTION_GAIN, output=layout.DECODER_OUTPUT)
    (folder / RELEASED_DECODER_FILE).write_bytes(graph.model(layout.DECODER_OUTPUT, action_dim))
    write_observation_yaml(folder / FILE_NAME, content)


def _encoder(section: EncoderSection, hidden: tuple[int, ...], rng: np.random.Generator) -> bytes:
    columns: dict[str, np.ndarray] = {}
    start = 0
    for name in (t.name for t in section.encoder_observations if t.enabled):
        dim = expected_term(name, "encoder").dim
        columns[name] = np.arange(start, start + dim, dtype=np.int64)
        start += dim
    graph = OnnxGraph(layout.ENCODER_INPUT, start)
    outputs = []
    for mode in sorted(section.encoder_modes, key=lambda m: m.mode_id):
        read = np.concatenate([columns[n] for n in mode.required_observations if n not in MODE_TERMS])
        features = graph.node("Gather", layout.ENCODER_INPUT, graph.constant(read), axis=1)
        outputs.append(_mlp(graph, features, (len(read), *hidden, section.dimension), rng))
    mode_column = np.concatenate([columns[n][:1] for n in columns if n in MODE_TERMS])[:1]
    mode = graph.node("Gather", layout.ENCODER_INPUT, graph.constant(mode_column), axis=1)
    index = graph.node("Cast", graph.node("Reshape", mode, graph.constant(np.array([1], dtype=np.int64))), to=7)
    chosen = graph.node("Gather", graph.node("Concat", *outputs, axis=0), index, axis=0)
    _quantise(graph, chosen)
    return graph.model(layout.ENCODER_OUTPUT, section.dimension)


def _mlp(
    graph: OnnxGraph,
    value: str,
    sizes: tuple[int, ...],
    rng: np.random.Generator,
    *,
    last_gain: float = 1.0,
    output: str | None = None,
) -> str:
    """Add linear layers with SiLU between them; return the name of the result."""
    last = len(sizes) - 2
    for i, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        gain = np.float32((last_gain if i == last else 1.0) / math.sqrt(size_in))
        weight = rng.standard_normal((size_out, size_in), dtype=np.float32) * gain
        bias = np.zeros(size_out, dtype=np.float32)
        name = output if i == last else None
        value = graph.node("Gemm", value, graph.constant(weight), graph.constant(bias), output=name, transB=1)
        if i < last:
            value = graph.node("Mul", value, graph.node("Sigmoid", value))
    return value


def _quantise(graph: OnnxGraph, value: str) -> None:
    def number(x: float) -> str:
        return graph.constant(np.array(x, dtype=np.float32))

    shifted = graph.node("Add", value, number(math.atanh(_QUANTISER_OFFSET / _QUANTISER_SCALE)))
    bounded = graph.node("Mul", graph.node("Tanh", shifted), number(_QUANTISER_SCALE))
    level = graph.node("Round", graph.node("Sub", bounded, number(_QUANTISER_OFFSET)))
    graph.node("Div", level, number(16.0), output=layout.ENCODER_OUTPUT)
