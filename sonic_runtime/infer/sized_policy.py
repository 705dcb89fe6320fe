"""Policies of the released sizes with random weights: what a tick costs, without the weights and without any skill.

The graphs are those that the public exporter of SONIC traces; files have the released names and, like the released
ones, no manifest. Nobody opened a released file to write this.

Known, from the exporter's source (gear_sonic/utils/inference_helpers.py, the modules and configurations it names):
- one input, batch 1, opset 13; element 0 becomes a long index, the rest is cut into terms, which are reshaped to
  (frames, values) where they have frames, joint positions and velocities together, as one block of (frames, 58);
- every encoder runs: its terms side by side, flattened, an MLP with SiLU, (2, 32) latents, quantised;
- the tokens are stacked, multiplied by the one-hot index, and summed: nothing is left out for the encoders not chosen;
- the decoder joins token and observations with a sequence axis of 1, so that its layers are MatMul and Add.

Inferred: one-hot by ScatterND, as PyTorch's tracing exporter writes it; the quantiser as vector_quantize_pytorch has
it, in one of its versions; that the released encoder has no more than this: 12 339 392 numbers are 49.4 of the
50.1 MB that the published download has, names and traces being the rest.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from sonic_runtime.observe.assemble import TOKEN_DIM, expected_term
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
def sized_policy(size: PolicySize, **options: Any) -> Iterator[OnnxPolicy]:
    """Make a policy of the release layout in a temporary folder, which is gone after the block.

    Args:
        size: hidden layers.
        options: of `OnnxPolicy`: threads, products, whole_graph.
    """
    with tempfile.TemporaryDirectory(prefix="sonic-") as folder:
        write_sized_policy(Path(folder), release_layout(), size)
        yield OnnxPolicy(Path(folder), CONTRACTS["sonic_release"], **options)


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
    (folder / RELEASED_DECODER_FILE).write_bytes(_decoder(decoder_dim, size.decoder_hidden, rng))
    write_observation_yaml(folder / FILE_NAME, content)


def _encoder(section: EncoderSection, hidden: tuple[int, ...], rng: np.random.Generator) -> bytes:
    columns: dict[str, tuple[int, int]] = {}
    start = 0
    for name in (t.name for t in section.encoder_observations if t.enabled):
        dim = expected_term(name, "encoder").dim
        columns[name] = (start, start + dim)
        start += dim
    graph = OnnxGraph(layout.ENCODER_INPUT, start)
    modes = sorted(section.encoder_modes, key=lambda m: m.mode_id)
    weights = _one_hot_column(graph, len(modes))
    terms = graph.node("Unsqueeze", _slice(graph, layout.ENCODER_INPUT, 1, 1, start), _whole_number(graph, 1))
    tokens = []
    for mode in modes:
        blocks = _blocks([columns[n] for n in mode.required_observations if n not in MODE_TERMS], mode)
        size = sum(end - start for start, end, _ in blocks)
        # the terms begin behind the index
        parts = [_reshape(graph, _slice(graph, terms, 2, a - 1, b - 1), (1, 1, *shape)) for a, b, shape in blocks]
        features = _reshape(graph, graph.node("Concat", *parts, axis=-1), (1, size))
        latent = _mlp(graph, features, (size, *hidden, section.dimension), rng)
        tokens.append(_quantise(graph, _reshape(graph, latent, (1, 2, section.dimension // 2))))
    stacked = graph.node("Concat", *(graph.node("Unsqueeze", t, _whole_number(graph, 0)) for t in tokens), axis=0)
    chosen = graph.node("ReduceSum", graph.node("Mul", stacked, weights), _whole_number(graph, 0), keepdims=0)
    _reshape(graph, chosen, (1, section.dimension), output=layout.ENCODER_OUTPUT)
    return graph.model(layout.ENCODER_OUTPUT, section.dimension)


def _blocks(columns: list[tuple[int, int]], mode: EncoderMode) -> list[tuple[int, int, tuple[int, ...]]]:
    """Return first column, end and shape of each block that an encoder reads: a term, or positions and velocities."""
    names = [n for n in mode.required_observations if n not in MODE_TERMS]
    frames = {layout.parse_term_name(name)[1] for name in names}
    blocks: list[tuple[int, int]] = []
    for name, (start, end) in zip(names, columns, strict=True):
        if name.startswith("motion_joint_velocities") and blocks and blocks[-1][1] == start:
            blocks[-1] = (blocks[-1][0], end)
        else:
            blocks.append((start, end))
    if len(frames) > 1:
        return [(start, end, (end - start,)) for start, end in blocks]
    count = frames.pop()
    return [(start, end, (count, (end - start) // count)) for start, end in blocks]


def _one_hot_column(graph: OnnxGraph, count: int) -> str:
    """Return (count, 1, 1, 1) f32 with a one at the place that element 0 of the input says."""
    index = graph.node("Gather", layout.ENCODER_INPUT, graph.constant(np.array(0, dtype=np.int64)), axis=1)
    index = graph.node("Unsqueeze", graph.node("Cast", index, to=7), _whole_number(graph, -1))
    row = graph.constant(np.zeros((1, 1), dtype=np.int64))
    place = graph.node("Concat", row, index, axis=-1)
    zeros = graph.constant(np.zeros((1, count), dtype=np.float32))
    one_hot = graph.node("ScatterND", zeros, place, graph.constant(np.ones(1, dtype=np.float32)))
    column = graph.node("Transpose", one_hot, perm=(1, 0))
    for _ in range(2):
        column = graph.node("Unsqueeze", column, _whole_number(graph, -1))
    return column


def _decoder(input_dim: int, hidden: tuple[int, ...], rng: np.random.Generator) -> bytes:
    graph = OnnxGraph(layout.DECODER_INPUT, input_dim)
    action_dim = len(g1.JOINT_NAMES_POL)
    ends = (0, TOKEN_DIM), (TOKEN_DIM, input_dim)
    parts = [
        graph.node("Unsqueeze", _slice(graph, layout.DECODER_INPUT, 1, a, b), _whole_number(graph, 1)) for a, b in ends
    ]
    value = graph.node("Concat", *parts, axis=-1)
    value = _mlp(graph, value, (input_dim, *hidden, action_dim), rng, last_gain=ACTION_GAIN, sequence=True)
    graph.node("Squeeze", value, _whole_number(graph, 1), output=layout.DECODER_OUTPUT)
    return graph.model(layout.DECODER_OUTPUT, action_dim)


def _mlp(
    graph: OnnxGraph,
    value: str,
    sizes: tuple[int, ...],
    rng: np.random.Generator,
    *,
    last_gain: float = 1.0,
    sequence: bool = False,
) -> str:
    """Add linear layers with SiLU between them; return the name of the result.

    Linear layers of a row are traced as one Gemm with the weights as PyTorch has them, those of a sequence of rows as
    MatMul and Add with the weights transposed.
    """
    last = len(sizes) - 2
    for i, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        gain = np.float32((last_gain if i == last else 1.0) / math.sqrt(size_in))
        weight = rng.standard_normal((size_out, size_in), dtype=np.float32) * gain
        bias = np.zeros(size_out, dtype=np.float32)
        if sequence:
            product = graph.node("MatMul", value, graph.constant(np.ascontiguousarray(weight.T)))
            value = graph.node("Add", graph.constant(bias), product)
        else:
            value = graph.node("Gemm", value, graph.constant(weight), graph.constant(bias), transB=1)
        if i < last:
            value = graph.node("Mul", value, graph.node("Sigmoid", value))
    return value


def _quantise(graph: OnnxGraph, value: str) -> str:
    def number(x: float) -> str:
        return graph.constant(np.array(x, dtype=np.float32))

    shifted = graph.node("Add", value, number(math.atanh(_QUANTISER_OFFSET / _QUANTISER_SCALE)))
    bounded = graph.node("Mul", graph.node("Tanh", shifted), number(_QUANTISER_SCALE))
    level = graph.node("Sub", bounded, number(_QUANTISER_OFFSET))
    # rounding lets the gradient pass in training, which the trace keeps: x + (round(x) - x)
    rounded = graph.node("Add", level, graph.node("Sub", graph.node("Round", level), level))
    return graph.node("Div", rounded, number(16.0))


def _slice(graph: OnnxGraph, value: str, axis: int, start: int, end: int) -> str:
    return graph.node("Slice", value, *(_whole_number(graph, n) for n in (start, end, axis, 1)))


def _reshape(graph: OnnxGraph, value: str, shape: tuple[int, ...], output: str | None = None) -> str:
    return graph.node("Reshape", value, graph.constant(np.array(shape, dtype=np.int64)), output=output)


def _whole_number(graph: OnnxGraph, number: int) -> str:
    return graph.constant(np.array([number], dtype=np.int64))
