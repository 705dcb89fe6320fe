"""What an environment and the learner hand to each other: batches of observations, results of a step, the protocol.

N is the number of environments of one process. All tensors live on the device of the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(slots=True)
class Observations:
    """What the networks read at one time.

    Attributes:
        policy: (N, 930) f32 proprioception, noisy, histories oldest first.
        tokenizer: (N, 1761) f32 [encoder bits 3 (g1, teleop, smpl; multi-hot) | reference terms 1758].
        critic: (N, 1645) f32 privileged observation without noise.
    """

    policy: Tensor
    tokenizer: Tensor
    critic: Tensor


@dataclass(slots=True)
class StepResult:
    """What one control step returned.

    Attributes:
        observations: after the step; of the new episode where one ended.
        reward: (N,) f32.
        terminated: (N,) bool, the episode ended in failure: its future is worth nothing.
        timed_out: (N,) bool, the episode was cut: its future is worth V(final_critic_obs). Where both bits are set,
            `terminated` wins.
        final_critic_obs: (N, 1645) f32 critic observation of the state before any reset or push; equals
            `observations.critic` where neither happened.
        log: scalars on the device (any float dtype), the same keys at every step and on every rank; NaN where a step
            has no sample of a quantity. Their means over an iteration are reported.
    """

    observations: Observations
    reward: Tensor
    terminated: Tensor
    timed_out: Tensor
    final_critic_obs: Tensor
    log: Mapping[str, Tensor] = field(default_factory=dict)


class TrainingEnv(Protocol):
    """A batch of environments that reset themselves. No method may wait for the device."""

    @property
    def num_envs(self) -> int:
        """Number of environments of this process."""
        ...

    @property
    def device(self) -> torch.device | str:
        """Where its tensors live."""
        ...

    @property
    def rates(self) -> dict[str, float]:
        """What a robot must do as in training: action_clip (raw action), control_hz, physics_hz."""
        ...

    def reset(self) -> Observations:
        """Start a new episode everywhere."""
        ...

    def step(self, action_pol: Tensor) -> StepResult:
        """Advance one control step.

        Args:
            action_pol: (N, 29) f32 raw actions, policy order, not clipped: the environment clips.
        """
        ...

    def end_iteration(self) -> None:
        """Do what is due once per training iteration, such as new sampling probabilities."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: tensors, numbers, strings, lists and dicts of them only."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of a checkpoint."""
        ...
