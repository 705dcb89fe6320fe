"""The messages of the G1 as DDS types, and the check without which no participant may exist.

`unitree_hg` for the robot, `unitree_api` for calls; names, order and sizes are the wire format of Unitree's SDK. Every
8-bit field is declared as `byte`: cyclonedds 11 gives `uint8` another type code than the 0.10 series that runs on the
robot, and a 0.10 peer that meets the other code in a matched topic crashes, the publisher of the robot's own state
included. `require_published_types` compares the hashes of these classes with the published ones and must pass before
anything joins the network.

Python needs 0.1 to 0.8 ms to build or read one of these messages field by field. Those that come hundreds of times a
second therefore pass through as bytes: what is received carries its wire bytes in `wire`, unread, and what has `wire`
set is sent as it is; `layout` and `layout_small` read and build those bytes in microseconds.
"""

# annotations must stay objects here: cyclonedds builds its type descriptions from them
from dataclasses import dataclass
from typing import Any, TypeVar

from cyclonedds.idl import IdlStruct, annotations, types

from sonic_runtime.contract.errors import RobotError

MOTOR_SLOTS = 35
"""Motors in a message; the G1 uses the first 29, in hardware order."""
HAND_MOTORS = 7


K = TypeVar("K", bound=type[IdlStruct])


def passes_as_bytes(kind: K) -> K:
    """Let messages of a type pass through as bytes instead of being taken apart by cyclonedds.

    A decorator, for cyclonedds would take a base class or an annotated attribute for a part of the type.
    """
    machinery: Any = kind

    def serialize(self: Any, buffer: Any = None, endianness: Any = None, use_version_2: bool | None = None) -> bytes:
        wire = self.__dict__.get("wire")
        if wire is not None and not use_version_2:
            return wire
        return machinery.__idl__.serialize(self, buffer=buffer, endianness=endianness, use_version_2=use_version_2)

    def deserialize(data: bytes, has_header: bool = True, use_version_2: bool | None = None) -> Any:
        return message_of(kind, bytes(data))

    machinery.serialize = serialize
    machinery.deserialize = staticmethod(deserialize)
    return kind


def message_of(kind: type[IdlStruct], wire: bytes) -> Any:
    """Return a message that is sent as these bytes, header included."""
    message: Any = kind.__new__(kind)
    message.__dict__["wire"] = wire
    return message


def wire_of(message: IdlStruct) -> bytes:
    """Return the bytes of a message that was received."""
    return message.__dict__["wire"]


def fields_of(kind: type[IdlStruct], wire: bytes) -> Any:
    """Return a message with its fields, taken apart by cyclonedds."""
    machinery: Any = kind
    return machinery.__idl__.deserialize(wire)


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MotorCmd(IdlStruct, typename="unitree_hg.msg.dds_.MotorCmd_"):
    """Command of one motor: mode 1 enables it, 0 disables it; rad, rad/s, N m, N m/rad, N m s/rad."""

    mode: types.byte
    q: types.float32
    dq: types.float32
    tau: types.float32
    kp: types.float32
    kd: types.float32
    reserve: types.uint32


@passes_as_bytes
@dataclass
@annotations.final
@annotations.autoid("sequential")
class LowCmd(IdlStruct, typename="unitree_hg.msg.dds_.LowCmd_"):
    """Command of all motors, topic rt/lowcmd; crc over the C image (see crc.py)."""

    mode_pr: types.byte
    mode_machine: types.byte
    motor_cmd: types.array[MotorCmd, MOTOR_SLOTS]
    reserve: types.array[types.uint32, 4]
    crc: types.uint32


@passes_as_bytes
@dataclass
@annotations.final
@annotations.autoid("sequential")
class ImuState(IdlStruct, typename="unitree_hg.msg.dds_.IMUState_"):
    """An inertial unit: quaternion wxyz, gyroscope [rad/s] and accelerometer [m/s^2] in its own frame, rpy [rad]."""

    quaternion: types.array[types.float32, 4]
    gyroscope: types.array[types.float32, 3]
    accelerometer: types.array[types.float32, 3]
    rpy: types.array[types.float32, 3]
    temperature: types.int16


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MotorState(IdlStruct, typename="unitree_hg.msg.dds_.MotorState_"):
    """State of one motor; temperature [degrees Celsius] of two sensors; motorstate is an error word, 0 where well."""

    mode: types.byte
    q: types.float32
    dq: types.float32
    ddq: types.float32
    tau_est: types.float32
    temperature: types.array[types.int16, 2]
    vol: types.float32
    sensor: types.array[types.uint32, 2]
    motorstate: types.uint32
    reserve: types.array[types.uint32, 4]


