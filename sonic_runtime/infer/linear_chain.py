"""Finds the perceptron in an ONNX graph, and what stands before and behind it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.infer.onnx_graph import Graph, Node
from sonic_runtime.infer.row_products import Layer


@dataclass(frozen=True, slots=True)
class LinearChain:
    """A chain of linear layers with SiLU between them, each the only reader of the one before.

    Attributes:
        layers: first to last.
        source: name of the tensor that the first layer reads.
        result: name of the tensor that the last layer makes.
        before: nodes from the graph's input to `source`.
        through: nodes from there to `result`.
        behind: nodes from `result` to the graph's output.
    """

    layers: tuple[Layer, ...]
    source: str
    result: str
    before: tuple[Node, ...]
    through: tuple[Node, ...]
    behind: tuple[Node, ...]


def find_chain(graph: Graph) -> LinearChain:
    """Return the chain of a graph with one input and one output that are joined by nothing else.

    Raises:
        ContractError: there is none.
    """
    if not graph.plain or len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ContractError("expected a graph without control flow, with one input and one output")
    readers = _readers(graph)
    first = next((node for node in graph.nodes if _weight_of(node, graph) is not None), None)
    if first is None:
        raise ContractError("expected linear layers with constant weights, found none")
    layers, result = [], first.inputs[0]
    while (step := _layer(result, graph, readers)) is not None:
        layer, result = step
        layers.append(layer)
    source = first.inputs[0]
    if not layers:
        raise ContractError(f"expected one reader of {source!r}")
    before = _needed_for(source, graph, stop=graph.inputs[0])
    behind = _needed_for(graph.outputs[0], graph, stop=result)
    if any(name in graph.inputs for node in behind for name in node.inputs):
        raise ContractError("expected an output that depends on the input through linear layers alone")
    through = _needed_for(result, graph, stop=source)
    return LinearChain(tuple(layers), source, result, before, through, behind)


def _readers(graph: Graph) -> dict[str, list[Node]]:
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    return readers


def _weight_of(node: Node, graph: Graph) -> str | None:
    """Return the name of the constant matrix that a node multiplies its first input with."""
    if node.operator not in ("Gemm", "MatMul") or len(node.inputs) < 2:
        return None
    weight = graph.initializers.get(node.inputs[1])
    plain = not node.numbers.get("transA", (0,))[0] and all(f == 1.0 for f in node.factors.values())
    return node.inputs[1] if weight is not None and len(weight.shape) == 2 and plain else None


def _layer(source: str, graph: Graph, readers: dict[str, list[Node]]) -> tuple[Layer, str] | None:
    """Return the layer that reads a tensor, and the tensor that it makes; None where no layer alone reads it."""
    found = readers[source]
    if len(found) != 1 or source in graph.outputs or found[0].inputs[0] != source:
        return None
    node = found[0]
    name = _weight_of(node, graph)
    if name is None:
        return None
    weight = graph.initializers[name].floats()
    size = weight.shape[0] if node.numbers.get("transB", (0,))[0] else weight.shape[1]
    bias_name = node.inputs[2] if len(node.inputs) > 2 else ""
    result = node.outputs[0]
    if node.operator == "MatMul":
        bias_name, result = _bias_behind(result, size, graph, readers)
    bias = graph.initializers[bias_name].floats() if bias_name in graph.initializers else None
    if bias_name and (bias is None or bias.shape != (size,)):
        return None
    is_silu, result = _silu_behind(result, graph, readers)
    return Layer(weight if node.numbers.get("transB", (0,))[0] else weight.T, bias, is_silu), result


def _bias_behind(name: str, size: int, graph: Graph, readers: dict[str, list[Node]]) -> tuple[str, str]:
    """Return constant and result of an addition to a tensor; no name and the tensor where there is none."""
    if len(readers[name]) != 1 or readers[name][0].operator != "Add" or name in graph.outputs:
        return "", name
    node = readers[name][0]
    other = node.inputs[1] if node.inputs[0] == name else node.inputs[0]
    constant = graph.initializers.get(other)
    return (other, node.outputs[0]) if constant is not None and constant.shape == (size,) else ("", name)


def _silu_behind(name: str, graph: Graph, readers: dict[str, list[Node]]) -> tuple[bool, str]:
    """Return whether SiLU reads a tensor and nothing else does, and its result or else the tensor."""
    by_operator = {node.operator: node for node in readers[name]}
    if len(readers[name]) != 2 or set(by_operator) != {"Sigmoid", "Mul"} or name in graph.outputs:
        return False, name
    gate = by_operator["Sigmoid"].outputs[0]
    product = by_operator["Mul"]
    alone = len(readers[gate]) == 1 and gate not in graph.outputs
    return (True, product.outputs[0]) if alone and set(product.inputs) == {name, gate} else (False, name)


def _needed_for(name: str, graph: Graph, stop: str) -> tuple[Node, ...]:
    """Return the nodes that make a tensor, in their order; none of those that make `stop`."""
    wanted = {name} - {stop}
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            nodes.append(node)
            wanted.update(n for n in node.inputs if n != stop)
    return tuple(reversed(nodes))
