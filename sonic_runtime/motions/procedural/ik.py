"""Whole-body inverse kinematics: from feet, centre of mass, pelvis, hands and a posture to joint angles.

Each frame is a few Gauss-Newton steps of mink, started from where the last two frames lead. The feet weigh so much
more than all else that their error is far below what can be seen; `whole_body` checks it.
"""

# MuJoCo's compiled modules carry no type stubs
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mink
import mujoco
import numpy as np
import numpy.typing as npt

from sonic_runtime.motions.procedural.stance import HAND_BODY_NAMES, standing
from sonic_runtime.robots import g1, mjcf

Array = npt.NDArray[np.floating]

SOLVER = "daqp"
RANGE_MARGIN_RAD = 0.03
"""Distance kept from the ends of every joint's range [rad]."""
ELBOW_STRAIGHT_RAD = 1.3
KNEE_STRAIGHT_RAD = 0.1
"""Elbow and knee could go on beyond the straight limb, into a second solution that does not lead back."""
STEPS_OF_FIRST_FRAME = 40
STEPS_PER_FRAME = 2
DAMPING = 1e-5
FOOT_COST = 100.0
BALANCE_COST = 20.0
PELVIS_COST = 10.0
HAND_COST = 3.0
LEG_POSTURE_COST = 1e-3
UPPER_POSTURE_COST = 1.0
REACHING_WAIST_COST = 0.4
REACHING_ARM_COST = 0.12

_LEGS = slice(0, 12)
_WAIST = slice(12, 15)
_ARMS = slice(15, 29)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the body should do, frame by frame at 50 Hz.

    Attributes:
        feet_pos_w: (T, 2, 3) ankle roll frames, left and right [m].
        feet_quat_wxyz: (T, 2, 4) their orientations.
        com_xy_w: (T, 2) centre of mass [m].
        height_m: (T,) height of the pelvis above the ground [m].
        pelvis_quat_wxyz: (T, 4) orientation of the pelvis.
        joint_pos_hw: (T, 29) posture [rad]; waist and arms follow it, legs are given by the rest.
        zmp_w: (T, 2) where the zero-moment point should be [m], or None where motion is too slow to matter.
        hands_pos_w: (T, 2, 3) wrist yaw frames, left and right [m], or None to leave the arms to the posture.
    """

    feet_pos_w: Array
    feet_quat_wxyz: Array
    com_xy_w: Array
    height_m: Array
    pelvis_quat_wxyz: Array
    joint_pos_hw: Array
    zmp_w: Array | None = None
    hands_pos_w: Array | None = None


class HeightTask(mink.Task):
    """Keeps a body at a height in the world; error and Jacobian have one row [m]."""

    def __init__(self, body: str, cost: float) -> None:
        super().__init__(cost=np.array([cost]))
        self.body = body
        self.height_m = 0.0

    def compute_error(self, configuration: mink.Configuration) -> Array:
        """Return (1,) height minus wanted height [m]."""
        return np.array([configuration.data.body(self.body).xpos[2] - self.height_m])

    def compute_jacobian(self, configuration: mink.Configuration) -> Array:
        """Return (1, nv), the vertical row of the body's Jacobian."""
        jacobian = np.zeros((3, configuration.model.nv))
        body_id = configuration.model.body(self.body).id
        mujoco.mj_jacBody(configuration.model, configuration.data, jacobian, None, body_id)
        return jacobian[2:3]


@cache
def robot_model() -> mujoco.MjModel:
    """Return the robot alone, its joint ranges narrowed to those in use."""
    model = mjcf.build_model(floor=False, actuators=False, visuals=False)
    model.jnt_range[1:, 0] += RANGE_MARGIN_RAD
    model.jnt_range[1:, 1] -= RANGE_MARGIN_RAD
    for side in ("left", "right"):
        model.jnt_range[model.joint(f"{side}_elbow_joint").id, 1] = ELBOW_STRAIGHT_RAD
        model.jnt_range[model.joint(f"{side}_knee_joint").id, 0] = KNEE_STRAIGHT_RAD
    return model


