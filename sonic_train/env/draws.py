"""Random draws and constants on the device of the environments; none of them waits for it."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def uniform(shape: tuple[int, ...], low: float, high: float, device: str) -> Tensor:
    """Return draws in [low, high), f32, of the given shape."""
    return low + (high - low) * torch.rand(shape, device=device)


def signed(*shape: int, scale: tuple[float, ...] | None = None, device: str) -> Tensor:
    """Return draws in [-1, 1), f32, times a scale per column."""
    draws = 2.0 * torch.rand(shape, device=device) - 1.0
    return draws if scale is None else draws * _row(scale, device)


@functools.cache
def _row(values: tuple[float, ...], device: str) -> Tensor:
    """Return constants as a f32 tensor on a device, made once."""
    return torch.tensor(values, dtype=torch.float32, device=device)
