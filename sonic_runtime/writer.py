"""The writer: a process of its own that tells the motors what to do 500 times a second.

It repeats the last command that the loop has put into its mailbox, which has passed the guard. It damps by itself, and
never stops damping again, when that command is too old, when the loop's process is gone, when it is told to terminate,
and when the robot takes no command. It ends when the loop says so, or some time after the loop's process is gone; the
last thing it writes is damping. Before the first command it writes nothing.

It imports neither the physics nor the networks, allocates nothing that lasts, and shows a heartbeat.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

import msgspec

from sonic_runtime.contract.errors import SonicError
from sonic_runtime.contract.messages import JointTarget
from sonic_runtime.pacing import BUFFER_BYTES, Lateness, Pacer
from sonic_runtime.realtime import quiet_heap, real_time, signal_at_parent_death
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, Record, map_memory
from sonic_runtime.robot_io.motor_output import MotorOutput, OutputSpec, open_output
from sonic_runtime.robot_io.records import (
    KIND_END,
    MOTOR_COMMAND,
    PHASE_COMMAND,
    PHASE_DAMPING,
    PHASE_IDLE,
    REASON_AGE,
    REASON_END,
    REASON_OUTPUT,
    REASON_PARENT,
    REASON_SIGTERM,
    WRITER_STATUS,
    damping_target,
    target_of,
)

_LAST_WRITES = 25
"""Damping messages between the word to end and the end, 50 ms at 500 Hz: one message can be lost."""


class WriterSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The command line of the writer, as JSON."""

    parent_pid: int
    """The loop's process; the writer damps when it is no longer its child."""
    commands_fd: int
    """Mailbox of `MOTOR_COMMAND` that the loop writes to."""
    status_fd: int
    """Mailbox of `WRITER_STATUS`."""
    lateness_fd: int
    """Memory of a `Lateness` histogram: how late each cycle began."""
    output: OutputSpec
    """The motors."""
    hz: float
    command_max_age_ms: float
    orphan_damping_s: float
    damping_nm_s_per_rad: float
    priority: int
    cpu: int | None
    lock_memory: bool


class WriterCycle:
    """What the writer does every 2 ms, without its clock.

    Args:
        commands: where the loop puts its commands.
        status: the heartbeat.
        output: the motors.
        damping: written where the loop's command may not be.
        max_age_ns: oldest command to repeat [ns].

    Attributes:
        phase, reason: what is written, and why it is damping (PHASE_*, REASON_*).
        missed: cycles left out because the process was too late; shown in the status.
    """

    def __init__(
        self,
        commands: MailboxReader,
        status: MailboxWriter,
        output: MotorOutput,
        damping: JointTarget,
        max_age_ns: int,
    ) -> None:
        self.phase, self.reason = PHASE_IDLE, 0
        self.missed = 0
        self._commands = commands
        self._status = status
        self._output = output
        self._damping = damping
        self._max_age_ns = max_age_ns
        self._newest: tuple[Record, JointTarget] | None = None
        self._cycles = 0
        self._age_ns = 0

    def run(self, now_ns: int, parent_alive: bool = True, told_to_terminate: bool = False) -> None:
        """Take the newest command, write it or damping, and show the heartbeat.

        Args:
            now_ns: time on the machine's monotonic clock [ns].
            parent_alive: whether the loop's process still exists.
            told_to_terminate: whether somebody from outside wants this process to end.
        """
        command = self._read()
        if command is not None and command[0].fields["kind"][0] == KIND_END:
            self._damp(REASON_END)
        elif not parent_alive:
            self._damp(REASON_PARENT)
        elif told_to_terminate:
            self._damp(REASON_SIGTERM)
        elif command is not None:
            self._judge_age(now_ns - int(command[0].fields["stamp_ns"][0]))
        if self.phase == PHASE_DAMPING:
            self._write(self._damping)
        elif command is not None:
            self._write(command[1])
        self._show(now_ns)

    def _read(self) -> tuple[Record, JointTarget] | None:
        if self._newest is not None and self._commands.number == self._newest[0].number:
            return self._newest
        record = self._commands.newest()
        if record is not None:
            self._newest = record, target_of(record)
        return self._newest

    def _judge_age(self, age_ns: int) -> None:
        # a stamp in the future is of another clock and would never get old
        if age_ns > self._max_age_ns or age_ns < -self._max_age_ns:
            if self.phase != PHASE_DAMPING:
                self._age_ns = age_ns
            self._damp(REASON_AGE)
        elif self.phase == PHASE_IDLE:
            self.phase = PHASE_COMMAND

    def _damp(self, reason: int) -> None:
        """Enter damping for ever; the first reason is kept, but the word to end is heard in damping too."""
        if self.phase != PHASE_DAMPING or reason in (REASON_END, REASON_PARENT):
            self.reason = reason
        self.phase = PHASE_DAMPING

    def _write(self, target: JointTarget) -> None:
        try:
            self._output.write(target)
        except SonicError:
            self._damp(REASON_OUTPUT)

    def _show(self, now_ns: int) -> None:
        self._cycles += 1
        fields = self._status.fields
        fields["stamp_ns"] = now_ns
        fields["cycles"] = self._cycles
        fields["phase"] = self.phase
        fields["reason"] = self.reason
        fields["age_ns"] = self._age_ns
        fields["missed"] = self.missed
        self._status.put()


def run(spec: WriterSpec) -> None:
    """Write until told to end.

    Raises:
        SonicError: the mailboxes or the motors cannot be opened.
    """
    told: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        told.append(number)

    signal.signal(signal.SIGTERM, note)
    signal_at_parent_death(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = open_output(spec.output)
    cycle = WriterCycle(
        MailboxReader(spec.commands_fd, MOTOR_COMMAND),
        MailboxWriter(spec.status_fd, WRITER_STATUS),
        output,
        damping_target(spec.damping_nm_s_per_rad),
        round(spec.command_max_age_ms * 1e6),
    )
    lateness = Lateness(map_memory(spec.lateness_fd, BUFFER_BYTES, writable=True))
    with quiet_heap(), real_time("writer", spec.priority, spec.cpu, spec.lock_memory) as notes:
        # the writer's own output is shown by its parent when it is asked for
        sys.stdout.write("".join(f"{note.text}\n" for note in notes))
        sys.stdout.flush()
        _pace(cycle, spec, lateness, told)
    output.close()


def _pace(cycle: WriterCycle, spec: WriterSpec, lateness: Lateness, told: list[int]) -> None:
    pacer = Pacer(spec.hz, lateness)
    left = max(_LAST_WRITES, round(spec.orphan_damping_s * spec.hz))
    while left > 0:
        cycle.missed += pacer.wait()
        cycle.run(time.monotonic_ns(), os.getppid() == spec.parent_pid, bool(told))
        if cycle.reason == REASON_END:
            left = min(left, _LAST_WRITES)
        if cycle.reason in (REASON_END, REASON_PARENT):
            left -= 1


def main(arguments: list[str]) -> int:
    """Run the writer with its specification as the only argument; exit code 2 with a line where it cannot start."""
    try:
        run(msgspec.json.decode(arguments[0], type=WriterSpec))
    except (SonicError, msgspec.MsgspecError, IndexError) as error:
        sys.stderr.write(f"writer: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
