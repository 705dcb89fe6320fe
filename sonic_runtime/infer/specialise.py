"""One ONNX graph for each encoder out of one that computes all of them and then picks.

A matrix-vector product costs the time it takes to read the matrix from memory, so that encoders whose output is thrown
away cost as much as the one that is used. With the mode fixed, everything that no output follows from is left out, and
everything that follows from the mode alone is a constant (see `liveness.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.infer.liveness import Liveness, Mask, Values, analyse
from sonic_runtime.infer.onnx_graph import Graph, constant, identity

_SMALL_BYTES = 1 << 16
"""Constants up to this size may be indices, shapes, or factors of zero and one; larger ones are weights."""
_PROBE = "probe of "
Run = Callable[[npt.NDArray[np.float32], list[str]], list[npt.NDArray[np.generic]]]
"""Runs a model on one input vector and returns the outputs named, in their order."""


@dataclass(frozen=True, slots=True)
class Specialised:
    """A smaller model with the same input and output.

    Attributes:
        data: the ONNX file.
        constant_bytes: size of its constants, nearly all of them weights.
    """

    data: bytes
    constant_bytes: int


class Specialiser:
    """Makes models of one graph for fixed parts of its input.

    Args:
        graph: a graph with one input, without control flow.
        open_model: loads an ONNX file; must not change the graph by optimisations.

    Raises:
        ContractError: the graph has more than one input, or parts that cannot be judged.
    """

    def __init__(self, graph: Graph, open_model: Callable[[bytes], Run]) -> None:
        if not graph.plain:
            raise ContractError("expected a graph without control flow, functions and sparse constants")
        if len(graph.inputs) != 1:
            raise ContractError(f"expected a graph with one input, found {graph.inputs}")
        self._graph = graph
        self._probed = [name for node in graph.nodes for name in node.outputs if name]
        self._small = [name for name, i in graph.initializers.items() if i.size_bytes <= _SMALL_BYTES]
        copies = [identity(name, _PROBE + name) for name in self._small]
        names = [n for n in self._probed if n not in graph.outputs] + [_PROBE + name for name in self._small]
        constants = [i.raw for i in graph.initializers.values()]
        self._run = open_model(graph.write([*graph.nodes, *copies], constants, names))

    @property
    def constant_bytes(self) -> int:
        """Size of all constants of the graph."""
        return sum(i.size_bytes for i in self._graph.initializers.values())

    def specialise(self, vector: npt.NDArray[np.float32], fixed: Mask) -> Specialised:
        """Return the graph for inputs that have some elements in common.

        Args:
            vector: (1, input_dim) such an input.
            fixed: (1, input_dim) which elements all of them share.

        Raises:
            ContractError: the output would not depend on the input any more.
        """
        names = [*self._probed, *(_PROBE + name for name in self._small)]
        found = self._run(vector, names)
        values = {name.removeprefix(_PROBE): value for name, value in zip(names, found, strict=True)}
        return self._written(analyse(self._graph, values, fixed), values)

    def _written(self, liveness: Liveness, values: Values) -> Specialised:
        graph = self._graph
        nodes = [node for node in graph.nodes if liveness.needed(node)]
        made = {name for node in nodes for name in node.outputs} | set(graph.inputs)
        if not made.issuperset(graph.outputs):
            raise ContractError("expected an output that depends on more than the mode")
        used = dict.fromkeys(name for node in nodes for name in node.inputs if name and name not in made)
        kept = {name: graph.initializers[name] for name in used if name in graph.initializers}
        folded = {
            name: np.where(liveness.fixed[name], values[name], values[name].dtype.type(0))
            for name in used
            if name not in kept
        }
        size = sum(i.size_bytes for i in kept.values()) + sum(array.nbytes for array in folded.values())
        constants = [i.raw for i in kept.values()] + [constant(name, array) for name, array in folded.items()]
        return Specialised(graph.write(nodes, constants), size)
