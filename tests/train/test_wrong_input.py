"""What a user gets wrong becomes one message and exit code 2, without a traceback, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sonic_train import cli
from sonic_train.checkpoint import save_checkpoint
from sonic_train.iterate import build_accelerator, build_run
from sonic_train.networks.config import NetworkConfig
from sonic_train.ppo.config import PPOConfig
from tests.train.dummy_env import DummyEnv

ROOT = Path(__file__).parents[2]
TINY = NetworkConfig(encoder_hidden=(8,), g1_dyn_hidden=(8,), g1_kin_hidden=(8,), critic_hidden=(8,))


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run a command in this process; returns its exit code and what it wrote to standard error."""

    def run(program, *arguments):
        monkeypatch.setattr(sys, "argv", [f"sonic-{program}", *arguments])
        code = getattr(cli, program)()
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def motions(tmp_path):
    empty, corrupt, text = tmp_path / "empty", tmp_path / "corrupt.npz", tmp_path / "notes.txt"
    empty.mkdir()
    corrupt.write_bytes(b"PK\x03\x04 and no more")
    text.write_text("not a motion")
    return {"missing": tmp_path / "missing", "empty": empty, "corrupt": corrupt, "text": text}


@pytest.mark.isaac
@pytest.mark.parametrize("what", ["missing", "empty", "corrupt", "text"])
def test_motions_that_cannot_be_read(command, motions, tmp_path, what):
    pytest.importorskip("isaaclab")
    code, error = command("train", "preset=smoke", f"motions=[{motions[what]}]", f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert str(motions[what]) in error and "expected" in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.isaac
def test_device_checkpoint_and_inverse_kinematics_that_are_not_there(command, monkeypatch, tmp_path):
    pytest.importorskip("isaaclab")
    run_dir = f"run_dir={tmp_path / 'run'}"
    code, error = command("train", "preset=smoke", run_dir, f"checkpoint={tmp_path / 'none.pt'}")
    assert code == 2 and "none.pt: expected a checkpoint file here" in error
    if not torch.cuda.is_available():
        code, error = command("train", "preset=smoke", run_dir, "device=cuda")
        assert code == 2 and "sees no CUDA device here; give device=cpu" in error
    for name in [name for name in sys.modules if name.startswith("sonic_runtime.motions.procedural")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mink", None)
    code, error = command("train", "preset=smoke", run_dir)
    assert code == 2 and "need the package mink" in error
    assert not (tmp_path / "run").exists()


def test_keys_that_do_not_exist(command):
    code, error = command("train", "preset=smoke", "ppo.epoch=3")
    assert code == 2 and "ppo.epochs" in error and error.count("\n") == 1


def test_export_of_what_is_no_checkpoint(command, tmp_path):
    whole, cut = tmp_path / "whole.pt", tmp_path / "cut.pt"
    save_checkpoint(build_run(DummyEnv(2), TINY, PPOConfig(steps_per_env=1), build_accelerator(cpu=True)), whole)
    cut.write_bytes(whole.read_bytes()[:5000])
    for path, message in ((tmp_path / "none.pt", "found nothing"), (tmp_path, "found a folder"), (cut, "truncated")):
        code, error = command("export", str(path), str(tmp_path / "policy"))
        assert code == 2 and str(path) in error and message in error and error.count("\n") == 1
    code, error = command("export", str(whole), str(cut))
    assert code == 2 and f"{cut}: expected a folder that can be written" in error
    code, error = command("export", str(whole))
    assert code == 2 and "expected a checkpoint and a folder, got 1" in error
    assert {path.name for path in tmp_path.iterdir()} == {"whole.pt", "cut.pt"}


@pytest.mark.parametrize(
    ("function", "arguments", "missing"),
    [("train", "preset=smoke", "isaaclab"), ("train", "preset=smoke", "torch"), ("export", "a.pt b", "torch")],
)
def test_a_base_install_says_how_to_get_the_trainer(function, arguments, missing):
    program = f"import sys; sys.modules[{missing!r}] = None; from sonic_train.cli import {function} as f; sys.exit(f())"
    command = [sys.executable, "-c", program, *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert f"needs {missing}, which is not installed" in done.stderr and "pip install 'sonic-wbc[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_needs_no_torch():
    program = "import sys; sys.modules['torch'] = None; from sonic_train.cli import train; sys.exit(train())"
    command = [sys.executable, "-c", program, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "ppo.desired_kl=0.01" in done.stdout, done.stderr
