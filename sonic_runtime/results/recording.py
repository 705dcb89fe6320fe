"""Keeps what a run saw, tick by tick, for metrics and the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array, TickReport
from sonic_runtime.results.tracking import Bodies
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from sonic_runtime.tick import STAGES

KEPT_TICKS = 90_000
"""Half an hour at 50 Hz, about 100 MB; later ticks are counted and not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A run of T ticks.

    Attributes:
        robot: links of the robot, from measured joints and the simulator's pelvis.
        joint_pos_hw: (T, 29) f64 [rad] measured.
        target_pos_hw: (T, 29) f64 [rad] what the motors were told.
        reference_pos_hw: (T, 29) f64 [rad] joints of the frame to track; not a number where there was no goal.
        frame_index: (T,) i64 number of the frame to track in the count of its source; -1 where nothing was played.
        heading_quat_wxyz: (T, 4) f64 turn of the reference to the robot's world.
        mode: (T,) mode of each tick.
        stage_ms: (T, 6) f64 duration of sense, command, decide, act, guard, write.
        fault: when and what the first fault was: (tick, code, detail); None without.
        dropped_ticks: ticks that came after the store was full.
    """

    robot: Bodies
    joint_pos_hw: Array
    target_pos_hw: Array
    reference_pos_hw: Array
    frame_index: npt.NDArray[np.int64]
    heading_quat_wxyz: Array
    mode: tuple[str, ...]
    stage_ms: Array
    fault: tuple[int, str, str] | None
    dropped_ticks: int

    def __len__(self) -> int:
        return len(self.joint_pos_hw)


class Recorder:
    """A ReportSink that keeps rows of each tick; costs some microseconds and never touches a disk."""

    def __init__(self, kept_ticks: int = KEPT_TICKS) -> None:
        self._kept_ticks = kept_ticks
        self._rows: list[tuple[Array, ...]] = []
        self._modes: list[str] = []
        self._frames: list[int] = []
        self._stages: list[tuple[int, ...]] = []
        self._fault: tuple[int, str, str] | None = None
        self._dropped = 0
        self._unknown = np.full(len(g1.JOINT_NAMES_HW), np.nan)
        self._no_turn = np.array([1.0, 0.0, 0.0, 0.0])

    def put(self, report: TickReport) -> None:
        """Take one report."""
        if report.fault is not None and self._fault is None:
            self._fault = (report.index, report.fault.code, report.fault.detail)
        if len(self._rows) >= self._kept_ticks:
            self._dropped += 1
            return
        state, goal = report.state, report.goal
        base_pos_w = np.zeros(3) if state.base_pos_w is None else state.base_pos_w
        reference_hw, turn, frame = self._unknown, self._no_turn, -1
        if goal is not None:
            cursor = goal.reference.cursor
            # a copy, so that the window of a stream is not kept alive
            reference_hw = g1.to_hw_order(goal.reference.joint_pos_pol[cursor])
            turn = goal.heading_quat_wxyz
            frame = goal.reference.first_index + cursor if goal.reference.playing else -1
        self._rows.append(
            (base_pos_w, state.base_quat_wxyz, state.joint_pos_hw, report.target.joint_pos_hw, reference_hw, turn)
        )
        self._frames.append(frame)
        self._modes.append(report.mode)
        self._stages.append(tuple(report.stage_ns.get(name, 0) for name in STAGES))

    def recording(self) -> Recording:
        """Return what has been kept so far, with the links placed by forward kinematics."""
        sizes = (3, 4, len(g1.JOINT_NAMES_HW), len(g1.JOINT_NAMES_HW), len(g1.JOINT_NAMES_HW), 4)
        columns = [
            np.array([row[i] for row in self._rows], dtype=np.float64).reshape(-1, size) for i, size in enumerate(sizes)
        ]
        base_pos_w, base_quat_wxyz, joint_pos_hw, target_pos_hw, reference_pos_hw, heading_quat_wxyz = columns
        pos_w, quat_wxyz = forward_kinematics(base_pos_w, base_quat_wxyz, joint_pos_hw)
        return Recording(
            robot=Bodies(pos_w=pos_w, quat_wxyz=quat_wxyz),
            joint_pos_hw=joint_pos_hw,
            target_pos_hw=target_pos_hw,
            reference_pos_hw=reference_pos_hw,
            frame_index=np.array(self._frames, dtype=np.int64),
            heading_quat_wxyz=heading_quat_wxyz,
            mode=tuple(self._modes),
            stage_ms=np.array(self._stages, dtype=np.float64).reshape(-1, len(STAGES)) / 1e6,
            fault=self._fault,
            dropped_ticks=self._dropped,
        )
