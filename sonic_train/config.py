"""Schema of `sonic-train`; the values live in configs/train.yaml and configs/preset/*.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sonic_train.env.config import TaskConfig
from sonic_train.networks.config import NetworkConfig
from sonic_train.ppo.config import PPOConfig

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]


class TrainConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training run."""

    motions: tuple[str, ...]
    """Files or folders of reference motions, kinds of procedural motion such as `squat`, or the word `procedural` for
    the whole built-in library."""
    num_envs: PositiveInt
    """Environments per process."""
    iterations: PositiveInt
    """Iterations in all; a resumed run counts those before it."""
    run_dir: str
    """Folder of the run; `{time}` becomes the start time."""
    checkpoint: str = ""
    """Checkpoint to go on from: a whole one, or a file of weights alone; `default` is the weights of the shipped
    policy."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    save_every: PositiveInt = 50
    """Iterations between two writes of last.pt."""
    keep_every: PositiveInt = 500
    """Iterations between two checkpoints that stay."""
    max_minutes: float = 0.0
    """Stop in order, with a checkpoint, after this time; zero means no limit."""
    clips_per_kind: PositiveInt | None = None
    """Size of the procedural library; null is the whole."""
    tensorboard: bool = True
    task: TaskConfig
    networks: NetworkConfig
    ppo: PPOConfig
