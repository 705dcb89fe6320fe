"""Plots of a run as PNG files: path over the ground, joints, errors over time, durations of the tick."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sonic_runtime.results.trace import Trace
from sonic_runtime.robots import g1
from sonic_runtime.tick import STAGES

ROBOT_COLOR, REFERENCE_COLOR, ALARM_COLOR = "#1f5fa8", "#2f9e5b", "#c23b3b"
SHOWN_JOINTS = (
    "left_hip_pitch_joint",
    "left_knee_joint",
    "left_ankle_pitch_joint",
    "right_knee_joint",
    "left_shoulder_pitch_joint",
    "right_elbow_joint",
)


def path_figure(trace: Trace) -> bytes:
    """Draw the way of the pelvis over the ground, robot and reference, with marks every two seconds."""
    figure = Figure(figsize=(5.2, 4.2))
    axes = figure.subplots()
    for bodies, color, label in (
        (trace.reference, REFERENCE_COLOR, "reference"),
        (trace.robot, ROBOT_COLOR, "robot"),
    ):
        x, y = bodies.pos_w[:, 0, 0], bodies.pos_w[:, 0, 1]
        axes.plot(x, y, color=color, lw=1.8, label=label)
        marks = slice(0, None, round(2 * trace.fps))
        axes.plot(x[marks], y[marks], "o", color=color, ms=4)
    start = trace.robot.pos_w[0, 0]
    axes.annotate("start", (start[0], start[1]), textcoords="offset points", xytext=(6, 6), fontsize=8)
    axes.set_aspect("equal", adjustable="datalim")
    _label(axes, "x [m]", "y [m]", "Pelvis over the ground, a dot every 2 s")
    axes.legend(frameon=False)
    return _png(figure)


def joints_figure(trace: Trace) -> bytes:
    """Draw measured and reference angles of six joints over time."""
    figure = Figure(figsize=(10.6, 4.6))
    time = _time(trace)
    for axes, name in zip(figure.subplots(2, 3, sharex=True).ravel(), SHOWN_JOINTS, strict=True):
        joint = g1.JOINT_NAMES_HW.index(name)
        axes.plot(time, trace.reference_pos_hw[:, joint], color=REFERENCE_COLOR, lw=1.4, label="reference")
        axes.plot(time, trace.joint_pos_hw[:, joint], color=ROBOT_COLOR, lw=1.1, label="robot")
        _label(axes, "", "rad", name.removesuffix("_joint").replace("_", " "))
    figure.supxlabel("time [s]", fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", ncols=2, frameon=False, fontsize=9)
    return _png(figure)


def errors_figure(trace: Trace) -> bytes:
    """Draw the errors of position over time, and where the rule of success was broken."""
    figure = Figure(figsize=(5.2, 4.2))
    upper, lower = figure.subplots(2, 1, sharex=True)
    time = _time(trace)
    upper.plot(time, 1000 * trace.errors.mpjpe_l_m, color=ROBOT_COLOR, lw=1.2)
    _label(upper, "", "mm", "Mean body position error, relative to the pelvis")
    lower.plot(time, trace.errors.root_xy_m, color=ROBOT_COLOR, lw=1.2, label="over the ground")
    lower.plot(time, trace.errors.anchor_height_m, color=REFERENCE_COLOR, lw=1.2, label="height")
    _label(lower, "time [s]", "m", "Pelvis position error")
    lower.legend(frameon=False, fontsize=8)
    for axes in (upper, lower):
        axes.set_ylim(bottom=0)
        if trace.failure_s is not None:
            axes.axvline(trace.failure_s, color=ALARM_COLOR, lw=1.2, ls="--")
    return _png(figure)


def timing_figure(trace: Trace) -> bytes:
    """Draw how long ticks took: a histogram of the tick without the simulator's physics, and each stage's share."""
    figure = Figure(figsize=(10.6, 2.9))
    left, right = figure.subplots(1, 2)
    control_ms = trace.stage_ms[:, : STAGES.index("write")].sum(axis=1)
    # the slowest ticks are told in the table; here they would squeeze the rest into one bar
    left.hist(np.minimum(control_ms, np.quantile(control_ms, 0.995)), bins=60, color=ROBOT_COLOR)
    _label(left, "ms", "ticks", "Tick without the physics of the simulator")
    right.boxplot(trace.stage_ms, whis=(1, 99), showfliers=False, medianprops={"color": ROBOT_COLOR})
    right.set_xticks(range(1, len(STAGES) + 1), STAGES)
    right.set_yscale("log")
    _label(right, "", "ms", "Stages; boxes hold half the ticks, whiskers 98 of 100")
    return _png(figure)


def _time(trace: Trace) -> np.ndarray:
    return np.arange(len(trace)) / trace.fps


def _label(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
