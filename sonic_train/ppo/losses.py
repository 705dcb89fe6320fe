"""The loss of a minibatch: clipped policy gradient, value, entropy, auxiliary terms (Schulman et al., 1707.06347)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sonic_train.networks.actor_critic import TrainResult
from sonic_train.ppo.config import PPOConfig


class Minibatch(NamedTuple):
    """Rows of a rollout, f32; see `RolloutStorage` for the fields. `std` is (29,), all others are (B, ...)."""

    policy: Tensor
    tokenizer: Tensor
    critic: Tensor
    action: Tensor
    mean: Tensor
    std: Tensor
    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    returns: Tensor


class LossTerms(NamedTuple):
    """Scalars of a minibatch; only `total` carries a gradient that is used."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    aux: Tensor
    kl: Tensor
    clip_fraction: Tensor


def minibatch_loss(result: TrainResult, batch: Minibatch, aux_coefficients: Tensor, config: PPOConfig) -> LossTerms:
    """Return the loss of a minibatch and its parts.

    Args:
        result: what the model made of the minibatch.
        batch: the rollout's rows.
        aux_coefficients: (5,) f32.
        config: clip range and coefficients.
    """
    ratio = (result.log_prob - batch.log_prob).exp()
    clipped_ratio = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
    policy = -torch.minimum(ratio * batch.advantage, clipped_ratio * batch.advantage).mean()
    value = value_loss(result.value, batch, config)
    aux = (result.aux * aux_coefficients).sum()
    total = policy + config.value_coef * value - config.entropy_coef * result.entropy + config.aux_coef * aux
    with torch.no_grad():
        kl = gaussian_kl(batch.mean, batch.std, result.mean, result.std).mean()
        clip_fraction = ((ratio - 1.0).abs() > config.clip).float().mean()
    return LossTerms(total, policy, value, result.entropy, aux, kl, clip_fraction)


def value_loss(value: Tensor, batch: Minibatch, config: PPOConfig) -> Tensor:
    """Return the mean squared error (no factor one half), the larger of clipped and not where clipping is on."""
    error = (value - batch.returns).square()
    if not config.clip_value_loss:
        return error.mean()
    clipped = batch.value + (value - batch.value).clamp(-config.clip, config.clip)
    return torch.maximum(error, (clipped - batch.returns).square()).mean()


def gaussian_kl(mean_old: Tensor, std_old: Tensor, mean_new: Tensor, std_new: Tensor) -> Tensor:
    """Return KL(old || new) (B,) of diagonal normals: means (B, 29), deviations (29,)."""
    quadratic = (std_old.square() + (mean_old - mean_new).square()) / (2.0 * std_new.square())
    return ((std_new / std_old).log() + quadratic - 0.5).sum(dim=-1)
