"""Running mean and variance of observations; part of the model, of its checkpoints and of the exported graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sonic_train.ranks import sum_over_ranks

_CONSTANT_VAR = 1e-8
"""Below this a feature counts as constant: it is centred but not scaled, so that noise on it is not blown up."""

_MIN_STD = 0.01
"""Smallest divisor of a feature that does vary, in the feature's own unit."""


class RunningNormalizer(nn.Module):
    """Maps x to (x - mean) / std, clamped; statistics change only in `update`.

    Args:
        dim: number of features.
        limit: outputs are clamped to [-limit, limit].
        enabled: where False, `forward` is the identity (no clamp either) and `update` does nothing.
    """

    mean: Tensor
    var: Tensor
    count: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, dim: int, limit: float, enabled: bool = True) -> None:
        super().__init__()
        self.limit = limit
        self.enabled = enabled
        if not enabled:
            return
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("var", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        # what forward uses, derived from mean and variance
        self.register_buffer("scale", torch.ones(dim), persistent=False)
        self.register_buffer("shift", torch.zeros(dim), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Normalise (..., dim) f32."""
        if not self.enabled:
            return observation
        return torch.addcmul(self.shift, observation, self.scale).clamp(-self.limit, self.limit)

    @torch.no_grad()
    def update(self, observation: Tensor) -> None:
        """Merge a batch into the statistics, over all ranks, weighted by counts.

        Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
        Variances are population variances. A feature with a non-finite moment keeps its statistics.

        Args:
            observation: (..., dim) f32 samples of this rank.
        """
        if not self.enabled:
            return
        rows = observation.reshape(-1, observation.shape[-1])
        batch_var, batch_mean = torch.var_mean(rows, dim=0, correction=0)
        count, mean, var = _moments_over_ranks(len(rows), batch_mean.double(), batch_var.double())
        total = self.count + count
        delta = mean - self.mean
        merged_mean = self.mean + delta * (count / total)
        merged_var = (self.var * self.count + var * count) / total + delta.square() * (self.count * count / total**2)
        known = torch.isfinite(merged_mean) & torch.isfinite(merged_var)
        self.mean.copy_(torch.where(known, merged_mean, self.mean))
        self.var.copy_(torch.where(known, merged_var, self.var))
        self.count.copy_(total)
        self.refresh()

    def refresh(self) -> None:
        """Recompute the affine map from mean and variance; needed after they were loaded."""
        if not self.enabled:
            return
        std = self.var.sqrt().clamp(min=_MIN_STD)
        scale = torch.where(self.var < _CONSTANT_VAR, torch.ones_like(std), 1.0 / std)
        self.scale.copy_(scale)
        self.shift.copy_(-self.mean * scale)

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[arg-type]
        self.refresh()


def _moments_over_ranks(rows: int, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return count (), mean (dim,) and population variance (dim,) over all ranks, f64."""
    packed = torch.cat([mean.new_full((1,), float(rows)), rows * mean, rows * (var + mean.square())])
    packed = sum_over_ranks(packed)
    count, dim = packed[0], mean.numel()
    mean_all = packed[1 : 1 + dim] / count
    return count, mean_all, (packed[1 + dim :] / count - mean_all.square()).clamp(min=0.0)