@passes_as_bytes
@dataclass
@annotations.final
@annotations.autoid("sequential")
class LowState(IdlStruct, typename="unitree_hg.msg.dds_.LowState_"):
    """State of the robot, topic rt/lowstate, 500 Hz; tick counts, crc over the C image."""

    version: types.array[types.uint32, 2]
    mode_pr: types.byte
    mode_machine: types.byte
    tick: types.uint32
    imu_state: ImuState
    motor_state: types.array[MotorState, MOTOR_SLOTS]
    wireless_remote: types.array[types.byte, 40]
    reserve: types.array[types.uint32, 4]
    crc: types.uint32


@passes_as_bytes
@dataclass
@annotations.final
@annotations.autoid("sequential")
class HandCmd(IdlStruct, typename="unitree_hg.msg.dds_.HandCmd_"):
    """Command of a Dex3 hand, topics rt/dex3/left/cmd and rt/dex3/right/cmd; seven motors, no crc."""

    motor_cmd: types.sequence[MotorCmd]
    reserve: types.array[types.uint32, 4]


@dataclass
@annotations.final
@annotations.autoid("sequential")
class PressSensorState(IdlStruct, typename="unitree_hg.msg.dds_.PressSensorState_"):
    """A pressure sensor of a hand."""

    pressure: types.array[types.float32, 12]
    temperature: types.array[types.float32, 12]
    lost: types.uint32
    reserve: types.uint32


@passes_as_bytes
@dataclass
@annotations.final
@annotations.autoid("sequential")
class HandState(IdlStruct, typename="unitree_hg.msg.dds_.HandState_"):
    """State of a Dex3 hand, topics rt/dex3/left/state and rt/dex3/right/state."""

    motor_state: types.sequence[MotorState]
    press_sensor_state: types.sequence[PressSensorState]
    imu_state: ImuState
    power_v: types.float32
    power_a: types.float32
    system_v: types.float32
    device_v: types.float32
    error: types.array[types.uint32, 2]
    reserve: types.array[types.uint32, 2]


@dataclass
@annotations.final
@annotations.autoid("sequential")
class BmsState(IdlStruct, typename="unitree_hg.msg.dds_.BmsState_"):
    """State of the battery, topic rt/lf/bmsstate; soc is the charge in percent."""

    version_high: types.byte
    version_low: types.byte
    fn: types.byte
    cell_vol: types.array[types.uint16, 40]
    bmsvoltage: types.array[types.uint32, 3]
    current: types.int32
    soc: types.byte
    soh: types.byte
    temperature: types.array[types.int16, 12]
    cycle: types.uint16
    manufacturer_date: types.uint16
    bmsstate: types.array[types.uint32, 5]
    reserve: types.array[types.uint32, 3]


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MainBoardState(IdlStruct, typename="unitree_hg.msg.dds_.MainBoardState_"):
    """State of the main board, topic rt/lf/mainboardstate."""

    fan_state: types.array[types.uint16, 6]
    temperature: types.array[types.int16, 6]
    value: types.array[types.float32, 6]
    state: types.array[types.uint32, 6]


@dataclass
@annotations.final
@annotations.autoid("sequential")
class RequestIdentity(IdlStruct, typename="unitree_api.msg.dds_.RequestIdentity_"):
    """Number of a call and of the function called."""

    id: types.int64
    api_id: types.int64


@dataclass
@annotations.final
@annotations.autoid("sequential")
class RequestLease(IdlStruct, typename="unitree_api.msg.dds_.RequestLease_"):
    """Lease under which a call is made; 0 for none."""

    id: types.int64


