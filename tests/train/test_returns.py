"""Advantages against numbers computed by hand."""

from __future__ import annotations

import pytest
import torch

from sonic_train.networks.config import NetworkConfig
from sonic_train.ppo.returns import compute_returns, normalized_over_ranks
from sonic_train.ppo.storage import RolloutStorage

GAMMA, LAM = 0.5, 0.5


def _storage(reward, value, next_value, terminated, done):
    storage = RolloutStorage(len(reward), 1, NetworkConfig(), "cpu")
    for name, series in {
        "reward": reward,
        "value": value,
        "next_value": next_value,
        "terminated": terminated,
        "done": done,
    }.items():
        getattr(storage, name)[:, 0] = torch.tensor(series, dtype=torch.float32)
    return storage


def _returns(storage):
    compute_returns(storage, GAMMA, LAM)
    return storage.returns[:, 0].tolist()


def test_running_episode():
    # delta = r + 0.5 V' - V: step 1: 2 + 0.5*4 - 2 = 2; step 0: 1 + 0.5*2 - 1 = 1
    # A1 = 2; A0 = 1 + 0.25*2 = 1.5; returns = A + V
    storage = _storage([1, 2], [1, 2], [2, 4], [0, 0], [0, 0])
    assert _returns(storage) == pytest.approx([2.5, 4.0])


def test_failure_is_worth_nothing_afterwards():
    # step 0 ends in failure: delta0 = 1 - 1 = 0, and nothing of step 1 flows back
    storage = _storage([1, 2], [1, 2], [8, 4], [1, 0], [1, 0])
    assert _returns(storage) == pytest.approx([1.0, 4.0])


def test_time_out_is_bootstrapped_from_the_state_that_was_cut_off():
    # step 0 times out: delta0 = 1 + 0.5*8 - 1 = 4 (8 = value before the reset), nothing of step 1 flows back
    storage = _storage([1, 2], [1, 2], [8, 4], [0, 0], [1, 0])
    assert _returns(storage) == pytest.approx([5.0, 4.0])


def test_advantage_is_normalised():
    storage = _storage([1, 2], [1, 2], [2, 4], [0, 0], [0, 0])
    compute_returns(storage, GAMMA, LAM)
    # raw advantages 1.5 and 2
    assert storage.advantage[:, 0].tolist() == pytest.approx([-1.0, 1.0], abs=1e-6)


def test_constant_advantages_become_zero():
    assert normalized_over_ranks(torch.full((3, 4), 7.0)).abs().max() < 1e-6


def test_storage_replaces_what_is_not_finite():
    storage = _storage([0, 0], [0, 0], [0, 0], [0, 0], [0, 0])
    no = torch.zeros(1, dtype=torch.bool)
    storage.put_outcome(0, torch.tensor([float("nan")]), no, no, torch.zeros(1))
    assert storage.reward[0, 0] == 0.0
