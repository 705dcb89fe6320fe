"""Tracks a reference motion with an exported policy: observe, encode, decode, scale."""

from __future__ import annotations

import numpy as np

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.messages import Decision, Goal, JointTarget, RobotState
from sonic_runtime.infer.onnx_policy import OnnxPolicy, Vector
from sonic_runtime.observe.assemble import DecoderInput, EncoderInput, look_ahead_frames
from sonic_runtime.robots import g1


class TrackMotion:
    """A controller that follows the goal's reference.

    Args:
        policy: the two networks; they fit the robot table, which `OnnxPolicy` has checked.
    """

    def __init__(self, policy: OnnxPolicy) -> None:
        self.policy = policy
        self._encoder_input = EncoderInput(policy.encoder.inputs, policy.encoder.encoders)
        self._decoder_input = DecoderInput(policy.decoder.inputs, policy.decoder.history_fill)
        self._clip = np.float32(policy.decoder.action_clip)
        self._zeros = np.zeros(len(g1.JOINT_NAMES_HW))
        self._last_action_pol = np.zeros(len(g1.JOINT_NAMES_POL), dtype=np.float32)

    @property
    def memory(self) -> object:
        """Itself: the histories and the last action. Controllers made from it share them."""
        return self

    def reset(self) -> None:
        """Forget the histories and the last action."""
        self._decoder_input.reset()
        self._last_action_pol = np.zeros_like(self._last_action_pol)

    def look_ahead_frames(self, encoder: str) -> int:
        """Return how many reference frames, the current one included, an encoder looks at.

        Raises:
            ContractError: the policy has no such encoder.
        """
        manifest = self.policy.encoder
        for spec in manifest.encoders:
            if spec.name == encoder:
                return look_ahead_frames(manifest.inputs, spec, self.policy.decoder.inputs)
        known = ", ".join(spec.name for spec in manifest.encoders)
        raise ContractError(f"encoder: expected one of the policy's encoders ({known}), got {encoder!r}")

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return target = default + scale * clip(action), gains of the training, and the action and token behind it.

        Raises:
            ContractError: there is no goal, or the reference lacks what its encoder reads.
        """
        if goal is None:
            raise ContractError("track_motion: expected a goal, got none; the guard must not choose this controller")
        return self.act_on_token(state, self.policy.encode(self._encoder_input.fill(state, goal)), goal)

    def act_on_token(self, state: RobotState, token: Vector, goal: Goal | None) -> Decision:
        """Return what the decoder makes of a token, wherever it comes from; the histories move on by one sample.

        Args:
            state: measured now.
            token: (64,) f32 motion token.
            goal: read by decoders that take terms of the reference too.

        Raises:
            ContractError: the decoder reads a reference and there is none, or it lacks what is read.
        """
        action_pol = self.policy.decode(self._decoder_input.fill(state, self._last_action_pol, token, goal))
        # clipped before it is fed back, as in training; NaN passes through and is the guard's to find
        action_pol = np.minimum(np.maximum(action_pol, -self._clip), self._clip)
        self._last_action_pol = action_pol
        return Decision(target=self._target(action_pol), action_pol=action_pol, token=token)

    def _target(self, action_pol: np.ndarray) -> JointTarget:
        return JointTarget(
            joint_pos_hw=g1.DEFAULT_POS_HW + g1.ACTION_SCALE_HW * g1.to_hw_order(action_pol),
            joint_vel_hw=self._zeros,
            stiffness_hw=g1.STIFFNESS_HW,
            damping_hw=g1.DAMPING_HW,
            torque_ff_hw=self._zeros,
        )
