"""The last N samples of a quantity, some ticks apart, oldest first."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array


class History:
    """A window of the last `frames` samples, `step` ticks apart; the newest is always in it.

    Args:
        values: (frames, dim) f32 array to keep them in: a view of the vector that a network reads.
        fill: what stands before the first sample once it has come: "first", copies of it, as in training; or "zero",
            the padding.
        padding: (dim,) or (1,) values of an empty slot with fill "zero".
        step: ticks between two samples of the window; those in between are kept beside it.

    Attributes:
        values: the array, oldest sample first; changed by `push`.
    """

    def __init__(
        self,
        values: npt.NDArray[np.float32],
        fill: Literal["first", "zero"],
        padding: tuple[float, ...] = (0.0,),
        step: int = 1,
    ) -> None:
        self.values = values
        frames, dim = values.shape
        self._samples = values if step == 1 else np.zeros(((frames - 1) * step + 1, dim), dtype=np.float32)
        self._step = step
        self._fill = fill
        self._padding = np.asarray(padding, dtype=np.float32)
        self._empty = True

    def push(self, sample: Array) -> None:
        """Append a sample (dim,) and drop the oldest."""
        if self._empty:
            self._samples[:] = sample if self._fill == "first" else self._padding
            self._empty = False
        self._samples[:-1] = self._samples[1:]
        self._samples[-1] = sample
        if self._step > 1:
            self.values[:] = self._samples[:: self._step]

    def reset(self) -> None:
        """Forget all samples."""
        self._empty = True
