"""Which numbers of a graph are fixed once part of its input is, and which the outputs then still depend on.

Two passes over the nodes. Forwards: an element is fixed where it follows from the fixed input elements and constants
alone; its value is read off a run of the graph. Backwards: an element is live where it is not fixed and an output
follows from it. Three kinds of operators are known element by element, all others as a whole:

- those that only move elements: Gather, Slice, Concat, Reshape, Transpose and so on;
- Mul: a product with a fixed zero is zero, whatever the other factor is, as long as that is finite;
- Where: a fixed condition chooses.

That is what selecting by an index, by a one-hot vector, or by a mask comes to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sonic_runtime.infer.onnx_graph import Graph, Node

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
Values = Mapping[str, npt.NDArray[np.generic]]
_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


@dataclass(slots=True)
class Liveness:
    """What became of the tensors of a graph, by name.

    Attributes:
        fixed: elements that are the same in every run with the same fixed input elements.
        live: elements that an output follows from and that are not fixed; constants of the file are not in it.
    """

    fixed: dict[str, Mask] = field(default_factory=dict)
    live: dict[str, Mask] = field(default_factory=dict)

    def needed(self, node: Node) -> bool:
        """Return whether a node has to run."""
        return any(self.live[name].any() for name in node.outputs if name in self.live)


def analyse(graph: Graph, values: Values, fixed_input: Mask) -> Liveness:
    """Find out what is fixed and what is live.

    Args:
        graph: without control flow.
        values: of one run: of every tensor that a node makes, and of small initializers.
        fixed_input: (1, input_dim) elements of the input that are the same in every run.
    """
    found = Liveness()
    for name, initializer in graph.initializers.items():
        found.fixed[name] = np.broadcast_to(np.True_, initializer.shape)
    found.fixed[graph.inputs[0]] = fixed_input
    for node in graph.nodes:
        for name, mask in zip(node.outputs, _fixed_outputs(node, found.fixed, values), strict=True):
            if name:
                found.fixed[name] = mask
    for name, mask in found.fixed.items():
        if name not in graph.initializers:
            found.live[name] = np.zeros(mask.shape, dtype=bool)
    for name in graph.outputs:
        found.live[name] = ~found.fixed[name]
    for node in reversed(graph.nodes):
        if found.needed(node):
            _mark_inputs(node, found, values)
    return found


def _fixed_outputs(node: Node, fixed: Mapping[str, Mask], values: Values) -> list[Mask]:
    shapes = [values[name].shape if name else () for name in node.outputs]
    whole = all(fixed[name].all() for name in node.inputs if name) and node.operator not in _RANDOM
    if whole or node.operator == "Shape":  # shapes are those of the file, whatever the numbers
        return [np.broadcast_to(np.True_, shape) for shape in shapes]
    sources = _sources(node, fixed, values)
    if sources is not None:
        every = np.concatenate([fixed[name].ravel() for name in _moved(node)])
        return [every[where] for where in sources]
    if node.operator == "Mul":
        a, b = (fixed[name] for name in node.inputs)
        zero_a, zero_b = (_fixed_zero(name, fixed, values) for name in node.inputs)
        return [(a & b) | zero_a | zero_b]
    if _chooses(node, fixed, values):
        a, b = (fixed[name] for name in node.inputs[1:])
        return [np.where(values[node.inputs[0]], a, b)]
    return [np.zeros(shape, dtype=bool) for shape in shapes]


def _mark_inputs(node: Node, found: Liveness, values: Values) -> None:
    """Mark as live what the live outputs of a node follow from."""
    sources = _sources(node, found.fixed, values)
    if sources is not None:
        masks = _mark_moved(node, found, sources)
    elif node.operator == "Mul":
        out = found.live[node.outputs[0]]
        masks = [(name, _unbroadcast(out, found.fixed[name].shape)) for name in node.inputs]
    elif _chooses(node, found.fixed, values):
        out, condition = found.live[node.outputs[0]], values[node.inputs[0]].astype(bool)
        chosen = zip(node.inputs[1:], (out & condition, out & ~condition), strict=True)
        masks = [(name, _unbroadcast(mask, found.fixed[name].shape)) for name, mask in chosen]
    else:
        masks = [(name, np.True_) for name in node.inputs if name]
    for name, mask in masks:
        if name in found.live:
            found.live[name] |= mask & ~found.fixed[name]


def _mark_moved(node: Node, found: Liveness, sources: list[Places]) -> list[tuple[str, Mask]]:
    moved = _moved(node)
    sizes = [found.fixed[name].size for name in moved]
    every = np.zeros(sum(sizes), dtype=bool)
    for name, where in zip(node.outputs, sources, strict=True):
        if name:
            every[where[found.live[name]]] = True
    parts = zip(moved, np.split(every, np.cumsum(sizes)[:-1]), strict=True)
    return [(name, mask.reshape(found.fixed[name].shape)) for name, mask in parts]


def _moved(node: Node) -> tuple[str, ...]:
    """Return the inputs whose elements a moving operator passes on; its others say which."""
    return node.inputs if node.operator == "Concat" else node.inputs[:1]


def _chooses(node: Node, fixed: Mapping[str, Mask], values: Values) -> bool:
    return node.operator == "Where" and node.inputs[0] in values and bool(fixed[node.inputs[0]].all())


def _sources(node: Node, fixed: Mapping[str, Mask], values: Values) -> list[Places] | None:
    """Return, for each element of each output, its place among the elements of the moved inputs; None if not known."""
    move = _MOVES.get(node.operator)
    moved = _moved(node)
    rest = [name for name in node.inputs[len(moved) :] if name]
    if move is None or any(name not in values or not fixed[name].all() for name in rest):
        return None
    shapes = [fixed[name].shape for name in moved]
    starts = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    places = [np.arange(starts[i], starts[i + 1]).reshape(shape) for i, shape in enumerate(shapes)]
    arguments = [values[name] if name else None for name in node.inputs[len(moved) :]]
    out_shapes = [values[name].shape if name else (0,) for name in node.outputs]
    return move(_Move(places, arguments, out_shapes, node.numbers))


@dataclass(frozen=True, slots=True)
class _Move:
    """A moving operator: places of the elements of what it moves, its other inputs, shapes of its outputs."""

    places: list[Places]
    arguments: list[npt.NDArray[np.generic] | None]
    out_shapes: list[tuple[int, ...]]
    numbers: dict[str, tuple[int, ...]]

    @property
    def axis(self) -> int:
        return self.numbers.get("axis", (0,))[0]


def _in_order(move: _Move) -> list[Places]:
    return [move.places[0].reshape(move.out_shapes[0])]


def _concat(move: _Move) -> list[Places]:
    return [np.concatenate(move.places, axis=move.axis)]


def _transpose(move: _Move) -> list[Places]:
    return [move.places[0].transpose(move.numbers.get("perm"))]


def _expand(move: _Move) -> list[Places]:
    return [np.broadcast_to(move.places[0], move.out_shapes[0])]


def _gather(move: _Move) -> list[Places]:
    return [np.take(move.places[0], np.asarray(move.arguments[0], dtype=np.intp), axis=move.axis)]


def _split(move: _Move) -> list[Places]:
    ends = np.cumsum([shape[move.axis] for shape in move.out_shapes])[:-1]
    return np.split(move.places[0], ends, axis=move.axis)


def _slice(move: _Move) -> list[Places] | None:
    starts, ends, axes, steps = ([] if v is None else v.ravel().tolist() for v in [*move.arguments, None, None][:4])
    if min(steps, default=1) < 1:
        return None
    index = [slice(None)] * move.places[0].ndim
    steps = steps or [1] * len(starts)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=True):
        index[axis] = slice(start, end, step)
    taken = move.places[0][tuple(index)]
    return [taken] if taken.shape == move.out_shapes[0] else None


_MOVES: dict[str, Callable[[_Move], list[Places] | None]] = {
    **dict.fromkeys(("Reshape", "Flatten", "Unsqueeze", "Squeeze", "Identity", "Cast"), _in_order),
    "Concat": _concat,
    "Transpose": _transpose,
    "Expand": _expand,
    "Gather": _gather,
    "Split": _split,
    "Slice": _slice,
}
MOVING = frozenset(_MOVES) - {"Cast"}
"""Operators that pass elements on as they are."""


def _fixed_zero(name: str, fixed: Mapping[str, Mask], values: Values) -> Mask:
    return fixed[name] & (values[name] == 0) if name in values else np.zeros(fixed[name].shape, dtype=bool)


def _unbroadcast(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Return which elements of a tensor of this shape were broadcast to some element of the mask."""
    extra = mask.ndim - len(shape)
    mask = mask.any(axis=tuple(range(extra)))
    axes = tuple(i for i, size in enumerate(shape) if size == 1)
    return mask.any(axis=axes, keepdims=True)
