"""The published layouts, from files made here in the same layouts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.contract.rotations import quat_from_yaw, quat_rotate
from sonic_runtime.motions.clip import save_clip
from sonic_runtime.motions.formats import JOINT_NAMES_23, read_csv, read_pickle
from sonic_runtime.motions.read import read_motions, try_read_motions
from sonic_runtime.robots import g1

FRAMES = 40
RNG = np.random.default_rng(5)
ROOT = np.tile([0.3, -0.2, 0.78], (FRAMES, 1))
QUAT_WXYZ = quat_from_yaw(np.linspace(0.2, 0.9, FRAMES))
QUAT_XYZW = QUAT_WXYZ[:, [1, 2, 3, 0]]
JOINTS = g1.DEFAULT_POS_HW + np.linspace(0.0, 0.1, FRAMES)[:, None] * np.linspace(-1.0, 1.0, 29)
SMPL_W = RNG.normal(size=(FRAMES, 24, 3))


def twist2():
    return {"fps": np.array(29.9), "root_pos": ROOT, "root_rot": QUAT_XYZW, "dof_pos": JOINTS, "link_body_list": ["a"]}


def asap(**changes):
    dof = JOINTS[:, g1.HW.index_of(JOINT_NAMES_23)].astype(np.float32)
    entry = {"root_trans_offset": ROOT, "root_rot": QUAT_XYZW, "dof": dof, "smpl_joints": SMPL_W, "fps": 30}
    return {"0-clip": {key: value for key, value in (entry | changes).items() if value is not None}}


def dump(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def test_twist2(tmp_path):
    (motion,) = read_pickle(dump(tmp_path / "m.pkl", twist2()), "walk")
    assert (motion.name, motion.fps) == ("walk", 29.9)
    np.testing.assert_allclose(motion.root_quat_wxyz, QUAT_WXYZ)
    np.testing.assert_allclose(motion.joint_pos_hw, JOINTS)
    assert motion.smpl_joints_w is None


def test_asap_joints_go_by_name(tmp_path):
    (motion,) = read_pickle(dump(tmp_path / "m.pkl", asap()), "kick")
    assert len(JOINT_NAMES_23) == 23
    wrists = g1.HW.index_of(g1.WRIST_NAMES)
    assert np.all(motion.joint_pos_hw[:, wrists] == 0.0)
    others = g1.HW.index_of(JOINT_NAMES_23)
    np.testing.assert_allclose(motion.joint_pos_hw[:, others], JOINTS[:, others], atol=1e-6)
    np.testing.assert_allclose(motion.smpl_joints_w, SMPL_W)
    assert "wrists" in motion.source


def test_smpl_joints_are_in_the_frame_of_the_root(tmp_path):
    (clip,) = read_motions(dump(tmp_path / "m.pkl", asap(fps=50)))
    assert clip.smpl_measured
    assert np.allclose(clip.smpl_joints_b[:, 0], 0.0)
    back_w = quat_rotate(clip.smpl_root_quat_wxyz[3][None], clip.smpl_joints_b[3])
    np.testing.assert_allclose(back_w, SMPL_W[3] - SMPL_W[3, 0], atol=1e-9)
    (clip,) = read_motions(dump(tmp_path / "m.pkl", asap(smpl_joints=np.zeros((FRAMES, 24, 3)))))
    assert not clip.smpl_measured


def test_29_joints_and_several_clips_in_one_pickle(tmp_path):
    content = {"a": asap(dof=JOINTS)["0-clip"], "b": asap()["0-clip"]}
    motions = read_pickle(dump(tmp_path / "m.pkl", content), "library")
    assert [motion.name for motion in motions] == ["library/a", "library/b"]
    np.testing.assert_allclose(motions[0].joint_pos_hw, JOINTS)


def test_csv(tmp_path):
    path = tmp_path / "m.csv"
    np.savetxt(path, np.concatenate([ROOT, QUAT_WXYZ, JOINTS], axis=1), delimiter=",")
    motion = read_csv(path, "wave", 30.0)
    np.testing.assert_allclose(motion.root_quat_wxyz, QUAT_WXYZ, atol=1e-12)
    np.testing.assert_allclose(motion.joint_pos_hw, JOINTS, atol=1e-12)


def changed(base, **changes):
    return base | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (asap(dof=np.zeros((FRAMES, 27))), r"dof of shape \(T, 23\) or \(T, 29\), found \(40, 27\)"),
        (asap(dof=None), "dof as an array.*found nothing"),
        (asap(root_rot=QUAT_XYZW[:-1]), r"root_rot of shape \(40, 4\), found \(39, 4\)"),
        (asap(root_rot=2.0 * QUAT_XYZW), "unit root quaternions, found norm 2"),
        (asap(fps=0), "frames a second, found 0"),
        (asap(fps=-30), "frames a second, found -30"),
        (asap(fps=float("nan")), "frames a second, found nan"),
        (asap(fps="thirty"), "fps as one number, found a value of type str"),
        (asap(fps=None), "fps as one number, found nothing"),
        (asap(smpl_joints=np.zeros((FRAMES, 22, 3))), r"smpl_joints of shape \(40, 24, 3\)"),
        (changed(twist2(), dof_pos=np.where(np.arange(29) == 3, np.nan, JOINTS)), "finite joint positions, found 40"),
        (changed(twist2(), dof_pos=np.degrees(JOINTS)), "radians"),
        (changed(twist2(), root_pos=100.0 * ROOT), "metres"),
        (changed(twist2(), dof_pos="joints"), "found a value of type str"),
        ({"a": 1}, "found 'a'"),
        ([1, 2], "found a value of type list"),
        ({k: v[:1] if np.ndim(v) == 2 else v for k, v in twist2().items()}, "at least 2 frames, found 1"),
    ],
)
def test_wrong_pickles_name_file_expected_and_found(tmp_path, content, message):
    path = dump(tmp_path / "wrong.pkl", content)
    with pytest.raises(MotionError, match=message) as caught:
        read_motions(path)
    assert "wrong.pkl" in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("# only a comment\n", "36 numbers"),
        ("a,b,c\n1,2,3\n", "36 numbers"),
        ("1,2,3\n4,5,6\n", "found 3"),
        ("1,2,3\n4,5\n", "36 numbers"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)
def test_wrong_csv(tmp_path, text, message):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(MotionError, match=message) as caught:
        read_motions(path)
    assert "wrong.csv" in str(caught.value)


def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    dump(tmp_path / "sub" / "kick.pkl", asap())
    dump(tmp_path / "walk.pkl", twist2())
    np.savetxt(tmp_path / "wave.csv", np.concatenate([ROOT, QUAT_WXYZ, JOINTS], axis=1), delimiter=",")
    (tmp_path / "README.md").write_text("not a motion")
    return tmp_path


def test_folder_is_read_whole(tmp_path):
    clips = read_motions(folder(tmp_path))
    assert [clip.name for clip in clips] == ["sub/kick", "walk", "wave"]
    assert {clip.fps for clip in clips} == {50.0}
    save_clip(clips[0], tmp_path / "again.npz")
    assert [clip.name for clip in read_motions(tmp_path)] == ["sub/kick", "sub/kick", "walk", "wave"]


def test_one_bad_file_is_named(tmp_path):
    (folder(tmp_path) / "bad.pkl").write_bytes(b"\x80\x04oops")
    with pytest.raises(MotionError, match=r"bad\.pkl"):
        read_motions(tmp_path)
    (tmp_path / "worse.csv").write_text("1,2\n")
    with pytest.raises(MotionError, match=r"2 of 5 motion files") as caught:
        read_motions(tmp_path)
    assert "bad.pkl" in str(caught.value)
    assert "worse.csv" in str(caught.value)
    clips, failures = try_read_motions(tmp_path)
    assert len(clips) == 3
    assert [failure.path.name for failure in failures] == ["bad.pkl", "worse.csv"]


def test_nothing_to_read(tmp_path):
    with pytest.raises(MotionError, match="found nothing there"):
        read_motions(tmp_path / "absent")
    with pytest.raises(MotionError, match="found none in the folder"):
        read_motions(tmp_path)
    (tmp_path / "clip.bvh").write_text("HIERARCHY")
    with pytest.raises(MotionError, match=r"found the suffix '\.bvh'"):
        read_motions(tmp_path / "clip.bvh")
