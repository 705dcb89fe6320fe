"""The report page of an evaluation: means, a table of all clips, and the worst clips drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sonic_runtime.results.figures import errors_figure, joints_figure, path_figure
from sonic_runtime.results.film_strip import evenly_spaced, film_strip
from sonic_runtime.results.page import Page
from sonic_runtime.results.picture import RobotPainter
from sonic_runtime.results.recording import Recording
from sonic_runtime.results.trace import Trace
from sonic_runtime.results.tracking import Bodies, ClipResult, TrackingErrors

_PICTURES = 8
_AFTER_FAILURE_S = 0.6


class EvaluatedClip(Protocol):
    """A clip that was run, with everything needed to draw it."""

    @property
    def result(self) -> ClipResult:
        """What is reported."""
        ...

    @property
    def recording(self) -> Recording:
        """What the robot did."""
        ...

    @property
    def reference(self) -> Bodies:
        """What it was to do."""
        ...

    @property
    def errors(self) -> TrackingErrors:
        """Errors of each frame."""
        ...


def write_sim2sim_report(
    path: Path, line: Mapping[str, Any], clips: Sequence[ClipResult], drawn: Sequence[EvaluatedClip]
) -> Path:
    """Write the page and return its path.

    Args:
        path: file to write.
        line: the means, as in the last line of output.
        clips: all clips.
        drawn: clips to draw, in this order.
    """
    page = Page(
        "Evaluation in MuJoCo",
        f"policy {line['policy']}, encoder {line['encoder']}, {line['clips']} clips, each from its first frame",
    )
    page.numbers(
        [
            ("success rate", f"{line['success_rate']:.3f}", None),
            ("mpjpe local", f"{line['mpjpe_l_mm']:.1f} mm", None),
            ("mpjpe global", f"{line['mpjpe_g_mm']:.1f} mm", None),
            ("pelvis off over the ground", f"{line['root_xy_error_m']:.3f} m", None),
            ("success with the foot rule", f"{line['success_rate_foot_rule']:.3f}", None),
            ("speed", f"{line['speed_x_real_time']:.0f} x real time", None),
        ]
    )
    page.text(
        "Success: pelvis height within 0.25 m, pelvis orientation within 1.0 rad, heights of ankles and wrists within "
        "0.25 m in the relative frame, and the pelvis within 1 m over the ground, at every frame. The foot rule "
        "(ankles within 0.2 m in the relative frame) is stricter and no part of success. Means are over frames up to "
        "a failure."
    )
    if drawn:
        painter = RobotPainter()
        page.heading("The worst clips")
        for clip in drawn:
            _draw_clip(page, painter, clip)
    page.heading("All clips")
    page.table(
        ["clip", "s", "failure", "at s", "mpjpe_l mm", "mpjpe_g mm", "xy mean m", "xy max m", "foot rule"],
        [_row(clip) for clip in clips],
        [not clip.success for clip in clips],
    )
    return page.write(path)


def _draw_clip(page: Page, painter: RobotPainter, clip: EvaluatedClip) -> None:
    result, recording = clip.result, clip.recording
    trace = Trace(
        fps=50.0,
        robot=recording.robot,
        reference=clip.reference,
        joint_pos_hw=recording.joint_pos_hw,
        reference_pos_hw=recording.reference_pos_hw,
        errors=clip.errors,
        stage_ms=recording.stage_ms,
        failure_s=result.failure_s,
    )
    outcome = "success" if result.success else f"{result.failure} at {result.failure_s:.2f} s"
    page.heading(f"{result.name}: {outcome}, mpjpe {result.mpjpe_l_mm:.0f} mm")
    shown = len(trace) if result.failure_s is None else round((result.failure_s + _AFTER_FAILURE_S) * trace.fps)
    frames = evenly_spaced(max(1, min(len(trace), shown)), _PICTURES)
    strip = film_strip(painter, trace, frames, columns=_PICTURES // 2)
    page.images((strip, f"the robot (solid) and its reference (green) at {_PICTURES} moments of {result.name}"))
    page.images((path_figure(trace), "path of the pelvis"), (errors_figure(trace), "errors over time"))
    page.images((joints_figure(trace), "joint angles over time"))


def _row(clip: ClipResult) -> list[str]:
    return [
        clip.name,
        f"{clip.seconds:.1f}",
        clip.failure or "–",
        "–" if clip.failure_s is None else f"{clip.failure_s:.2f}",
        f"{clip.mpjpe_l_mm:.1f}",
        f"{clip.mpjpe_g_mm:.1f}",
        f"{clip.root_xy_error_m:.3f}",
        f"{clip.root_xy_error_max_m:.3f}",
        "kept" if clip.foot_rule else "broken",
    ]
