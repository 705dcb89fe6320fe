"""Entry points of the trainer: `sonic-train` and `sonic-export`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonic_runtime.command_line import help_text, run_command, say, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError
from sonic_train.config import TrainConfig

_TRAIN_EXTRA = ("torch", "accelerate", "isaaclab", "isaaclab_newton", "mujoco_warp", "newton", "onnx", "pxr", "warp")
"""Modules that the base install lacks."""


def train() -> int:
    """`sonic-train`: train a policy."""
    return run_command(_train, sys.argv[1:])


def export() -> int:
    """`sonic-export`: make the ONNX files of a checkpoint."""
    return run_command(_export, sys.argv[1:])


def _train(arguments: list[str]) -> int:
    if wants_help(arguments):
        text = (
            "Trains a universal-token tracking policy in Isaac Lab. preset=small|small_stage1|small_stage2|release|"
            "smoke chooses sizes and rates."
        )
        say(help_text("sonic-train [preset=NAME] [key=value ...]", text, "train", TrainConfig))
        return 0
    config = load_config("train", arguments, TrainConfig)
    # After the configuration, so that a wrong key is told before the simulator takes seconds to load.
    with _needing_the_train_extra("sonic-train"):
        from sonic_train.train import run_training

    run_dir = run_training(config)
    if run_dir is not None:
        say(f"checkpoint: {run_dir / 'last.pt'}; export it with: sonic-export {run_dir / 'last.pt'} FOLDER")
    return 0


def _export(arguments: list[str]) -> int:
    if wants_help(arguments) or len(arguments) != 2:
        say(
            "usage: sonic-export CHECKPOINT FOLDER\n\nWrites encoder.onnx, decoder.onnx and observation_config.yaml, "
            "each file with its contract, after comparing them with the model. CHECKPOINT is a file of sonic-train, or "
            "default for the weights of the shipped policy."
        )
        if wants_help(arguments):
            return 0
        raise ConfigError(f"expected a checkpoint and a folder, got {len(arguments)} arguments")
    with _needing_the_train_extra("sonic-export"):
        from sonic_train.checkpoint import find_checkpoint
        from sonic_train.export import export as export_policy

    done = export_policy(find_checkpoint(arguments[0]), Path(arguments[1]))
    observed = "recorded" if done.recorded else "random"
    say(
        f"{done.folder}: {done.size_bytes / 1e6:.1f} MB, pair {done.pair_id}; model and ONNX Runtime differ by at most "
        f"{done.max_error:.1e} on {done.checked_rows} {observed} observations"
    )
    return 0


@contextmanager
def _needing_the_train_extra(program: str) -> Iterator[None]:
    """Say how to install what an import in the block lacks."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".", 1)[0]
        if missing not in _TRAIN_EXTRA:
            raise
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ConfigError(
            f"{program} needs {missing}, which is not installed; with Python 3.12 (this is {python}): "
            "pip install 'sonic-wbc[train]'"
        ) from error
