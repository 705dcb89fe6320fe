"""Counts and sums of a rollout, kept on the device and read once per iteration."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sonic_train.observation_batch import StepResult
from sonic_train.ranks import sum_over_ranks


class RunStatistics:
    """Means of named quantities since the last `read`, and the returns and lengths of running episodes.

    Quantities that arrive together are stacked and added together, since hundreds of scalar kernels a step would cost
    more than the policy does.

    Args:
        num_envs: N.
        device: where.
    """

    def __init__(self, num_envs: int, device: torch.device | str) -> None:
        self._episode_return = torch.zeros(num_envs, device=device)
        self._episode_length = torch.zeros(num_envs, device=device)
        # names of a group to its sums and counts, (2, len(names)) f64
        self._groups: dict[tuple[str, ...], Tensor] = {}

    def add_sums(self, names: tuple[str, ...], sums: Tensor, counts: Tensor) -> None:
        """Add sums over samples (len(names),) and the numbers of samples (len(names),)."""
        packed = torch.stack([sums.double(), counts.double()])
        if names in self._groups:
            self._groups[names] += packed
        else:
            self._groups[names] = packed

    def add_samples(self, values: Mapping[str, Tensor]) -> None:
        """Add one sample () of each quantity; NaN and infinities are left out."""
        if not values:
            return
        stacked = torch.stack([value.double() for value in values.values()])
        known = torch.isfinite(stacked)
        self.add_sums(tuple(values), torch.where(known, stacked, 0.0), known)

    def add_step(self, result: StepResult) -> None:
        """Add a step of all environments: reward, ended episodes, and the environment's own log."""
        done = result.terminated | result.timed_out
        reward = torch.nan_to_num(result.reward)
        self._episode_return += reward
        self._episode_length += 1.0
        broken = ~torch.isfinite(result.observations.policy.sum(dim=1))
        per_env = {
            "rollout/reward": reward,
            "rollout/broken_rows": broken.float(),
            "episode/return": self._episode_return * done,
            "episode/length": self._episode_length * done,
            "episode/failed": result.terminated.float(),
        }
        rows, ended = torch.full_like(reward[0], len(reward)), done.sum().float()
        counts = [ended if name.startswith("episode/") else rows for name in per_env]
        self.add_sums(tuple(per_env), torch.stack(list(per_env.values())).sum(dim=1), torch.stack(counts))
        self._episode_return.masked_fill_(done, 0.0)
        self._episode_length.masked_fill_(done, 0.0)
        self.add_samples(result.log)

    def restart_episodes(self) -> None:
        """Forget the running episodes; called when the environment was reset as a whole."""
        self._episode_return.zero_()
        self._episode_length.zero_()

    def read(self) -> dict[str, float]:
        """Return the means over all ranks and start anew; quantities without a sample are left out.

        This is the one place of an iteration that waits for the device.
        """
        groups = sorted(self._groups)
        packed = torch.cat([self._groups[names] for names in groups], dim=1)
        sums, counts = sum_over_ranks(packed).tolist()
        self._groups.clear()
        flat = [name for names in groups for name in names]
        return {name: total / count for name, total, count in zip(flat, sums, counts, strict=True) if count > 0}
