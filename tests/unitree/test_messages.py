"""The DDS messages: type hashes, checksums and byte layouts against the published ones, fast path against slow path."""

import struct

import numpy as np
import pytest

pytest.importorskip("cyclonedds")

from dataclasses import dataclass

from cyclonedds.idl import IdlStruct, annotations, types

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree import idl, layout
from sonic_runtime.robot_io.unitree.crc import crc_of_words, low_cmd_crc, low_state_crc

SEEDS = range(100)


def test_type_hashes_are_the_published_ones():
    idl.require_published_types()


def test_a_uint8_type_is_refused():
    @dataclass
    @annotations.final
    @annotations.autoid("sequential")
    class Motor(IdlStruct, typename="unitree_hg.msg.dds_.MotorCmd_"):
        mode: types.uint8
        q: types.float32
        dq: types.float32
        tau: types.float32
        kp: types.float32
        kd: types.float32
        reserve: types.uint32

    @dataclass
    @annotations.final
    @annotations.autoid("sequential")
    class Cmd(IdlStruct, typename="unitree_hg.msg.dds_.LowCmd_"):
        mode_pr: types.uint8
        mode_machine: types.uint8
        motor_cmd: types.array[Motor, 35]
        reserve: types.array[types.uint32, 4]
        crc: types.uint32

    with pytest.raises(RobotError, match="uint8"):
        idl.require_published_types({Cmd: idl.PUBLISHED_HASHES[idl.LowCmd]})


