"""The recorder of a run: hands each tick to a process of its own, which writes the file.

The loop's thread packs a tick and copies it into shared memory, in some 0.05 ms and without a system call that could
cost it the processor; encoding, compression and the disk are the other process's business. Nothing is ever dropped in
silence: a disk that is full, a process that is gone and a queue that runs over raise RecordingError at the next `put`.
Where this process is killed, the other one sees its connection close and ends the file in order.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from types import TracebackType

import msgspec

from sonic_runtime.child import Child
from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.contract.messages import TickReport
from sonic_runtime.record.about import About
from sonic_runtime.record.frames import END, LENGTH, Start
from sonic_runtime.record.ring import Ring, ring_bytes
from sonic_runtime.record.rows import frame_of_tick
from sonic_runtime.record.tape import Tape
from sonic_runtime.robot_io.mailbox import shared_memory

QUEUE_BYTES = 32 << 20
"""A minute of an ordinary run, 20 s of one with observations and a stream."""
_WRITER = "sonic_runtime.record.writer"
_LOOK_EVERY = 4
"""[tick] 80 ms at 50 Hz."""
_START_S = 20.0
_END_S = 30.0


class McapRecorder:
    """A ReportSink that records a run as an MCAP file; a context manager that ends the file.

    Args:
        path: file to write; replaced where it is there.
        about: what the run is: configuration, policy, versions, clips.
        tape: what came in from outside; its stand-ins must be among the parts of the run for a replay to be possible.
        queue_bytes: how much may wait for the disk.

    Attributes:
        path: the file.

    Raises:
        RecordingError: the file cannot be written, or the process that writes it does not start.
    """

    def __init__(self, path: Path, about: About, tape: Tape, queue_bytes: int = QUEUE_BYTES) -> None:
        self.path = path
        self._tape = tape
        self._queue_bytes = queue_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._closed = False
        self._failed = False
        self._puts = 0
        memory = shared_memory(ring_bytes(queue_bytes))
        self._ring = Ring(memory, queue_bytes, touch=True)
        self._connection, theirs = socket.socketpair()
        try:
            with theirs:
                fds = (theirs.fileno(), memory)
                self._writer = Child("recording", _WRITER, [*map(str, fds), str(queue_bytes)], fds)
        finally:
            os.close(memory)
        try:
            self._begin(Start(path=str(path.absolute()), about=about, wall_ns=time.time_ns()))
        except BaseException:
            self._release()
            raise

    @property
    def pid(self) -> int:
        """Number of the process that writes the file."""
        return self._writer.pid

    def put(self, report: TickReport) -> None:
        """Take one report.

        Raises:
            RecordingError: this or an earlier tick cannot be kept.
        """
        try:
            frame = self._encoder.encode(frame_of_tick(report, self._tape.cut()))
        except Exception as error:  # a bug of ours: a run that was to be recorded must not go on without its recording
            self._failed = True
            raise RecordingError(
                f"{self.path}: tick {report.index} cannot be packed ({type(error).__name__}: {error})"
            ) from error
        self._puts += 1
        # a look costs a system call; a writer that fails says so in the ring, one that was killed is missed here
        if self._ring.closed or self._puts % _LOOK_EVERY == 0:
            self._require_writer()
        if not self._ring.put(frame):
            self._failed = True
            raise RecordingError(
                f"{self.path}: {self._ring.waiting_bytes / 1e6:.0f} MB wait for the disk and a tick of {len(frame)} "
                f"bytes does not fit any more (limit {self._queue_bytes / 1e6:.0f} MB); record to a faster disk, or "
                "without observations"
            )

    def close(self) -> None:
        """Write what waits, end the file and the process; safe to call twice.

        Raises:
            RecordingError: the end of the file could not be written, unless a `put` has told of it already.
        """
        if self._closed:
            return
        self._closed = True
        if self._failed:
            self._release()
            return
        try:
            self._connection.settimeout(_END_S)
            with contextlib.suppress(OSError):  # if it is gone, its last words follow
                self._connection.sendall(END)
            self._expect("ended", _END_S)
        finally:
            self._release()

    def __enter__(self) -> McapRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, start: Start) -> None:
        encoded = msgspec.msgpack.encode(start)
        self._connection.settimeout(_START_S)
        with contextlib.suppress(OSError):
            self._connection.sendall(LENGTH.pack(len(encoded)) + encoded)
        self._expect("ready", _START_S)
        self._connection.setblocking(False)

    def _require_writer(self) -> None:
        """Raise where the writer said anything: after "ready" it speaks only when it cannot go on."""
        try:
            said = self._connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        self._failed = True
        raise RecordingError(f"{self.path}: {said.decode(errors='replace').strip() or self._how_it_ended()}")

    def _expect(self, word: str, timeout_s: float) -> None:
        try:
            said = self._connection.recv(4096).decode(errors="replace").strip()
        except TimeoutError as error:
            raise RecordingError(
                f"{self.path}: expected the process that writes the recording to be {word} within {timeout_s:g} s, "
                "it said nothing; is the disk busy?"
            ) from error
        except OSError:
            said = ""
        if said != word:
            raise RecordingError(f"{self.path}: {said or self._how_it_ended()}")

    def _how_it_ended(self) -> str:
        code, said = self._writer.exit_code, self._writer.output().strip().splitlines()
        ended = "has ended" if code is None else f"has ended with exit code {code}"
        last = f" ({said[-1]})" if said else ""
        return f"the process that writes the recording {ended}{last}; the file can be read up to its last second"

    def _release(self) -> None:
        # it ends by itself when the connection closes, after it has written what is in the ring
        self._connection.close()
        self._writer.wait(_END_S)
        self._writer.close()
        self._ring.close()
