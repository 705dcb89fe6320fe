"""Mailboxes between processes: the newest record of one kind in shared memory, one writer, any number of readers.

Nobody ever waits. The writer fills the next of four slots and then publishes its number; a reader copies the slot last
published and checks number and checksum of the copy. A writer that is killed halfway leaves the slot published before
it whole. The checksum also makes the order in which a processor shows its stores to others irrelevant (Python has no
memory barriers, and an ARM processor needs them).

The memory has no name anywhere: it is a file that exists only as long as a process holds it open (memfd on Linux, a
file without a directory entry elsewhere), handed to child processes by descriptor. So nothing is left behind when a
process is killed, nobody can guess its way in, and on Linux its size is sealed.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import zlib
from typing import Any, NamedTuple

import numpy as np

from sonic_runtime.contract.errors import RobotError

_MAGIC = b"SONICBOX"
_VERSION = 1
_HEADER = struct.Struct("<8sIII")
"""Magic, version, checksum of the layout, bytes of a record."""
_PUBLISHED_AT = 64
_SLOTS_AT = 128
_SLOTS = 4
_SLOT_HEAD = struct.Struct("<QIxxxx")
"""Number and checksum of the record in a slot; the record follows."""
_TRIES = 8


class Record(NamedTuple):
    """A record and its number, from 1."""

    number: int
    fields: Any
    """(1,) structured array of the layout, read-only: fields["name"][0] is a value or an array."""


def shared_memory(size: int) -> int:
    """Create anonymous shared memory of zeros and return its file descriptor, which is closed on exec.

    Raises:
        RobotError: the system gives none.
    """
    try:
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("sonic", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, size)
        _seal_size(fd)
    except OSError as error:
        raise RobotError(f"shared memory: expected {size} bytes, the system gives none ({error.strerror})") from error
    return fd


def map_memory(fd: int, size: int, writable: bool) -> mmap.mmap:
    """Map shared memory; the descriptor may be closed afterwards.

    Raises:
        RobotError: it is smaller than expected, or no memory at all.
    """
    try:
        found = os.fstat(fd).st_size
        if found >= size:
            return mmap.mmap(fd, size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise RobotError(f"shared memory: expected {size} bytes behind descriptor {fd}, got {error}") from error
    raise RobotError(f"shared memory: expected {size} bytes behind descriptor {fd}, found {found}")


def create_mailbox(layout: np.dtype[Any]) -> int:
    """Create an empty mailbox for records of a layout and return its file descriptor; the caller closes it."""
    fd = shared_memory(_size(layout))
    with map_memory(fd, _size(layout), writable=True) as memory:
        memory[: _HEADER.size] = _HEADER.pack(*_expected_header(layout))
    return fd


class MailboxWriter:
    """The one side that writes.

    Args:
        fd: descriptor from `create_mailbox`, may be closed afterwards.
        layout: structured dtype of the records.

    Attributes:
        fields: (1,) structured array to fill before `put`.

    Raises:
        RobotError: the memory is no mailbox of this layout.
    """

    def __init__(self, fd: int, layout: np.dtype[Any]) -> None:
        self._memory = _open(fd, layout, writable=True)
        self._record = bytearray(layout.itemsize)
        self.fields: Any = np.frombuffer(self._record, dtype=layout)
        self._published = memoryview(self._memory)[_PUBLISHED_AT : _PUBLISHED_AT + 8].cast("Q")
        self._number = self._published[0]
        self._stride = _stride(layout)

    def put(self) -> int:
        """Publish what `fields` holds as a new record and return its number."""
        number, memory, record = self._number + 1, self._memory, self._record
        start = _SLOTS_AT + number % _SLOTS * self._stride
        head = _SLOT_HEAD.pack(number, zlib.crc32(record, number & 0xFFFFFFFF))
        memory[start : start + _SLOT_HEAD.size] = head
        memory[start + _SLOT_HEAD.size : start + _SLOT_HEAD.size + len(record)] = record
        # eight aligned bytes: one store
        self._published[0] = number
        self._number = number
        return number

    def close(self) -> None:
        """Unmap the memory; safe to call twice."""
        self._published.release()
        self._memory.close()


class MailboxReader:
    """A side that reads; its mapping cannot be written to.

    Args:
        fd: descriptor from `create_mailbox`, may be closed afterwards.
        layout: structured dtype of the records.

    Attributes:
        torn: reads given up because every copy was damaged; stays 0 unless a reader is suspended again and again.

    Raises:
        RobotError: the memory is no mailbox of this layout.
    """

    def __init__(self, fd: int, layout: np.dtype[Any]) -> None:
        self._memory = _open(fd, layout, writable=False)
        self._layout = layout
        self._published = memoryview(self._memory)[_PUBLISHED_AT : _PUBLISHED_AT + 8].cast("Q")
        self._stride = _stride(layout)
        self.torn = 0

    @property
    def number(self) -> int:
        """Number of the record last published; 0 before the first."""
        return self._published[0]

    def newest(self) -> Record | None:
        """Return the record last published, whole; None before the first, or where none can be read just now."""
        for _ in range(_TRIES):
            number = self._published[0]
            if number == 0:
                return None
            start = _SLOTS_AT + number % _SLOTS * self._stride
            copy = self._memory[start : start + _SLOT_HEAD.size + self._layout.itemsize]
            found, checksum = _SLOT_HEAD.unpack_from(copy)
            record = memoryview(copy)[_SLOT_HEAD.size :]
            if found == number and checksum == zlib.crc32(record, number & 0xFFFFFFFF):
                return Record(number, np.frombuffer(record, dtype=self._layout))
        self.torn += 1
        return None

    def close(self) -> None:
        """Unmap the memory; safe to call twice."""
        self._published.release()
        self._memory.close()


def _seal_size(fd: int) -> None:
    """Forbid for ever that the memory shrinks, which would kill whoever reads it."""
    import fcntl

    if hasattr(os, "memfd_create"):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)


def _stride(layout: np.dtype[Any]) -> int:
    # whole cache lines, so that a reader of one slot does not slow the writer of the next
    return -(-(_SLOT_HEAD.size + layout.itemsize) // 64) * 64


def _size(layout: np.dtype[Any]) -> int:
    return _SLOTS_AT + _SLOTS * _stride(layout)


def _expected_header(layout: np.dtype[Any]) -> tuple[bytes, int, int, int]:
    return _MAGIC, _VERSION, zlib.crc32(repr(layout.descr).encode()), layout.itemsize


def _open(fd: int, layout: np.dtype[Any], writable: bool) -> mmap.mmap:
    memory = map_memory(fd, _size(layout), writable)
    found = _HEADER.unpack_from(memory)
    if found != _expected_header(layout):
        memory.close()
        raise RobotError(
            f"mailbox: expected magic, version, layout and record size {_expected_header(layout)}, found {found}; "
            "both processes must run the same version of this package"
        )
    return memory
