"""Entry points of the trainer: `sonic-train` and `sonic-export`."""

from __future__ import annotations

import sys
from pathlib import Path

from sonic_runtime.cli import run_command
from sonic_runtime.config import load_config


def train() -> int:
    """Train a policy: `sonic-train key=value ...`; keys and values of configs/train.yaml."""
    return run_command(_train, sys.argv[1:])


def export() -> int:
    """Export a checkpoint: `sonic-export CHECKPOINT FOLDER`."""
    return run_command(_export, sys.argv[1:])
