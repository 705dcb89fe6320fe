"""Goals from a clip in memory: plays it from the first frame to the last, one frame per tick, for any encoder.

Used by lockstep evaluation and by `sonic-run` on a file. Runs in the command stage of the tick; does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Goal, Reference, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.vr_points import vr_five_points, vr_points
from sonic_runtime.robots import g1
from teleop.heading import ANCHORING, Heading

ENCODERS = ("g1", "teleop", "smpl")


def reference_of(clip: Clip) -> Reference:
    """Return all of a clip as a reference at its first frame, with the tracks every encoder reads."""
    vr_pos_b, vr_quat_b_wxyz = vr_points(clip.body_pos_w, clip.body_quat_wxyz)
    vr5_pos_b, vr5_quat_b_wxyz = vr_five_points(clip.body_pos_w, clip.body_quat_wxyz)
    return Reference(
        joint_pos_pol=g1.to_policy_order(clip.joint_pos_hw),
        joint_vel_pol=g1.to_policy_order(clip.joint_vel_hw),
        root_quat_wxyz=clip.body_quat_wxyz[:, 0],
        root_pos_w=clip.body_pos_w[:, 0],
        vr_pos_b=vr_pos_b,
        vr_quat_b_wxyz=vr_quat_b_wxyz,
        vr5_pos_b=vr5_pos_b,
        vr5_quat_b_wxyz=vr5_quat_b_wxyz,
        smpl_joints_b=clip.smpl_joints_b,
        smpl_root_quat_wxyz=clip.smpl_root_quat_wxyz,
        cursor=0,
    )


class MotionFile:
    """A GoalSource that plays one clip.

    Args:
        clip: motion at the control rate.
        encoder: "g1", "teleop" or "smpl".
        align_heading: whether the reference is turned to where the robot faces, at the first tick and when the source
            takes over from another; False where the robot already stands on the first frame.

    Raises:
        ConfigError: if there is no such encoder.
    """

    def __init__(self, clip: Clip, encoder: str, *, align_heading: bool) -> None:
        if encoder not in ENCODERS:
            raise ConfigError(f"encoder: expected one of {', '.join(ENCODERS)}, got {encoder!r}")
        self.clip = clip
        self._encoder = encoder
        self._align_heading = align_heading
        self._reference = reference_of(clip)
        self._heading = Heading()
        self._next = 0

    @property
    def finished(self) -> bool:
        """Whether the last frame has been handed out; from then on it is repeated at rest."""
        return self._next >= len(self._reference)

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal:
        """Return the next frame to track."""
        cursor = min(self._next, len(self._reference) - 1)
        anchored = self._next == 0 or any(event.kind in ANCHORING for event in events)
        if self._align_heading and anchored:
            self._heading.restart(state.base_quat_wxyz, self._reference.root_quat_wxyz[cursor])
        reference = replace(self._reference, cursor=cursor, playing=not self.finished)
        self._next += 1
        return Goal(
            reference=reference,
            encoder=self._encoder,
            heading_quat_wxyz=self._heading.quat_wxyz(),
            stamp_ns=state.stamp_ns,
        )

    def close(self) -> None:
        """Do nothing; a clip in memory holds no resource."""
