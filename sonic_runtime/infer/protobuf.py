"""The wire format of protobuf, as much as ONNX files need: varints, length-delimited fields, fixed numbers skipped."""

from __future__ import annotations

from collections.abc import Iterator

from sonic_runtime.contract.errors import ContractError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """Return an unsigned number in seven-bit groups, the low ones first; negative ones as 64-bit two's complement."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """Return a field that holds a number."""
    return varint(field << 3 | VARINT) + varint(value)


def block(field: int, content: bytes | memoryview) -> bytes:
    """Return a field that holds bytes or another message."""
    return b"".join((varint(field << 3 | BYTES), varint(len(content)), content))


def text(field: int, content: str) -> bytes:
    """Return a field that holds text."""
    return block(field, content.encode())


def read_fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message: an int, or the bytes of anything that is none.

    Raises:
        ContractError: the bytes are cut short or no message.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        field, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _read_varint(data, at)
            yield field, value
            continue
        if kind == BYTES:
            size, at = _read_varint(data, at)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ContractError(f"protobuf: expected a field of wire type 0, 1, 2 or 5, found {kind}")
        if at + size > end:
            raise ContractError(f"protobuf: expected {size} bytes in field {field}, found {end - at}")
        yield field, data[at : at + size]
        at += size


def read_numbers(value: int | memoryview) -> tuple[int, ...]:
    """Return the numbers of one occurrence of a repeated field: one, or many packed into bytes; signed 64 bit."""
    if isinstance(value, int):
        return (_signed(value),)
    found, at = [], 0
    while at < len(value):
        item, at = _read_varint(value, at)
        found.append(_signed(item))
    return tuple(found)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ContractError("protobuf: expected a number, found the end of the bytes or more than ten of them")
