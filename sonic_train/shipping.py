"""What is done to the weights of a run before they ship: the mean of late checkpoints, and rounding to float16.

Every version of a shipped file stays in the history of the repository. Rounded weights halve a checkpoint, and the ONNX
files exported from one compress to about half: the lower 13 bits of each float32 are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonic_train.checkpoint import CheckpointError, read_checkpoint, tensor_differences

_LAYER_TENSORS = (".weight", ".bias")
"""Ends of the names of what is rounded; noise and statistics of normalisers stay as they are."""

_ONLY_IN_FULL = ("optimizer", "random_states")


def average_weights(checkpoints: Sequence[Path | str], last: Path | str) -> dict[str, Any]:
    """Return a checkpoint's content with the mean of several checkpoints' actors and normalisers.

    Averaging late iterates of a run takes out much of the noise of its last steps (Polyak and Juditsky, "Acceleration
    of stochastic approximation by averaging", 1992). The critic, the counters and what else there is are `last`'s.

    Args:
        checkpoints: full checkpoints of one run, of equal weight.
        last: the checkpoint that gives the rest.

    Raises:
        CheckpointError: a file cannot be read, or has other tensors than `last`.
    """
    content = read_checkpoint(last)
    models = [read_checkpoint(path)["model"] for path in checkpoints]
    for path, model in zip(checkpoints, models, strict=True):
        if problems := tensor_differences(model, content["model"]):
            raise CheckpointError(f"{path}: tensors differ from those of {last}:\n  " + "\n  ".join(problems))
    averaged = {
        name: value if name.startswith("critic.") else _mean([model[name] for model in models], value.dtype)
        for name, value in content["model"].items()
    }
    return content | {"model": averaged}


def round_weights(content: dict[str, Any]) -> dict[str, Any]:
    """Return a weights-only checkpoint's content with the weights and biases of all layers as float16.

    They are loaded back as float32, so the model computes in full precision with values that float16 can hold, and an
    export of it has exactly these values. Action noise and statistics of normalisers are kept bit for bit, and so are
    tensors that already have 16 bits.

    Args:
        content: of a full or a weights-only checkpoint; it is not changed.

    Raises:
        CheckpointError: a weight is beyond what float16 can hold (65504), or not finite; all such tensors are named.
    """
    model = {name: _rounded(name, value) for name, value in content["model"].items()}
    beyond = [name for name, value in model.items() if not bool(torch.isfinite(value).all())]
    if beyond:
        raise CheckpointError(f"expected finite weights up to 65504, which float16 holds, found others in {beyond}")
    kept = {name: value for name, value in content.items() if name not in _ONLY_IN_FULL}
    return kept | {"kind": "weights", "model": model}


def _mean(values: list[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.stack([value.double() for value in values]).mean(dim=0).to(dtype)


def _rounded(name: str, value: Tensor) -> Tensor:
    return value.half() if name.endswith(_LAYER_TENSORS) and value.dtype == torch.float32 else value
