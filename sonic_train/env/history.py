"""Short histories of observation terms, oldest sample first, filled with the first sample after a reset."""

from __future__ import annotations

import torch
from torch import Tensor


class History:
    """The last samples of one term in every environment.

    Args:
        num_envs: number of environments.
        length: samples kept.
        dim: size of one sample.
        device: torch device.
    """

    def __init__(self, num_envs: int, length: int, dim: int, device: str) -> None:
        self._buffer = torch.zeros(num_envs, length, dim, device=device)

    def push(self, sample: Tensor, restart: Tensor) -> Tensor:
        """Append a sample and return the history.

        Args:
            sample: (N, dim).
            restart: (N,) bool; these environments forget, and their history becomes this sample repeated.

        Returns:
            (N, length * dim), oldest first.
        """
        shifted = torch.cat([self._buffer[:, 1:], sample[:, None]], dim=1)
        self._buffer = torch.where(restart[:, None, None], sample[:, None].expand_as(shifted), shifted)
        return self._buffer.flatten(1)

    def peek(self, sample: Tensor) -> Tensor:
        """Return the history as it would be with one more sample, without keeping it: (N, length * dim)."""
        return torch.cat([self._buffer[:, 1:], sample[:, None]], dim=1).flatten(1)
