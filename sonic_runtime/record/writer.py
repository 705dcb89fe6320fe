"""The process that writes a recording: takes ticks from shared memory, makes JSON of them, compresses, writes.

Run by the recorder alone, as `python -m sonic_runtime.record.writer CONNECTION MEMORY BYTES`, two descriptors and the
size of the ring. Says "ready" over the connection once the file is open, "ended" once it is complete, and in between
nothing, unless it cannot go on: then it says why and ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
from mcap.writer import CompressionType, Writer

from sonic_runtime.record.channels import CHANNELS, json_schema, to_json
from sonic_runtime.record.frames import END, LENGTH, Start, Tick
from sonic_runtime.record.ring import Ring
from sonic_runtime.record.rows import rows_of_frame

CHUNK_BYTES = 128 << 10
"""[byte] Less than half a second of the smallest tick, so that a machine that goes down loses no more than that."""
POLL_S = 0.03
"""[s] Between two looks into the ring; a full disk is known to the loop two ticks later."""
RESERVE_BYTES = 16 << 20
"""[byte] Left free on the disk, so that the end of the file and the summary of the run still fit."""
_SYNC_S = 1.0
_NICE = 10


class McapFile:
    """An MCAP file under way.

    Args:
        stream: file to write to.
        start: what the run is.

    Raises:
        OSError: the disk takes no more.
    """

    def __init__(self, stream: BinaryIO, start: Start) -> None:
        self._stream = stream
        self._writer = Writer(stream, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile="", library="sonic")
        self._wall_ns = start.wall_ns
        self._offset_ns: int | None = None
        self._synced = time.monotonic()
        for name, content in start.about.metadata.items():
            self._writer.add_metadata(name, content)
        for item in start.about.attachments:
            self._writer.add_attachment(start.wall_ns, start.wall_ns, item.name, item.media_type, item.data)
        self._channel_ids: dict[str, int] = {}
        for topic, channel in CHANNELS.items():
            schema = self._writer.register_schema(f"sonic{topic.replace('/', '.')}", "jsonschema", json_schema(channel))
            self._channel_ids[topic] = self._writer.register_channel(topic, "json", schema)
        stream.flush()

    def add(self, tick: Tick) -> None:
        """Add the messages of a tick to the chunk; a full chunk is compressed."""
        if self._offset_ns is None:
            self._offset_ns = self._wall_ns - tick.now_ns
        at_ns = max(0, tick.now_ns + self._offset_ns)
        for topic, content in rows_of_frame(tick):
            data = to_json(CHANNELS[topic], content)
            self._writer.add_message(self._channel_ids[topic], at_ns, data, at_ns, content["tick"])

    def flush(self) -> None:
        """Hand full chunks to the system, and once a second to the disk."""
        self._stream.flush()
        if time.monotonic() - self._synced > _SYNC_S:
            self._sync()

    def end(self) -> None:
        """Write the last chunk and the index."""
        self._writer.finish()
        self._stream.flush()
        self._sync()

    def _sync(self) -> None:
        self._synced = time.monotonic()
        # a device or a pipe in the place of a file cannot be synchronised and needs not be
        with contextlib.suppress(OSError):
            os.fdatasync(self._stream.fileno())


def free_bytes(stream: BinaryIO) -> int:
    """Return the bytes that are free on the disk of a file."""
    disk = os.fstatvfs(stream.fileno())
    return disk.f_bavail * disk.f_frsize


def read_start(connection: socket.socket) -> Start | None:
    """Return the first frame, None where the recorder is gone before it was sent."""
    stream = connection.makefile("rb")
    head = stream.read(LENGTH.size)
    body = stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
    return msgspec.msgpack.decode(body, type=Start) if body else None


def write(connection: socket.socket, ring: Ring) -> None:
    """Write one recording.

    Args:
        connection: to the recorder.
        ring: where its ticks come from.

    Raises:
        OSError: the file cannot be opened or the disk takes no more.
    """
    start = read_start(connection)
    if start is None:
        return
    decoder = msgspec.msgpack.Decoder(Tick)
    with Path(start.path).open("wb") as stream:
        file = McapFile(stream, start)
        connection.sendall(b"ready")
        said: bytes | None = None
        while said is None:
            # whatever is heard, the end or that the recorder is gone, the ring is emptied after it
            said = connection.recv(len(END)) if select.select([connection], [], [], POLL_S)[0] else None
            while (frame := ring.take()) is not None:
                file.add(decoder.decode(frame))
            file.flush()
            if free_bytes(stream) < RESERVE_BYTES:
                file.end()
                raise OSError(errno.ENOSPC, f"{free_bytes(stream) / 1e6:.0f} MB are left on the disk")
        file.end()
    if said == END:
        connection.sendall(b"ended")


def main() -> int:
    """Run the process."""
    os.nice(_NICE)
    connection_fd, memory, queue_bytes = (int(argument) for argument in sys.argv[1:4])
    ring = Ring(memory, queue_bytes)
    with socket.socket(fileno=connection_fd) as connection:
        try:
            write(connection, ring)
        except OSError as error:
            with contextlib.suppress(OSError):
                connection.sendall(f"cannot be written ({error.strerror}); free the disk or record elsewhere".encode())
            ring.mark_closed()
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
