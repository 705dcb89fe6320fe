"""Framing of packed messages: layout, round trips, and that no bytes at all raise anything but WireError."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonic_runtime.contract.errors import WireError
from teleop.pose_packet import PoseFrames, pack_pose, unpack_pose
from teleop.wire import HEADER_BYTES, MAX_MESSAGE_BYTES, pack, unpack

DTYPES = ["f8", "i8", "f4", "i4", "i2", "f2", "i1", "u1", "?"]


def raw(header: object, payload: bytes = b"", topic: bytes = b"pose") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return topic + text.ljust(HEADER_BYTES, b"\0") + payload


def header(fields: list, **changes) -> dict:
    return {"v": 1, "endian": "le", "count": 1, "fields": fields} | changes


def pose(count: int = 3, **changes) -> bytes:
    fields = {
        "joint_pos": np.zeros((count, 29), np.float32),
        "joint_vel": np.zeros((count, 29), np.float32),
        "body_quat": np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        "frame_index": np.arange(count),
    }
    fields.update(changes)
    return pack("pose", 1, {name: value for name, value in fields.items() if value is not None})


def test_layout_byte_by_byte():
    message = pack("pose", 7, {"a": np.array([1.5], np.float32), "b": np.array([-2, 3], np.int16)}, count=4)
    assert message[:4] == b"pose"
    text = message[4 : 4 + 1280]
    assert json.loads(text.rstrip(b"\0")) == {
        "v": 7,
        "endian": "le",
        "count": 4,
        "fields": [{"name": "a", "dtype": "f32", "shape": [1]}, {"name": "b", "dtype": "i16", "shape": [2]}],
    }
    assert message[1284:] == bytes.fromhex("0000c03f") + bytes.fromhex("feff0300")


def test_big_endian_payload_is_converted():
    message = raw(header([{"name": "a", "dtype": "i32", "shape": [2]}], endian="be"), bytes.fromhex("0000000100000100"))
    array = unpack(message, "pose").fields["a"]
    assert array.tolist() == [1, 256]
    assert array.dtype == np.dtype(np.int32)


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=8),
        st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(np.dtype(d), hnp.array_shapes(max_dims=3, max_side=4))),
        max_size=5,
    ),
    st.sampled_from(["le", "be"]),
)
def test_round_trip(fields, endian):
    packet = unpack(pack("planner", 3, fields, count=9, endian=endian), "planner")
    assert (packet.version, packet.count, list(packet.fields)) == (3, 9, list(fields))
    for name, array in fields.items():
        assert packet.fields[name].dtype == array.dtype
        np.testing.assert_array_equal(packet.fields[name], array)


def test_empty_shape_carries_no_bytes():
    message = raw(
        header([{"name": "a", "dtype": "f32", "shape": []}, {"name": "b", "dtype": "u8", "shape": [1]}]), b"\5"
    )
    packet = unpack(message, "pose")
    assert packet.fields["a"].size == 0
    assert packet.fields["b"].tolist() == [5]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "begins with"),
        (b"pose", "at least 1284 bytes, got 4"),
        (raw(header([]))[:-1], "at least 1284 bytes, got 1283"),
        (b"other" + bytes(1280), "topic 'pose'"),
        (b"pose" + bytes(MAX_MESSAGE_BYTES), "at most"),
        (raw(b"{not json"), "JSON header"),
        (raw(b"\xff\xfe\xfd"), "JSON header"),
        (raw(b"[" * 1280), "JSON header"),
        (raw(b'{"x":' * 200), "JSON header"),
        (raw(b'{"v":1}\0garbage'), "zero bytes after"),
        (raw(header([], endian="middle")), "endian"),
        (raw({"v": 1, "endian": "le", "fields": []}), "count"),
        (raw(header([], v="1")), "v"),
        (raw(header([{"name": "a", "dtype": "f128", "shape": [1]}]), bytes(16)), "dtypes"),
        (raw(header([{"name": "a", "dtype": "f32", "shape": [-1]}])), "shape"),
        (raw(header([{"name": "a", "dtype": "f32", "shape": [True]}])), "shape"),
        (raw(header([{"name": "a", "dtype": "f32", "shape": [1] * 5}]), bytes(4)), "shape"),
        (raw(header([{"name": "a", "dtype": "f64", "shape": [1 << 20] * 4}])), "announces 9671406556917033397649408"),
        (raw(header([{"name": "a", "dtype": "f32", "shape": [2]}]), bytes(4)), "announces 8 bytes"),
        (raw(header([{"name": "a", "dtype": "f32", "shape": [1]}]), bytes(5)), "announces 4 bytes"),
        (raw(header([{"name": "a", "dtype": "u8", "shape": [1]}] * 2), bytes(2)), "occurs twice"),
        (raw(header([{"name": "a", "dtype": "u8", "shape": [0]}] * 65)), "JSON header"),
    ],
)
def test_unsound_framing_is_named(message, says):
    with pytest.raises(WireError, match=says.replace("[", r"\[")):
        unpack(message, "pose")


def test_header_that_does_not_fit_is_refused():
    with pytest.raises(WireError, match="at most 1280"):
        pack("pose", 1, {f"field_with_a_long_name_{i}": np.zeros(1) for i in range(60)})


def test_dtype_without_a_code_is_refused():
    with pytest.raises(WireError, match="complex128"):
        pack("pose", 1, {"a": np.zeros(1, complex)})


def test_pose_round_trip():
    rng = np.random.default_rng(3)
    quat = rng.normal(size=(60, 4))
    frames = PoseFrames(
        frame_index=np.arange(100, 160),
        joint_pos_pol=rng.uniform(-1, 1, (60, 29)),
        joint_vel_pol=rng.uniform(-5, 5, (60, 29)),
        root_quat_wxyz=quat / np.linalg.norm(quat, axis=-1, keepdims=True),
        catch_up=False,
        heading_increment_rad=0.25,
    )
    back = unpack_pose(pack_pose(frames))
    assert back.frame_index.tolist() == frames.frame_index.tolist()
    np.testing.assert_allclose(back.joint_pos_pol, frames.joint_pos_pol, atol=1e-6)
    np.testing.assert_allclose(back.joint_vel_pol, frames.joint_vel_pol, atol=1e-6)
    np.testing.assert_allclose(back.root_quat_wxyz, frames.root_quat_wxyz, atol=1e-6)
    assert (back.catch_up, back.heading_increment_rad, back.step) == (False, 0.25, 1)


def test_pose_of_many_bodies_uses_the_first():
    quat = np.zeros((3, 5, 4))
    quat[:, :, 0] = 1.0
    quat[:, 0] = [0.0, 0.0, 0.0, 1.0]
    assert unpack_pose(pose(body_quat=quat)).root_quat_wxyz.tolist() == [[0, 0, 0, 1]] * 3


def test_pose_accepts_the_other_published_names():
    message = pose(
        body_quat=None,
        frame_index=None,
        body_quat_w=np.array([[1.0, 0, 0, 0]] * 3),
        last_smpl_global_frames=np.array([4, 6, 8], np.int32),
        catch_up=np.array([0], np.int64),
        smpl_pose=np.full((3, 21, 3), np.nan, np.float32),
    )
    frames = unpack_pose(message)
    assert (frames.step, frames.catch_up) == (2, False)


BAD_POSES = {
    "version 5": (pack("pose", 5, {}), "versions 1, 2, 3, 4, got 5"),
    "no joint_pos": (pose(joint_pos=None), "joint_pos"),
    "28 joints": (pose(joint_pos=np.zeros((3, 28), np.float32)), r"\[3, 29\], got \[3, 28\]"),
    "flat": (pose(joint_vel=np.zeros(87, np.float32)), r"\[3, 29\], got \[87\]"),
    "other N": (pose(joint_vel=np.zeros((2, 29), np.float32)), r"\[3, 29\], got \[2, 29\]"),
    "integers": (pose(joint_pos=np.zeros((3, 29), np.int32)), "int32"),
    "float index": (pose(frame_index=np.arange(3.0)), "float64"),
    "nan": (pose(joint_pos=np.full((3, 29), np.nan, np.float32)), "finite"),
    "inf": (pose(joint_vel=np.full((3, 29), np.inf, np.float32)), "finite"),
    "degrees": (pose(joint_pos=np.full((3, 29), 45.0, np.float32)), "radians"),
    "too fast": (pose(joint_vel=np.full((3, 29), 500.0, np.float32)), "rad/s"),
    "zero quat": (pose(body_quat=np.zeros((3, 4))), "unit quaternions"),
    "nan quat": (pose(body_quat=np.full((3, 4), np.nan)), "finite"),
    "two columns": (pose(body_quat=np.zeros((3, 2))), "body_quat"),
    "no bodies": (pose(body_quat=np.zeros((3, 0, 4))), "body_quat"),
    "falling": (pose(frame_index=np.array([3, 2, 1])), "rising"),
    "uneven": (pose(frame_index=np.array([1, 2, 4])), "rising"),
    "negative": (pose(frame_index=np.array([-1, 0, 1])), "from 0"),
    "huge": (pose(frame_index=np.array([2**62, 2**62 + 1, 2**62 + 2])), "from 0"),
    "empty": (pose(0), "1 <= N"),
    "too many": (pose(1001), "N <= 1000"),
    "2-D index": (pose(frame_index=np.zeros((3, 1), np.int64)), r"\[3, 1\]"),
    "catch_up pair": (pose(catch_up=np.array([True, False])), "catch_up"),
    "catch_up float": (pose(catch_up=np.array([1.0])), "catch_up"),
    "turn nan": (pose(heading_increment=np.array([np.nan])), "heading_increment"),
    "turn far": (pose(heading_increment=np.array([9.0])), "heading_increment"),
    "turn empty": (pose(heading_increment=np.zeros(0)), "heading_increment"),
}


@pytest.mark.parametrize("case", BAD_POSES)
def test_bad_pose_is_named(case):
    message, says = BAD_POSES[case]
    with pytest.raises(WireError, match=says):
        unpack_pose(message)


def read_or_wire_error(message: bytes) -> None:
    try:
        frames = unpack_pose(message)
    except WireError:
        return
    assert np.isfinite(frames.joint_pos_pol).all()
    assert np.isfinite(frames.joint_vel_pol).all()
    np.testing.assert_allclose(np.linalg.norm(frames.root_quat_wxyz, axis=-1), 1.0)


@settings(max_examples=300)
@given(st.binary(max_size=4000))
def test_random_bytes(noise):
    read_or_wire_error(noise)
    read_or_wire_error(b"pose" + noise)
    read_or_wire_error(b"pose" + noise[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0") + noise[HEADER_BYTES:])


@settings(max_examples=400)
@given(st.data())
def test_mutated_message(data):
    message = bytearray(pose(2))
    for _ in range(data.draw(st.integers(1, 8))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    read_or_wire_error(bytes(message))
    read_or_wire_error(bytes(message[:cut]))
    read_or_wire_error(bytes(message + message[:cut]))


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
FIELD = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["joint_pos", "joint_vel", "body_quat", "frame_index", "x"]) | JSON_VALUE,
        "dtype": st.sampled_from(["f64", "f32", "f16", "i64", "u8", "bool"]) | JSON_VALUE,
        "shape": st.lists(st.integers(-1, 40), max_size=3) | JSON_VALUE,
    }
)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {
            "v": st.just(1) | JSON_VALUE,
            "endian": st.sampled_from(["le", "be"]) | JSON_VALUE,
            "count": st.just(1) | JSON_VALUE,
            "fields": st.lists(FIELD, max_size=6) | JSON_VALUE,
        }
    ),
    st.binary(max_size=600),
)
def test_json_headers_of_any_content(content, payload):
    text = json.dumps(content).encode()[:HEADER_BYTES]
    read_or_wire_error(raw(text, payload))
