"""Messages of every protocol version of `pose` from a track: message k is what a receiver plays at tick k.

Versions 1 to 3 carry the frames from k on. Version 4 carries the token that an encoder makes of them, for a robot that
stands on frame k: the sender knows nothing of the real one, so that errors of its heading are not corrected.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Goal, Reference, RobotState
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import find_policy
from sonic_runtime.infer.released import split_contract
from sonic_runtime.observe.assemble import EncoderInput, look_ahead_frames
from sonic_runtime.robots import g1
from teleop.pose_packet import VERSIONS, PoseMessage, TokenMessage
from teleop.stream_track import StreamTrack

MakeMessage = Callable[[int], PoseMessage]
"""Returns message k."""

_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def messages_of(track: StreamTrack, version: int, chunk_frames: int, policy: str | None = None) -> MakeMessage:
    """Return what makes the messages of a track.

    Args:
        track: the motion.
        version: protocol version, 1 to 4.
        chunk_frames: frames in a message of versions 1 to 3.
        policy: name or folder of the policy whose encoder makes the tokens of version 4.

    Raises:
        ConfigError: there is no such version, or no policy for version 4.
        ContractError: the policy cannot be used.
    """
    if version == 1:
        return lambda number: track.chunk(number, chunk_frames)
    if version in (2, 3):
        return lambda number: track.smpl_chunk(number, chunk_frames, wrists=version == 3)
    if version != 4:
        raise ConfigError(f"version={version}: expected one of {', '.join(map(str, VERSIONS))}")
    if policy is None:
        raise ConfigError("policy: expected the policy whose encoder makes the tokens of version=4, found none")
    contract, folder = split_contract(policy)
    return TokenMaker(track, OnnxPolicy(find_policy(folder), contract)).message


class TokenMaker:
    """Makes tokens of a track with the encoder of a policy.

    Args:
        track: the motion.
        policy: the networks, of which the encoder runs.

    Raises:
        ConfigError: the policy has no g1 encoder.
    """

    def __init__(self, track: StreamTrack, policy: OnnxPolicy) -> None:
        manifest = policy.encoder
        specs = {spec.name: spec for spec in manifest.encoders}
        if "g1" not in specs:
            raise ConfigError(f"policy: expected one with a g1 encoder, this one has {', '.join(specs) or 'none'}")
        self._track = track
        self._policy = policy
        self._look_ahead = look_ahead_frames(manifest.inputs, specs["g1"])
        self._input = EncoderInput(manifest.inputs, manifest.encoders)

    def message(self, number: int) -> TokenMessage:
        """Return the token of a frame."""
        frames = self._track.chunk(number, self._look_ahead)
        reference = Reference(
            joint_pos_pol=frames.joint_pos_pol,
            joint_vel_pol=frames.joint_vel_pol,
            root_quat_wxyz=frames.root_quat_wxyz,
            cursor=0,
        )
        goal = Goal(reference=reference, encoder="g1", heading_quat_wxyz=_IDENTITY, stamp_ns=0)
        state = RobotState(
            stamp_ns=0,
            joint_pos_hw=g1.to_hw_order(frames.joint_pos_pol[0]),
            joint_vel_hw=g1.to_hw_order(frames.joint_vel_pol[0]),
            base_quat_wxyz=frames.root_quat_wxyz[0],
            base_ang_vel_b=np.zeros(3),
            joint_torque_hw=np.zeros(len(g1.JOINT_NAMES_HW)),
        )
        return TokenMessage(token=self._policy.encode(self._input.fill(state, goal)).copy(), frame_index=number)
