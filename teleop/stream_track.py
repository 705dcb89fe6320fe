"""What a sender streams: a clip with a way into it and a way on from its end, as frames with running numbers.

    lead-in           the standing pose, blended into the first frame of the clip
    clip              its frames
    then              hold: the last pose for ever; stop: the last pose until receivers have played the clip to its end;
                      loop: a blend back to the first frame, turned to the heading the clip ended with, and so on

Receivers see one endless count of frames; nothing here has a clock or a socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_from_yaw, quat_multiply, quat_rotate, quat_slerp, yaw_of_quat
from sonic_runtime.motions.clip import Clip
from sonic_runtime.robots import g1
from teleop.pose_packet import PoseFrames

StreamEnd = Literal["hold", "stop", "loop"]
CONTROL_HZ = 50.0
_LOOP_BLEND_FRAMES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTrack:
    """An endless motion at the control rate.

    Attributes:
        joint_pos_hw: (T, 29) f64 [rad].
        joint_vel_hw: (T, 29) f64 [rad/s].
        root_pos_w: (T, 3) f64 [m]; not streamed, but what a robot that follows exactly would do.
        root_quat_wxyz: (T, 4) f64.
        repeat_from: first frame of the part that repeats; T where the last pose is held instead.
        clip_start: number of the first frame of the clip.
        end: what follows the last frame.
    """

    joint_pos_hw: Array
    joint_vel_hw: Array
    root_pos_w: Array
    root_quat_wxyz: Array
    repeat_from: int
    clip_start: int
    end: StreamEnd

    def __len__(self) -> int:
        return len(self.joint_pos_hw)

    def chunk(self, first: int, count: int) -> PoseFrames:
        """Return `count` frames from number `first` on."""
        index = first + np.arange(count)
        frame, past_end = self._frame(index)
        joint_vel_hw = np.where(past_end[:, None], 0.0, self.joint_vel_hw[frame])
        return PoseFrames(
            frame_index=index,
            joint_pos_pol=g1.to_policy_order(self.joint_pos_hw[frame]),
            joint_vel_pol=g1.to_policy_order(joint_vel_hw),
            root_quat_wxyz=self.root_poses(index)[1],
        )

    def joints(self, index: npt.NDArray[np.int64]) -> Array:
        """Return joint angles (N, 29) [rad], hardware order, of frames by number."""
        return self.joint_pos_hw[self._frame(index)[0]]

    def root_poses(self, index: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Return root positions (N, 3) [m] and orientations (N, 4) of frames by number; repetitions go on."""
        frame, _ = self._frame(index)
        pos_w, quat_wxyz = self.root_pos_w[frame], self.root_quat_wxyz[frame]
        period = len(self) - self.repeat_from
        if period == 0:
            return pos_w, quat_wxyz
        rounds = np.maximum(0, (index - self.repeat_from) // period)
        yaw_of_round = float(yaw_of_quat(self.root_quat_wxyz[-1]) - yaw_of_quat(self.root_quat_wxyz[self.repeat_from]))
        turn = quat_from_yaw(yaw_of_round * rounds.astype(np.float64))
        origin = _origins(self.root_pos_w[self.repeat_from], self.root_pos_w[-1], yaw_of_round, int(rounds.max()) + 1)
        moved = quat_rotate(turn, pos_w - self.root_pos_w[self.repeat_from]) + origin[rounds]
        return moved, quat_multiply(turn, quat_wxyz)

    def _frame(self, index: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the stored frame of each number, and whether it lies after the end of a motion that is held."""
        period = len(self) - self.repeat_from
        if period == 0:
            return np.minimum(index, len(self) - 1), index >= len(self)
        wrapped = self.repeat_from + (index - self.repeat_from) % period
        return np.where(index < len(self), index, wrapped), np.zeros(len(index), dtype=bool)


def build_track(clip: Clip, lead_in_s: float, end: StreamEnd) -> StreamTrack:
    """Put a lead-in before a clip and, for a loop, a blend back to its start after it.

    Args:
        clip: motion at 50 Hz.
        lead_in_s: length of the blend from the standing pose [s].
        end: what follows the last frame.
    """
    root_pos_w, root_quat_wxyz = clip.body_pos_w[:, 0], clip.body_quat_wxyz[:, 0]
    parts = [(clip.joint_pos_hw, root_pos_w, root_quat_wxyz)]
    lead_frames = round(lead_in_s * CONTROL_HZ)
    if lead_frames:
        upright = quat_from_yaw(yaw_of_quat(root_quat_wxyz[0]))
        standing = np.array([root_pos_w[0, 0], root_pos_w[0, 1], g1.STANDING_PELVIS_HEIGHT_M])
        start = (g1.DEFAULT_POS_HW, standing, upright)
        parts.insert(0, _blend(start, (clip.joint_pos_hw[0], root_pos_w[0], root_quat_wxyz[0]), lead_frames))
    if end == "loop":
        parts.append(_way_back(clip))
    joint_pos_hw, pos_w, quat_wxyz = (np.concatenate([part[i] for part in parts]) for i in range(3))
    joint_vel_hw = np.gradient(joint_pos_hw, 1.0 / CONTROL_HZ, axis=0)
    joint_vel_hw[lead_frames : lead_frames + len(clip.joint_vel_hw)] = clip.joint_vel_hw
    return StreamTrack(
        joint_pos_hw=joint_pos_hw,
        joint_vel_hw=joint_vel_hw,
        root_pos_w=pos_w,
        root_quat_wxyz=quat_wxyz,
        repeat_from=lead_frames if end == "loop" else len(joint_pos_hw),
        clip_start=lead_frames,
        end=end,
    )


_Pose = tuple[Array, Array, Array]


def _blend(start: _Pose, stop: _Pose, frames: int) -> _Pose:
    """Return `frames` poses from `start` on, the last one a step before `stop`; at rest at both ends."""
    time = np.arange(frames) / frames
    weight = (time * time * (3.0 - 2.0 * time))[:, None]
    joints = start[0] + weight * (stop[0] - start[0])
    position = start[1] + weight * (stop[1] - start[1])
    turned = quat_slerp(np.tile(start[2], (frames, 1)), np.tile(stop[2], (frames, 1)), weight[:, 0])
    return joints, position, turned


def _way_back(clip: Clip) -> _Pose:
    """Blend from the last frame to the first, on the spot and in the heading where the clip ended."""
    first_quat, last_quat = clip.body_quat_wxyz[0, 0], clip.body_quat_wxyz[-1, 0]
    last_pos = clip.body_pos_w[-1, 0]
    stop_pos = np.array([last_pos[0], last_pos[1], clip.body_pos_w[0, 0, 2]])
    turn = quat_from_yaw(yaw_of_quat(last_quat) - yaw_of_quat(first_quat))
    stop = (clip.joint_pos_hw[0], stop_pos, quat_multiply(turn, first_quat))
    start = (clip.joint_pos_hw[-1], last_pos, last_quat)
    # the first of the blend is the last frame itself, which the clip has already
    joints, position, quat = _blend(start, stop, _LOOP_BLEND_FRAMES + 1)
    return joints[1:], position[1:], quat[1:]


def _origins(first_pos_w: Array, last_pos_w: Array, yaw_of_round: float, rounds: int) -> Array:
    """Return where each repetition begins, (rounds, 3) [m]: each goes on where the one before it ended."""
    way = np.array([*(last_pos_w - first_pos_w)[:2], 0.0])
    turns = quat_from_yaw(yaw_of_round * np.arange(rounds, dtype=np.float64))
    steps = quat_rotate(turns, np.tile(way, (rounds, 1)))
    return first_pos_w + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)[:-1]])
