"""What runs the encoders of a policy: one for each, where its file lets itself be taken apart.

Everything happens when the policy is loaded, for every encoder that it has, so that a run may change encoders at any
tick. A graph that is not understood, or that gives other tokens once it is taken apart, runs as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import ENCODER_INPUT, ENCODER_OUTPUT
from sonic_runtime.contract.manifest import EncoderSpec, PolicyManifest
from sonic_runtime.contract.onnx_file import open_model
from sonic_runtime.infer.network import Network, SessionNetwork, choose_network
from sonic_runtime.infer.onnx_graph import Graph, read_graph
from sonic_runtime.infer.specialise import Specialiser
from sonic_runtime.observe.terms import MODE_TERMS, encoder_mode

Vector = npt.NDArray[np.float32]
_log = logging.getLogger(__name__)

_WORTH_A_WARNING_BYTES = 8 << 20
"""An encoder of this size costs half a millisecond a tick to read."""

TOKEN_TOLERANCE = 1e-5
"""Largest difference allowed between the tokens of the two graphs; they run the same products, and differ by none."""
CHECKED_INPUTS = 8
"""Random inputs on which each encoder is compared."""
_WORTH_IT = 0.95
"""A graph that keeps a larger share of the constants than this is not worth a session of its own."""
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Encoders:
    """What runs each encoder.

    Attributes:
        by_mode: network for each mode id; the same one for all where the file was not taken apart.
        note: what was done, or why it was not, in one line.
        products: what multiplies in each encoder, by its name.
        size_bytes: of the constants that each encoder reads at every tick, by its name; those of the whole file where
            they are not known.
    """

    by_mode: Mapping[float, Network]
    note: str
    products: Mapping[str, str]
    size_bytes: Mapping[str, int]


def take_apart(
    path: Path, full: onnxruntime.InferenceSession, manifest: PolicyManifest, threads: int = 1, *, rows: bool = True
) -> Encoders:
    """Prepare the encoders of a file.

    Args:
        path: the encoder file.
        full: a session of it.
        manifest: its inputs and encoders.
        threads: threads inside one operator.
        rows: whether large ones may run in products of rows.
    """
    try:
        graph = read_graph(path.read_bytes())
        if any(node.has_graph for node in graph.nodes):
            note = "it chooses by control flow, which runs the chosen encoder alone"
        else:
            return _taken_apart(graph, path.parent, full, manifest, threads, rows)
    except (ContractError, LookupError, ValueError) as error:
        # the last two: operators that are used in a way that ONNX does not describe; the whole graph answers for them
        note = f"all encoders run at every tick: {error}"
        # what a small file wastes nobody notices
        level = logging.WARNING if path.stat().st_size > _WORTH_A_WARNING_BYTES else logging.INFO
        _log.log(level, "%s: the encoder graph runs as it is, %s", path, note)
    return whole_encoder(path, full, manifest, note)


def whole_encoder(path: Path, full: onnxruntime.InferenceSession, manifest: PolicyManifest, reason: str) -> Encoders:
    """Return the file as it is for every mode, and why."""
    network = SessionNetwork(full, ENCODER_INPUT, ENCODER_OUTPUT)
    products = {e.name: "ONNX Runtime" for e in manifest.encoders}
    sizes = dict.fromkeys(products, path.stat().st_size)
    return Encoders({float(e.mode_id): network for e in manifest.encoders}, f"whole: {reason}", products, sizes)


def mode_slots(manifest: PolicyManifest) -> list[tuple[int, int]]:
    """Return first column and size of each term of the encoder input that carries the mode."""
    slots, start = [], 0
    for term in manifest.inputs:
        if term.name in MODE_TERMS:
            slots.append((start, term.dim))
        start += term.dim
    return slots


def mode_vector(manifest: PolicyManifest, encoder: EncoderSpec, values: Vector) -> Vector:
    """Return an encoder input (1, input_dim) with these values and the mode of an encoder in its place."""
    vector = values.copy()
    for start, size in mode_slots(manifest):
        vector[0, start : start + size] = encoder_mode(encoder.mode_id, size)
    return vector


def _taken_apart(
    graph: Graph, folder: Path, full: onnxruntime.InferenceSession, manifest: PolicyManifest, threads: int, rows: bool
) -> Encoders:
    specialiser = Specialiser(graph, lambda model: partial(_run, _open(model, folder, optimise=False)))
    whole = SessionNetwork(full, ENCODER_INPUT, ENCODER_OUTPUT)
    fixed = np.zeros((1, manifest.input_dim), dtype=bool)
    for start, size in mode_slots(manifest):
        fixed[0, start : start + size] = True
    by_mode: dict[float, Network] = {}
    products: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for encoder in manifest.encoders:
        samples = random_inputs(manifest, encoder)
        part = specialiser.specialise(samples[0], fixed)
        if part.constant_bytes > _WORTH_IT * specialiser.constant_bytes:
            raise ContractError(f"the mode of encoder {encoder.name!r} leaves nothing out")
        network = SessionNetwork(_open(part.data, folder, threads), ENCODER_INPUT, ENCODER_OUTPUT)
        _compare(network, whole, samples, encoder.name)
        chosen = choose_network(network, lambda data=part.data: data, folder, samples, rows=rows)
        by_mode[float(encoder.mode_id)], products[encoder.name] = chosen
        sizes[encoder.name] = part.constant_bytes
    shares = ", ".join(f"{name} {size / _MB:.1f}" for name, size in sizes.items())
    note = (
        f"one graph for each encoder: {shares} of {specialiser.constant_bytes / _MB:.1f} MB; "
        f"equal to the whole graph on {CHECKED_INPUTS} random inputs each"
    )
    return Encoders(by_mode, note, products, sizes)


def _open(model: bytes, folder: Path, threads: int = 1, *, optimise: bool = True) -> onnxruntime.InferenceSession:
    try:
        return open_model(model, folder, threads, optimise=optimise)
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise ContractError(f"ONNX Runtime does not load the parts ({str(error).splitlines()[0]})") from error


def random_inputs(manifest: PolicyManifest, encoder: EncoderSpec | None = None) -> list[Vector]:
    """Return inputs (1, input_dim) on which two ways to run a network are compared; the same ones every time."""
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((1, manifest.input_dim), dtype=np.float32) for _ in range(CHECKED_INPUTS)]
    return noise if encoder is None else [mode_vector(manifest, encoder, values) for values in noise]


def _compare(network: Network, whole: Network, samples: Sequence[Vector], name: str) -> None:
    for vector in samples:
        worst = float(np.max(np.abs(network(vector) - whole(vector)), initial=0.0))
        if not worst <= TOKEN_TOLERANCE:  # true for NaN too
            raise ContractError(
                f"encoder {name!r}: expected the tokens of the whole graph within {TOKEN_TOLERANCE:g}, "
                f"found a difference of {worst:g}"
            )


def _run(session: onnxruntime.InferenceSession, vector: Vector, names: list[str]) -> list[npt.NDArray[np.generic]]:
    return [np.asarray(value) for value in session.run(names, {ENCODER_INPUT: vector})]
