import json
import math

import msgspec
import numpy as np
import pytest

from sonic_runtime.contract import layout
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.manifest import (
    MANIFEST_KEY,
    PolicyManifest,
    TermSpec,
    differences,
    manifest_json,
    manifest_of_metadata,
    parse_manifest,
    read_manifest,
)
from tests.fakes.random_policy import make_manifest, write_random_policy


@pytest.fixture
def manifest() -> PolicyManifest:
    rng = np.random.default_rng(3)
    return make_manifest("decoder", layout.RELEASE_DECODER_INPUTS, (rng.normal(size=994), rng.normal(size=29)))


def test_round_trip_keeps_every_bit(manifest):
    assert parse_manifest(manifest_json(manifest), "x.onnx") == manifest


def test_release_layouts_have_the_published_sizes():
    assert sum(t.dim for t in layout.RELEASE_ENCODER_INPUTS) == 1762
    assert sum(t.dim for t in layout.RELEASE_DECODER_INPUTS) == 994


def test_read_manifest_reads_what_the_file_carries(tmp_path):
    folder = write_random_policy(tmp_path / "p", encoder_hidden=(8,), decoder_hidden=(8,))
    encoder = read_manifest(folder / "encoder.onnx")
    assert encoder.part == "encoder"
    assert [e.name for e in encoder.encoders] == ["g1", "teleop", "smpl"]
    assert encoder.inputs == layout.RELEASE_ENCODER_INPUTS


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (
            "default_joint_pos_pol",
            [0.0] * 28,
            "default_joint_pos_pol: expected one value for each of 29 joints, found 28",
        ),
        ("golden_input", [0.0] * 990, "golden_input: expected 994 values, found 990"),
        ("format_version", 2, "format_version: expected 1, found 2"),
        ("joint_names_hw", ["a"] * 29, "joint_names_hw: expected the joints of joint_names_pol in another order"),
        ("quaternion_order", "xyzw", "quaternion_order"),
        ("action_clip", None, "action_clip"),
        ("colour", "red", "unknown field `colour`"),
    ],
)
def test_a_malformed_manifest_is_refused_by_field(manifest, field, value, expected):
    content = json.loads(manifest_json(manifest))
    content[field] = value
    with pytest.raises(ContractError) as error:
        parse_manifest(json.dumps(content), "some.onnx")
    assert "some.onnx" in str(error.value)
    assert expected in str(error.value)


def test_a_missing_field_is_named(manifest):
    content = json.loads(manifest_json(manifest))
    del content["pair_id"]
    with pytest.raises(ContractError, match="missing required field `pair_id`"):
        parse_manifest(json.dumps(content), "some.onnx")


def test_a_manifest_with_nan_is_not_written(manifest):
    values = (math.nan, *manifest.stiffness_pol[1:])
    with pytest.raises(ContractError, match="stiffness_pol: expected finite numbers"):
        manifest_json(msgspec.structs.replace(manifest, stiffness_pol=values))


def test_differences_name_field_expected_and_found(manifest):
    inputs = (TermSpec(name="token_state", frames=1, step=1, dim=32), *manifest.inputs[1:])
    scale = (2.0, *manifest.action_scale_pol[1:])
    other = msgspec.structs.replace(
        manifest, robot="h1", action_scale_pol=scale, inputs=inputs, pair_id="other", training_revision="other"
    )
    assert differences(other, manifest) == [
        "robot: expected 'g1_29dof', found 'h1'",
        f"action_scale_pol[0]: expected {manifest.action_scale_pol[0]!r}, found 2.0",
        "inputs[0].dim: expected 64, found 32",
    ]
    assert differences(manifest, manifest) == []


def test_differences_of_float32_size_are_none(manifest):
    rounded = tuple(float(np.float32(v)) for v in manifest.stiffness_pol)
    assert differences(msgspec.structs.replace(manifest, stiffness_pol=rounded), manifest) == []


def test_a_foreign_onnx_file_is_told_apart():
    with pytest.raises(ContractError, match="not written by sonic-export") as error:
        manifest_of_metadata({"author": "someone"}, "foreign.onnx")
    assert MANIFEST_KEY in str(error.value)
    assert "author" in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "found nothing"),
        (b"", "found an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"),
        (b"\x08\x07\x12 this is no model", "cannot load these"),
    ],
)
def test_what_is_no_onnx_file_gives_one_plain_error(tmp_path, content, expected):
    path = tmp_path / "encoder.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContractError, match=expected) as error:
        read_manifest(path)
    assert str(path) in str(error.value)


def test_a_truncated_onnx_file_gives_one_plain_error(tmp_path):
    folder = write_random_policy(tmp_path / "p", encoder_hidden=(8,), decoder_hidden=(8,))
    path = folder / "decoder.onnx"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ContractError, match="cannot load these"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("motion_joint_positions_10frame_step5", ("motion_joint_positions", 10, 5)),
        ("motion_anchor_orientation", ("motion_anchor_orientation", 1, 1)),
        ("vr_3point_local_target", ("vr_3point_local_target", 1, 1)),
        ("smpl_joints_4frame_step1", ("smpl_joints", 4, 1)),
    ],
)
def test_term_names_carry_frames_and_step(name, expected):
    assert layout.parse_term_name(name) == expected


def test_zero_frames_are_refused():
    with pytest.raises(ContractError, match="at least one frame"):
        layout.parse_term_name("smpl_joints_0frame_step1")
