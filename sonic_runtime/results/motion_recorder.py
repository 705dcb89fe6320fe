"""Records what the robot did while it tracked, as a reference motion folder that can be tracked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sonic_runtime.contract.messages import Array, TickReport
from sonic_runtime.motions.clip import clip_from_qpos
from sonic_runtime.motions.reference_folder import write_reference_folder
from sonic_runtime.motions.resample import CONTROL_HZ

KEPT_TICKS = 90_000
"""Half an hour at 50 Hz, 48 MB of memory at most; later ticks are counted and not kept."""

_COLUMNS = {
    "joint_pos": slice(0, 29),
    "joint_vel": slice(29, 58),
    "base_quat": slice(58, 62),
    "base_pos": slice(62, 65),
}


class MotionRecorder:
    """A ReportSink that keeps the measured joints and pelvis of every tick in which a goal was tracked.

    `put` copies 65 numbers into memory that is there from the start. The folder is written by `close`, when the run is
    over; on a robot, which does not know where it is, it has no positions.

    Args:
        folder: reference motion folder to make; its last part becomes the name of the motion.
        say: where a message for the operator goes.
        kept_ticks: ticks there is room for.
    """

    def __init__(
        self, folder: Path, say: Callable[[str], None] = lambda text: None, kept_ticks: int = KEPT_TICKS
    ) -> None:
        self._folder = folder
        self._say = say
        self._rows: Array = np.empty((kept_ticks, 65))
        self._count = 0
        self._dropped = 0
        self._positions = True
        self._closed = False

    def put(self, report: TickReport) -> None:
        """Take one report."""
        if report.mode != "active":
            return
        if self._count == len(self._rows):
            self._dropped += 1
            if self._dropped == 1:
                minutes = len(self._rows) / CONTROL_HZ / 60.0
                self._say(f"recording of the tracked motion is full after {minutes:.3g} minutes; the rest is left out")
            return
        state, row = report.state, self._rows[self._count]
        row[_COLUMNS["joint_pos"]] = state.joint_pos_hw
        row[_COLUMNS["joint_vel"]] = state.joint_vel_hw
        row[_COLUMNS["base_quat"]] = state.base_quat_wxyz
        if state.base_pos_w is None:
            self._positions = False
        else:
            row[_COLUMNS["base_pos"]] = state.base_pos_w
        self._count += 1

    def close(self) -> None:
        """Write the folder, whole or not at all; nothing where no motion was tracked. Safe to call twice.

        Raises:
            MotionError: the folder exists already or cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        if self._count < 2:
            self._say("no motion was tracked, so that none was recorded")
            return
        rows = self._rows[: self._count]
        parts = {name: rows[:, columns].copy() for name, columns in _COLUMNS.items()}
        if not self._positions:
            parts["base_pos"][:] = 0.0  # a place to compute from, not written
        clip = clip_from_qpos(
            self._folder.name,
            CONTROL_HZ,
            parts["base_pos"],
            parts["base_quat"],
            parts["joint_pos"],
            source="measured while the robot tracked" + (f"; {self._dropped} later frames" if self._dropped else ""),
        )
        clip = replace(clip, joint_vel_hw=parts["joint_vel"])
        write_reference_folder(clip, self._folder, positions=self._positions)
        self._say(f"recorded {clip.duration_s:.1f} s of tracked motion: {self._folder}")
