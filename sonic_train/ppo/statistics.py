"""Counts and sums of a rollout, kept on the device and read once per iteration."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sonic_train.observation_batch import StepResult
from sonic_train.ranks import sum_over_ranks


class RunStatistics:
    """Means of named quantities since the last `read`, and the returns and lengths of running episodes.

    Args:
        num_envs: N.
        device: where.
    """

    def __init__(self, num_envs: int, device: torch.device | str) -> None:
        self._episode_return = torch.zeros(num_envs, device=device)
        self._episode_length = torch.zeros(num_envs, device=device)
        self._device = device
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def add(self, name: str, total: Tensor, count: Tensor) -> None:
        """Add a sum () over a number () of samples."""
        if name not in self._sums:
            self._sums[name] = torch.zeros((), dtype=torch.float64, device=self._device)
            self._counts[name] = torch.zeros((), dtype=torch.float64, device=self._device)
        self._sums[name] += total
        self._counts[name] += count

    def add_samples(self, values: Mapping[str, Tensor]) -> None:
        """Add one sample () of each quantity; NaN and infinities are left out."""
        for name, value in values.items():
            known = torch.isfinite(value)
            self.add(name, torch.where(known, value, torch.zeros_like(value)), known)

    def add_step(self, result: StepResult) -> None:
        """Add a step of all environments: reward, ended episodes, and the environment's own log."""
        done = result.terminated | result.timed_out
        ended = done.sum()
        self._episode_return += torch.nan_to_num(result.reward)
        self._episode_length += 1.0
        rows = torch.full_like(ended, len(done))
        self.add("rollout/reward", torch.nan_to_num(result.reward).sum(), rows)
        self.add("rollout/broken_rows", (~torch.isfinite(result.observations.policy.sum(dim=1))).sum(), rows)
        self.add("episode/return", (self._episode_return * done).sum(), ended)
        self.add("episode/length", (self._episode_length * done).sum(), ended)
        self.add("episode/failed", result.terminated.sum(), ended)
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
        names = sorted(self._sums)
        packed = torch.stack([*(self._sums[n] for n in names), *(self._counts[n] for n in names)])
        values = sum_over_ranks(packed).tolist()
        self._sums.clear()
        self._counts.clear()
        sums, counts = values[: len(names)], values[len(names) :]
        return {name: total / count for name, total, count in zip(names, sums, counts, strict=True) if count > 0}
