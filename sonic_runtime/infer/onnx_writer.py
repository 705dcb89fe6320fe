"""Writes small ONNX graphs without the onnx package, which the light install does not have.

Only what `sized_policy.py` needs: one float input, one float output, float and int64 constants, operators with integer
attributes. Field numbers are those of onnx.proto; the encoding is protobuf's: varints and length-delimited fields.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IR_VERSION = 7
OPSET = 13
"""As in the published exports."""
_VARINT, _BYTES = 0, 2
_FLOAT, _INT64 = 1, 7
_ATTRIBUTE_INT = 2


class OnnxGraph:
    """A graph under construction.

    Args:
        input_name: name of the input, (1, input_dim) f32.
        input_dim: its size.
    """

    def __init__(self, input_name: str, input_dim: int) -> None:
        self._input = _value_info(input_name, input_dim)
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, array: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self._constants)}"
        kind = _FLOAT if array.dtype == np.float32 else _INT64
        dims = b"".join(_number(1, size) for size in array.shape)
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._constants.append(dims + _number(2, kind) + _text(8, name) + _field(9, little_endian))
        return name

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: int) -> str:
        """Add an operator with one output and return the name of that."""
        name = output or f"t{len(self._nodes)}"
        body = b"".join(_text(1, i) for i in inputs) + _text(2, name) + _text(4, operator)
        for key, value in attributes.items():
            body += _field(5, _text(1, key) + _number(3, value) + _number(20, _ATTRIBUTE_INT))
        self._nodes.append(body)
        return name

    def model(self, output_name: str, output_dim: int) -> bytes:
        """Return the file: the graph with the output (1, output_dim) f32, which a node must have made."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _text(2, "policy")
        graph += b"".join(_field(5, constant) for constant in self._constants)
        graph += _field(11, self._input) + _field(12, _value_info(output_name, output_dim))
        return _number(1, IR_VERSION) + _field(7, graph) + _field(8, _text(1, "") + _number(2, OPSET))


def _value_info(name: str, dim: int) -> bytes:
    shape = b"".join(_field(1, _number(1, size)) for size in (1, dim))
    tensor = _number(1, _FLOAT) + _field(2, shape)
    return _text(1, name) + _field(2, _field(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _field(field, content.encode())
