"""`sonic-motions`: what it writes, and what it says to a mistake."""

import numpy as np
import pytest

from sonic_runtime.command_line import EXIT_MISTAKE, run_command
from sonic_runtime.motions import command
from sonic_runtime.motions.clip import load_clip
from sonic_runtime.motions.procedural import catalog, generate


@pytest.fixture
def small_library(monkeypatch):
    kept = {kind: catalog._MAKERS[kind] for kind in ("wave", "bow")}
    monkeypatch.setattr(catalog, "_MAKERS", kept)


def test_generate_writes_library_and_demo_walk(small_library, tmp_path, capsys):
    assert command.main(["generate", str(tmp_path / "out"), "seed=4", "clips_per_kind=1"]) == 0
    written = sorted(path.stem for path in (tmp_path / "out").iterdir())
    assert written == ["proc_bow_00", "proc_demo_walk", "proc_wave_00"]
    clip = load_clip(tmp_path / "out" / "proc_wave_00.npz")
    np.testing.assert_allclose(clip.joint_pos_hw, generate("wave", 4).joint_pos_hw, atol=1e-6)
    assert "3 clips" in capsys.readouterr().out


def test_convert_reads_a_folder_and_keeps_its_folders(small_library, tmp_path):
    command.main(["generate", str(tmp_path / "in" / "deep"), "clips_per_kind=1"])
    assert command.main(["convert", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").rglob("*.npz"))) == 3
    first, second = (load_clip(next((tmp_path / side).rglob("proc_bow_00.npz"))) for side in ("in", "out"))
    np.testing.assert_allclose(second.joint_pos_hw, first.joint_pos_hw, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["invent"], "'invent'"),
        (["generate"], "one output folder"),
        (["generate", "out", "speed=3"], "'speed'"),
        (["generate", "out", "seed=-1"], "'-1'"),
        (["generate", "out", "workers=0"], "at least 1"),
        (["convert", "in"], "IN and OUT"),
        (["convert", "not_there", "out"], "not_there"),
    ],
)
def test_mistakes_get_one_message_and_exit_code_2(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(command.main, arguments) == EXIT_MISTAKE
    assert said in capsys.readouterr().err


def test_help_names_the_kinds(capsys):
    assert command.main(["--help"]) == 0
    assert "walk_forward" in capsys.readouterr().out
