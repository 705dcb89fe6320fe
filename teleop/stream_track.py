"""What a sender streams: a clip with a way into it and a way on from its end, as frames with running numbers.

    lead-in           the standing pose, blended into the first frame of the clip
    clip              its frames
    then              hold: the last pose for ever; stop: the last pose until receivers have played the clip to its end;
                      loop: a blend back to the first frame, turned to the heading the clip ended with, and so on

Receivers see one endless count of frames; nothing here has a clock or a socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.messages import Array
from sonic_runtime.contract.rotations import quat_from_yaw, quat_multiply, quat_rotate, quat_slerp, yaw_of_quat
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.smpl import smpl_joints_of_robot
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from teleop.pose_packet import PoseFrames, SmplFrames

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
        smpl_joints_b: (T, 24, 3) f64 [m], frame of the SMPL root.
        smpl_root_quat_wxyz: (T, 4) f64.
        repeat_from: first frame of the part that repeats; T where the last pose is held instead.
        clip_start: number of the first frame of the clip.
        end: what follows the last frame.
    """

    joint_pos_hw: Array
    joint_vel_hw: Array
    root_pos_w: Array
    root_quat_wxyz: Array
    smpl_joints_b: Array
    smpl_root_quat_wxyz: Array
    repeat_from: int
    clip_start: int
    end: StreamEnd

    def __len__(self) -> int:
        return len(self.joint_pos_hw)

    def chunk(self, first: int, count: int) -> PoseFrames:
        """Return `count` frames of robot joints from number `first` on: version 1 of the protocol."""
        index = first + np.arange(count)
        frame, past_end = self._frame(index)
        joint_vel_hw = np.where(past_end[:, None], 0.0, self.joint_vel_hw[frame])
        return PoseFrames(
            frame_index=index,
            joint_pos_pol=g1.to_policy_order(self.joint_pos_hw[frame]),
            joint_vel_pol=g1.to_policy_order(joint_vel_hw),
            root_quat_wxyz=self.root_poses(index)[1],
        )

    def smpl_chunk(self, first: int, count: int, *, wrists: bool) -> SmplFrames:
        """Return `count` frames of a person from number `first` on: version 3 of the protocol, 2 without wrists.

        A clip holds no SMPL pose; it is sent as zeros, as SONIC's webcam client does.
        """
        index = first + np.arange(count)
        frame, _ = self._frame(index)
        robot = self.chunk(first, count) if wrists else None
        return SmplFrames(
            frame_index=index,
            root_quat_wxyz=quat_multiply(self._turn_of_round(index)[1], self.smpl_root_quat_wxyz[frame]),
            smpl_joints_b=self.smpl_joints_b[frame],
            smpl_pose_rad=np.zeros((count, 21, 3)),
            joint_pos_pol=None if robot is None else robot.joint_pos_pol,
            joint_vel_pol=None if robot is None else robot.joint_vel_pol,
        )

    def joints(self, index: npt.NDArray[np.int64]) -> Array:
        """Return joint angles (N, 29) [rad], hardware order, of frames by number."""
        return self.joint_pos_hw[self._frame(index)[0]]

    def root_poses(self, index: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Return root positions (N, 3) [m] and orientations (N, 4) of frames by number; repetitions go on."""
        frame, _ = self._frame(index)
        pos_w, quat_wxyz = self.root_pos_w[frame], self.root_quat_wxyz[frame]
        if len(self) == self.repeat_from:
            return pos_w, quat_wxyz
        first_pos_w = self.root_pos_w[self.repeat_from]
        rounds, turn = self._turn_of_round(index)
        origin = _origins(first_pos_w, self.root_pos_w[-1], self._yaw_of_round(), int(rounds.max()) + 1)
        moved = quat_rotate(turn, pos_w - first_pos_w) + origin[rounds]
        return moved, quat_multiply(turn, quat_wxyz)

    def _yaw_of_round(self) -> float:
        return float(yaw_of_quat(self.root_quat_wxyz[-1]) - yaw_of_quat(self.root_quat_wxyz[self.repeat_from]))

    def _turn_of_round(self, index: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Array]:
        """Return how often the repeating part was over at each frame, and the turn (N, 4) that it has made by then."""
        period = len(self) - self.repeat_from
        if period == 0:
            return np.zeros(len(index), dtype=np.int64), quat_from_yaw(np.zeros(len(index)))
        rounds = np.maximum(0, (index - self.repeat_from) // period)
        return rounds, quat_from_yaw(self._yaw_of_round() * rounds.astype(np.float64))

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
    parts = [_poses_of(clip)]
    lead_frames = round(lead_in_s * CONTROL_HZ)
    if lead_frames:
        parts.insert(0, _blend(_standing_at(parts[0].at(0)), parts[0].at(0), lead_frames))
    if end == "loop":
        parts.append(_way_back(parts[-1]))
    joint_pos_hw, root_pos_w, root_quat_wxyz, smpl_joints_b, smpl_root = (
        np.concatenate(tracks) for tracks in zip(*parts, strict=True)
    )
    joint_vel_hw = np.gradient(joint_pos_hw, 1.0 / CONTROL_HZ, axis=0)
    joint_vel_hw[lead_frames : lead_frames + len(clip.joint_vel_hw)] = clip.joint_vel_hw
    return StreamTrack(
        joint_pos_hw=joint_pos_hw,
        joint_vel_hw=joint_vel_hw,
        root_pos_w=root_pos_w,
        root_quat_wxyz=root_quat_wxyz,
        smpl_joints_b=smpl_joints_b,
        smpl_root_quat_wxyz=smpl_root,
        repeat_from=lead_frames if end == "loop" else len(joint_pos_hw),
        clip_start=lead_frames,
        end=end,
    )


class _Poses(NamedTuple):
    """What a track is made of: one pose, or several one after the other."""

    joints_hw: Array
    root_pos_w: Array
    root_quat_wxyz: Array
    smpl_joints_b: Array
    smpl_root_quat_wxyz: Array

    def at(self, frame: int) -> _Poses:
        """Return one of several poses."""
        return _Poses(*(track[frame] for track in self))


def _poses_of(clip: Clip) -> _Poses:
    return _Poses(
        clip.joint_pos_hw,
        clip.body_pos_w[:, 0],
        clip.body_quat_wxyz[:, 0],
        clip.smpl_joints_b,
        clip.smpl_root_quat_wxyz,
    )


def _standing_at(pose: _Poses) -> _Poses:
    """Return the standing pose at the place and in the heading of another one."""
    upright = quat_from_yaw(yaw_of_quat(pose.root_quat_wxyz))
    standing = np.array([pose.root_pos_w[0], pose.root_pos_w[1], g1.STANDING_PELVIS_HEIGHT_M])
    bodies = forward_kinematics(standing[None], upright[None], g1.DEFAULT_POS_HW[None])
    person = quat_from_yaw(yaw_of_quat(pose.smpl_root_quat_wxyz))
    return _Poses(g1.DEFAULT_POS_HW, standing, upright, smpl_joints_of_robot(*bodies)[0], person)


def _blend(start: _Poses, stop: _Poses, frames: int) -> _Poses:
    """Return `frames` poses from `start` on, the last one a step before `stop`; at rest at both ends."""
    time = np.arange(frames) / frames
    weight = time * time * (3.0 - 2.0 * time)

    def line(begin: Array, end: Array) -> Array:
        return begin + weight.reshape(-1, *[1] * begin.ndim) * (end - begin)

    def turn(begin: Array, end: Array) -> Array:
        return quat_slerp(np.tile(begin, (frames, 1)), np.tile(end, (frames, 1)), weight)

    return _Poses(*(way(a, b) for way, a, b in zip((line, line, turn, line, turn), start, stop, strict=True)))


def _way_back(clip: _Poses) -> _Poses:
    """Blend from the last frame to the first, on the spot and in the heading where the clip ended."""
    first, last = clip.at(0), clip.at(-1)
    turn = quat_from_yaw(yaw_of_quat(last.root_quat_wxyz) - yaw_of_quat(first.root_quat_wxyz))
    stop = first._replace(
        root_pos_w=np.array([last.root_pos_w[0], last.root_pos_w[1], first.root_pos_w[2]]),
        root_quat_wxyz=quat_multiply(turn, first.root_quat_wxyz),
        smpl_root_quat_wxyz=quat_multiply(turn, first.smpl_root_quat_wxyz),
    )
    # the first of the blend is the last frame itself, which the clip has already
    return _Poses(*(track[1:] for track in _blend(last, stop, _LOOP_BLEND_FRAMES + 1)))


def _origins(first_pos_w: Array, last_pos_w: Array, yaw_of_round: float, rounds: int) -> Array:
    """Return where each repetition begins, (rounds, 3) [m]: each goes on where the one before it ended."""
    way = np.array([*(last_pos_w - first_pos_w)[:2], 0.0])
    turns = quat_from_yaw(yaw_of_round * np.arange(rounds, dtype=np.float64))
    steps = quat_rotate(turns, np.tile(way, (rounds, 1)))
    return first_pos_w + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)[:-1]])