@dataclass
@annotations.final
@annotations.autoid("sequential")
class RequestPolicy(IdlStruct, typename="unitree_api.msg.dds_.RequestPolicy_"):
    """How a call is served."""

    priority: types.int32
    noreply: bool


@dataclass
@annotations.final
@annotations.autoid("sequential")
class RequestHeader(IdlStruct, typename="unitree_api.msg.dds_.RequestHeader_"):
    """What a call is."""

    identity: RequestIdentity
    lease: RequestLease
    policy: RequestPolicy


@dataclass
@annotations.final
@annotations.autoid("sequential")
class Request(IdlStruct, typename="unitree_api.msg.dds_.Request_"):
    """A call to a service, topics rt/api/SERVICE/request; parameter is JSON."""

    header: RequestHeader
    parameter: str
    binary: types.sequence[types.byte]


@dataclass
@annotations.final
@annotations.autoid("sequential")
class ResponseStatus(IdlStruct, typename="unitree_api.msg.dds_.ResponseStatus_"):
    """How a call went; code 0 is success."""

    code: types.int32


@dataclass
@annotations.final
@annotations.autoid("sequential")
class ResponseHeader(IdlStruct, typename="unitree_api.msg.dds_.ResponseHeader_"):
    """Which call is answered, and how it went."""

    identity: RequestIdentity
    status: ResponseStatus


@dataclass
@annotations.final
@annotations.autoid("sequential")
class Response(IdlStruct, typename="unitree_api.msg.dds_.Response_"):
    """The answer of a service, topics rt/api/SERVICE/response; data is JSON."""

    header: ResponseHeader
    data: str
    binary: types.sequence[types.byte]


PUBLISHED_HASHES: dict[type[IdlStruct], tuple[str, str]] = {
    LowCmd: ("6569fc15f0d47aa8600b9e91fbbc", "42b0283aa7e1bb592ec898a0dbed"),
    LowState: ("2f38296b52aa0230b92d378b1e39", "2be9706c9587e8d8afd8bfc6de7b"),
    ImuState: ("fc687176651206558473df442280", "7d4166754177d86fa27cd25b0403"),
    HandCmd: ("a63e17e228e67d276dfe71d6f156", "5c45f9f8b1e1c279a659521332b0"),
    HandState: ("699eb3270c7d7788ed03bebe16b9", "b9f2806966060fc0f913a47b8ab9"),
    BmsState: ("4b98d809a63f63c7cb31a818506b", "0cdba6862498f554ba927ba18de0"),
    MainBoardState: ("deabb8f495165533d29d46465f6a", "56c359c8be34ecd038bc2176764d"),
    Request: ("cba4dc965d393ada76b4de081925", "c47a4429fcbf539486498753c48f"),
    Response: ("48c997d379c3e18c530b5f8fe946", "d1c32cc02214901a464a6c51325d"),
}
"""Minimal and complete XTypes hash (14 bytes, hexadecimal) of each type in Unitree's C++ headers."""


def type_information(kind: type[IdlStruct]) -> bytes:
    """Return what a type tells its peers about itself: the serialised XTypes type information."""
    machinery: Any = kind.__idl__  # type: ignore[attr-defined]
    machinery.populate()
    machinery.fill_type_data()
    return bytes(machinery._xt_bytedata[0])


def require_published_types(hashes: dict[type[IdlStruct], tuple[str, str]] | None = None) -> None:
    """Compare the types with the published ones; call it before a participant is created.

    Args:
        hashes: types and their minimal and complete hashes; None for all of `PUBLISHED_HASHES`.

    Raises:
        RobotError: a type differs; a robot that met it could lose its own software.
    """
    for kind, (minimal, complete) in (PUBLISHED_HASHES if hashes is None else hashes).items():
        found = type_information(kind)
        missing = [
            name for name, value in (("minimal", minimal), ("complete", complete)) if bytes.fromhex(value) not in found
        ]
        if missing:
            raise RobotError(
                f"DDS type {kind.__idl_typename__}: expected the published {' and '.join(missing)} type hash, found "  # type: ignore[attr-defined]
                "another one; a type that differs can crash the robot's own software, so nothing is sent. Is the "
                "installed cyclonedds another version than 11.0.1, or an 8-bit field declared as uint8?"
            )
