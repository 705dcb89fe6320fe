"""Packed messages over ZeroMQ: the framing shared by `pose`, `command` and `planner`.

One single-part message, as SONIC publishes it:

    offset            size    content
    0                 t       topic, ASCII, no terminator
    t                 1280    header: JSON, padded with zero bytes
    t + 1280          ...     payloads of the fields, one after the other, in the order of the header

Header keys: `v` protocol version, `endian` "le" or "be", `count` (a sender's own counter, not a length), `fields`, a
list of {name, dtype, shape}. A field with the empty shape [] carries no bytes.

Everything here is untrusted: sizes are compared with the bytes at hand before anything is allocated, and whatever is
wrong raises WireError, never anything else. Runs in the tick; does no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import WireError

HEADER_BYTES = 1280
MAX_MESSAGE_BYTES = 1 << 20
"""[byte] A message of 1000 frames in f64 takes 0.5 MB; more is not motion data."""

_MAX_FIELDS = 64
_MAX_DIMENSIONS = 4

_DTYPES: dict[str, np.dtype] = {
    "f64": np.dtype(np.float64),
    "i64": np.dtype(np.int64),
    "f32": np.dtype(np.float32),
    "i32": np.dtype(np.int32),
    "i16": np.dtype(np.int16),
    "f16": np.dtype(np.float16),
    "i8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}
_WIRE_DTYPES: dict[tuple[str, str], np.dtype] = {
    # a byte other than 0 and 1 seen as bool is undefined in numpy
    (name, endian): np.dtype(np.uint8) if name == "bool" else dtype.newbyteorder("<" if endian == "le" else ">")
    for name, dtype in _DTYPES.items()
    for endian in ("le", "be")
}
_NAME_OF_DTYPE = {dtype: name for name, dtype in _DTYPES.items()}

_Dimension = Annotated[int, msgspec.Meta(ge=0, le=MAX_MESSAGE_BYTES)]


class _Field(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    dtype: str
    shape: Annotated[list[_Dimension], msgspec.Meta(max_length=_MAX_DIMENSIONS)]


class _Header(msgspec.Struct, frozen=True):
    v: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
    endian: Literal["le", "be"]
    count: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
    fields: Annotated[list[_Field], msgspec.Meta(max_length=_MAX_FIELDS)]


_Place = tuple[int, int, _Field]
"""Where a field lies behind the header, its size [byte], and what the header says of it."""

_header_decoder = msgspec.json.Decoder(_Header)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A message whose framing is sound; what its fields mean is not checked yet.

    Attributes:
        version: protocol version of the topic.
        count: the sender's counter.
        fields: read-only arrays by name, native byte order, with the dtype and shape the header gave; views of the
            message where they can be. A field is read when it is asked for: clients send many that nobody needs.
    """

    version: int
    count: int
    fields: Mapping[str, npt.NDArray]


def pack(
    topic: str, version: int, fields: Mapping[str, npt.ArrayLike], count: int = 1, endian: Literal["le", "be"] = "le"
) -> bytes:
    """Build a message.

    Args:
        topic: topic name, ASCII.
        version: protocol version.
        fields: arrays by name, of the dtypes f64 i64 f32 i32 i16 f16 i8 u8 bool.
        count: the sender's counter.
        endian: byte order of the payloads.

    Raises:
        WireError: if a dtype has no code, or the header does not fit into 1280 bytes.
    """
    order: Literal["<", ">"] = "<" if endian == "le" else ">"
    specs: list[_Field] = []
    payloads: list[bytes] = []
    for name, value in fields.items():
        array = np.asarray(value)
        code = _NAME_OF_DTYPE.get(array.dtype.newbyteorder("="))
        if code is None:
            raise WireError(f"field {name!r}: expected one of the dtypes {', '.join(_DTYPES)}, got {array.dtype}")
        specs.append(_Field(name=name, dtype=code, shape=list(array.shape)))
        payloads.append(array.astype(array.dtype.newbyteorder(order)).tobytes() if array.ndim else b"")
    header = msgspec.json.encode(_Header(v=version, endian=endian, count=count, fields=specs))
    if len(header) > HEADER_BYTES:
        raise WireError(f"topic {topic!r}: expected a header of at most {HEADER_BYTES} bytes, got {len(header)}")
    return topic.encode("ascii") + header.ljust(HEADER_BYTES, b"\0") + b"".join(payloads)