def test_crc_vectors():
    assert low_cmd_crc(bytes(1000)) == 4262932383
    assert low_state_crc(bytes(2088)) == 3595284554
    # the check value of CRC-32/MPEG-2 is that of "12345678" "9"; of whole words, the definition bit by bit
    image = np.random.default_rng(0).integers(0, 256, 64, dtype=np.uint8).tobytes()
    crc = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", image):
        for bit in range(31, -1, -1):
            top = (crc >> 31) ^ ((word >> bit) & 1)
            crc = ((crc << 1) & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    assert crc_of_words(image) == crc


def c_image_of_cmd(cmd):
    parts = [struct.pack("<BBxx", cmd.mode_pr, cmd.mode_machine)]
    parts += [struct.pack("<B3x5fI", m.mode, m.q, m.dq, m.tau, m.kp, m.kd, m.reserve) for m in cmd.motor_cmd]
    return b"".join(parts) + struct.pack("<4I", *cmd.reserve)


def c_image_of_state(state):
    imu = state.imu_state
    parts = [struct.pack("<2IBBxxI", *state.version, state.mode_pr, state.mode_machine, state.tick)]
    parts.append(struct.pack("<13fhxx", *imu.quaternion, *imu.gyroscope, *imu.accelerometer, *imu.rpy, imu.temperature))
    for m in state.motor_state:
        head = struct.pack("<B3x4f2hf", m.mode, m.q, m.dq, m.ddq, m.tau_est, *m.temperature, m.vol)
        parts.append(head + struct.pack("<2II4I", *m.sensor, m.motorstate, *m.reserve))
    return b"".join(parts) + struct.pack("<40B4I", *state.wireless_remote, *state.reserve)


def f32(values):
    return np.asarray(values, dtype=np.float32).tolist()


def random_cmd(seed):
    rng = np.random.default_rng(seed)
    motors = [
        idl.MotorCmd(int(rng.integers(0, 2)), *f32(rng.normal(size=5)), int(rng.integers(0, 1 << 32)))
        for _ in range(idl.MOTOR_SLOTS)
    ]
    return idl.LowCmd(0, 5, motors, rng.integers(0, 1 << 32, 4).tolist(), int(rng.integers(0, 1 << 32)))


def random_state(seed):
    rng = np.random.default_rng(seed)
    u32 = lambda n: rng.integers(0, 1 << 32, n).tolist()  # noqa: E731
    motors = [
        idl.MotorState(
            1,
            *f32(rng.normal(size=4)),
            rng.integers(-40, 120, 2).tolist(),
            *f32(rng.normal(size=1)),
            u32(2),
            u32(1)[0],
            u32(4),
        )
        for _ in range(idl.MOTOR_SLOTS)
    ]
    imu = idl.ImuState(*(f32(rng.normal(size=n)) for n in (4, 3, 3, 3)), temperature=int(rng.integers(-40, 90)))
    remote = rng.integers(0, 256, 40).tolist()
    return idl.LowState(u32(2), 0, 5, u32(1)[0], imu, motors, remote, u32(4), u32(1)[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_reading_low_state_agrees_with_cyclonedds(seed):
    state = random_state(seed)
    payload = layout.payload_of(state.serialize(), layout.LOW_STATE_BYTES, "LowState")
    fields = layout.low_state_fields(payload)
    motors = state.motor_state[:29]
    assert (fields.tick, fields.mode_pr, fields.mode_machine, fields.crc) == (state.tick, 0, 5, state.crc)
    assert fields.quat_wxyz.tolist() == list(state.imu_state.quaternion)
    assert fields.gyro_b.tolist() == list(state.imu_state.gyroscope)
    assert fields.accel_b.tolist() == list(state.imu_state.accelerometer)
    assert fields.joint_pos_hw.tolist() == [m.q for m in motors]
    assert fields.joint_vel_hw.tolist() == [m.dq for m in motors]
    assert fields.joint_torque_hw.tolist() == [m.tau_est for m in motors]
    assert fields.temperature_c_hw.tolist() == [max(m.temperature) for m in motors]
    assert fields.motor_error_hw.tolist() == [m.motorstate for m in motors]
    assert fields.wireless_remote == bytes(state.wireless_remote)
    assert low_state_crc(payload) == crc_of_words(c_image_of_state(state))


@pytest.mark.parametrize("seed", SEEDS)
def test_reading_low_cmd_agrees_with_cyclonedds(seed):
    cmd = random_cmd(seed)
    payload = layout.payload_of(cmd.serialize(), layout.LOW_CMD_BYTES, "LowCmd")
    fields = layout.low_cmd_fields(payload)
    motors = cmd.motor_cmd[:29]
    assert (fields.mode_pr, fields.mode_machine, fields.crc) == (0, 5, cmd.crc)
    assert fields.enabled_hw.tolist() == [m.mode == 1 for m in motors]
    for name, key in (
        ("joint_pos_hw", "q"),
        ("joint_vel_hw", "dq"),
        ("torque_ff_hw", "tau"),
        ("stiffness_hw", "kp"),
        ("damping_hw", "kd"),
    ):
        assert getattr(fields, name).tolist() == [getattr(m, key) for m in motors]
    assert low_cmd_crc(payload) == crc_of_words(c_image_of_cmd(cmd))


@pytest.mark.parametrize("seed", SEEDS)
def test_building_low_cmd_agrees_with_cyclonedds(seed):
    rng = np.random.default_rng(seed)
    values = {name: np.float32(rng.normal(size=29)).astype(np.float64) for name in ("q", "dq", "tau", "kp", "kd")}
    fields = layout.LowCmdFields(
        mode_pr=0,
        mode_machine=5,
        enabled_hw=rng.integers(0, 2, 29) == 1,
        joint_pos_hw=values["q"],
        joint_vel_hw=values["dq"],
        torque_ff_hw=values["tau"],
        stiffness_hw=values["kp"],
        damping_hw=values["kd"],
    )
    wire = layout.low_cmd_wire(fields)
    slow = idl.fields_of(idl.LowCmd, wire)
    assert [m.mode for m in slow.motor_cmd] == [*fields.enabled_hw.astype(int), *[0] * 6]
    for key, wanted in values.items():
        assert [getattr(m, key) for m in slow.motor_cmd] == [*wanted, *[0.0] * 6]
    assert slow.crc == crc_of_words(c_image_of_cmd(slow))
    assert slow.serialize() == wire


@pytest.mark.parametrize("seed", SEEDS)
def test_building_low_state_agrees_with_cyclonedds(seed):
    sent = layout.low_state_fields(random_state(seed).serialize()[4:])
    wire = layout.low_state_wire(sent)
    slow = idl.fields_of(idl.LowState, wire)
    assert slow.serialize() == wire
    assert slow.crc == crc_of_words(c_image_of_state(slow))
    received = layout.low_state_fields(wire[4:])
    for name in layout.LowStateFields._fields:
        if name != "crc":
            assert np.array_equal(getattr(received, name), getattr(sent, name)), name


@pytest.mark.parametrize(
    "wire", [b"", b"\x00\x01\x00\x00", b"\x00\x00\x00\x00" + bytes(2088), b"\x00\x01\x00\x00" + bytes(1000)]
)
def test_other_bytes_are_refused(wire):
    with pytest.raises(RobotError, match="another type or encoding"):
        layout.payload_of(wire, layout.LOW_STATE_BYTES, "LowState")


def test_a_message_that_was_received_is_sent_on_as_it_came():
    wire = layout.low_cmd_wire(layout.low_cmd_fields(random_cmd(0).serialize()[4:]))
    assert idl.wire_of(idl.LowCmd.deserialize(wire)) == wire
    assert idl.message_of(idl.LowCmd, wire).serialize() == wire
