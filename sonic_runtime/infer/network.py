"""What runs a network of a policy: ONNX Runtime, or for large perceptrons products of rows between two small graphs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.onnx_file import open_model
from sonic_runtime.infer import row_products
from sonic_runtime.infer.linear_chain import find_chain
from sonic_runtime.infer.liveness import MOVING
from sonic_runtime.infer.onnx_graph import Graph, Node, read_graph
from sonic_runtime.infer.row_products import RowProducts

Vector = npt.NDArray[np.float32]
Network = Callable[[Vector], Vector]
"""Takes (1, input_dim) f32 and returns (output_dim,) f32."""
Run = Callable[[Vector], Vector]
Products = Literal["auto", "onnxruntime"]
"""auto: rows where the weights are larger than a cache; onnxruntime: never."""

ROWS_FROM_BYTES = 8_000_000
"""Smaller weights stay in a cache between two ticks, where ONNX Runtime is as fast."""
PRODUCT_TOLERANCE = 1e-4
"""Largest difference allowed to ONNX Runtime, of the largest output; float32 sums in another order differ by 1e-6."""
_TIES = 0.01
"""Share of the outputs that may differ by more: those on the border of two levels of a quantiser."""


@dataclass(frozen=True, slots=True)
class SessionNetwork:
    """A graph in ONNX Runtime."""

    session: onnxruntime.InferenceSession
    input_name: str
    output_name: str

    def __call__(self, vector: Vector) -> Vector:
        """Return the first row of the output."""
        return np.asarray(self.session.run([self.output_name], {self.input_name: vector})[0])[0]


@dataclass(frozen=True, slots=True)
class RowNetwork:
    """A perceptron in products of rows, and what is before and behind it.

    Attributes:
        before: from the input (1, input_dim) to what the perceptron reads (n_in,).
        products: the perceptron.
        behind: from its output (n_out,) to that of the network (output_dim,).
    """

    before: Run
    products: RowProducts
    behind: Run

    def __call__(self, vector: Vector) -> Vector:
        """Return the first row of the output."""
        return self.behind(self.products(self.before(vector)))


def choose_network(
    plain: SessionNetwork, model: Callable[[], bytes], folder: Path, samples: Sequence[Vector], *, rows: bool
) -> tuple[Network, str]:
    """Return the faster way to run a network, and in a few words which that is.

    Args:
        plain: the network in ONNX Runtime.
        model: gives its file.
        folder: where the weights are that it keeps in files of their own.
        samples: inputs on which the two are compared.
        rows: whether products of rows are wanted.
    """
    if not rows:
        return plain, "ONNX Runtime"
    if not row_products.AVAILABLE:
        return plain, "ONNX Runtime, as numpy is older than 2.0"
    data = model()
    if len(data) < ROWS_FROM_BYTES:
        return plain, "ONNX Runtime"
    try:
        return _row_network(plain, read_graph(data), folder, samples), "row by row"
    except (ContractError, LookupError, ValueError) as error:
        return plain, f"ONNX Runtime ({error})"


def _row_network(plain: SessionNetwork, graph: Graph, folder: Path, samples: Sequence[Vector]) -> RowNetwork:
    chain = find_chain(graph)
    through = _session(graph.part(chain.through, chain.source, chain.result), folder, chain.source)
    before = _session(graph.part(chain.before, plain.input_name, chain.source), folder, plain.input_name)
    behind = _session(graph.part(chain.behind, chain.result, plain.output_name), folder, chain.result)
    features = [before(sample) for sample in samples]
    if features[0].size != chain.layers[0].weight.shape[1]:
        raise ContractError("expected one row for the first layer")
    shape = through(features[0]).shape
    network = RowNetwork(
        _flat(before, chain.before, samples[0].shape), RowProducts(chain.layers), _flat(behind, chain.behind, shape)
    )
    _compare_products(network, through, features)
    found, expected = (np.array([run(sample) for sample in samples]) for run in (network, plain))
    differing = np.mean(np.abs(found - expected) > PRODUCT_TOLERANCE * max(1.0, np.abs(expected).max()))
    if not differing <= _TIES:
        raise ContractError(f"{differing:.1%} of the outputs differ from those of ONNX Runtime")
    return network


def _compare_products(network: RowNetwork, through: Run, features: Sequence[Vector]) -> None:
    for row in features:
        expected = through(row).reshape(-1)
        worst = float(np.max(np.abs(network.products(row.reshape(-1)) - expected), initial=0.0))
        if not worst <= PRODUCT_TOLERANCE * max(1.0, float(np.abs(expected).max())):  # true for NaN too
            raise ContractError(f"products of rows differ from those of ONNX Runtime by {worst:g}")


def _flat(run: Run, nodes: Sequence[Node], shape: tuple[int, ...]) -> Run:
    """Return a part of the graph as a function of flat vectors; without ONNX Runtime where it only moves elements."""
    if all(node.operator in MOVING for node in nodes):
        numbers = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
        places, shifted = run(numbers).reshape(-1), run(numbers + 1.0).reshape(-1)
        if np.array_equal(shifted, places + 1.0):  # no constants among them
            order = places.astype(np.intp)
            return lambda vector: vector.reshape(-1).take(order)
    return lambda vector: run(vector.reshape(shape)).reshape(-1)


def _session(model: bytes, folder: Path, source: str) -> Run:
    try:
        session = open_model(model, folder)
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise ContractError(f"ONNX Runtime does not load the parts ({str(error).splitlines()[0]})") from error
    names = [session.get_outputs()[0].name]
    return lambda vector: np.asarray(session.run(names, {source: vector})[0])
