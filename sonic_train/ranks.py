"""Sums over the processes of a run; the identity where there is one process only. Nothing here waits for the device."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def rank_count() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(value: Tensor) -> Tensor:
    """Add a tensor over all processes, in place, and return it; every process must call with the same shape."""
    if rank_count() > 1:
        dist.all_reduce(value)
    return value


def mean_over_ranks(value: Tensor) -> Tensor:
    """Average a float tensor over all processes, in place, and return it."""
    return sum_over_ranks(value).div_(rank_count()) if rank_count() > 1 else value
