"""Histories: oldest first, filled with the first sample, each environment on its own."""

import pytest

torch = pytest.importorskip("torch")

from sonic_train.env.history import History  # noqa: E402


def test_first_sample_fills_and_order_is_oldest_first():
    history = History(num_envs=2, length=3, dim=1, device="cpu")
    everyone = torch.tensor([True, True])
    nobody = torch.tensor([False, False])
    assert history.push(torch.tensor([[1.0], [10.0]]), everyone).tolist() == [[1, 1, 1], [10, 10, 10]]
    assert history.push(torch.tensor([[2.0], [20.0]]), nobody).tolist() == [[1, 1, 2], [10, 10, 20]]
    assert history.peek(torch.tensor([[3.0], [30.0]])).tolist() == [[1, 2, 3], [10, 20, 30]]
    # a peek keeps nothing; only the second environment starts anew
    assert history.push(torch.tensor([[3.0], [99.0]]), torch.tensor([False, True])).tolist() == [
        [1, 2, 3],
        [99, 99, 99],
    ]
