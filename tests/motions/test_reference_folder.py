"""Reference motion folders: what is written is read back; what is damaged is named to the cell."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import save_clip
from sonic_runtime.motions.read import read_motions
from sonic_runtime.motions.reference_folder import BODY_NAMES_ISAAC, FILES, write_reference_folder
from sonic_runtime.robots import g1
from tests.teleop.clips import turning_clip

CLIP = turning_clip(30)


@pytest.fixture
def folder(tmp_path):
    return write_reference_folder(CLIP, tmp_path / "turning")


def edit(folder, name, line, column, cell):
    """Replace one cell of a CSV file; line and column count from 1."""
    path = folder / name
    rows = [row.split(",") for row in path.read_text().splitlines()]
    rows[line - 1][column - 1] = cell
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


def test_what_is_written_is_read_back(folder):
    (clip,) = read_motions(folder)
    assert clip.name == "turning"
    np.testing.assert_allclose(clip.joint_pos_hw, CLIP.joint_pos_hw, atol=1e-8)
    np.testing.assert_allclose(clip.joint_vel_hw, CLIP.joint_vel_hw, atol=1e-7)
    np.testing.assert_allclose(clip.body_pos_w, CLIP.body_pos_w, atol=1e-8)
    np.testing.assert_allclose(clip.body_quat_wxyz, CLIP.body_quat_wxyz, atol=1e-8)
    assert not clip.smpl_measured


def test_the_columns_are_those_of_the_published_folders(folder):
    # ids and order as published; hardware joint 15 (left shoulder pitch) is Isaac Lab joint 11
    assert BODY_NAMES_ISAAC[9] == "torso_link"
    assert BODY_NAMES_ISAAC[28:] == ("left_wrist_yaw_link", "right_wrist_yaw_link")
    assert "[0 4 10 18 5 11 19 9 16 22 28 17 23 29]" in (folder / "metadata.txt").read_text()
    assert "Total timesteps: 30" in (folder / "metadata.txt").read_text()
    table = np.loadtxt(folder / "joint_pos.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table[:, 11], CLIP.joint_pos_hw[:, 15], atol=1e-8)
    quat = np.loadtxt(folder / "body_quat.csv", delimiter=",", skiprows=1)
    assert quat.shape == (30, 56)
    np.testing.assert_allclose(quat[:, :4], CLIP.body_quat_wxyz[:, 0], atol=1e-8)


def test_a_folder_of_folders_is_a_playlist_in_the_order_of_the_names(tmp_path):
    for name in ("b_second", "a_first", "c/third"):
        write_reference_folder(CLIP, tmp_path / "all" / name)
    save_clip(turning_clip(20), tmp_path / "all" / "b_z.npz")
    assert [clip.name for clip in read_motions(tmp_path / "all")] == ["a_first", "b_second", "turning", "c/third"]


def test_what_kinematics_can_fill_may_be_missing(folder):
    for name in ("joint_vel", "body_pos", "body_lin_vel", "body_ang_vel"):
        (folder / f"{name}.csv").unlink()
    (folder / "metadata.txt").unlink()
    (clip,) = read_motions(folder)
    np.testing.assert_allclose(clip.joint_vel_hw, CLIP.joint_vel_hw, atol=1e-6)
    assert np.all(clip.root_pos_w[:, :2] == 0.0)
    # the default pose stands with its pelvis at 0.76 m
    np.testing.assert_allclose(clip.root_pos_w[:, 2], 0.76, atol=0.02)
    assert "onto the ground" in clip.source


def test_the_number_of_frames_in_the_metadata_is_only_noted(folder):
    text = (folder / "metadata.txt").read_text().replace("timesteps: 30", "timesteps: 31")
    (folder / "metadata.txt").write_text(text)
    assert "speaks of 31 frames" in read_motions(folder)[0].source


def test_measured_smpl_joints_are_kept(folder):
    smpl = np.random.default_rng(1).normal(size=(30, 72))
    np.savetxt(folder / "smpl_joint.csv", smpl, delimiter=",", header="s", comments="")
    (clip,) = read_motions(folder)
    assert clip.smpl_measured
    np.testing.assert_allclose(clip.smpl_joints_b, smpl.reshape(30, 24, 3))


@pytest.mark.parametrize(
    ("name", "line", "column", "cell", "expected"),
    [
        ("joint_pos.csv", 5, 3, "nan", r"joint_pos.csv:5:3: expected a finite number, found 'nan'"),
        ("joint_vel.csv", 7, 29, "1.0.0", r"joint_vel.csv:7:29: expected a finite number, found '1.0.0'"),
        ("joint_pos.csv", 9, 1, "", r"joint_pos.csv:9:1: expected a finite number, found ''"),
        ("body_pos.csv", 3, 4, "-inf", r"body_pos.csv:3:4: expected a finite number, found '-inf'"),
        ("body_quat.csv", 4, 5, "3.0", r"body_quat.csv:4:5: expected a unit quaternion wxyz, found norm 3"),
        ("joint_pos.csv", 6, 2, "1.0,2.0", r"joint_pos.csv:6: expected 29 columns as in line 2, found 30"),
        ("joint_pos.csv", 6, 2, "57.3", r"expected joints in radians, found 57.3; degrees\?"),
    ],
)
def test_a_bad_cell_is_named(folder, name, line, column, cell, expected):
    edit(folder, name, line, column, cell)
    with pytest.raises(MotionError, match=expected):
        read_motions(folder)


def drop_columns(folder, name, count):
    path = folder / name
    path.write_text("\n".join(",".join(row.split(",")[count:]) for row in path.read_text().splitlines()))


def cut(folder, name, lines):
    path = folder / name
    path.write_text("\n".join(path.read_text().splitlines()[:lines]))


def without_header(folder):
    path = folder / "joint_vel.csv"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


def hardware_order(folder):
    table = np.loadtxt(folder / "joint_pos.csv", delimiter=",", skiprows=1)
    np.savetxt(folder / "joint_pos.csv", g1.to_hw_order(table), delimiter=",", header="j", comments="")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: drop_columns(f, "joint_vel.csv", 1), r"joint_vel.csv: expected 29 columns, found 28"),
        (lambda f: drop_columns(f, "body_pos.csv", 1), r"body_pos.csv: expected 3 columns for each body, found 41"),
        (lambda f: drop_columns(f, "body_lin_vel.csv", 3), r"each of the 14 bodies in metadata.txt, found 39"),
        (lambda f: cut(f, "body_quat.csv", 20), r"body_quat.csv: expected 30 frames as in joint_pos.csv, found 19"),
        (lambda f: cut(f, "joint_pos.csv", 2), r"expected a header and at least 2 frames, found 2 lines"),
        (without_header, r"joint_vel.csv:1: expected a header row, found numbers"),
        (lambda f: (f / "joint_pos.csv").unlink(), r"expected joint_pos.csv, found only joint_vel.csv, body_pos.csv"),
        (lambda f: (f / "body_quat.csv").unlink(), r"expected body_quat.csv, found only"),
        (lambda f: (f / "joint_pos.csv").write_bytes(b""), r"found an empty file"),
        (lambda f: (f / "joint_pos.csv").write_bytes(b"h\n\xff"), r"expected text, found the byte 0xff"),
        (
            lambda f: (f / "body_pos.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            r"body_pos.csv: expected a motion file, found a Git LFS pointer of \d+ bytes; run: git lfs pull",
        ),
        (
            lambda f: (f / "metadata.txt").write_text("Body part indexes:\n[4 0]\n"),
            r"expected numbers of bodies from 0 to 29, the pelvis \(0\) first, found \[4 0\]",
        ),
        (hardware_order, r"expected body_pos.csv to agree with the joint angles, found \w+ \d.\d\d m"),
    ],
)
def test_damage_is_named(folder, damage, expected):
    damage(folder)
    with pytest.raises(MotionError, match=expected):
        read_motions(folder)


def test_all_files_of_a_motion_are_known():
    assert set(FILES) == {
        "joint_pos.csv", "joint_vel.csv", "body_pos.csv", "body_quat.csv", "body_lin_vel.csv", "body_ang_vel.csv",
        "smpl_joint.csv", "smpl_pose.csv",
    }  # fmt: skip


def test_writing_is_whole_or_not_at_all(tmp_path, folder):
    with pytest.raises(MotionError, match="expected no such folder yet"):
        write_reference_folder(CLIP, folder)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MotionError, match="cannot be written there"):
        write_reference_folder(CLIP, tmp_path / "file" / "motion")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "turning"]
