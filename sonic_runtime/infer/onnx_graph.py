"""Reads the graph of an ONNX file and writes it again with other nodes, without the onnx package.

Weights are never copied: what is kept of a file is a view of its bytes. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.infer.protobuf import block, number, read_fields, read_numbers, text

_NODE, _INITIALIZER, _SPARSE_INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 15, 11, 12, 13
_GRAPH, _FUNCTIONS = 7, 25
_ATTRIBUTE_TYPE, _ATTRIBUTE_INT = 20, 2
_NUMBERS: dict[str, int] = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip
"""TensorProto.DataType of the numpy types."""
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of one element."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator.

    Attributes:
        raw: its bytes.
        operator: name of the operator, with the domain before it where that is not ONNX's own.
        inputs: names of tensors; an empty one was left out.
        outputs: the same.
        numbers: its attributes that are integers.
        factors: its attributes that are single floats.
        has_graph: whether it runs a graph of its own, as If and Loop do.
    """

    raw: memoryview
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, tuple[int, ...]]
    factors: dict[str, float]
    has_graph: bool


@dataclass(frozen=True, slots=True)
class Initializer:
    """A constant of the graph: its bytes, its shape, and how large it is."""

    raw: memoryview
    shape: tuple[int, ...]
    size_bytes: int

    def floats(self) -> npt.NDArray[np.float32]:
        """Return its values.

        Raises:
            ContractError: they are no float32, or not in this file.
        """
        kind, values = 0, None
        for key, value in read_fields(self.raw):
            if key == 2:
                kind = value
            elif key in (4, 9) and isinstance(value, memoryview):  # 4: packed floats, as some writers have them
                values = np.frombuffer(value, dtype="<f4")
        if kind != _NUMBERS["float32"] or values is None or values.size != math.prod(self.shape):
            raise ContractError(f"ONNX constant: expected {self.shape} float32 values in the file, found type {kind}")
        return values.reshape(self.shape)


@dataclass(slots=True)
class Graph:
    """The graph of a file.

    Attributes:
        nodes: in the order in which they run.
        initializers: constants by name.
        inputs: names.
        outputs: names.
        plain: whether there is nothing in the file that this module does not understand.
    """

    nodes: list[Node] = field(default_factory=list)
    initializers: dict[str, Initializer] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    plain: bool = True
    _around: list[tuple[int, int | memoryview]] = field(default_factory=list)
    _rest: list[tuple[int, int | memoryview]] = field(default_factory=list)

    def write(
        self, nodes: Iterable[Node | bytes], initializers: Iterable[memoryview | bytes], probes: Sequence[str] = ()
    ) -> bytes:
        """Return a file with the inputs and outputs of this one.

        Args:
            nodes: of this graph, or made by `identity`; in the order in which they run.
            initializers: `Initializer.raw`, or made by `constant`.
            probes: names of tensors that become outputs too.
        """
        parts = [block(_NODE, n if isinstance(n, bytes) else n.raw) for n in nodes]
        parts += [block(_INITIALIZER, i) for i in initializers]
        parts += [_again(*item) for item in self._rest]
        parts += [block(_OUTPUT, text(1, name)) for name in probes]
        return self._file(parts)

    def part(self, nodes: Sequence[Node], source: str, result: str) -> bytes:
        """Return a file with one input and one output, float tensors of this graph.

        Args:
            nodes: those between the two, in the order in which they run; none where the two are the same.
            source: name of the input, of any shape.
            result: name of the output.
        """
        if source == result:
            nodes, result = (), f"copy of {source}"
        used = dict.fromkeys(name for node in nodes for name in node.inputs)
        parts = [block(_NODE, node.raw) for node in nodes] or [block(_NODE, identity(source, result))]
        parts += [block(_INITIALIZER, self.initializers[n].raw) for n in used if n in self.initializers]
        kind = block(2, block(1, number(1, _NUMBERS["float32"])))
        parts += [text(2, "part"), block(_INPUT, text(1, source) + kind), block(_OUTPUT, text(1, result))]
        return self._file(parts)

    def _file(self, graph: list[bytes]) -> bytes:
        return b"".join([_again(*item) for item in self._around] + [block(_GRAPH, b"".join(graph))])


