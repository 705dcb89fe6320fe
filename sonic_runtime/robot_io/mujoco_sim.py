"""The G1 in MuJoCo behind the robot port: reads as a robot would measure, advances the physics when written to.

One `write` is one control period: the motors' PD law and the effort limits are evaluated anew in every physics step
(four of 5 ms at 50 Hz), by the model's own actuators, which get their gains from each target. Runs in the loop's
thread; with the lockstep clock a run is the same every time.
"""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.contract.messages import Array, JointTarget, RobotState
from sonic_runtime.contract.rotations import quat_rotate_inverse
from sonic_runtime.robots import g1
from sonic_runtime.robots.mjcf import build_model, standing_qpos

PHYSICS_HZ = 200.0
"""Rate of physics and PD law [1/s], as in training."""
CONTROL_HZ = 50.0


class MujocoSim:
    """A simulated G1.

    Args:
        now_ns: time of the loop, for the stamp of states.
        control_hz: rate at which targets are written [1/s].
        model: model to simulate instead of the project's own G1; its joints are found by name, position
            actuators in the same order.

    Attributes:
        model, data: MuJoCo's structures, for pictures and metrics. Whoever changes them changes the world.

    Raises:
        RobotError: the physics rate is no multiple of the control rate, or the model is not a G1 on a free joint.
    """

    def __init__(
        self, now_ns: Callable[[], int], control_hz: float = CONTROL_HZ, model: mujoco.MjModel | None = None
    ) -> None:
        self.model = build_model(timestep_s=1.0 / PHYSICS_HZ) if model is None else model
        # MuJoCo would silently start anew where a state is not finite; the guard must see it instead
        self.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self.data = mujoco.MjData(self.model)
        self._now_ns = now_ns
        self._steps = _steps_per_target(self.model.opt.timestep, control_hz)
        _check_layout(self.model)
        self._bodies = np.array([self.model.body(name).id for name in g1.BODY_NAMES])
        self._gains: tuple[Array | None, ...] = (None, None, None, None)
        self.stand()

    def read(self) -> RobotState:
        """Return the state now, without noise or delay; `base_pos_w` is the simulator's truth."""
        data = self.data
        qpos, qvel = data.qpos.copy(), data.qvel.copy()
        return RobotState(
            stamp_ns=self._now_ns(),
            joint_pos_hw=qpos[7:],
            joint_vel_hw=qvel[6:],
            base_quat_wxyz=qpos[3:7],
            # of a free joint, MuJoCo keeps the angular velocity in the body's own frame
            base_ang_vel_b=qvel[3:6],
            joint_torque_hw=data.actuator_force.copy(),
            base_pos_w=qpos[:3],
        )

    def write(self, target: JointTarget) -> None:
        """Drive the motors to a target for one control period: torque = kp (q* - q) + kd (dq* - dq) + ff, clipped."""
        self._set_gains(target)
        self.data.ctrl[:] = target.joint_pos_hw
        mujoco.mj_step(self.model, self.data, self._steps)

    def reset_to(
        self,
        root_pos_w: Array,
        root_quat_wxyz: Array,
        joint_pos_hw: Array,
        joint_vel_hw: Array | None = None,
        root_lin_vel_w: Array | None = None,
        root_ang_vel_w: Array | None = None,
    ) -> None:
        """Put the robot into a state, at rest where no velocities are given.

        Args:
            root_pos_w: (3,) [m] pelvis in the world.
            root_quat_wxyz: (4,) orientation of the pelvis.
            joint_pos_hw: (29,) [rad], hardware order.
            joint_vel_hw: (29,) [rad/s].
            root_lin_vel_w: (3,) [m/s], world frame.
            root_ang_vel_w: (3,) [rad/s], world frame.
        """
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = np.concatenate([root_pos_w, root_quat_wxyz, joint_pos_hw])
        if joint_vel_hw is not None:
            self.data.qvel[6:] = joint_vel_hw
        if root_lin_vel_w is not None:
            self.data.qvel[:3] = root_lin_vel_w
        if root_ang_vel_w is not None:
            self.data.qvel[3:6] = quat_rotate_inverse(root_quat_wxyz, root_ang_vel_w)
        self.data.ctrl[:] = joint_pos_hw
        mujoco.mj_forward(self.model, self.data)

    def stand(self) -> None:
        """Put the robot into the default pose at rest, feet on the ground, facing along x."""
        qpos = standing_qpos()
        self.reset_to(qpos[:3], qpos[3:7], qpos[7:])

    def body_poses(self) -> tuple[Array, Array]:
        """Return the poses of the 30 bodies of `g1.BODY_NAMES` now: (30, 3) [m] and (30, 4) wxyz, in the world."""
        # after a step MuJoCo's body poses are those of the step's beginning
        mujoco.mj_kinematics(self.model, self.data)
        return self.data.xpos[self._bodies], self.data.xquat[self._bodies]

    def close(self) -> None:
        """Nothing to release."""

    def _set_gains(self, target: JointTarget) -> None:
        gains = (target.stiffness_hw, target.damping_hw, target.joint_vel_hw, target.torque_ff_hw)
        # controllers hand out the same arrays tick after tick
        if all(new is old for new, old in zip(gains, self._gains, strict=True)):
            return
        model = self.model
        model.actuator_gainprm[:, 0] = target.stiffness_hw
        model.actuator_biasprm[:, 1] = -target.stiffness_hw
        model.actuator_biasprm[:, 2] = -target.damping_hw
        # the constant of the affine bias holds what does not depend on the state, within the effort limit
        model.actuator_biasprm[:, 0] = target.damping_hw * target.joint_vel_hw + target.torque_ff_hw
        self._gains = gains


def _steps_per_target(timestep_s: float, control_hz: float) -> int:
    steps = 1.0 / (timestep_s * control_hz)
    if steps < 0.5 or abs(steps - round(steps)) > 1e-6:
        raise RobotError(
            f"MuJoCo: expected a physics rate that is a multiple of the control rate, got {1.0 / timestep_s:g} Hz "
            f"physics and {control_hz:g} Hz control"
        )
    return round(steps)


def _check_layout(model: mujoco.MjModel) -> None:
    joints = tuple(model.joint(i).name for i in range(model.njnt))
    actuated = tuple(model.joint(int(i)).name for i in model.actuator_trnid[:, 0])
    if model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE or joints[1:] != g1.JOINT_NAMES_HW:
        raise RobotError(
            f"MuJoCo model: expected a free joint and the 29 joints of the G1 in motor order, got {joints}"
        )
    if actuated != g1.JOINT_NAMES_HW:
        raise RobotError(f"MuJoCo model: expected one position actuator for each joint in motor order, got {actuated}")
