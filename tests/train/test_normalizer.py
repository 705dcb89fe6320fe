"""Running statistics against numpy on all the data at once."""

from __future__ import annotations

import numpy as np
import torch

from sonic_train.networks.normalizer import RunningNormalizer


def test_merging_batches_equals_numpy_on_all_data():
    rng = np.random.default_rng(0)
    scale, offset = rng.uniform(0.1, 30.0, 7), rng.normal(0, 50.0, 7)
    batches = [(rng.normal(size=(n, 7)) * scale + offset).astype(np.float32) for n in (3, 500, 40)]
    normalizer = RunningNormalizer(7, limit=10.0)
    for batch in batches:
        normalizer.update(torch.from_numpy(batch))
    everything = np.concatenate(batches).astype(np.float64)
    np.testing.assert_allclose(normalizer.mean.numpy(), everything.mean(0), rtol=1e-5)
    np.testing.assert_allclose(normalizer.var.numpy(), everything.var(0), rtol=1e-4)
    assert normalizer.count.item() == 543
    normalized = normalizer(torch.from_numpy(everything.astype(np.float32))).numpy()
    expected = np.clip((everything - everything.mean(0)) / everything.std(0), -10, 10)
    np.testing.assert_allclose(normalized, expected, atol=2e-3)


def test_leading_dims_are_flattened():
    data = torch.randn(5, 6, 4)
    one, other = RunningNormalizer(4, 10.0), RunningNormalizer(4, 10.0)
    one.update(data)
    other.update(data.reshape(30, 4))
    assert torch.equal(one.mean, other.mean)
    assert one.count == 30


def test_constant_features_are_harmless():
    data = torch.randn(100, 3)
    data[:, 1] = 0.0
    data[:, 2] = 0.7
    normalizer = RunningNormalizer(3, limit=10.0)
    for _ in range(5):
        normalizer.update(data)
    assert normalizer(data)[:, 1:].abs().max() < 1e-6
    # a small deviation from the constant stays small
    assert (normalizer(data + 0.01)[:, 1:] - 0.01).abs().max() < 1e-5


def test_outputs_are_clamped():
    normalizer = RunningNormalizer(2, limit=10.0)
    normalizer.update(torch.randn(1000, 2))
    assert normalizer(torch.tensor([[1e6, -1e6]])).tolist() == [[10.0, -10.0]]


def test_broken_values_do_not_poison_the_statistics():
    normalizer = RunningNormalizer(2, limit=10.0)
    normalizer.update(torch.randn(1000, 2))
    before = normalizer.mean.clone(), normalizer.var.clone()
    normalizer.update(torch.tensor([[float("nan"), 0.0], [1.0, 1.0]]))
    assert normalizer.mean[0] == before[0][0]
    assert normalizer.var[0] == before[1][0]
    assert normalizer.mean[1] != before[0][1]


def test_disabled_is_the_identity():
    normalizer = RunningNormalizer(2, limit=10.0, enabled=False)
    values = torch.tensor([[1e6, -3.0]])
    normalizer.update(values)
    assert torch.equal(normalizer(values), values)
    assert normalizer.state_dict() == {}


def test_state_dict_brings_back_the_map():
    normalizer, fresh = RunningNormalizer(3, 10.0), RunningNormalizer(3, 10.0)
    normalizer.update(torch.randn(50, 3) * 5 + 2)
    fresh.load_state_dict(normalizer.state_dict())
    values = torch.randn(4, 3)
    assert torch.equal(normalizer(values), fresh(values))
