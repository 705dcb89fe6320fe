"""The robot's side on cyclonedds 0.10, as Unitree's Python SDK speaks it: run by Python 3.10, imports nothing of ours.

    python peer_010.py DOMAIN SECONDS

Sends LowState and IMUState at 100 Hz with types whose 8-bit fields are `uint8`, as in Unitree's own files, and prints a
line of JSON about the LowCmd that came back. Every number is taken apart by cyclonedds itself; the checksum is the bit
by bit definition.
"""

import json
import struct
import sys
import time
from dataclasses import dataclass

import cyclonedds
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct, annotations, types
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MotorCmd_(IdlStruct, typename="unitree_hg.msg.dds_.MotorCmd_"):  # noqa: N801
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
class LowCmd_(IdlStruct, typename="unitree_hg.msg.dds_.LowCmd_"):  # noqa: N801
    mode_pr: types.uint8
    mode_machine: types.uint8
    motor_cmd: types.array[MotorCmd_, 35]
    reserve: types.array[types.uint32, 4]
    crc: types.uint32


@dataclass
@annotations.final
@annotations.autoid("sequential")
class IMUState_(IdlStruct, typename="unitree_hg.msg.dds_.IMUState_"):  # noqa: N801
    quaternion: types.array[types.float32, 4]
    gyroscope: types.array[types.float32, 3]
    accelerometer: types.array[types.float32, 3]
    rpy: types.array[types.float32, 3]
    temperature: types.int16


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MotorState_(IdlStruct, typename="unitree_hg.msg.dds_.MotorState_"):  # noqa: N801
    mode: types.uint8
    q: types.float32
    dq: types.float32
    ddq: types.float32
    tau_est: types.float32
    temperature: types.array[types.int16, 2]
    vol: types.float32
    sensor: types.array[types.uint32, 2]
    motorstate: types.uint32
    reserve: types.array[types.uint32, 4]


@dataclass
@annotations.final
@annotations.autoid("sequential")
class LowState_(IdlStruct, typename="unitree_hg.msg.dds_.LowState_"):  # noqa: N801
    version: types.array[types.uint32, 2]
    mode_pr: types.uint8
    mode_machine: types.uint8
    tick: types.uint32
    imu_state: IMUState_
    motor_state: types.array[MotorState_, 35]
    wireless_remote: types.array[types.uint8, 40]
    reserve: types.array[types.uint32, 4]
    crc: types.uint32


TABLE = []
for byte in range(256):
    crc = byte << 24
    for _ in range(8):
        crc = ((crc << 1) ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
    TABLE.append(crc)


def crc_of(image):
    crc = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", image):
        for byte in word.to_bytes(4, "big"):
            crc = ((crc << 8) & 0xFFFFFFFF) ^ TABLE[(crc >> 24) ^ byte]
    return crc


def crc_of_cmd(cmd):
    parts = [struct.pack("<BBxx", cmd.mode_pr, cmd.mode_machine)]
    parts += [struct.pack("<B3x5fI", m.mode, m.q, m.dq, m.tau, m.kp, m.kd, m.reserve) for m in cmd.motor_cmd]
    return crc_of(b"".join(parts) + struct.pack("<4I", *cmd.reserve))


def crc_of_state(state):
    imu = state.imu_state
    parts = [struct.pack("<2IBBxxI", *state.version, state.mode_pr, state.mode_machine, state.tick)]
    parts.append(struct.pack("<13fhxx", *imu.quaternion, *imu.gyroscope, *imu.accelerometer, *imu.rpy, imu.temperature))
    for m in state.motor_state:
        head = struct.pack("<B3x4f2hf", m.mode, m.q, m.dq, m.ddq, m.tau_est, *m.temperature, m.vol)
        parts.append(head + struct.pack("<2II4I", *m.sensor, m.motorstate, *m.reserve))
    return crc_of(b"".join(parts) + struct.pack("<40B4I", *state.wireless_remote, *state.reserve))


def imu(tick):
    return IMUState_([1.0, 0.0, 0.0, 0.0], [0.0, 0.0, tick * 0.5], [0.0, 0.0, 9.8125], [0.0] * 3, 41)


def state(tick):
    motors = [MotorState_(1, 0.01 * i, 0.0, 0.0, 0.5 * i, [30 + i, 20], 48.0, [0, 0], 0, [0] * 4) for i in range(35)]
    made = LowState_([1, 2], 0, 5, tick, imu(tick), motors, [0] * 40, [0] * 4, 0)
    made.crc = crc_of_state(made)
    return made


def main():
    domain, seconds = int(sys.argv[1]), float(sys.argv[2])
    xml = '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo"/></Interfaces></General>'
    settings = Domain(domain, xml + "</Domain></CycloneDDS>")
    participant = DomainParticipant(domain)
    writer = DataWriter(participant, Topic(participant, "rt/lowstate", LowState_))
    torso = DataWriter(participant, Topic(participant, "rt/secondary_imu", IMUState_))
    reader = DataReader(participant, Topic(participant, "rt/lowcmd", LowCmd_))
    good = bad = 0
    last = None
    end, tick = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        tick += 1
        writer.write(state(tick))
        torso.write(imu(tick))
        for cmd in reader.take(N=1):
            if not isinstance(cmd, LowCmd_):
                continue
            right = cmd.crc == crc_of_cmd(cmd)
            good, bad, last = good + right, bad + (not right), cmd
        time.sleep(0.005)
    heard = None
    if last is not None:
        heard = {
            "mode_machine": last.mode_machine,
            "modes": [m.mode for m in last.motor_cmd],
            "kd": [m.kd for m in last.motor_cmd],
        }
    version = getattr(cyclonedds, "__version__", "")
    sys.stdout.write(json.dumps({"sent": tick, "good": good, "bad": bad, "last": heard, "version": version}))
    del settings


main()
