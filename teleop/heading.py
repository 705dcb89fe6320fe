"""Heading of a reference against the heading of the robot.

A reference faces wherever it was recorded. When tracking starts, the robot's heading and the reference's are taken
down once; from then on the reference is turned about z by the difference, so that it begins in the direction the robot
faces and later turns are the reference's own. Heading is the direction of the rotated x axis in the ground plane, as
SONIC's runtime defines it.
"""

from __future__ import annotations

import math

import numpy as np

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import yaw_of_quat

ANCHORING = ("start", "recenter", "source")
"""Events on which a source lets its reference face where the robot faces: the operator wants it, or something else was
in charge until now."""

TURN_RAD_PER_TICK = 1.0 / 50.0
"""A turn asked for is carried out at 1 rad/s; at once, it would be a step of the heading."""


class Turning:
    """What is left of the turns that were asked for, given out tick by tick at 1 rad/s."""

    def __init__(self) -> None:
        self._left_rad = 0.0

    def ask(self, increment_rad: float) -> None:
        """Add a turn [rad]; half a turn is kept at most, so that a held key does not spin the robot on for long."""
        self._left_rad = min(max(self._left_rad + increment_rad, -math.pi), math.pi)

    def step(self) -> float:
        """Return what to turn in this tick [rad]; 0 where nothing is left."""
        step = min(max(self._left_rad, -TURN_RAD_PER_TICK), TURN_RAD_PER_TICK)
        self._left_rad -= step
        return step

    def forget(self) -> None:
        """Drop what is left."""
        self._left_rad = 0.0


class Heading:
    """The turn about z from a reference to the robot's world; identity until `restart`."""

    def __init__(self) -> None:
        self._base_yaw = 0.0
        self._reference_yaw = 0.0
        self._offset_yaw = 0.0
        self._quat_wxyz = np.array([1.0, 0.0, 0.0, 0.0])

    def restart(self, base_quat_wxyz: Array, reference_quat_wxyz: Array) -> None:
        """Take both headings anew and forget the offset.

        Args:
            base_quat_wxyz: (4,) orientation of the pelvis in the world, measured now.
            reference_quat_wxyz: (4,) root orientation of the reference at the frame played now.
        """
        self._base_yaw = float(yaw_of_quat(base_quat_wxyz))
        self._reference_yaw = float(yaw_of_quat(reference_quat_wxyz))
        self._offset_yaw = 0.0
        self._update()

    def first_frame(self, reference_quat_wxyz: Array) -> None:
        """Take the heading of the reference anew while its first frame is played; the robot's is kept."""
        self._reference_yaw = float(yaw_of_quat(reference_quat_wxyz))
        self._update()

    def turn(self, increment_rad: float) -> None:
        """Add to the offset an operator asks for [rad]."""
        self._offset_yaw += increment_rad
        self._update()

    def quat_wxyz(self) -> Array:
        """Return (4,) f64: Rz(offset + heading of the robot - heading of the reference)."""
        return self._quat_wxyz

    def _update(self) -> None:
        half = 0.5 * (self._offset_yaw + self._base_yaw - self._reference_yaw)
        self._quat_wxyz = np.array([math.cos(half), 0.0, 0.0, math.sin(half)])
