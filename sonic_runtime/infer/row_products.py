"""A multilayer perceptron for one input vector, at the speed of memory.

With one vector, every weight is used once: the time is that of reading the weights. ONNX Runtime's Gemm is made for
many vectors and gets little more than half of what the memory gives; products of one row at a time, which numpy hands
to the dot product of its BLAS, read straight on and get nearly all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]
AVAILABLE = hasattr(np, "vecdot")
"""numpy has products of rows from version 2.0 on."""


@dataclass(frozen=True, slots=True)
class Layer:
    """y = weight x + bias, then SiLU or nothing.

    Attributes:
        weight: (n_out, n_in) f32.
        bias: (n_out,) f32, or None.
        silu: whether y * sigmoid(y) follows.
    """

    weight: npt.NDArray[np.float32]
    bias: Vector | None
    silu: bool


class RowProducts:
    """The perceptron; works in buffers of its own and allocates nothing when called.

    Args:
        layers: first to last; the weights are copied into one block of memory.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        # one block above the size from which numpy asks the system for large pages
        block = np.empty(sum(layer.weight.size for layer in layers), dtype=np.float32)
        self._steps = []
        start = 0
        for layer in layers:
            weight = block[start : start + layer.weight.size].reshape(layer.weight.shape)
            weight[:] = layer.weight
            start += layer.weight.size
            bias = None if layer.bias is None else layer.bias.astype(np.float32)
            out, half = np.empty((2, len(weight)), dtype=np.float32)
            self._steps.append((weight, bias, layer.silu, out, half))
        self.size_bytes = block.nbytes

    def __call__(self, vector: Vector) -> Vector:
        """Return the output (n_out,) f32 of an input (n_in,) f32; the array is overwritten by the next call."""
        for weight, bias, silu, out, half in self._steps:
            np.vecdot(weight, vector, out=out)
            if bias is not None:
                np.add(out, bias, out=out)
            if silu:
                # y sigmoid(y) = y/2 (1 + tanh(y/2)), which does not overflow
                np.multiply(out, _HALF, out=half)
                np.tanh(half, out=out)
                np.add(out, _ONE, out=out)
                np.multiply(out, half, out=out)
            vector = out
        return vector


_HALF, _ONE = np.float32(0.5), np.float32(1.0)