class BodySolver:
    """Turns `Targets` into joint angles.

    Args:
        targets: what to do.
    """

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self.model = robot_model()
        self.configuration = mink.Configuration(self.model)
        self.limits = [mink.ConfigurationLimit(self.model)]
        self.feet = [mink.FrameTask(name, "body", FOOT_COST, FOOT_COST) for name in g1.FOOT_BODY_NAMES]
        self.pelvis = mink.FrameTask("pelvis", "body", 0.0, PELVIS_COST)
        self.com = mink.ComTask([BALANCE_COST, BALANCE_COST, 0.0])
        self.height = HeightTask("pelvis", BALANCE_COST)
        self.posture = mink.PostureTask(self.model, self._posture_costs())
        self.hands = [mink.FrameTask(name, "body", HAND_COST, 0.0) for name in HAND_BODY_NAMES]
        self.tasks: list[mink.BaseTask] = [*self.feet, self.pelvis, self.com, self.height, self.posture]
        if targets.hands_pos_w is not None:
            self.tasks.extend(self.hands)

    def _posture_costs(self) -> Array:
        reaching = self.targets.hands_pos_w is not None
        costs = np.zeros(self.model.nv)
        joints = costs[6:]
        joints[_LEGS] = LEG_POSTURE_COST
        joints[_WAIST] = REACHING_WAIST_COST if reaching else UPPER_POSTURE_COST
        joints[_ARMS] = REACHING_ARM_COST if reaching else UPPER_POSTURE_COST
        return costs

    def _aim(self, frame: int) -> None:
        """Set the targets of all tasks to a frame."""
        targets = self.targets
        for side, task in enumerate(self.feet):
            task.set_target(_pose(targets.feet_pos_w[frame, side], targets.feet_quat_wxyz[frame, side]))
        self.pelvis.set_target(_pose(np.zeros(3), targets.pelvis_quat_wxyz[frame]))
        self.com.set_target(np.append(targets.com_xy_w[frame], 0.0))
        self.height.height_m = float(targets.height_m[frame])
        self.posture.set_target(np.concatenate([np.zeros(3), [1.0, 0.0, 0.0, 0.0], targets.joint_pos_hw[frame]]))
        if targets.hands_pos_w is not None:
            for side, task in enumerate(self.hands):
                task.set_target(_pose(targets.hands_pos_w[frame, side], np.array([1.0, 0.0, 0.0, 0.0])))

    def _improve(self, steps: int) -> None:
        for _ in range(steps):
            delta = mink.solve_ik(self.configuration, self.tasks, 1.0, SOLVER, damping=DAMPING, limits=self.limits)
            self.configuration.integrate_inplace(delta, 1.0)

    def _carry_on(self, previous: Array, before: Array) -> None:
        """Start the next frame where the motion of the last two leads."""
        step, guess = np.zeros(self.model.nv), previous.copy()
        mujoco.mj_differentiatePos(self.model, step, 1.0, before, previous)
        mujoco.mj_integratePos(self.model, guess, step, 1.0)
        guess[7:] = np.clip(guess[7:], self.model.jnt_range[1:, 0], self.model.jnt_range[1:, 1])
        self.configuration.update(guess)

    def solve(self) -> Array:
        """Return qpos (T, 36): pelvis position [m], quaternion wxyz, joint angles [rad] in hardware order."""
        frames = len(self.targets.com_xy_w)
        qpos = np.empty((frames, self.model.nq))
        start = mjcf.standing_qpos()
        start[2] = standing().pelvis_height_m
        self.configuration.update(start)
        for frame in range(frames):
            if frame > 1:
                self._carry_on(qpos[frame - 1], qpos[frame - 2])
            self._aim(frame)
            self._improve(STEPS_PER_FRAME if frame else STEPS_OF_FIRST_FRAME)
            qpos[frame] = self.configuration.q
        return qpos


def _pose(position: Array, quat_wxyz: Array) -> mink.SE3:
    return mink.SE3(wxyz_xyz=np.concatenate([quat_wxyz, position]))
