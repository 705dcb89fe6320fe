"""The tick of every imported tracking policy: observe, run the graph, scale. Its motion plays by itself.

Goals do not reach such a policy, and neither do play and pause: the motion begins with the first tick after a reset, in
the direction the robot faces then, and is held at rest after its last frame.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sonic_runtime.contract.messages import Array, Decision, Goal, JointTarget, RobotState
from sonic_runtime.contract.rotations import quat_from_yaw, yaw_of_quat
from sonic_runtime.infer.imported_policy import ImportedPolicy
from sonic_runtime.observe.imported_terms import ImportedInput, Moment, MotionFrame
from sonic_runtime.robots.chain import LinkOrientation


class ImportedTracker:
    """A controller of an imported policy.

    In tick k after a reset the observation holds frame k of the motion, as in training; the graph is run with time step
    k + 1, so that one run gives the action of this tick and the frame of the next.

    Args:
        policy: the graph and what its file says.

    Attributes:
        policy: as given.
        frame_index: frame of the motion that the next tick tracks.
    """

    def __init__(self, policy: ImportedPolicy) -> None:
        contract = policy.contract
        self.policy = policy
        self.frame_index = 0
        self._input = ImportedInput(contract.terms, contract.history_fill)
        self._anchor = LinkOrientation(contract.anchor_body)
        self._clip = np.float32(contract.action_clip)
        self._zeros = np.zeros(len(contract.default_pos_hw))
        self._frame = policy.first_frame
        self._over = False
        self._last_action_file = np.zeros(len(contract.default_pos_hw), dtype=np.float32)
        self._heading_wxyz: Array | None = None

    @property
    def origin(self) -> dict[str, str]:
        """What the policy is and what is taken on trust, for the summary of a run."""
        contract = self.policy.contract
        return {"file": str(self.policy.path), "contract": contract.kind, "note": contract.note}

    @property
    def memory(self) -> object:
        """Itself: frame of the motion, heading, histories and last action."""
        return self

    def reset(self) -> None:
        """Begin anew: first frame, no history, last action zero, heading taken at the next tick."""
        self.frame_index = 0
        self._frame = self.policy.first_frame
        self._over = False
        self._input.reset()
        self._last_action_file = np.zeros_like(self._last_action_file)
        self._heading_wxyz = None

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return target = default + scale * action and the gains of the file; the goal is not looked at."""
        contract = self.policy.contract
        anchor_wxyz = self._anchor.of(state.base_quat_wxyz, state.joint_pos_hw)
        if self._heading_wxyz is None:
            self._heading_wxyz = _heading(anchor_wxyz, self._frame.anchor_quat_wxyz)
        moment = Moment(
            state=state,
            frame=self._frame,
            anchor_quat_wxyz=anchor_wxyz,
            heading_quat_wxyz=self._heading_wxyz,
            last_action_file=self._last_action_file,
            joints=contract.joints,
            default_pos_hw=contract.default_pos_hw,
        )
        action, next_frame = self.policy.run(self._input.fill(moment), self.frame_index + 1)
        # clipped before it is fed back; NaN passes through and is the guard's to find
        action = np.minimum(np.maximum(action, -self._clip), self._clip)
        self._last_action_file = action
        self._advance(next_frame)
        return Decision(target=self._target(action), action_pol=action[contract.joints.file_index_of_pol])

    def _advance(self, next_frame: MotionFrame) -> None:
        if self._over:
            return
        self._over = self.policy.is_over(self._frame, next_frame)
        if self._over:
            next_frame = replace(next_frame, joint_vel_file=np.zeros_like(next_frame.joint_vel_file))
        else:
            self.frame_index += 1
        self._frame = next_frame

    def _target(self, action_file: Array) -> JointTarget:
        contract = self.policy.contract
        return JointTarget(
            joint_pos_hw=contract.default_pos_hw
            + contract.action_scale_hw * action_file[contract.joints.file_index_of_hw],
            joint_vel_hw=self._zeros,
            stiffness_hw=contract.stiffness_hw,
            damping_hw=contract.damping_hw,
            torque_ff_hw=self._zeros,
        )


def _heading(robot_wxyz: Array, motion_wxyz: Array) -> Array:
    """Return Rz(yaw(robot) - yaw(motion)), (4,): it turns the motion into the direction the robot faces."""
    return quat_from_yaw(yaw_of_quat(robot_wxyz) - yaw_of_quat(motion_wxyz))