def unpack(message: bytes, topic: str) -> Packet:
    """Take a message apart.

    Args:
        message: the bytes as received.
        topic: the topic it must begin with.

    Raises:
        WireError: if the message is too short or too long, has another topic, a header that is no valid JSON header,
            an unknown dtype, a repeated field, or payloads of another size than the header says.
    """
    start = len(topic)
    if len(message) > MAX_MESSAGE_BYTES:
        raise WireError(f"topic {topic!r}: expected at most {MAX_MESSAGE_BYTES} bytes, got {len(message)}")
    if message[:start] != topic.encode("ascii"):
        raise WireError(f"expected a message of topic {topic!r}, got one that begins with {message[:16]!r}")
    if len(message) < start + HEADER_BYTES:
        raise WireError(f"topic {topic!r}: expected at least {start + HEADER_BYTES} bytes, got {len(message)}")
    header, places, announced = _layout(message[start : start + HEADER_BYTES], topic)
    found = len(message) - start - HEADER_BYTES
    if found != announced:
        raise WireError(
            f"topic {topic!r}: the header announces {announced} bytes of payload, the message carries {found}; "
            f"fields {', '.join(f'{f.name} {f.dtype}{f.shape}' for f in header.fields)}"
        )
    return Packet(version=header.v, count=header.count, fields=_Fields(message, start + HEADER_BYTES, header, places))


class _Fields(Mapping[str, npt.NDArray]):
    """The fields of a message whose sizes fit it."""

    def __init__(self, message: bytes, start: int, header: _Header, places: Mapping[str, _Place]) -> None:
        self._message = message
        self._start = start
        self._endian = header.endian
        self._places = places

    def __getitem__(self, name: str) -> npt.NDArray:
        offset, size, field = self._places[name]
        return _read_array(self._message, self._start + offset, size, field, self._endian)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@lru_cache(maxsize=16)
def _layout(raw_header: bytes, topic: str) -> tuple[_Header, Mapping[str, _Place], int]:
    """Return header, place of each field, and bytes of all; a sender repeats its header message after message."""
    header = _read_header(raw_header, topic)
    names = [field.name for field in header.fields]
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise WireError(f"topic {topic!r}: field {repeated!r} occurs twice")
    places: dict[str, _Place] = {}
    total = 0
    for field in header.fields:
        size = _payload_bytes(field, topic)
        places[field.name] = total, size, field
        total += size
    return header, places, total


def _read_header(raw: bytes, topic: str) -> _Header:
    text, _, padding = raw.partition(b"\0")
    if padding.strip(b"\0"):
        raise WireError(f"topic {topic!r}: expected zero bytes after the JSON header, got {padding[:16]!r}")
    try:
        return _header_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise WireError(
            f"topic {topic!r}: expected a JSON header with v, endian, count and fields: {error}; got {text[:60]!r}"
        ) from error


def _payload_bytes(field: _Field, topic: str) -> int:
    dtype = _DTYPES.get(field.dtype)
    if dtype is None:
        raise WireError(
            f"topic {topic!r}: field {field.name!r}: expected one of the dtypes {', '.join(_DTYPES)}, "
            f"got {field.dtype[:16]!r}"
        )
    return math.prod(field.shape) * dtype.itemsize if field.shape else 0


def _read_array(message: bytes, offset: int, size: int, field: _Field, endian: str) -> npt.NDArray:
    """Return a field, without a copy where the sender's bytes are what this machine would write."""
    dtype = _DTYPES[field.dtype]
    if not size:
        return np.empty(field.shape or 0, dtype)
    wire = _WIRE_DTYPES[field.dtype, endian]
    raw = np.frombuffer(message, wire, size // wire.itemsize, offset).reshape(field.shape)
    array = raw != 0 if field.dtype == "bool" else raw.astype(dtype, copy=False)
    array.flags.writeable = False
    return array
