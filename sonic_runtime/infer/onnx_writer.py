"""Writes small ONNX graphs without the onnx package, which the light install does not have.

Only what `sized_policy.py` needs: one float input, one float output, float and int64 constants, operators with
attributes of one or more integers. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.infer.protobuf import block, number, text

IR_VERSION = 7
OPSET = 13
"""As in the published exports."""
_FLOAT, _INT64 = 1, 7
_ATTRIBUTE_INT, _ATTRIBUTE_INTS = 2, 7


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
        dims = b"".join(number(1, size) for size in array.shape)
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._constants.append(dims + number(2, kind) + text(8, name) + block(9, little_endian))
        return name

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: int | tuple[int, ...]) -> str:
        """Add an operator with one output and return the name of that."""
        name = output or f"t{len(self._nodes)}"
        body = b"".join(text(1, i) for i in inputs) + text(2, name) + text(4, operator)
        for key, value in attributes.items():
            body += block(5, text(1, key) + _attribute(value))
        self._nodes.append(body)
        return name

    def model(self, output_name: str, output_dim: int) -> bytes:
        """Return the file: the graph with the output (1, output_dim) f32, which a node must have made."""
        graph = b"".join(block(1, node) for node in self._nodes) + text(2, "policy")
        graph += b"".join(block(5, constant) for constant in self._constants)
        graph += block(11, self._input) + block(12, _value_info(output_name, output_dim))
        return number(1, IR_VERSION) + block(7, graph) + block(8, text(1, "") + number(2, OPSET))


def _attribute(value: int | tuple[int, ...]) -> bytes:
    if isinstance(value, int):
        return number(3, value) + number(20, _ATTRIBUTE_INT)
    return b"".join(number(8, item) for item in value) + number(20, _ATTRIBUTE_INTS)


def _value_info(name: str, dim: int) -> bytes:
    shape = b"".join(block(1, number(1, size)) for size in (1, dim))
    tensor = number(1, _FLOAT) + block(2, shape)
    return text(1, name) + block(2, block(1, tensor))
