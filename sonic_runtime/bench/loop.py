"""How well the loop keeps its deadlines: the whole chain in real time, with and without a busy neighbour.

Loop, writer and simulated robot run as they do for a robot, each in a process of its own; the robot hangs on its
gantry, so that any policy can be measured. In the condition "busy" another process keeps one core and its caches at
work.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any, Literal

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy
from sonic_runtime.bench.neighbour import start_neighbour, stolen_ms
from sonic_runtime.clock import RealTimeClock
from sonic_runtime.contract.messages import TickReport
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.sized_policy import SIZED_POLICIES, sized_policy
from sonic_runtime.loop import CONTROL_HZ, Loop, RunLimits
from sonic_runtime.pacing import Lateness, LatenessStats
from sonic_runtime.realtime import RealTimeConfig, quiet_heap, real_time
from sonic_runtime.robot_io.simulated_robot import SimulatedRobot
from sonic_runtime.robot_io.writer_link import WriterLink
from teleop.standing import Standing

Condition = Literal["idle", "busy"]


class LoopBenchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measurement of the loop."""

    policy: str
    """As in sonic-run; or release_size: networks of the released sizes with random weights, for their time alone."""
    duration_s: Annotated[float, msgspec.Meta(ge=0.1, le=86_400.0)]
    """Time measured in each condition [s]."""
    conditions: Annotated[tuple[Condition, ...], msgspec.Meta(min_length=1)]
    """idle: nothing else of ours runs; busy: another process keeps one core at work."""
    realtime: RealTimeConfig
    guard: GuardConfig


class LoopBench(msgspec.Struct, frozen=True, kw_only=True):
    """The loop in one condition.

    `wake_up` is how late ticks began, `tick` how long they took, `writer` how late the writer's cycles began; `misses`
    counts ticks that were not over when the next was due, `writer_missed` cycles of the writer that were left out. A
    fault ends the measurement before its time, as it would end a run: `ended_by`.
    """

    condition: Condition
    ended_by: str
    ticks: int
    misses: int
    wake_up: LatenessStats
    tick: LatenessStats
    writer: LatenessStats
    writer_missed: int
    simulation_skipped_ms: float
    stolen_ms: float
    notes: tuple[str, ...]

    def table(self) -> str:
        """Return a table of milliseconds and a line of counts."""
        rows = {"wake-up lateness": self.wake_up, "tick": self.tick, "writer lateness": self.writer}
        lines = [table_head(self.condition)] + [table_row(name, stats) for name, stats in rows.items()]
        lines.append(
            f"{self.ticks} ticks, {self.misses} deadlines missed; writer: {self.writer_missed} cycles left out; "
            f"simulation: {self.simulation_skipped_ms:.0f} ms left out{stolen_text(self.stolen_ms)}"
        )
        if self.ended_by:
            lines.append(f"ended early by a fault, {self.ended_by}")
        return "\n".join(lines)

    def line(self) -> dict[str, Any]:
        """Return the numbers for a line of JSON."""
        return {
            "ended_by": self.ended_by,
            "ticks": self.ticks,
            "deadline_misses": self.misses,
            **self.wake_up.line("wake_up_"),
            **self.tick.line("tick_"),
            **self.writer.line("writer_"),
            "writer_missed": self.writer_missed,
            "simulation_skipped_ms": round(self.simulation_skipped_ms, 1),
            "stolen_ms": self.stolen_ms,
        }


def table_head(title: str) -> str:
    """Return the head of a table of percentiles."""
    return f"{title:<20}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}{'max ms':>10}"


def table_row(name: str, stats: LatenessStats) -> str:
    """Return a row of a table of percentiles."""
    return f"{name:<20}{stats.p50_ms:>10.3f}{stats.p99_ms:>10.3f}{stats.p999_ms:>10.3f}{stats.max_ms:>10.3f}"


def stolen_text(stolen: float) -> str:
    """Return what to say about time that a virtual machine did not have; nothing where it had all."""
    return f"; the host of this virtual machine took {stolen:.0f} ms from its cores" if stolen else ""


class WatchedClock(RealTimeClock):
    """The real clock, and how late each wait ended."""

    def __init__(self) -> None:
        self.lateness = Lateness()

    def wait_until(self, deadline_ns: int) -> int:
        """Wait as the real clock does."""
        late_ns = super().wait_until(deadline_ns)
        self.lateness.add(self.now_ns() - deadline_ns)
        return late_ns


class TickDurations:
    """A ReportSink that counts how long ticks took."""

    def __init__(self) -> None:
        self.durations = Lateness()

    def put(self, report: TickReport) -> None:
        """Count the sum of the stages."""
        self.durations.add(sum(report.stage_ns.values()))


def measure_loop(config: LoopBenchConfig) -> list[LoopBench]:
    """Run the loop in each condition.

    Raises:
        SonicError: the policy cannot be used, or a process does not start.
    """
    policy = _policy(config.policy)
    return [_measure(config, policy, condition) for condition in config.conditions]


def loop_line(config: LoopBenchConfig, results: list[LoopBench]) -> dict[str, Any]:
    """Return the last line of output: the conditions by name."""
    return {
        "policy": config.policy,
        "duration_s": config.duration_s,
        "notes": results[0].notes,
        **{result.condition: result.line() for result in results},
    }


def _policy(name: str) -> OnnxPolicy:
    if name not in SIZED_POLICIES:
        return load_policy(name)
    with sized_policy(SIZED_POLICIES[name]) as policy:
        # ONNX Runtime has read the files; they may go
        return policy


def _measure(config: LoopBenchConfig, policy: OnnxPolicy, condition: Condition) -> LoopBench:
    real = config.realtime
    with ExitStack() as open_parts:
        if condition == "busy":
            open_parts.callback(start_neighbour(real.cpu).close)
        robot = SimulatedRobot(start="standing", gantry=True, priority=max(0, real.priority - 1))
        open_parts.callback(robot.close)
        gain = config.guard.damping_nm_s_per_rad
        link = WriterLink(robot.states(), robot.writer_output, robot.own_output, real, gain)
        open_parts.callback(link.close)
        clock, durations, controller = WatchedClock(), TickDurations(), TrackMotion(policy)
        parts = build_parts(robot=link, goals=Standing(), controller=controller, guard=config.guard, clock=clock)
        limits = RunLimits(max_ticks=round(config.duration_s * CONTROL_HZ), damping_ticks=1)
        stolen = stolen_ms()
        link.clear_writer_lateness()
        with quiet_heap(), real_time("loop", real.priority, real.cpu, real.lock_memory) as notes:
            summary = Loop(parts, [durations]).run(limits)
        writer, missed, skipped_s = link.writer_lateness(), link.writer_missed(), robot.status().skipped_s
        texts = tuple(note.text for note in notes) + tuple(link.writer_notes())
        stolen = stolen_ms() - stolen
    return LoopBench(
        condition=condition,
        ended_by="" if summary.fault is None else f"{summary.fault.code}: {summary.fault.detail}",
        ticks=summary.ticks,
        misses=summary.deadline_misses,
        wake_up=clock.lateness.stats(),
        tick=durations.durations.stats(),
        writer=writer,
        writer_missed=missed,
        simulation_skipped_ms=skipped_s * 1e3,
        stolen_ms=stolen,
        notes=texts,
    )
