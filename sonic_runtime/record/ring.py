"""A queue between two processes in shared memory, in which neither side wakes or waits for the other.

A socket would do the same, but each message into it wakes the reader, which on a busy machine takes the processor from
the loop for milliseconds. Here a put is a copy; the reader looks every few hundredths of a second.

Layout: two counters, of bytes put and taken, and a mark of the reader, each on a cache line of its own, then the ring.
A frame is its length, its CRC-32 and its bytes; it may wrap around the end. The counter of bytes put moves after the
frame; on processors that show another core stores out of order the CRC tells a frame that is not all there yet.
"""

from __future__ import annotations

import struct
import zlib

from sonic_runtime.robot_io.mailbox import map_memory

_HEAD = struct.Struct("<II")
_COUNTER = struct.Struct("<Q")
_PUT_AT, _TAKEN_AT, _CLOSED_AT, _DATA_AT = 0, 64, 128, 192


def ring_bytes(size: int) -> int:
    """Return the memory that a ring of `size` bytes takes."""
    return _DATA_AT + size


class Ring:
    """The queue, seen from either side.

    Args:
        fd: memory of `ring_bytes(size)` bytes that `robot_io.mailbox.shared_memory` made; may be closed afterwards.
        size: bytes of the ring, the same on both sides.
        touch: bring every page into this process now, before anything is in the ring: a page that is first touched in
            a tick costs it some 20 us.
    """

    def __init__(self, fd: int, size: int, touch: bool = False) -> None:
        self._map = map_memory(fd, ring_bytes(size), writable=True)
        self._size = size
        if touch:
            self._map[:] = bytes(len(self._map))

    @property
    def waiting_bytes(self) -> int:
        """Bytes put in and not taken out yet."""
        return self._count(_PUT_AT) - self._count(_TAKEN_AT)

    @property
    def closed(self) -> bool:
        """Whether the reader takes no more."""
        return self._map[_CLOSED_AT] != 0

    def mark_closed(self) -> None:
        """Say that nothing is taken out any more; the reader's last word."""
        self._map[_CLOSED_AT] = 1

    def put(self, frame: bytes) -> bool:
        """Put a frame in; False where there is no room for it, and then nothing has changed."""
        put = self._count(_PUT_AT)
        end = put + _HEAD.size + len(frame)
        if end - self._count(_TAKEN_AT) > self._size:
            return False
        self._write(put, _HEAD.pack(len(frame), zlib.crc32(frame)))
        self._write(put + _HEAD.size, frame)
        _COUNTER.pack_into(self._map, _PUT_AT, end)
        return True

    def take(self) -> bytes | None:
        """Take the oldest frame out; None where there is none, or it is not all there yet."""
        taken, put = self._count(_TAKEN_AT), self._count(_PUT_AT)
        if put - taken < _HEAD.size:
            return None
        length, crc = _HEAD.unpack(self._read(taken, _HEAD.size))
        if length > put - taken - _HEAD.size:
            return None
        frame = self._read(taken + _HEAD.size, length)
        if zlib.crc32(frame) != crc:
            return None
        _COUNTER.pack_into(self._map, _TAKEN_AT, taken + _HEAD.size + length)
        return frame

    def close(self) -> None:
        """Let go of the memory; safe to call twice."""
        self._map.close()

    def _count(self, at: int) -> int:
        return _COUNTER.unpack_from(self._map, at)[0]

    def _write(self, position: int, data: bytes) -> None:
        start = position % self._size
        first = self._size - start
        if first >= len(data):
            self._map[_DATA_AT + start : _DATA_AT + start + len(data)] = data
            return
        self._map[_DATA_AT + start : _DATA_AT + self._size] = data[:first]
        self._map[_DATA_AT : _DATA_AT + len(data) - first] = data[first:]

    def _read(self, position: int, length: int) -> bytes:
        start = position % self._size
        first = min(length, self._size - start)
        data = self._map[_DATA_AT + start : _DATA_AT + start + first]
        return data if first == length else data + self._map[_DATA_AT : _DATA_AT + length - first]
