"""Tells of a goal's heading how it came about, as `g1_debug` publishes it: where tracking began, and turns since then.

A goal carries one rotation, Rz(delta + heading of the robot at the start - heading of the reference at the start). Its
changes say which of the three has changed: a start sets it to what robot and reference face now; a stream that shows
another first frame changes the reference's part; what remains is the operator's.
"""

from __future__ import annotations

import math

import numpy as np

from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.contract.rotations import yaw_of_quat

_SAME_RAD = 1e-6


class HeadingAccount:
    """Follows the heading of goals from tick to tick.

    Attributes:
        init_base_quat: (4,) wxyz pelvis orientation when tracking began; None before the first goal.
        init_ref_quat: (4,) wxyz root orientation of the reference then.
        delta_rad: what the operator has turned the reference by since then, in (-pi, pi].
    """

    def __init__(self) -> None:
        self.init_base_quat: Array | None = None
        self.init_ref_quat: Array | None = None
        self.delta_rad = 0.0
        self._last: Array | None = None

    def update(self, state: RobotState, goal: Goal) -> None:
        """Take note of the heading of a tick."""
        heading = goal.heading_quat_wxyz
        if self._last is heading or (self._last is not None and np.array_equal(self._last, heading)):
            return
        self._last = heading
        yaw = float(yaw_of_quat(heading))
        base, root = state.base_quat_wxyz, goal.reference.root_quat_wxyz[goal.reference.cursor]
        base_yaw, root_yaw = float(yaw_of_quat(base)), float(yaw_of_quat(root))
        if self.init_base_quat is None or self.init_ref_quat is None or _same(yaw, base_yaw - root_yaw):
            self.init_base_quat, self.init_ref_quat = base, root
            self.delta_rad = _wrapped(yaw - base_yaw + root_yaw)
            return
        start_yaw = float(yaw_of_quat(self.init_base_quat))
        if goal.reference.cursor == 0 and _same(yaw, self.delta_rad + start_yaw - root_yaw):
            self.init_ref_quat = root
            return
        self.delta_rad = _wrapped(yaw - start_yaw + float(yaw_of_quat(self.init_ref_quat)))


def _wrapped(angle_rad: float) -> float:
    return math.remainder(angle_rad, 2.0 * math.pi)


def _same(left_rad: float, right_rad: float) -> bool:
    return abs(_wrapped(left_rad - right_rad)) < _SAME_RAD
