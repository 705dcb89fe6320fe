"""Two processes on the CPU: equal weights, averaged gradients, joint statistics."""

from __future__ import annotations

import os
import socket

import msgspec
import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from sonic_train.checkpoint import load_checkpoint, save_checkpoint
from sonic_train.iterate import build_accelerator, build_run, train_iteration
from sonic_train.networks.config import AuxLossConfig, NetworkConfig
from sonic_train.networks.normalizer import RunningNormalizer
from sonic_train.ppo.config import PPOConfig
from sonic_train.ppo.losses import minibatch_loss
from sonic_train.ppo.returns import normalized_over_ranks
from sonic_train.ppo.update import take_rows
from tests.train.dummy_env import DummyEnv

RANKS = 2
TINY = NetworkConfig(
    encoder_hidden=(16,),
    g1_dyn_hidden=(16,),
    g1_kin_hidden=(16,),
    critic_hidden=(16,),
    aux=AuxLossConfig(align_rows="all"),
)
PPO = PPOConfig(steps_per_env=4, epochs=2, minibatches=2)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _worker(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(RANKS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    accelerator = build_accelerator(cpu=True)
    run = build_run(DummyEnv(8, seed=rank), TINY, PPO, accelerator)
    start = [p.detach().clone() for p in run.model.parameters()]
    report = train_iteration(run)
    report = train_iteration(run)
    result = {
        "world": accelerator.num_processes,
        "start": start,
        "model": {name: value.clone() for name, value in run.model.state_dict().items()},
        "reward": report.values["rollout/reward"],
        "learning_rate": run.learner.learning_rate,
        "env_steps": run.env_steps,
        "own_reward": run.storage.reward.mean(),
    }
    batch = take_rows(run.storage, torch.arange(32))
    run.learner.optimizer.zero_grad()
    loss = minibatch_loss(run.learner.forward(*batch[:4]), batch, run.learner.aux_coefficients, PPO)
    accelerator.backward(loss.total)
    result |= {
        "batch": tuple(field.clone() for field in batch),
        "grads": [p.grad.clone() for p in run.model.parameters()],
    }

    data = torch.randn(10 + 30 * rank, 5, generator=torch.Generator().manual_seed(rank)) * 3 + rank
    normalizer = RunningNormalizer(5, 10.0)
    normalizer.update(data)
    normalizer.update(data[:7] + 1)
    result |= {"data": torch.cat([data, data[:7] + 1]), "mean": normalizer.mean, "var": normalizer.var}
    advantages = torch.arange(4.0) + 10 * rank
    result["advantages"] = normalized_over_ranks(advantages)

    run.observations = None
    save_checkpoint(run, f"{folder}/last.pt")
    dist.barrier()
    result["next"] = train_iteration(run).values["loss/total"]
    resumed = build_run(DummyEnv(8, seed=rank), TINY, msgspec.structs.replace(PPO, seed=5), accelerator)
    load_checkpoint(resumed, f"{folder}/last.pt")
    result["random"] = torch.rand(3)
    torch.save(result, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_train_one_policy(tmp_path):
    mp.spawn(_worker, args=(_free_port(), str(tmp_path)), nprocs=RANKS)
    one, two = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in range(RANKS))
    assert one["world"] == two["world"] == RANKS
    _check_agreement(one, two)
    _check_gradients(one, two)
    _check_statistics(one, two)
    assert not torch.equal(one["random"], two["random"])


def _check_agreement(one, two):
    assert all(torch.equal(a, b) for a, b in zip(one["start"], two["start"], strict=True))
    assert all(torch.equal(one["model"][name], two["model"][name]) for name in one["model"])
    assert one["learning_rate"] == two["learning_rate"]
    assert one["env_steps"] == 2 * 8 * 4 * RANKS
    assert one["own_reward"] != two["own_reward"]
    assert one["reward"] == two["reward"]
    assert np.isclose(one["reward"], (one["own_reward"] + two["own_reward"]) / 2, rtol=1e-5)
    assert one["next"] == two["next"]


def _check_gradients(one, two):
    """The averaged gradient is that of both halves in one batch."""
    assert all(torch.equal(a, b) for a, b in zip(one["grads"], two["grads"], strict=True))
    run = build_run(DummyEnv(8), TINY, PPO, build_accelerator(cpu=True))
    run.model.load_state_dict(one["model"])
    batch = take_rows(run.storage, torch.arange(2))
    halves = [type(batch)(*rank["batch"]) for rank in (one, two)]
    joined = type(batch)(
        **{
            name: getattr(halves[0], name) if name == "std" else torch.cat([getattr(h, name) for h in halves])
            for name in batch._fields
        }
    )
    minibatch_loss(run.model(*joined[:4]), joined, run.learner.aux_coefficients, PPO).total.backward()
    for parameter, grad in zip(run.model.parameters(), one["grads"], strict=True):
        assert torch.allclose(parameter.grad, grad, rtol=1e-3, atol=1e-6)


def _check_statistics(one, two):
    everything = np.concatenate([one["data"].numpy(), two["data"].numpy()]).astype(np.float64)
    for rank in (one, two):
        np.testing.assert_allclose(rank["mean"].numpy(), everything.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(rank["var"].numpy(), everything.var(0), rtol=1e-4)
    advantages = torch.cat([one["advantages"], two["advantages"]])
    raw = torch.cat([torch.arange(4.0), torch.arange(4.0) + 10])
    assert torch.allclose(advantages, (raw - raw.mean()) / raw.std(correction=0), atol=1e-5)
