"""First part of an iteration: let the policy act in the environments. Never waits for the device."""

from __future__ import annotations

import torch

from sonic_train.networks.actor_critic import ActorCritic
from sonic_train.observation_batch import Observations, TrainingEnv
from sonic_train.ppo.statistics import RunStatistics
from sonic_train.ppo.storage import RolloutStorage, finite


@torch.no_grad()
def collect(
    env: TrainingEnv,
    model: ActorCritic,
    observations: Observations,
    storage: RolloutStorage,
    statistics: RunStatistics,
) -> Observations:
    """Fill the storage with one rollout and return the observations to go on from.

    Args:
        env: environments that reset themselves.
        model: acts with noise; its value of the state before a reset serves as the bootstrap of time-outs.
        observations: of the present state.
        storage: overwritten as a whole, except advantages and returns.
        statistics: takes rewards, ended episodes and the environment's log.
    """
    storage.std.copy_(model.actor.action_std())
    for step in range(storage.steps):
        decision = model.act(storage.put_observations(step, observations))
        storage.put_decision(step, decision)
        result = env.step(decision.action)
        next_value = model.value(finite(result.final_critic_obs))
        storage.put_outcome(step, result.reward, result.terminated, result.timed_out, next_value)
        statistics.add_step(result)
        observations = result.observations
    return observations
