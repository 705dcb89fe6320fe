"""The loop's way to a real robot: states come in directly, targets go to the writer's process.

Loop and writer watch each other. The writer damps by itself when the loop falls silent; the loop damps over a
connection of its own, opened at the start, when the writer's heartbeat stops. Whichever of the two is killed or
stopped, the other one damps.
"""

from __future__ import annotations

import os
import time

import msgspec

from sonic_runtime.child import Child
from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import JointTarget, RobotState
from sonic_runtime.pacing import BUFFER_BYTES, Lateness, LatenessStats
from sonic_runtime.realtime import RealTimeConfig
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, create_mailbox, map_memory, shared_memory
from sonic_runtime.robot_io.motor_output import OutputSpec, StateInput, close_fds, open_output
from sonic_runtime.robot_io.records import (
    KIND_END,
    MOTOR_COMMAND,
    PHASE_DAMPING,
    REASONS,
    WRITER_STATUS,
    damping_target,
    put_target,
)
from sonic_runtime.writer import WriterSpec

_START_S = 30.0
_END_S = 2.0
_KILL_S = 0.01
"""A killed process is gone within a millisecond; a tick does not wait longer than this for it."""
_LAST_WRITES, _BETWEEN_WRITES_S = 25, 0.002
"""What the writer does at its end, where the loop must do it: one message can be lost."""


class WriterLink:
    """A RobotPort with a writer process behind it.

    The thread that makes it must live as long as it is used: the writer takes its end for that of the loop.

    Args:
        states: the robot's sensors; closed with this port.
        writer_output: how the writer opens the motors.
        own_output: how this process opens them; a second connection, for damping alone.
        config: deadlines and priorities.
        damping_nm_s_per_rad: velocity gain of every joint in damping [N m s/rad].

    Raises:
        RobotError: the writer does not start, or the motors cannot be opened.
    """

    def __init__(
        self,
        states: StateInput,
        writer_output: OutputSpec,
        own_output: OutputSpec,
        config: RealTimeConfig,
        damping_nm_s_per_rad: float,
    ) -> None:
        self._states = states
        self._damping = damping_target(damping_nm_s_per_rad)
        self._max_heartbeat_age_ns = round(config.heartbeat_max_age_ms * 1e6)
        self._problem = ""
        self._told = False
        self._closed = False
        self._own = open_output(own_output)
        commands_fd, status_fd = create_mailbox(MOTOR_COMMAND), create_mailbox(WRITER_STATUS)
        lateness_fd = shared_memory(BUFFER_BYTES)
        self._commands = MailboxWriter(commands_fd, MOTOR_COMMAND)
        self._status = MailboxReader(status_fd, WRITER_STATUS)
        self._lateness = Lateness(map_memory(lateness_fd, BUFFER_BYTES, writable=True))
        spec = WriterSpec(
            parent_pid=os.getpid(),
            commands_fd=commands_fd,
            status_fd=status_fd,
            lateness_fd=lateness_fd,
            output=writer_output,
            hz=config.writer_hz,
            command_max_age_ms=config.command_max_age_ms,
            orphan_damping_s=config.orphan_damping_s,
            damping_nm_s_per_rad=damping_nm_s_per_rad,
            priority=config.priority + 1 if config.priority else 0,
            cpu=config.writer_cpu,
            lock_memory=config.lock_memory,
        )
        fds = (commands_fd, status_fd, lateness_fd)
        arguments = [msgspec.json.encode(spec).decode()]
        self._writer = Child("writer", "sonic_runtime.writer", arguments, (*fds, *writer_output.fds))
        close_fds(*fds)
        try:
            self._await_heartbeat()
        except BaseException:  # Ctrl-C too: a writer left alone would damp a robot that was never commanded
            self._writer.kill()
            self._writer.close()
            self._own.close()
            raise

    @property
    def writer_pid(self) -> int:
        """Process number of the writer."""
        return self._writer.pid

    def writer_lateness(self) -> LatenessStats:
        """Return how late the writer's cycles began, since the start or the last `clear_writer_lateness`."""
        return self._lateness.stats()

    def clear_writer_lateness(self) -> None:
        """Count the writer's lateness anew."""
        self._lateness.clear()

    def writer_missed(self) -> int:
        """Return how many cycles the writer left out because it was too late."""
        record = self._status.newest()
        return 0 if record is None else int(record.fields["missed"][0])

    def writer_notes(self) -> list[str]:
        """Return what the writer said at its start: what the operating system granted it and what not."""
        return self._writer.output().splitlines()

    def read(self) -> RobotState:
        """Return the newest state.

        Raises:
            RobotError: the robot gives no state; or, once each, the writer has ended or stalled, or damps by itself.
        """
        if not self._problem:
            self._look_after_writer()
        if self._problem and not self._told:
            self._told = True
            raise RobotError(self._problem)
        return self._states.read()

    def write(self, target: JointTarget) -> None:
        """Hand a target to the writer; where that one has ended or stalled, write damping to the motors instead.

        Raises:
            RobotError: damping cannot be written.
        """
        if self._writer_silent():
            self._own.write(self._damping)
            return
        put_target(self._commands, target, time.monotonic_ns())

    def close(self) -> None:
        """Let the writer damp and end, and release everything; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            put_target(self._commands, self._damping, time.monotonic_ns(), KIND_END)
            # a writer that dies while it is waited for ends too, but without damping
            ended = not self._writer_silent() and self._writer.wait(_END_S)
            if not ended or self._writer.exit_code != 0:
                self._writer.kill()
                for _ in range(_LAST_WRITES):
                    self._own.write(self._damping)
                    time.sleep(_BETWEEN_WRITES_S)
        finally:
            self._writer.close()
            self._own.close()
            self._states.close()

    def _look_after_writer(self) -> None:
        """Find out whether the writer still does what it is told, and keep the reason where it does not."""
        if self._writer_silent():
            return
        record = self._status.newest()
        if record is not None and record.fields["phase"][0] == PHASE_DAMPING:
            reason = REASONS[int(record.fields["reason"][0])]
            age_ms = int(record.fields["age_ns"][0]) * 1e-6
            age = f" ({age_ms:.0f} ms)" if age_ms else ""
            self._problem = f"writer: it damps by itself and will not move the robot any more: {reason}{age}"

    def _writer_silent(self) -> bool:
        """Return whether the writer is gone; one whose heartbeat is too old is killed, so that it cannot come back."""
        code = self._writer.exit_code
        if code is not None:
            words = f"; it said: {self._last_words()}" if code > 0 else ""
            self._problem = self._problem or f"writer: its process has ended (exit code {code}){words}"
            return True
        record = self._status.newest()
        age_ns = 0 if record is None else time.monotonic_ns() - int(record.fields["stamp_ns"][0])
        if age_ns <= self._max_heartbeat_age_ns:
            return False
        self._writer.kill()
        self._writer.wait(_KILL_S)
        self._problem = (
            f"writer: its last heartbeat is {age_ns * 1e-6:.0f} ms old "
            f"(limit {self._max_heartbeat_age_ns * 1e-6:g} ms); it was killed, and damping is written without it"
        )
        return True

    def _last_words(self) -> str:
        return " / ".join(self._writer.output().splitlines()[-3:])

    def _await_heartbeat(self) -> None:
        deadline = time.monotonic() + _START_S
        while self._status.number == 0:
            self._writer.require_alive()
            if time.monotonic() > deadline:
                raise RobotError(f"writer: expected a heartbeat within {_START_S:g} s of its start")
            time.sleep(0.005)
