"""The model of a run: normalisers, actor and critic behind one forward call."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sonic_train.env.layout import TOKENIZER_DIM
from sonic_train.networks.aux_losses import aux_losses
from sonic_train.networks.config import NetworkConfig
from sonic_train.networks.mlp import MLP
from sonic_train.networks.normalizer import RunningNormalizer
from sonic_train.networks.quantizer import quantize
from sonic_train.networks.token_inputs import encoder_bits
from sonic_train.networks.universal_token import UniversalTokenModule, select_control_latent
from sonic_train.observation_batch import Observations

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


class Actor(nn.Module):
    """The universal-token module and a diagonal normal distribution around its action.

    Args:
        config: sizes; `init_std`, `min_std`, `max_std` and `std_type` of the action noise.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.actor_module = UniversalTokenModule(config)
        if config.std_type == "log":
            self.log_std = nn.Parameter(torch.full((config.action_dim,), math.log(config.init_std)))
        else:
            self.std = nn.Parameter(torch.full((config.action_dim,), config.init_std))

    def action_std(self) -> Tensor:
        """Return the standard deviation (29,) f32 of the raw action, the same in every state."""
        return self.log_std.exp() if self.config.std_type == "log" else self.std

    @torch.no_grad()
    def clamp_std(self) -> None:
        """Bring the noise parameter back into its bounds; called after each optimiser step.

        The parameter itself is clamped, not its use: a clamp in the graph has no gradient outside and would hold the
        parameter there for ever.
        """
        low, high = self.config.min_std, self.config.max_std
        if self.config.std_type == "log":
            self.log_std.clamp_(math.log(low), math.log(high))
        else:
            self.std.clamp_(low, high)


class Critic(nn.Module):
    """State value from the privileged observation."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.critic_module = MLP(config.critic_dim, config.critic_hidden, 1)

    def forward(self, critic: Tensor) -> Tensor:
        """Map normalised critic observations (B, 1645) to values (B,)."""
        return self.critic_module(critic).squeeze(-1)


class ActResult(NamedTuple):
    """What a rollout keeps of one decision; f32.

    Attributes:
        action: (N, 29) sampled raw action, policy order.
        log_prob: (N,) its log density, summed over joints.
        mean: (N, 29) mean of the distribution.
        value: (N,) value of the state.
    """

    action: Tensor
    log_prob: Tensor
    mean: Tensor
    value: Tensor


class TrainResult(NamedTuple):
    """What the loss needs of a minibatch of B rows; f32.

    Attributes:
        log_prob: (B,) log density of the given actions.
        entropy: () entropy of the distribution, which does not depend on the state.
        value: (B,).
        mean: (B, 29).
        std: (29,).
        aux: (5,) unscaled auxiliary losses.
        token_size: () mean absolute value of the control tokens, without gradient; 0 means a collapsed code.
    """

    log_prob: Tensor
    entropy: Tensor
    value: Tensor
    mean: Tensor
    std: Tensor
    aux: Tensor
    token_size: Tensor


class ActorCritic(nn.Module):
    """Everything that is trained or normalises, in one module, so that one forward call serves a distributed update.

    Args:
        config: sizes and options.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.actor = Actor(config)
        self.critic = Critic(config)
        limit = config.normalized_limit
        self.normalizers = nn.ModuleDict(
            {
                "policy": RunningNormalizer(config.policy_dim, limit, config.normalize_policy),
                "tokenizer": RunningNormalizer(TOKENIZER_DIM, limit, config.normalize_tokenizer),
                "critic": RunningNormalizer(config.critic_dim, limit, config.normalize_critic),
            }
        )

    def forward(self, policy: Tensor, tokenizer: Tensor, critic: Tensor, action: Tensor) -> TrainResult:
        """Evaluate given actions, values and auxiliary losses.

        Args:
            policy: (B, 930) f32 raw observation.
            tokenizer: (B, 1761) f32 raw observation.
            critic: (B, 1645) f32 raw observation.
            action: (B, 29) f32 raw actions that were taken.
        """
        module = self.actor.actor_module
        bits = encoder_bits(tokenizer)
        normalized = self.normalizers["tokenizer"](tokenizer)
        latents = module.encode(normalized)
        token = quantize(select_control_latent(latents, bits))
        mean = module.decode_action(token, self.normalizers["policy"](policy))
        std = self.actor.action_std()
        return TrainResult(
            log_prob=log_density(action, mean, std),
            entropy=(std.log() + 0.5 + _HALF_LOG_TAU).sum(),
            value=self.critic(self.normalizers["critic"](critic)),
            mean=mean,
            std=std,
            aux=aux_losses(module, normalized, bits, latents, token, self.config.aux.align_rows),
            token_size=token.detach().abs().mean(),
        )

    def act(self, observations: Observations) -> ActResult:
        """Sample actions for a rollout."""
        mean = self.act_inference(observations)
        std = self.actor.action_std()
        action = torch.addcmul(mean, torch.randn_like(mean), std)
        return ActResult(action, log_density(action, mean, std), mean, self.value(observations.critic))

    def act_inference(self, observations: Observations) -> Tensor:
        """Return the mean action (N, 29), policy order: the deterministic policy that is exported."""
        module = self.actor.actor_module
        latents = module.encode(self.normalizers["tokenizer"](observations.tokenizer))
        token = quantize(select_control_latent(latents, encoder_bits(observations.tokenizer)))
        return module.decode_action(token, self.normalizers["policy"](observations.policy))

    def value(self, critic: Tensor) -> Tensor:
        """Return values (N,) of raw critic observations (N, 1645)."""
        return self.critic(self.normalizers["critic"](critic))

    def update_normalizers(self, policy: Tensor, tokenizer: Tensor, critic: Tensor) -> None:
        """Merge raw observations (..., dim) of a rollout into the statistics of all ranks."""
        self.normalizers["policy"].update(policy)  # type: ignore[operator]
        self.normalizers["tokenizer"].update(tokenizer)  # type: ignore[operator]
        self.normalizers["critic"].update(critic)  # type: ignore[operator]


def log_density(action: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the log density (B,) of actions (B, 29) under a normal with mean (B, 29) and deviation (29,)."""
    return (-0.5 * ((action - mean) / std).square() - std.log() - _HALF_LOG_TAU).sum(dim=-1)
