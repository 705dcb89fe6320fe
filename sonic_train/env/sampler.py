"""Adaptive choice of clip and start frame: parts of the library that fail more often are drawn more often.

The library is cut into bins of one second. A failure is booked on the bin in which it happened (the ancestor books
it on the bin the environment is sent to next). Everything stays on the device; a draw never waits for it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from sonic_train.env.config import SamplerConfig
from sonic_train.motions.library import MotionLibrary


class AdaptiveSampler:
    """Failure counts per bin, and draws by them.

    Args:
        library: the clips.
        config: rates.
        device: torch device.
    """

    def __init__(self, library: MotionLibrary, config: SamplerConfig, device: str) -> None:
        self._config, self._library = config, library
        starts, lengths, clips = [], [], []
        for clip, (start, length) in enumerate(
            zip(library.clip_start.tolist(), library.clip_length.tolist(), strict=True)
        ):
            for first in range(0, length, config.bin_frames):
                starts.append(start + first)
                lengths.append(min(config.bin_frames, length - first))
                clips.append(clip)
        self.bin_start = torch.tensor(starts, device=device)
        self.bin_length = torch.tensor(lengths, device=device)
        self.bin_clip = torch.tensor(clips, device=device)
        self._bin_of_frame = torch.repeat_interleave(torch.arange(len(starts), device=device), self.bin_length)
        # Both counts start at one, so that an unseen bin is neither certain to fail nor safe.
        self.visits = torch.ones(len(starts), device=device)
        self.fails = torch.ones(len(starts), device=device)
        self._new = torch.zeros(2, len(starts), device=device)
        self._cumulative = torch.zeros(len(starts), device=device)
        self.refresh()

    def record(self, frame: Tensor, failed: Tensor) -> None:
        """Book one control step.

        Args:
            frame: (N,) library frame at which each environment is.
            failed: (N,) bool, whether it failed there.
        """
        bins = self._bin_of_frame[frame]
        self._new[0].index_add_(0, bins, 1.0 / self.bin_length[bins])
        self._new[1].index_add_(0, bins, failed.float())

    def take_new(self) -> Tensor:
        """Return the counts (2, bins) since the last call, visits then failures, and start anew; for all-reduce."""
        new, self._new = self._new, torch.zeros_like(self._new)
        return new

    def merge(self, new: Tensor) -> None:
        """Add counts (2, bins), summed over ranks, and recompute the probabilities."""
        self.visits = self._config.decay * self.visits + new[0]
        self.fails = self._config.decay * self.fails + new[1]
        self.refresh()

    def refresh(self) -> None:
        """Recompute the probabilities from the counts."""
        self._cumulative = self.probabilities().cumsum(0)

    def probabilities(self) -> Tensor:
        """Return the probability of each bin, (bins,): by failure rate, with a uniform part of `uniform_rate`."""
        config = self._config
        rate = self.fails / self.visits
        rate = rate.clamp_max(config.failure_rate_max_over_mean * rate.mean())
        # Bins at the end of a clip are shorter; weigh by length so that time, not bins, is what is uniform.
        weight = self.bin_length / self.bin_length.float().mean()
        by_failure = rate * weight / (rate * weight).sum()
        uniform = weight / weight.sum()
        return (1.0 - config.uniform_rate) * by_failure + config.uniform_rate * uniform

    def draw(self, count: int) -> Tensor:
        """Return `count` start frames (count,) int64: inside a drawn bin, then up to a window earlier in its clip."""
        device = self._cumulative.device
        pick = torch.rand(count, device=device) * self._cumulative[-1]
        bins = torch.searchsorted(self._cumulative, pick).clamp_max(len(self.bin_start) - 1)
        inside = (torch.rand(count, device=device) * self.bin_length[bins]).long()
        before = (torch.rand(count, device=device) * (self._config.pre_failure_frames + 1)).long()
        frame = self.bin_start[bins] + inside - before
        first = self._library.clip_start[self.bin_clip[bins]]
        # The last frame of a clip would end the episode at once.
        last = first + self._library.clip_length[self.bin_clip[bins]] - 2
        return torch.minimum(torch.maximum(frame, first), last)

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and whose they are, for a checkpoint."""
        return {"visits": self.visits, "fails": self.fails, "bins": self._bins_text()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore counts; those of other clips or of another size of bins are left out."""
        if state.get("bins", "") == self._bins_text():
            self.visits = state["visits"].to(self.visits)
            self.fails = state["fails"].to(self.fails)
            self.refresh()

    def _bins_text(self) -> str:
        """Return a hash of what the bins are: names and lengths of the clips in order, and the size of a bin."""
        clips = zip(self._library.names, self._library.clip_length.tolist(), strict=True)
        text = f"{self._config.bin_frames} {list(clips)}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]
