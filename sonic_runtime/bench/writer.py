"""How evenly the writer writes: its process alone, fed by a loop at 50 Hz, with and without a busy neighbour."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Annotated, Any

import msgspec

from sonic_runtime.bench.loop import Condition, stolen_text, table_head, table_row
from sonic_runtime.bench.neighbour import start_neighbour, stolen_ms
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.loop import CONTROL_HZ
from sonic_runtime.pacing import Lateness, LatenessStats, Pacer
from sonic_runtime.realtime import RealTimeConfig, real_time
from sonic_runtime.robot_io.mailbox import create_mailbox
from sonic_runtime.robot_io.motor_output import MailboxStates, close_fds, mailbox_output
from sonic_runtime.robot_io.records import MOTOR_COMMAND, ROBOT_STATE, damping_target
from sonic_runtime.robot_io.writer_link import WriterLink


class WriterBenchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measurement of the writer."""

    duration_s: Annotated[float, msgspec.Meta(ge=0.1, le=86_400.0)]
    """Time measured in each condition [s]."""
    conditions: Annotated[tuple[Condition, ...], msgspec.Meta(min_length=1)]
    """idle: nothing else of ours runs; busy: another process keeps one core at work."""
    realtime: RealTimeConfig
    guard: GuardConfig


class WriterBench(msgspec.Struct, frozen=True, kw_only=True):
    """The writer in one condition: how late its cycles began, and how many it left out."""

    condition: Condition
    jitter: LatenessStats
    missed: int
    stolen_ms: float
    notes: tuple[str, ...]

    def table(self) -> str:
        """Return a table of milliseconds and a line of counts."""
        counts = f"{self.jitter.count} cycles, {self.missed} left out{stolen_text(self.stolen_ms)}"
        return "\n".join([table_head(self.condition), table_row("writer lateness", self.jitter), counts])

    def line(self) -> dict[str, Any]:
        """Return the numbers for a line of JSON."""
        return {
            "cycles": self.jitter.count,
            "missed": self.missed,
            **self.jitter.line("jitter_"),
            "stolen_ms": self.stolen_ms,
        }


def measure_writer(config: WriterBenchConfig) -> list[WriterBench]:
    """Run the writer in each condition, on motors that nobody reads.

    Raises:
        RobotError: it does not start.
    """
    return [_measure(config, condition) for condition in config.conditions]


def writer_line(config: WriterBenchConfig, results: list[WriterBench]) -> dict[str, Any]:
    """Return the last line of output: the conditions by name."""
    return {
        "hz": config.realtime.writer_hz,
        "duration_s": config.duration_s,
        "notes": results[0].notes,
        **{result.condition: result.line() for result in results},
    }


def _measure(config: WriterBenchConfig, condition: Condition) -> WriterBench:
    real, gain = config.realtime, config.guard.damping_nm_s_per_rad
    fds = [create_mailbox(layout) for layout in (ROBOT_STATE, MOTOR_COMMAND, MOTOR_COMMAND)]
    with ExitStack() as open_parts:
        open_parts.callback(close_fds, *fds)
        if condition == "busy":
            open_parts.callback(start_neighbour(real.writer_cpu).close)
        link = WriterLink(MailboxStates(fds[0]), mailbox_output(fds[1]), mailbox_output(fds[2]), real, gain)
        open_parts.callback(link.close)
        stolen = stolen_ms()
        link.clear_writer_lateness()
        with real_time("loop", real.priority, real.cpu, real.lock_memory):
            _feed(link, gain, config.duration_s)
        return WriterBench(
            condition=condition,
            jitter=link.writer_lateness(),
            missed=link.writer_missed(),
            stolen_ms=stolen_ms() - stolen,
            notes=tuple(link.writer_notes()),
        )


def _feed(link: WriterLink, gain: float, duration_s: float) -> None:
    target, pacer = damping_target(gain), Pacer(CONTROL_HZ, Lateness())
    end = time.monotonic() + duration_s
    while time.monotonic() < end:
        link.write(target)
        pacer.wait()