def read_graph(data: bytes) -> Graph:
    """Read an ONNX file.

    Raises:
        ContractError: the bytes are no ONNX model.
    """
    graph = Graph()
    try:
        for key, value in read_fields(memoryview(data)):
            if key == _GRAPH and isinstance(value, memoryview):
                _read_graph(value, graph)
            else:
                graph.plain &= key != _FUNCTIONS
                graph._around.append((key, value))
    except UnicodeDecodeError as error:
        raise ContractError(f"ONNX graph: expected names in UTF-8 ({error})") from error
    if not graph.nodes or not graph.outputs:
        raise ContractError("ONNX graph: expected nodes and outputs, found none")
    graph.plain &= not any(node.has_graph for node in graph.nodes)
    return graph


def constant(name: str, array: npt.NDArray[np.generic]) -> bytes:
    """Return an initializer.

    Raises:
        ContractError: ONNX has no such type, or this module does not write it.
    """
    if array.dtype.name not in _NUMBERS:
        raise ContractError(f"ONNX constant {name!r}: expected one of {sorted(_NUMBERS)}, got {array.dtype}")
    dims = b"".join(number(1, size) for size in array.shape)
    values = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return dims + number(2, _NUMBERS[array.dtype.name]) + text(8, name) + block(9, values)


def identity(source: str, result: str) -> bytes:
    """Return a node that gives a tensor a second name."""
    return text(1, source) + text(2, result) + text(4, "Identity")


def _read_graph(data: memoryview, graph: Graph) -> None:
    for key, value in read_fields(data):
        if not isinstance(value, memoryview):
            continue
        if key == _NODE:
            graph.nodes.append(_read_node(value))
        elif key == _INITIALIZER:
            name, initializer = _read_initializer(value)
            graph.initializers[name] = initializer
        elif key != _VALUE_INFO:
            graph.plain &= key != _SPARSE_INITIALIZER
            graph._rest.append((key, value))
            if key in (_INPUT, _OUTPUT):
                (graph.inputs if key == _INPUT else graph.outputs).append(_name(value, 1))


def _read_node(data: memoryview) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    numbers: dict[str, tuple[int, ...]] = {}
    factors: dict[str, float] = {}
    operator, domain, has_graph = "", "", False
    for key, value in read_fields(data):
        if not isinstance(value, memoryview):
            continue
        if key in (1, 2):
            (inputs if key == 1 else outputs).append(_text(value))
        elif key == 4:
            operator = _text(value)
        elif key == 7:
            domain = _text(value)
        elif key == 5:
            name, found, factor, is_graph = _read_attribute(value)
            has_graph |= is_graph
            if found:
                numbers[name] = found
            if factor is not None:
                factors[name] = factor
    full = operator if domain in ("", "ai.onnx") else f"{domain}.{operator}"
    return Node(data, full, tuple(inputs), tuple(outputs), numbers, factors, has_graph)


def _read_attribute(data: memoryview) -> tuple[str, tuple[int, ...], float | None, bool]:
    name, kind, factor, is_graph = "", 0, None, False
    numbers: list[int] = []
    for key, value in read_fields(data):
        if key == 1 and isinstance(value, memoryview):
            name = _text(value)
        elif key == _ATTRIBUTE_TYPE and isinstance(value, int):
            kind = value
        elif key == 2 and isinstance(value, memoryview):
            factor = struct.unpack("<f", value)[0]
        elif key in (3, 8):
            numbers += read_numbers(value)
        elif key in (6, 11):
            is_graph = True
    if kind == _ATTRIBUTE_INT and not numbers:  # some writers leave zeros out
        numbers = [0]
    return name, tuple(numbers), factor, is_graph


def _read_initializer(data: memoryview) -> tuple[str, Initializer]:
    shape: list[int] = []
    name, kind = "", 0
    for key, value in read_fields(data):
        if key == 1:
            shape += read_numbers(value)
        elif key == 2 and isinstance(value, int):
            kind = value
        elif key == 8 and isinstance(value, memoryview):
            name = _text(value)
    return name, Initializer(data, tuple(shape), math.prod(shape) * _SIZES.get(kind, 4))


def _name(data: memoryview, field_number: int) -> str:
    return next((_text(v) for k, v in read_fields(data) if k == field_number and isinstance(v, memoryview)), "")


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _again(key: int, value: int | memoryview) -> bytes:
    return number(key, value) if isinstance(value, int) else block(key, value)
