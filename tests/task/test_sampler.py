"""Adaptive sampling: failures are booked where they happen, and draws follow them."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from sonic_train.env.config import SamplerConfig  # noqa: E402
from sonic_train.env.sampler import AdaptiveSampler  # noqa: E402


def make(names=("a", "b"), **options):
    # two clips of 100 and 120 frames: bins of 50, 50 | 50, 50, 20
    library = SimpleNamespace(names=names, clip_start=torch.tensor([0, 100]), clip_length=torch.tensor([100, 120]))
    return AdaptiveSampler(library, SamplerConfig(**options), "cpu")


def test_bins_cover_the_library_once():
    sampler = make()
    assert sampler.bin_start.tolist() == [0, 50, 100, 150, 200]
    assert sampler.bin_length.tolist() == [50, 50, 50, 50, 20]
    assert sampler.bin_clip.tolist() == [0, 0, 1, 1, 1]


def test_a_failure_is_booked_on_its_own_bin():
    sampler = make()
    sampler.record(torch.tensor([60, 210]), torch.tensor([True, False]))
    new = sampler.take_new()
    assert new[1].tolist() == [0, 1, 0, 0, 0]
    torch.testing.assert_close(new[0], torch.tensor([0.0, 1 / 50, 0.0, 0.0, 1 / 20]))
    assert sampler.take_new().sum() == 0


def test_probabilities_by_hand():
    sampler = make(uniform_rate=0.1, failure_rate_max_over_mean=200.0)
    sampler.merge(torch.tensor([[0.0, 3.0, 0.0, 0.0, 0.0], [0.0, 7.0, 0.0, 0.0, 0.0]]))
    rate = torch.tensor([1.0, 8 / 4, 1.0, 1.0, 1.0])
    weight = torch.tensor([50.0, 50, 50, 50, 20]) / 44
    expected = 0.9 * rate * weight / (rate * weight).sum() + 0.1 * weight / weight.sum()
    torch.testing.assert_close(sampler.probabilities(), expected)


def test_draws_stay_in_their_clip_and_reach_back():
    torch.manual_seed(0)
    sampler = make(pre_failure_frames=30, uniform_rate=0.0, failure_rate_max_over_mean=1e9)
    sampler.merge(torch.tensor([[0.0, 0, 0, 0, 0], [0.0, 0, 1e6, 0, 0]]))
    frames = sampler.draw(5000)
    # bin 2 begins the second clip: nothing before frame 100, nothing after its end
    assert frames.min() >= 100 and frames.max() < 150
    assert (frames == 100).float().mean() > 0.2


def test_counts_fade_and_survive_a_checkpoint():
    sampler = make(decay=0.5)
    sampler.merge(torch.ones(2, 5))
    assert sampler.visits.tolist() == [1.5] * 5
    other = make(decay=0.5)
    other.load_state_dict(sampler.state_dict())
    torch.testing.assert_close(other.probabilities(), sampler.probabilities())


def test_counts_of_other_clips_are_left_out():
    sampler = make()
    sampler.merge(torch.arange(10.0).reshape(2, 5))
    for other in (make(names=("a", "c")), make(bin_frames=49)):
        before = other.probabilities().clone()
        other.load_state_dict(sampler.state_dict())
        torch.testing.assert_close(other.probabilities(), before)
