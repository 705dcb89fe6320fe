"""Goals from the `pose` topic: take what has arrived, merge, play one frame per tick.

Runs in the command stage of the tick and never blocks: each call takes at most MAX_MESSAGES_PER_TICK messages from its
inbox without waiting. There is no thread of ours and no lock; `sonic-bench streams` measures what a message costs. What
is malformed is counted and dropped, and the reference goes on as it was. Messages are stamped with the time of the
state they came with, so that the same states and messages give the same goals again; the inbox must not give what has
waited (`ZmqInbox(fresh=True)`).

Encoders. The version of the protocol selects one: 1 g1, or teleop where the message carries VR points and the policy
has that encoder; 2 and 3 smpl. VR points beside SMPL are ignored: SONIC's headset client sends both, with legs at zero.
Version 4 brings tokens, which need none. A message whose encoder the policy lacks is rejected.

Playback holds its frame while fewer frames lie ahead than that encoder looks at: 46 for the g1 encoder of the released
policy (ten frames, five apart), 10 for its smpl encoder. A sender therefore sends chunks that reach further ahead than
that, or accepts the delay: 0.92 s and 0.2 s.

A version is kept while it is spoken. Messages of another one are rejected until the first has been silent for
VERSION_HANDOVER_NS; then the stream begins anew. Two senders on one topic thus cannot pull the robot to and fro.

"pause" holds the frame played now, at rest, whatever the stream does; "play" goes on from the newest chunk, and is
refused while nothing comes: it would end the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sonic_runtime.contract.errors import ConfigError, WireError
from sonic_runtime.contract.messages import Array, Goal, Reference, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.motions.standing_reference import heading_of_state, standing_reference
from teleop.heading import ANCHORING, Heading, Turning
from teleop.inbox import Inbox
from teleop.merge import Window, merge
from teleop.pose_packet import Frames, PoseMessage, TokenMessage, VrPoints, unpack_pose
from teleop.stream_counters import StreamCounters

MAX_MESSAGES_PER_TICK = 32
"""A sender at 50 Hz brings one a tick. After a hold-up of the network all that has waited comes at once: with 32, the
half second of it that the guard lets pass is merged without a hole. With the bound on bytes, a flood costs some 3 ms a
tick."""
VERSION_HANDOVER_NS = 200_000_000
"""Silence of one protocol version after which another one is taken: ten messages at 50 Hz, and less than what the
guard lets a stream be silent."""
PLAYABLE_NS = 200_000_000
"""Age of the newest data up to which "play" ends a pause: ten messages at 50 Hz, and less than what the guard lets a
stream be silent."""


class PoseStream:
    """A GoalSource that plays a `pose` stream.

    Args:
        inbox: where the messages come from; closed with the stream.
        look_ahead: for each encoder of the policy, the frames it looks at, the played one included.
        takes_tokens: whether the policy can follow ready tokens.
        say: where messages for the operator go.

    Attributes:
        counters: what came.

    Raises:
        ConfigError: a look-ahead is below one frame.
    """

    def __init__(
        self,
        inbox: Inbox,
        look_ahead: Mapping[str, int],
        *,
        takes_tokens: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        for encoder, frames in look_ahead.items():
            if frames < 1:
                raise ConfigError(f"stream: look-ahead of encoder {encoder}: expected at least 1 frame, got {frames}")
        self.counters = StreamCounters()
        self._inbox = inbox
        self._look_ahead = dict(look_ahead)
        self._takes_tokens = takes_tokens
        self._say = say
        self._version: int | None = None
        self._heard_ns = 0
        self._arrival_ns: int | None = None
        self._last_chunk: tuple[int, int] | None = None
        self._window: Window | None = None
        self._cursor = 0
        self._holding = False
        self._vr: VrPoints | None = None
        self._token: TokenMessage | None = None
        self._hands: Array | None = None
        self._heading = Heading()
        self._turning = Turning()
        self._standing = standing_reference()
        self._paused: Goal | None = None

    @property
    def newest_ns(self) -> int | None:
        """When the newest data came, on the clock of the loop [ns]; None before the first."""
        return self._arrival_ns

    @property
    def version(self) -> int | None:
        """Protocol version spoken now, None before the first message."""
        return self._version

    @property
    def frame_index(self) -> int | None:
        """Number of the frame the next goal will play, None before the first chunk."""
        return None if self._window is None else self._window.start + self._window.step * self._cursor

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the frame or token to track now, None until a first message came."""
        self._take_messages(state)
        for event in events:
            self._heed(event, state)
        if self._paused is not None:
            return replace(self._paused, stamp_ns=state.stamp_ns)
        if step := self._turning.step():
            self._heading.turn(step)
        goal = self._goal()
        if goal is not None and self._window is not None:
            self._advance(self._window, goal.encoder)
        return goal

    def close(self) -> None:
        """Close the inbox; safe to call twice."""
        self._inbox.close()

    def _goal(self) -> Goal | None:
        if self._arrival_ns is None:
            return None
        reference, encoder, token = self._standing, "g1", None
        if self._token is not None:
            token = self._token.token
        elif self._window is not None:
            reference, encoder = self._reference(self._window), self._encoder_of(self._window.version, self._vr)
            if self._cursor == 0:
                self._heading.first_frame(reference.root_quat_wxyz[0])
        return Goal(
            reference=reference,
            encoder=encoder,
            heading_quat_wxyz=self._heading.quat_wxyz(),
            stamp_ns=self._arrival_ns,
            token=token,
            hand_joint_pos=self._hands,
        )

    def _reference(self, window: Window) -> Reference:
        vr_pos_b = vr_quat_b_wxyz = None
        if self._vr is not None:
            vr_pos_b = self._vr.pos_b[None].repeat(len(window), axis=0)
            vr_quat_b_wxyz = self._vr.quat_b_wxyz[None].repeat(len(window), axis=0)
        tracks = window.tracks
        return Reference(
            joint_pos_pol=tracks["joint_pos_pol"],
            joint_vel_pol=tracks["joint_vel_pol"],
            root_quat_wxyz=tracks["root_quat_wxyz"],
            smpl_joints_b=tracks.get("smpl_joints_b"),
            smpl_root_quat_wxyz=tracks.get("smpl_root_quat_wxyz"),
            smpl_pose_rad=tracks.get("smpl_pose_rad"),
            cursor=self._cursor,
            vr_pos_b=vr_pos_b,
            vr_quat_b_wxyz=vr_quat_b_wxyz,
            first_index=window.start,
        )

    def _encoder_of(self, version: int, vr: VrPoints | None) -> str:
        if version != 1:
            return "smpl"
        return "teleop" if vr is not None and "teleop" in self._look_ahead else "g1"

    def _heed(self, event: OperatorEvent, state: RobotState) -> None:
        if event.kind in ANCHORING:
            if event.kind == "source":
                self._paused = None
            self._anchor(state)
        elif event.kind == "turn":
            self._turning.ask(event.value)
        elif event.kind == "pause" and self._paused is None:
            self._paused = self._held(state)
        elif event.kind == "play" and self._paused is not None:
            self._play(state)

    def _play(self, state: RobotState) -> None:
        """End a pause, where the sender still lives."""
        age_ns = state.stamp_ns - (self._arrival_ns or 0)
        if age_ns > PLAYABLE_NS:
            self._say(
                f"stream: still paused: nothing has come for {age_ns * 1e-9:.1f} s; play again when its sender is back"
            )
            return
        self._paused = None
        self._anchor(state)

    def _held(self, state: RobotState) -> Goal | None:
        """Return the goal of a pause: the frame played now, at rest; standing, where tokens are played."""
        goal = self._goal()
        if goal is None:
            return None
        if goal.token is not None:
            goal = replace(goal, token=None, heading_quat_wxyz=heading_of_state(state))
        return replace(goal, reference=replace(goal.reference, playing=False))

    def _anchor(self, state: RobotState) -> None:
        """Let the frame played now face where the robot faces."""
        root = self._standing.root_quat_wxyz[0]
        if self._window is not None:
            root = self._window.tracks["root_quat_wxyz"][self._cursor]
        self._turning.forget()
        self._heading.restart(state.base_quat_wxyz, root)

    def _take_messages(self, state: RobotState) -> None:
        for raw in self._inbox.take(MAX_MESSAGES_PER_TICK):
            self.counters.received += 1
            try:
                message = unpack_pose(raw)
                self._require_use_for(message, state.stamp_ns)
            except WireError as error:
                self.counters.reject(error)
                continue
            self._take(message, state)

    def _require_use_for(self, message: PoseMessage, now_ns: int) -> None:
        """Raise WireError where the policy cannot follow this, or another version is still being spoken."""
        version = message.version
        if isinstance(message, TokenMessage):
            if not self._takes_tokens:
                raise WireError("pose: version 4 brings tokens: expected a policy that takes them, this one does not")
        else:
            encoder = self._encoder_of(version, message.vr)
            if encoder not in self._look_ahead:
                known = ", ".join(self._look_ahead) or "none"
                raise WireError(
                    f"pose: version {version} is read by the encoder {encoder}: expected a policy that has it, "
                    f"this one has {known}"
                )
        if self._version not in (None, version) and now_ns - self._heard_ns < VERSION_HANDOVER_NS:
            raise WireError(
                f"pose: expected version {self._version}, which is being spoken, got {version}; "
                f"it is taken after {VERSION_HANDOVER_NS / 1e6:g} ms without the other"
            )

    def _take(self, message: PoseMessage, state: RobotState) -> None:
        self.counters.count_version(message.version)
        changed = self._version not in (None, message.version)
        self._version, self._heard_ns = message.version, state.stamp_ns
        if isinstance(message, TokenMessage):
            self._take_token(message, state, changed)
        elif not self._is_repeated(message, changed):
            self._take_frames(message, state)
        else:
            return
        self._arrival_ns = state.stamp_ns
        self._hands = message.hands.over(self._hands)

    def _take_token(self, message: TokenMessage, state: RobotState, changed: bool) -> None:
        if self._token is None:
            self.counters.count_reset("version" if changed else "first")
            self._window = self._vr = self._last_chunk = None
            self._anchor(state)
        self._token = message

    def _is_repeated(self, frames: Frames, changed: bool) -> bool:
        """Tell a sender that repeats its last chunk: it lives, but its motion does not go on."""
        first_and_last = int(frames.frame_index[0]), int(frames.frame_index[-1])
        if first_and_last == self._last_chunk and not changed:
            self.counters.repeated += 1
            return True
        self._last_chunk = first_and_last
        return False

    def _take_frames(self, frames: Frames, state: RobotState) -> None:
        # in a pause only the newest chunk is kept: playback goes on from what is sent then
        paused = self._paused is not None
        merged = merge(None if paused else self._window, self._cursor, frames)
        reset = merged.reset
        if reset == "hole" and self._window is not None:
            self.counters.holes += 1
            self.counters.missing_frames += (merged.window.start - self._window.end) // self._window.step - 1
        if self._token is not None:
            self._token, reset = None, "version"
        self._window, self._cursor, self._vr = merged.window, merged.cursor, frames.vr
        if reset is not None:
            self._holding = False
            self._anchor(state)
        if reset is not None and not paused:
            self.counters.count_reset(reset)
        if frames.heading_increment_rad:
            self._turning.ask(frames.heading_increment_rad)

    def _advance(self, window: Window, encoder: str) -> None:
        if self._cursor < len(window) - self._look_ahead[encoder]:
            self._cursor += 1
            self._holding = False
            return
        self.counters.held_ticks += 1
        if not self._holding and self._cursor > 0:
            self._holding = True
            self.counters.holds += 1
