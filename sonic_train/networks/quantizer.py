"""Finite scalar quantisation of the motion token (Mentzer et al., arXiv 2309.15505, section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TOKEN_DIM = 64
"""Two tokens of 32 numbers each, flattened."""

LEVELS = 32
"""Values each number may take; even, so the grid is shifted by half a level."""

_STRETCH = 1e-3
_HALF_RANGE = (LEVELS - 1) * (1.0 + _STRETCH) / 2.0
_OFFSET = 0.5
_SHIFT = math.atanh(_OFFSET / _HALF_RANGE)


def bound_latents(latents: Tensor) -> Tensor:
    """Squash latents into the range of the grid, before rounding.

    Args:
        latents: (..., 64) f32, unbounded.

    Returns:
        (..., 64) f32 in (-16.02, 15.02); its nearest integer is the level, 0 for a latent of 0.
    """
    return torch.tanh(latents.float() + _SHIFT) * _HALF_RANGE - _OFFSET


def quantize(latents: Tensor) -> Tensor:
    """Quantise latents to tokens; the gradient passes straight through the rounding.

    Args:
        latents: (..., 64) f32, unbounded.

    Returns:
        (..., 64) f32, multiples of 1/16 from -1 to 0.9375.
    """
    bounded = bound_latents(latents)
    rounded = bounded + (bounded.round() - bounded).detach()
    return rounded / (LEVELS // 2)


def quantize_exactly(latents: Tensor) -> Tensor:
    """Quantise without the straight-through path, for export: the same numbers, free of its rounding error."""
    return bound_latents(latents).round() / (LEVELS // 2)
