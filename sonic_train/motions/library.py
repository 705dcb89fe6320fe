"""All reference clips as flat buffers on the training device, looked up by frame number; no interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.vr_points import vr_points
from sonic_runtime.robots import g1
from sonic_train.env.layout import FUTURE_FRAMES, FUTURE_STEP, SMPL_FRAMES, SMPL_STEP
from sonic_train.env.state import ReferenceTensors

CONTROL_HZ = 50.0


class MotionLibrary:
    """Clips end to end; a frame number counts through all of them.

    Args:
        clips: clips at 50 Hz, at least one, each of two frames or more.
        device: torch device of the buffers.

    Raises:
        MotionError: if there is no clip, or one is too short or of another rate.
    """

    def __init__(self, clips: Sequence[Clip], device: str) -> None:
        if not clips:
            raise MotionError("motion library: expected at least one clip, got none")
        for clip in clips:
            if abs(clip.fps - CONTROL_HZ) > 1e-6 or len(clip.joint_pos_hw) < 2:
                raise MotionError(
                    f"motion library: clip {clip.name!r}: expected two or more frames at {CONTROL_HZ:g} Hz, "
                    f"got {len(clip.joint_pos_hw)} at {clip.fps:g} Hz"
                )
        self.names = [clip.name for clip in clips]
        lengths = np.array([len(clip.joint_pos_hw) for clip in clips])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.clip_length = torch.tensor(lengths, device=device)
        self.clip_start = torch.tensor(starts, device=device)
        self.last_frame_of = torch.tensor(np.repeat(starts + lengths - 1, lengths), device=device)
        self._fill(clips, device)
        self._pol = torch.tensor(g1.HW_INDEX_OF_POL, device=device)
        self._wrists = torch.tensor(g1.HW.index_of(g1.WRIST_NAMES), device=device)
        self._future = FUTURE_STEP * torch.arange(FUTURE_FRAMES, device=device)
        self._smpl_future = SMPL_STEP * torch.arange(SMPL_FRAMES, device=device)

    def _fill(self, clips: Sequence[Clip], device: str) -> None:
        bodies = [g1.BODY_NAMES.index(n) for n in g1.TRACKED_BODY_NAMES]

        def joined(parts: list[np.ndarray]) -> Tensor:
            return torch.tensor(np.concatenate(parts).astype(np.float32), device=device)

        self.joint_pos_hw = joined([c.joint_pos_hw for c in clips])
        self.joint_vel_hw = joined([c.joint_vel_hw for c in clips])
        self.body_pos_w = joined([c.body_pos_w[:, bodies] for c in clips])
        self.body_quat_wxyz = joined([c.body_quat_wxyz[:, bodies] for c in clips])
        self.body_lin_vel_w = joined([c.body_lin_vel_w[:, bodies] for c in clips])
        self.body_ang_vel_w = joined([c.body_ang_vel_w[:, bodies] for c in clips])
        self.smpl_joints_b = joined([c.smpl_joints_b for c in clips])
        self.smpl_root_quat_wxyz = joined([c.smpl_root_quat_wxyz for c in clips])
        points = [vr_points(c.body_pos_w, c.body_quat_wxyz) for c in clips]
        self.vr_pos_b = joined([p.reshape(len(p), 9) for p, _ in points])
        self.vr_quat_b_wxyz = joined([q.reshape(len(q), 12) for _, q in points])

    def at(self, frame: Tensor) -> ReferenceTensors:
        """Look up the reference.

        Args:
            frame: (N,) int64 frame numbers in the library; the future is clamped to the end of the frame's clip.
        """
        last = self.last_frame_of[frame]
        future = torch.minimum(frame[:, None] + self._future, last[:, None])
        smpl = torch.minimum(frame[:, None] + self._smpl_future, last[:, None])
        return ReferenceTensors(
            joint_pos_hw=self.joint_pos_hw[frame],
            joint_vel_hw=self.joint_vel_hw[frame],
            body_pos_w=self.body_pos_w[frame],
            body_quat_wxyz=self.body_quat_wxyz[frame],
            body_lin_vel_w=self.body_lin_vel_w[frame],
            body_ang_vel_w=self.body_ang_vel_w[frame],
            vr_pos_b=self.vr_pos_b[frame],
            vr_quat_b_wxyz=self.vr_quat_b_wxyz[frame],
            future_joint_pos_pol=self.joint_pos_hw[future][..., self._pol],
            future_joint_vel_pol=self.joint_vel_hw[future][..., self._pol],
            future_root_quat_wxyz=self.body_quat_wxyz[:, 0][future],
            smpl_joints_b=self.smpl_joints_b[smpl],
            smpl_root_quat_wxyz=self.smpl_root_quat_wxyz[smpl],
            smpl_wrist_pos=self.joint_pos_hw[smpl][..., self._wrists],
        )
