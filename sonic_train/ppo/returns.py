"""Second part of an iteration: advantages and returns (Schulman et al., arXiv 1506.02438)."""

from __future__ import annotations

import torch
from torch import Tensor

from sonic_train.ppo.storage import RolloutStorage
from sonic_train.ranks import sum_over_ranks


@torch.no_grad()
def compute_returns(storage: RolloutStorage, gamma: float, lam: float) -> None:
    """Fill `returns` with the value targets and `advantage` with advantages normalised over all ranks.

    `next_value` belongs to the state before a reset, so a time-out is bootstrapped from the state that was cut off
    and a failure from nothing; the recursion stops at both.
    """
    running = torch.zeros_like(storage.value[0])
    for t in reversed(range(storage.steps)):
        # delta_t = r_t + gamma V(s_t+1) - V(s_t);  A_t = delta_t + gamma lam A_t+1
        future = gamma * storage.next_value[t] * (1.0 - storage.terminated[t])
        delta = storage.reward[t] + future - storage.value[t]
        running = delta + gamma * lam * (1.0 - storage.done[t]) * running
        storage.advantage[t] = running
    torch.add(storage.advantage, storage.value, out=storage.returns)
    storage.advantage.copy_(normalized_over_ranks(storage.advantage))


def normalized_over_ranks(values: Tensor) -> Tensor:
    """Return values with mean 0 and deviation 1 over all their elements and all ranks; constant values become 0."""
    exact = values.double()
    packed = torch.stack([exact.new_full((), float(values.numel())), exact.sum(), exact.square().sum()])
    count, total, squares = sum_over_ranks(packed).unbind()
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0.0).sqrt()
    return ((exact - mean) / (std + 1e-8)).to(values.dtype)
