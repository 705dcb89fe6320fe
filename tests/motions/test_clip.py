"""Clips: made from poses, kept as NPZ, refused when damaged."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_rotate
from sonic_runtime.motions.clip import Clip, clip_from_qpos, load_clip, save_clip
from sonic_runtime.motions.smpl import SMPL_JOINT_NAMES
from sonic_runtime.robots import g1
from sonic_runtime.robots.mjcf import build_model

FRAMES = 61


def poses(fps=30.0):
    """A smooth made-up motion in which everything moves."""
    t = np.arange(FRAMES)[:, None] / fps
    joints = g1.DEFAULT_POS_HW + 0.2 * np.sin(2.0 * t + np.arange(29))
    root = np.concatenate([0.5 * t, 0.1 * np.sin(t), 0.75 + 0.02 * np.cos(3.0 * t)], axis=1)
    return root, quat_from_axis_angle(np.concatenate([0.1 * np.sin(t), 0.05 * t, 0.6 * t], axis=1)), joints


@pytest.fixture(scope="module")
def clip():
    return clip_from_qpos("made_up", 30.0, *poses(), source="a formula")


def test_length_and_shapes(clip):
    assert clip.fps == 50.0
    assert len(clip) == 101
    assert clip.duration_s == pytest.approx(2.0)
    assert clip.body_pos_w.shape == (101, 30, 3)
    assert clip.smpl_joints_b.shape == (101, 24, 3)
    assert not clip.smpl_measured


def test_velocities_are_those_of_mujoco():
    """The link velocities that MuJoCo computes from the joint velocities, at 50 Hz poses."""
    clip = clip_from_qpos("made_up", 50.0, *poses(50.0))
    model = build_model()
    data = mujoco.MjData(model)
    for frame in (5, 30, 55):
        data.qpos[:] = np.concatenate([clip.root_pos_w[frame], clip.root_quat_wxyz[frame], clip.joint_pos_hw[frame]])
        data.qvel[:3] = clip.body_lin_vel_w[frame, 0]
        data.qvel[3:6] = quat_rotate(clip.root_quat_wxyz[frame] * [1, -1, -1, -1], clip.body_ang_vel_w[frame, 0])
        data.qvel[6:] = clip.joint_vel_hw[frame]
        mujoco.mj_forward(model, data)
        for body in range(30):
            twist = np.empty(6)
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body + 1, twist, 0)
            np.testing.assert_allclose(clip.body_ang_vel_w[frame, body], twist[:3], atol=5e-3)
            np.testing.assert_allclose(clip.body_lin_vel_w[frame, body], twist[3:], atol=5e-3)


def test_measured_smpl_joints_are_kept():
    smpl = np.random.default_rng(1).normal(size=(FRAMES, 24, 3))
    clip = clip_from_qpos("measured", 50.0, *poses(50.0), smpl=smpl)
    assert clip.smpl_measured
    np.testing.assert_allclose(clip.smpl_joints_b, smpl, atol=1e-12)


def test_smpl_joints_of_the_robot_do_not_depend_on_where_it_is(clip):
    root, _, joints = poses()
    turned = np.tile([0.6, 0.0, 0.0, 0.8], (FRAMES, 1))
    moved = clip_from_qpos("moved", 30.0, root + np.array([3.0, -2.0, 0.5]), turned, joints)
    np.testing.assert_allclose(moved.smpl_joints_b, clip.smpl_joints_b, atol=1e-9)
    upright = clip.smpl_joints_b[0]
    at = SMPL_JOINT_NAMES.index
    assert np.allclose(upright[at("pelvis")], 0.0)
    assert upright[at("head"), 2] > upright[at("neck"), 2] > upright[at("spine1"), 2] > 0.0
    assert upright[at("left_ankle"), 2] < upright[at("left_knee"), 2] < upright[at("left_hip"), 2] < 0.0
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist", "hand", "collar", "foot"):
        assert upright[at(f"left_{name}"), 1] > upright[at(f"right_{name}"), 1]


def test_round_trip(clip, tmp_path):
    path = tmp_path / "clip.npz"
    save_clip(clip, path)
    found = load_clip(path)
    assert (found.name, found.fps, found.source, found.smpl_measured) == ("made_up", 50.0, "a formula", False)
    for attribute in ("joint_pos_hw", "joint_vel_hw", "body_pos_w", "body_quat_wxyz", "body_lin_vel_w"):
        np.testing.assert_allclose(getattr(found, attribute), getattr(clip, attribute), atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.npz"]


def test_file_has_the_keys_of_mjlab_and_beyondmimic(clip, tmp_path):
    save_clip(clip, tmp_path / "clip.npz")
    with np.load(tmp_path / "clip.npz", allow_pickle=False) as data:
        assert {
            "fps",
            "joint_pos",
            "joint_vel",
            "body_pos_w",
            "body_quat_w",
            "body_lin_vel_w",
            "body_ang_vel_w",
        } <= set(data.files)
        assert data["joint_names"].tolist() == list(g1.JOINT_NAMES_HW)
        assert data["body_names"].tolist() == list(g1.BODY_NAMES)
        assert "wxyz" in str(data["units"])


def _stored(clip, path):
    save_clip(clip, path)
    with np.load(path) as data:
        return dict(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": np.array(30.0)}, "50 frames a second, found 30"),
        ({"format_version": np.array(99)}, "format version 1, found 99"),
        ({"joint_names": np.array(g1.JOINT_NAMES_POL)}, "hardware order, found 29; the first that differs"),
        (
            {"joint_names": np.array(g1.JOINT_NAMES_HW[:28])},
            "the 29 joint_names of g1_29dof in hardware order, found 28",
        ),
        ({"fps": np.array([50.0, 60.0])}, "50 frames a second"),
        ({"joint_pos": np.zeros((101, 23), np.float32)}, r"\(101, 29\), found \(101, 23\)|\(101, 23\)"),
        ({"body_quat_w": np.zeros((101, 30, 4), np.float32)}, "unit quaternions"),
        ({"joint_vel": np.full((101, 29), np.nan, np.float32)}, "finite"),
        ({"joint_vel": None}, "without the keys joint_vel"),
    ],
)
def test_wrong_npz_is_refused(clip, tmp_path, change, message):
    path = tmp_path / "clip.npz"
    data = _stored(clip, path) | change
    np.savez(path, **{key: value for key, value in data.items() if value is not None})
    with pytest.raises(MotionError, match=message) as caught:
        load_clip(path)
    assert "clip.npz" in str(caught.value)


def test_truncated_missing_and_foreign_files(clip, tmp_path):
    path = tmp_path / "clip.npz"
    save_clip(clip, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(MotionError, match=r"clip\.npz"):
        load_clip(path)
    with pytest.raises(MotionError, match=r"absent\.npz"):
        load_clip(tmp_path / "absent.npz")
    np.savez(tmp_path / "objects.npz", joint_pos=np.array([{}], dtype=object))
    with pytest.raises(MotionError, match=r"objects\.npz"):
        load_clip(tmp_path / "objects.npz")


def test_a_git_lfs_pointer_is_called_by_its_name(tmp_path):
    path = tmp_path / "clip.npz"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    with pytest.raises(MotionError, match="Git LFS pointer"):
        load_clip(path)


def test_flipped_bits_are_an_error_or_a_clip(clip, tmp_path):
    path = tmp_path / "clip.npz"
    save_clip(clip, path)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        bad = bytearray(good)
        # half of them in the directory at the end, which says how the rest is to be read
        place = rng.integers(len(bad) - 2500, len(bad)) if rng.random() < 0.5 else rng.integers(len(bad))
        bad[place] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        try:
            load_clip(path)
        except MotionError:
            refused += 1
    assert refused > 50


def test_nothing_half_written(clip, tmp_path):
    with pytest.raises(MotionError, match="cannot be written"):
        save_clip(clip, tmp_path / "absent" / "clip.npz")
    assert list(tmp_path.iterdir()) == []


def test_clip_checks_itself(clip):
    fields = {name: getattr(clip, name) for name in Clip.__dataclass_fields__}
    with pytest.raises(MotionError, match="body_pos_w"):
        Clip(**(fields | {"body_pos_w": clip.body_pos_w[:, :14]}))
    broken = clip.joint_pos_hw.copy()
    broken[7, 3] = np.inf
    with pytest.raises(MotionError, match="frame 7"):
        Clip(**(fields | {"joint_pos_hw": broken}))


def test_one_frame_is_no_motion():
    with pytest.raises(MotionError, match="at least 2 frames, found 1"):
        clip_from_qpos("still", 50.0, np.zeros((1, 3)), np.array([[1.0, 0, 0, 0]]), np.zeros((1, 29)))
