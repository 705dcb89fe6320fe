"""Goals from reference motions that an operator chooses, plays, pauses and turns.

Nothing is tracked before the first "play": until then there is no goal, and the policy stands. Only where it takes over
from another source while the robot tracks, the way to the first frame begins at once, and ends there at rest. From then
on there is always a goal. Whatever the operator asks for, the reference never jumps: from the frame shown last a way of
a second leads to the next one (teleop/bridge.py), and a motion begins in the direction that the reference faced. At its
end a motion rests at its last frame; "play" leads back to its first one and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Array, Goal, Reference, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.rotations import quat_conjugate, quat_multiply, quat_rotate, yaw_of_quat
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.smpl import smpl_joints_of_robot
from sonic_runtime.motions.standing_reference import heading_of_state
from sonic_runtime.motions.vr_points import vr_five_points, vr_points
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from teleop.bridge import CONTROL_HZ, bridge, followed_by, moved_by
from teleop.heading import Heading, Turning
from teleop.motion_file import ENCODERS, reference_of

EncodersOf = Callable[[Reference], Sequence[str]]
"""Names the encoders of the policy that can read a reference, in the order in which "encoder" goes through them."""

_LOOK_AHEAD_FRAMES = 250
"""Frames of a motion shown behind the way to it [5 s]; the published policies look 46 frames ahead."""
_FAR_JOINT_RAD, _FAR_HEADING_RAD = 0.5, 0.35
"""A robot further than this from the frame shown does not track it: something else was in charge."""


def every_encoder(reference: Reference) -> Sequence[str]:
    """Return all encoders; a clip has a track for each."""
    return ENCODERS


class Playlist:
    """A GoalSource over several motions.

    Args:
        clips: motions at the control rate, in the order of "next".
        encoder: encoder to begin with.
        encoders_of: which encoders can read a motion; asked once for each.
        say: where messages for the operator go.

    Raises:
        ConfigError: there is no motion, or one that cannot be read by the first encoder.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        encoder: str,
        encoders_of: EncodersOf = every_encoder,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        if not clips:
            raise ConfigError("playlist: expected at least one motion, got none")
        self._names = [clip.name for clip in clips]
        self._motions = [reference_of(clip) for clip in clips]
        self._encoders = [tuple(encoders_of(motion)) for motion in self._motions]
        for name, readable in zip(self._names, self._encoders, strict=True):
            if encoder not in readable:
                can = ", ".join(readable) or "none"
                raise ConfigError(
                    f"motion {name}: expected one that the encoder {encoder!r} of the policy can read, found data for "
                    f"the policy's encoders: {can}"
                )
        self._say = say
        self._encoder = encoder
        self._index = 0
        self._begun = False
        self._moving = False
        self._then_play = False
        self._cursor = 0
        self._way_left = 0
        self._way = self._motions[0]
        self._target = self._motions[0]
        self._shown = self._motions[0]
        self._last = self._motions[0]
        self._heading = Heading()
        self._turning = Turning()

    @property
    def name(self) -> str:
        """Name of the motion that is chosen."""
        return self._names[self._index]

    def line(self) -> str:
        """Return what is played, in a few words."""
        frame = f"frame {self._cursor + 1}/{len(self._target)}"
        if not self._begun:
            frame = f"{len(self._target)} frames, not begun"
        elif self._way_left:
            frame = "on the way to it"
        playing = self._begun and (self._then_play if self._way_left else self._moving)
        place = f" {self._index + 1}/{len(self._names)}" if len(self._names) > 1 else ""
        return f"{self.name}{place}: {frame}, {'playing' if playing else 'paused'}"

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the frame to track now; None before the first "play"."""
        for event in events:
            self._heed(event, state)
        if not self._begun:
            return None
        self._turn()
        self._last = replace(self._shown, cursor=self._cursor, playing=self._moving)
        goal = Goal(
            reference=self._last,
            encoder=self._encoder,
            heading_quat_wxyz=self._heading.quat_wxyz(),
            stamp_ns=state.stamp_ns,
        )
        self._advance()
        return goal

    def close(self) -> None:
        """Do nothing; motions in memory hold no resource."""

    def _heed(self, event: OperatorEvent, state: RobotState) -> None:
        match event.kind:
            case "play":
                self._play(state)
            case "pause":
                self._moving = self._then_play = False
            case "restart":
                self._choose(self._index)
            case "next":
                self._choose(self._index + 1)
            case "previous":
                self._choose(self._index - 1)
            case "turn":
                self._turning.ask(event.value)
            case "recenter":
                self._recenter(state)
            case "encoder":
                self._next_encoder()
            case "source" | "start" | "policy":
                self._rejoin(event, state)

    def _play(self, state: RobotState) -> None:
        if not self._begun:
            standing = pose_reference(g1.DEFAULT_POS_HW, heading_of_state(state), state.base_pos_w)
            self._lead(standing, self._motions[self._index], then_play=True)
        elif self._way_left:
            self._moving = True
            self._then_play = True
            self._show_way(self._way_left)
        elif self._cursor == len(self._target) - 1 and not self._moving:
            self._lead(self._last, self._motions[self._index], then_play=True)
        else:
            self._moving = True

    def _choose(self, index: int) -> None:
        """Choose a motion and go to its first frame, paused."""
        self._index = index % len(self._motions)
        if self._encoder not in self._encoders[self._index]:
            self._encoder = self._encoders[self._index][0]
        motion = self._motions[self._index]
        if self._begun:
            self._lead(self._last, motion, then_play=False)
        else:
            self._target = self._shown = motion
        self._say(f"motion {self._index + 1} of {len(self._motions)}: {self.name}, {len(motion) / CONTROL_HZ:.1f} s")

    def _next_encoder(self) -> None:
        readable = self._encoders[self._index]
        self._encoder = readable[(readable.index(self._encoder) + 1) % len(readable)]
        only = ", the only one with data" if len(readable) == 1 else ""
        self._say(f"encoder: {self._encoder}{only}")

    def _rejoin(self, event: OperatorEvent, state: RobotState) -> None:
        """Begin where the robot is, if something else was in charge and has led it away from the frame shown."""
        if not self._begun and not (event.kind == "source" and event.value):
            return
        if event.kind == "source":
            self._moving = self._then_play = False  # a motion does not run on while something else is tracked
        if self._begun and not self._away_from(state):
            return
        place = pose_reference(state.joint_pos_hw, state.base_quat_wxyz, state.base_pos_w)
        target = self._target if self._way_left else replace(self._target, cursor=self._cursor)
        self._lead(place, target, then_play=self._then_play if self._way_left else self._moving)

    def _away_from(self, state: RobotState) -> bool:
        """Return whether the robot is far from the frame shown last."""
        last = self._last
        joints = g1.to_policy_order(state.joint_pos_hw) - last.joint_pos_pol[last.cursor]
        facing = quat_multiply(self._heading.quat_wxyz(), last.root_quat_wxyz[last.cursor])
        yaw = float(yaw_of_quat(quat_multiply(quat_conjugate(state.base_quat_wxyz), facing)))
        return bool(np.max(np.abs(joints)) > _FAR_JOINT_RAD or abs(yaw) > _FAR_HEADING_RAD)

    def _lead(self, start: Reference, target: Reference, *, then_play: bool) -> None:
        """Begin the way from a reference that is shown, or from a pose in the world, to the cursor of a motion."""
        old_wxyz = self._heading.quat_wxyz() if start is self._last else np.array([1.0, 0.0, 0.0, 0.0])
        facing = quat_multiply(old_wxyz, start.root_quat_wxyz[start.cursor])
        self._heading.restart(facing, target.root_quat_wxyz[target.cursor])
        turn = quat_multiply(quat_conjugate(self._heading.quat_wxyz()), old_wxyz)
        self._target = moved_by(target, quat_rotate(turn, _place(start, start.cursor)) - _place(target, target.cursor))
        self._way = bridge(start, self._target, turn)
        self._begun = True
        self._moving = True
        self._then_play = then_play
        self._show_way(len(self._way))

    def _show_way(self, frames_left: int) -> None:
        """Show the way with what comes behind it; `frames_left` of it are still to come."""
        self._way_left = frames_left
        self._cursor = len(self._way) - frames_left
        self._shown = followed_by(self._way, self._target, _LOOK_AHEAD_FRAMES if self._then_play else 1)

    def _advance(self) -> None:
        if not self._moving:
            return
        if self._way_left == 0:
            self._moving = self._cursor < len(self._target) - 1
            self._cursor = min(self._cursor + 1, len(self._target) - 1)
            return
        self._way_left -= 1
        self._cursor += 1
        if self._way_left == 0:
            self._shown, self._cursor, self._moving = self._target, self._target.cursor, self._then_play

    def _turn(self) -> None:
        step = self._turning.step()
        if step:
            before_wxyz = self._heading.quat_wxyz()
            self._heading.turn(step)
            self._turn_on_the_spot(before_wxyz)

    def _recenter(self, state: RobotState) -> None:
        self._turning.forget()
        if self._begun:
            before_wxyz = self._heading.quat_wxyz()
            self._heading.restart(state.base_quat_wxyz, self._shown.root_quat_wxyz[self._cursor])
            self._turn_on_the_spot(before_wxyz)

    def _turn_on_the_spot(self, before_wxyz: Array) -> None:
        """Let a heading that has changed turn the motion about its own place and not about the origin."""
        turn = quat_multiply(quat_conjugate(self._heading.quat_wxyz()), before_wxyz)
        place = _place(self._shown, self._cursor)
        way_m = quat_rotate(turn, place) - place
        self._shown, self._target = moved_by(self._shown, way_m), moved_by(self._target, way_m)
        self._way = moved_by(self._way, way_m)


def _place(reference: Reference, frame: int) -> Array:
    """Return the root position (3,) of a frame [m]; the origin where it is not known."""
    return np.zeros(3) if reference.root_pos_w is None else reference.root_pos_w[frame]


def pose_reference(joint_pos_hw: Array, root_quat_wxyz: Array, root_pos_w: Array | None = None) -> Reference:
    """Return one frame at rest, with the tracks that every encoder reads.

    Args:
        joint_pos_hw: (29,) [rad], hardware order.
        root_quat_wxyz: (4,) orientation of the pelvis in the world.
        root_pos_w: (3,) [m]; None for the height of the default pose above the origin.
    """
    place = np.array([0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M]) if root_pos_w is None else root_pos_w
    pos_w, quat_wxyz = forward_kinematics(place[None], root_quat_wxyz[None], joint_pos_hw[None])
    vr_pos_b, vr_quat_b_wxyz = vr_points(pos_w, quat_wxyz)
    vr5_pos_b, vr5_quat_b_wxyz = vr_five_points(pos_w, quat_wxyz)
    return Reference(
        joint_pos_pol=g1.to_policy_order(joint_pos_hw)[None],
        joint_vel_pol=np.zeros((1, len(g1.JOINT_NAMES_POL))),
        root_quat_wxyz=root_quat_wxyz[None],
        root_pos_w=place[None],
        vr_pos_b=vr_pos_b,
        vr_quat_b_wxyz=vr_quat_b_wxyz,
        vr5_pos_b=vr5_pos_b,
        vr5_quat_b_wxyz=vr5_quat_b_wxyz,
        smpl_joints_b=smpl_joints_of_robot(pos_w, quat_wxyz),
        smpl_root_quat_wxyz=root_quat_wxyz[None],
        cursor=0,
        playing=False,
    )
