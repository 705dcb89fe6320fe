"""The report page of a run in real time: numbers, pictures of the robot, plots, times, stream, guard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sonic_runtime.loop import RunSummary
from sonic_runtime.results.figures import errors_figure, joints_figure, path_figure, timing_figure
from sonic_runtime.results.film_strip import busiest_second, evenly_spaced, film_strip
from sonic_runtime.results.page import Page
from sonic_runtime.results.picture import RobotPainter
from sonic_runtime.results.trace import Trace

_PICTURES = 8
_DEADLINE_MS = 20.0


class StreamCounts(Protocol):
    """What a stream has brought."""

    received: int
    rejected: int
    last_rejection: str
    holes: int
    missing_frames: int
    holds: int
    held_ticks: int

    @property
    def resets(self) -> Mapping[Any, int]:
        """How often the window began anew, by reason."""
        ...

    @property
    def gaps(self) -> int:
        """Breaks of the reference that the robot felt."""
        ...


def write_demo_report(
    path: Path,
    line: Mapping[str, Any],
    summary: RunSummary,
    counts: StreamCounts,
    trace: Trace,
    video: Path | None,
    video_line: str,
) -> Path:
    """Write the page and return its path.

    Args:
        path: file to write.
        line: the numbers of the last line of output.
        summary: what the loop measured.
        counts: what the stream brought.
        trace: robot and reference.
        video: file to show, None where there is none.
        video_line: what came of the video.
    """
    page = Page(
        "A G1 in MuJoCo, tracking a stream",
        f"{line['tracked_s']} s tracked at 50 Hz in real time, on {_machine()}; green: the streamed reference",
    )
    _headline(page, line)
    _pictures(page, trace)
    page.heading("Video")
    if video is not None:
        page.images((video.read_bytes(), "video of the run"), kind="webp")
    else:
        page.text(video_line)
    page.heading("Tracking")
    page.images((path_figure(trace), "path of the pelvis"), (errors_figure(trace), "errors over time"))
    page.images((joints_figure(trace), "joint angles over time"))
    _times(page, summary, trace)
    _stream(page, counts)
    _guard(page, summary)
    return page.write(path)


def _headline(page: Page, line: Mapping[str, Any]) -> None:
    survived, misses, gaps = bool(line["survived"]), int(line["deadline_misses"]), int(line["stream_gaps"])
    page.numbers(
        [
            ("survived", "yes" if survived else f"no: {line['fault'] or line['failure']}", survived),
            ("mpjpe local", f"{line['mpjpe_l_mm']:.1f} mm", None),
            ("pelvis off over the ground, mean", f"{line['root_xy_error_m']:.3f} m", None),
            ("tick, half of them below", f"{line['tick_p50_ms']:.2f} ms", line["tick_p50_ms"] < _DEADLINE_MS),
            ("tick, 99 of 100 below", f"{line['tick_p99_ms']:.2f} ms", line["tick_p99_ms"] < _DEADLINE_MS),
            ("deadlines missed", str(misses), misses == 0),
            ("gaps in the stream", str(gaps), gaps == 0),
        ]
    )


def _pictures(page: Page, trace: Trace) -> None:
    painter = RobotPainter()
    page.heading("The run")
    strip = film_strip(painter, trace, evenly_spaced(len(trace), _PICTURES), columns=_PICTURES // 2)
    page.images((strip, "robot and reference at eight moments of the run"))
    page.heading("Its liveliest 1.2 seconds")
    strip = film_strip(painter, trace, busiest_second(trace, _PICTURES), columns=_PICTURES // 2)
    page.images((strip, "robot and reference at eight moments of the liveliest second"))


def _times(page: Page, summary: RunSummary, trace: Trace) -> None:
    page.heading("Time")
    rows = {**summary.stages, "whole tick": summary.tick}
    page.table(
        ["stage", "p50 ms", "p99 ms", "max ms"],
        [[name, f"{t.p50_ms:.3f}", f"{t.p99_ms:.3f}", f"{t.max_ms:.3f}"] for name, t in rows.items()],
    )
    page.text(
        f"write holds the simulator's physics. Deadlines missed: {summary.deadline_misses} of {summary.ticks}"
        + (f", by {summary.worst_late_ms:.1f} ms at worst." if summary.deadline_misses else ".")
    )
    page.images((timing_figure(trace), "durations of ticks and stages"))


def _stream(page: Page, counts: StreamCounts) -> None:
    page.heading("Stream")
    resets = ", ".join(f"{reason} {count}" for reason, count in counts.resets.items()) or "none"
    page.text(
        f"{counts.received} messages, {counts.rejected} rejected. Windows begun: {resets}. Holes: {counts.holes} with "
        f"{counts.missing_frames} frames missing. Playback stopped {counts.holds} times, for {counts.held_ticks} ticks."
    )
    if counts.rejected:
        page.code(counts.last_rejection)


def _guard(page: Page, summary: RunSummary) -> None:
    page.heading("Guard")
    fault = "No fault." if summary.fault is None else f"Fault {summary.fault.code}: {summary.fault.detail}"
    page.text(f"{fault} The run ended by {summary.stop_reason}. Ticks with a clamped target: {summary.clamped_ticks}.")
    if summary.clamped_by_joint:
        page.table(["joint", "ticks clamped"], [[name, str(n)] for name, n in summary.clamped_by_joint.items()])


def _machine() -> str:
    return f"{os.uname().sysname} {os.uname().machine}, {os.cpu_count()} cores"
