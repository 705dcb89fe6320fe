"""Preallocated memory of one rollout: T steps of N environments, on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from sonic_train.env.layout import TOKENIZER_DIM
from sonic_train.networks.actor_critic import ActResult
from sonic_train.networks.config import NetworkConfig
from sonic_train.observation_batch import Observations


def finite(values: Tensor) -> Tensor:
    """Replace NaN and infinities by 0, so that one broken environment cannot spoil a batch."""
    return torch.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


class RolloutStorage:
    """All tensors are (T, N, ...) f32.

    Attributes:
        policy, tokenizer, critic: raw observations before each step, non-finite values replaced by 0.
        action, mean: (T, N, 29); log_prob, value: (T, N).
        std: (29,) of the behaviour policy, constant during a rollout.
        reward: (T, N). next_value: (T, N) value of the state after the step, before any reset.
        terminated, done: (T, N) 0 or 1; `done` includes time-outs.
        advantage, returns: (T, N), filled by `compute_returns`.

    Args:
        steps: T.
        num_envs: N.
        config: dims of the networks.
        device: where.
    """

    def __init__(self, steps: int, num_envs: int, config: NetworkConfig, device: torch.device | str) -> None:
        def allocate(*dims: int) -> Tensor:
            return torch.zeros(steps, num_envs, *dims, device=device)

        self.steps = steps
        self.num_envs = num_envs
        self.policy = allocate(config.policy_dim)
        self.tokenizer = allocate(TOKENIZER_DIM)
        self.critic = allocate(config.critic_dim)
        self.action = allocate(config.action_dim)
        self.mean = allocate(config.action_dim)
        self.std = torch.ones(config.action_dim, device=device)
        self.log_prob, self.value, self.next_value = allocate(), allocate(), allocate()
        self.reward, self.terminated, self.done = allocate(), allocate(), allocate()
        self.advantage, self.returns = allocate(), allocate()

    def put_observations(self, step: int, observations: Observations) -> Observations:
        """Copy the observations of a step, made finite, and return views of the copies."""
        for name in ("policy", "tokenizer", "critic"):
            slot = getattr(self, name)[step]
            torch.nan_to_num(getattr(observations, name), nan=0.0, posinf=0.0, neginf=0.0, out=slot)
        return Observations(self.policy[step], self.tokenizer[step], self.critic[step])

    def put_decision(self, step: int, decision: ActResult) -> None:
        """Copy what the policy decided at a step."""
        self.action[step].copy_(decision.action)
        self.mean[step].copy_(decision.mean)
        self.log_prob[step].copy_(decision.log_prob)
        self.value[step].copy_(decision.value)

    def put_outcome(self, step: int, reward: Tensor, terminated: Tensor, timed_out: Tensor, next_value: Tensor) -> None:
        """Copy what came of a decision: reward (N,), the two ends (N,) bool, value (N,) of the state before a reset."""
        self.reward[step].copy_(finite(reward))
        self.terminated[step].copy_(terminated)
        self.done[step].copy_(terminated | timed_out)
        self.next_value[step].copy_(next_value)

    def flat(self, name: str) -> Tensor:
        """Return a tensor as (T * N, ...) without copying."""
        return getattr(self, name).flatten(0, 1)
