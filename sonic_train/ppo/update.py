"""Third part of an iteration: several epochs of minibatch steps. Never waits for the device."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn

from sonic_train.networks.actor_critic import ActorCritic
from sonic_train.networks.aux_losses import AUX_LOSS_NAMES, aux_coefficients
from sonic_train.ppo.config import PPOConfig
from sonic_train.ppo.losses import LossTerms, Minibatch, minibatch_loss
from sonic_train.ppo.statistics import RunStatistics
from sonic_train.ppo.storage import RolloutStorage
from sonic_train.ranks import mean_over_ranks

_KL_FACTOR = 1.5
"""Step of the adaptive learning rate (rsl_rl and the SONIC release)."""

_ROW_FIELDS = ("policy", "tokenizer", "critic", "action", "mean", "log_prob", "value", "advantage", "returns")


class Learner:
    """The parts that an update needs besides the rollout.

    Args:
        model: the bare model.
        config: options.
        accelerator: places the model, and wraps it for gradients that are averaged over processes.
    """

    def __init__(self, model: ActorCritic, config: PPOConfig, accelerator: Accelerator) -> None:
        self.config = config
        self.accelerator = accelerator
        model.to(accelerator.device)
        if config.compile:
            model.compile()
        groups = [
            {"params": list(model.actor.parameters()), "lr": config.learning_rate},
            {
                "params": list(model.critic.parameters()),
                "lr": config.learning_rate * config.critic_learning_rate_factor,
            },
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)
        # the wrapped module is the same one where there is one process
        prepared: tuple[nn.Module, AcceleratedOptimizer] = accelerator.prepare(model, optimizer)
        self.forward, self.optimizer = prepared
        self.model = model
        self.place_learning_rates()
        self.aux_coefficients = torch.tensor(aux_coefficients(model.config.aux), device=accelerator.device)

    def place_learning_rates(self) -> None:
        """Keep the learning rates as tensors on the device; needed again after the optimiser's state was loaded."""
        for group in self.optimizer.param_groups:
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32).to(self.accelerator.device).clone()

    def resume_learning_rate(self, learning_rate: float) -> None:
        """Go on with the learning rate of a checkpoint where it adapts; one that is constant stays as configured."""
        config = self.config
        if config.desired_kl <= 0.0:
            learning_rate = config.learning_rate
        bounded = min(max(learning_rate, config.min_learning_rate), config.max_learning_rate)
        self.set_learning_rate(torch.tensor(bounded))

    @property
    def learning_rate(self) -> Tensor:
        """Learning rate () of the actor, on the device."""
        return self.optimizer.param_groups[0]["lr"]

    def set_learning_rate(self, learning_rate: Tensor) -> None:
        """Set the learning rate () of the actor, and that of the critic with it."""
        actor, critic = self.optimizer.param_groups
        actor["lr"].copy_(learning_rate)
        critic["lr"].copy_(learning_rate * self.config.critic_learning_rate_factor)


def update(learner: Learner, storage: RolloutStorage, statistics: RunStatistics) -> None:
    """Improve the policy on one rollout.

    Args:
        learner: model, optimiser and options.
        storage: a rollout with advantages and returns.
        statistics: takes the losses, and how many steps were skipped for gradients that were not finite.
    """
    rows = storage.steps * storage.num_envs
    size = rows // learner.config.minibatches
    for _ in range(learner.config.epochs):
        order = torch.randperm(rows, device=storage.value.device)
        for i in range(learner.config.minibatches):
            batch = take_rows(storage, order[i * size : (i + 1) * size])
            statistics.add_samples(minibatch_step(learner, batch))


def take_rows(storage: RolloutStorage, rows: Tensor) -> Minibatch:
    """Gather rows (B,) int64 of the flattened rollout."""
    gathered = {name: storage.flat(name).index_select(0, rows) for name in _ROW_FIELDS}
    return Minibatch(std=storage.std, **gathered)


def minibatch_step(learner: Learner, batch: Minibatch) -> dict[str, Tensor]:
    """Take one optimiser step and return what to report, scalars on the device.

    A gradient that is not finite skips the step on the device: the fused optimiser reads `found_inf` and leaves
    weights and moments alone. After averaging over ranks the gradient is the same everywhere, so all ranks agree.
    """
    config = learner.config
    result = learner.forward(batch.policy, batch.tokenizer, batch.critic, batch.action)
    loss = minibatch_loss(result, batch, learner.aux_coefficients, config)
    learner.optimizer.zero_grad(set_to_none=True)
    learner.accelerator.backward(loss.total)
    norm = nn.utils.clip_grad_norm_(learner.model.parameters(), config.max_grad_norm)
    skipped = (~torch.isfinite(norm)).float()
    adapt_learning_rate(learner, mean_over_ranks(loss.kl.detach().clone()))
    learner.optimizer.optimizer.found_inf = skipped  # type: ignore[attr-defined]
    learner.optimizer.step()
    learner.model.actor.clamp_std()
    report = _report(loss, norm, skipped)
    report |= {f"aux/{name}": value for name, value in zip(AUX_LOSS_NAMES, result.aux.detach().unbind(), strict=True)}
    report |= {"policy/std": result.std.detach().mean(), "policy/token_size": result.token_size}
    # Of every step: the rate falls towards the end of an iteration, as the policy leaves the one that collected.
    report["ppo/learning_rate"] = learner.learning_rate.clone()
    return report


def adapt_learning_rate(learner: Learner, kl: Tensor) -> None:
    """Lower the learning rate where the policy moved too far in this minibatch, raise it where it hardly moved."""
    config = learner.config
    if config.desired_kl <= 0.0:
        return
    rate = learner.learning_rate
    lowered = torch.where(kl > 2.0 * config.desired_kl, rate / _KL_FACTOR, rate)
    raised = torch.where((kl < 0.5 * config.desired_kl) & (kl > 0.0), rate * _KL_FACTOR, lowered)
    learner.set_learning_rate(raised.clamp(config.min_learning_rate, config.max_learning_rate))


def _report(loss: LossTerms, norm: Tensor, skipped: Tensor) -> dict[str, Tensor]:
    return {
        "loss/total": loss.total.detach(),
        "loss/policy": loss.policy.detach(),
        "loss/value": loss.value.detach(),
        "loss/aux": loss.aux.detach(),
        "policy/entropy": loss.entropy.detach(),
        "ppo/kl": loss.kl,
        "ppo/clip_fraction": loss.clip_fraction,
        "ppo/grad_norm": norm,
        "ppo/skipped_steps": skipped,
    }
