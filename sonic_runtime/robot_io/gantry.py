"""The G1 in MuJoCo on a gantry: hung up by the pelvis, lowered to the ground, let go."""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import time
from typing import Literal

import mujoco
import numpy as np

from sonic_runtime.contract.messages import JointTarget, RobotState
from sonic_runtime.robot_io.mujoco_sim import PHYSICS_HZ, MujocoSim
from sonic_runtime.robot_io.records import GANTRY_FREE, GANTRY_HOLD
from sonic_runtime.robots import g1
from sonic_runtime.robots.mjcf import build_spec

StartPose = Literal["standing", "hanging"]

HANGING_HEIGHT_M = 0.85
"""Height of the pelvis of a robot that hangs: its feet, 0.79 m below it with straight legs, are off the ground."""
_GANTRY_SPEED_M_S = 0.3
_UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


class GantryRobot:
    """A simulated G1 that can be held by its pelvis; one `step` is one physics step, of 5 ms unless told otherwise.

    The gantry is a weld of the pelvis to a point that moves up and down: MuJoCo solves it with the contacts, so that it
    is stable whatever the motors do. It lets go only where it has lowered the robot to the ground, 0.3 s from the top.
    A robot that gets no command is limp.

    Args:
        start: "standing" in the default pose on the ground, or "hanging" with all joints at zero above it.
        gantry: what the gantry does at the beginning (GANTRY_*).
        physics_hz: rate of the physics steps [1/s].

    Attributes:
        sim: the physics.
        gantry: what it is asked to do.
        held: whether it carries the robot.
    """

    def __init__(self, start: StartPose, gantry: int, physics_hz: float = PHYSICS_HZ) -> None:
        spec = build_spec(timestep_s=1.0 / physics_hz, visuals=False)
        _add_gantry(spec)
        self.sim = MujocoSim(time.monotonic_ns, control_hz=physics_hz, model=spec.compile())
        self._most_m = _GANTRY_SPEED_M_S / physics_hz
        self.gantry = gantry
        self.held = gantry != GANTRY_FREE
        self._start: StartPose = start
        self._weld = self.sim.model.equality("gantry").id
        zeros = np.zeros(len(g1.JOINT_NAMES_HW))
        self._limp = JointTarget(
            joint_pos_hw=zeros, joint_vel_hw=zeros, stiffness_hw=zeros, damping_hw=zeros, torque_ff_hw=zeros
        )
        self.reset()

    def reset(self) -> None:
        """Put the robot back into its start pose, at rest."""
        height_m = HANGING_HEIGHT_M
        if self._start == "standing":
            height_m = g1.STANDING_PELVIS_HEIGHT_M
            self.sim.stand()
        else:
            self.sim.reset_to(np.array([0.0, 0.0, height_m]), _UPRIGHT, np.zeros(len(g1.JOINT_NAMES_HW)))
        self.held = self.gantry != GANTRY_FREE
        self.sim.data.mocap_pos[0] = (0.0, 0.0, height_m)
        self.sim.data.mocap_quat[0] = _UPRIGHT

    def step(self, target: JointTarget | None) -> RobotState:
        """Advance the physics by one step with the motors at a target, limp without one; return the state after it."""
        if self.gantry != GANTRY_FREE:
            self.held = True
        if self.held:
            self._move_gantry()
        self.sim.data.eq_active[self._weld] = self.held
        self.sim.write(self._limp if target is None else target)
        return self.sim.read()

    def _move_gantry(self) -> None:
        high = self.gantry == GANTRY_HOLD and self._start == "hanging"
        wanted_m = HANGING_HEIGHT_M if high else g1.STANDING_PELVIS_HEIGHT_M
        height = self.sim.data.mocap_pos[0]
        height[2] += min(self._most_m, max(-self._most_m, wanted_m - height[2]))
        if self.gantry == GANTRY_FREE and height[2] <= g1.STANDING_PELVIS_HEIGHT_M:
            self.held = False


def _add_gantry(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_body(name="gantry", mocap=True, pos=(0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M))
    weld = spec.add_equality(name="gantry", type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY)
    weld.name1, weld.name2 = "gantry", "pelvis"
    # anchor, relative pose, share of torque: pelvis and gantry coincide
    weld.data = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    weld.active = False
