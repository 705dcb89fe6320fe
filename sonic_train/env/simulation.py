"""The robots in Isaac Lab on the Newton backend: the only module of the trainer that imports Isaac Lab.

Isaac Lab holds the scene, the articulation, the contact sensor and the physics graph; all terms of the task are
evaluated elsewhere on the plain tensors of `RobotTensors`. Isaac Lab's quaternions are xyzw and are converted here.
Every write takes a full tensor and a mask, so that no step waits for the device.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import isaaclab.sim as sim_utils
import numpy as np
import numpy.typing as npt
import torch
import warp as wp
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import Articulation, ArticulationCfg, AssetBaseCfg
from isaaclab.scene import InteractiveScene, InteractiveSceneCfg
from isaaclab.sensors import ContactSensorCfg
from isaaclab.sim import SimulationCfg, SimulationContext
from isaaclab.sim.spawners.materials import RigidBodyMaterialBaseCfg
from isaaclab.sim.utils.stage import use_stage
from isaaclab.utils import configclass
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg
from isaaclab_newton.physics.newton_manager import NewtonManager
from mujoco_warp._src.types import OverflowType
from newton import ModelFlags
from torch import Tensor

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robots import g1
from sonic_train.env.config import EventConfig, SimulationConfig
from sonic_train.env.draws import uniform
from sonic_train.env.rotations import quat_wxyz_from_xyzw, quat_xyzw_from_wxyz
from sonic_train.env.state import RobotTensors
from sonic_train.robot_usd import g1_usd_path

_GROUND = """#usda 1.0
(
    defaultPrim = "ground"
    metersPerUnit = 1
    upAxis = "Z"
)

def Xform "ground"
{
    def Plane "plane" (
        prepend apiSchemas = ["PhysicsCollisionAPI"]
    )
    {
        uniform token axis = "Z"
        double length = 100
        double width = 100
    }
}
"""

_SPACE_OVERFLOW = int(OverflowType.NEFC | OverflowType.BROADPHASE | OverflowType.NARROWPHASE)


class TrackingSimulation:
    """Many G1 robots on flat ground.

    Args:
        num_envs: number of robots.
        device: torch device name, "cpu" or "cuda:N".
        config: physics settings.

    Raises:
        RobotError: if the loaded robot has other joints or bodies than the table.
    """

    def __init__(self, num_envs: int, device: str, config: SimulationConfig) -> None:
        self.num_envs, self.device, self._config = num_envs, device, config
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        self._sim = SimulationContext(_simulation_cfg(device, config))
        with use_stage(self._sim.stage):
            self._scene = InteractiveScene(_scene_cfg(num_envs))
        self._sim.register_interactive_scene(self._scene)
        with use_stage(self._sim.stage):
            self._sim.reset()
        # Overflows are counted (`overflow`); a line printed by every robot at every step would bury the log.
        _solver().mjw_model.opt.warn_overflow = False
        self._scene.update(dt=config.physics_dt_s)
        manager = self._sim.physics_manager
        manager.set_decimation(config.decimation)
        self._steps_per_call = config.decimation if manager.handles_decimation() else 1
        self._robot: Articulation = self._scene["robot"]
        self._check_robot()
        body_names = list(self._robot.body_names)
        self._tracked = torch.tensor([body_names.index(n) for n in g1.TRACKED_BODY_NAMES], device=device)
        self._origins = self._scene.env_origins
        self._contact = self._scene["contact"]
        sensor_names = list(self._contact.sensor_names)
        self._contact_order = torch.tensor([sensor_names.index(n) for n in g1.BODY_NAMES], device=device)

    def step(self, target_hw: Tensor) -> None:
        """Advance one control step.

        Args:
            target_hw: (N, 29) joint position targets [rad], hardware order, held during the step.
        """
        self._robot.actuators.target_command.set_position_mask(value=target_hw)
        for _ in range(self._config.decimation // self._steps_per_call):
            self._scene.write_data_to_sim()
            self._sim.step(render=False)
            self._scene.update(dt=self._config.physics_dt_s * self._steps_per_call)

    def state(self) -> RobotTensors:
        """Return the state now; fresh tensors, except the joint state, which the next step overwrites."""
        data = self._robot.data
        pose = data.body_link_pose_w.torch[:, self._tracked]
        velocity = data.body_link_vel_w.torch[:, self._tracked]
        return RobotTensors(
            joint_pos_hw=data.joint_pos.torch.clone(),
            joint_vel_hw=data.joint_vel.torch.clone(),
            body_pos_w=pose[..., :3] - self._origins[:, None],
            body_quat_wxyz=quat_wxyz_from_xyzw(pose[..., 3:]),
            body_lin_vel_w=velocity[..., :3],
            body_ang_vel_w=velocity[..., 3:],
            contact_force_w=self._contact.data.net_forces_w.torch[:, self._contact_order],
        )

    def overflow(self) -> Tensor:
        """Return the part of robots, a scalar, whose constraints or contacts did not fit into njmax or nconmax."""
        flags = wp.to_torch(_solver().mjw_data.overflow)
        return ((flags & _SPACE_OVERFLOW) != 0).float().mean()

    def write_state(
        self,
        mask: Tensor,
        root_pos_w: Tensor,
        root_quat_wxyz: Tensor,
        root_vel_w: Tensor,
        joint_pos_hw: Tensor,
        joint_vel_hw: Tensor,
    ) -> None:
        """Place the masked robots.

        Args:
            mask: (N,) bool, robots to place.
            root_pos_w: (N, 3) [m] pelvis position relative to the environment's origin.
            root_quat_wxyz: (N, 4).
            root_vel_w: (N, 6) linear [m/s] and angular [rad/s] velocity of the pelvis frame, world.
            joint_pos_hw: (N, 29) [rad].
            joint_vel_hw: (N, 29) [rad/s].
        """
        env_mask = wp.from_torch(mask.contiguous())
        pose = torch.cat([root_pos_w + self._origins, quat_xyzw_from_wxyz(root_quat_wxyz)], dim=-1).contiguous()
        self._robot.write_root_link_pose_to_sim_mask(root_pose=pose, env_mask=env_mask)
        self._robot.write_root_link_velocity_to_sim_mask(root_velocity=root_vel_w.contiguous(), env_mask=env_mask)
        self._robot.write_joint_state_to_sim_mask(  # type: ignore[attr-defined]
            position=joint_pos_hw.contiguous(), velocity=joint_vel_hw.contiguous(), env_mask=env_mask
        )

    def add_root_velocity(self, mask: Tensor, delta_w: Tensor) -> None:
        """Push: add a velocity (N, 6) [m/s, rad/s] to the pelvis frame of the masked robots."""
        velocity = self._robot.data.root_link_vel_w.torch + delta_w
        self._robot.write_root_link_velocity_to_sim_mask(
            root_velocity=velocity.contiguous(), env_mask=wp.from_torch(mask.contiguous())
        )

    def randomize(self, events: EventConfig) -> None:
        """Draw friction, masses and centres of mass, once for the whole run."""
        self._randomize_friction(events)
        n, names = self.num_envs, list(self._robot.body_names)
        masses, inertias = self._robot.data.body_mass.torch.clone(), self._robot.data.body_inertia.torch.clone()
        for name in events.mass_bodies:
            scale = uniform((n, 1), *events.mass_scale, self.device)
            # A heavier body of the same shape: its inertia grows with its mass.
            masses[:, [names.index(name)]] *= scale
            inertias[:, names.index(name)] *= scale
        self._robot.set_masses_mask(masses=masses)
        self._robot.set_inertias_mask(inertias=inertias)
        coms = self._robot.data.body_com_pos_b.torch.clone()
        half = torch.tensor(events.torso_com_m, device=self.device)
        coms[:, names.index("torso_link")] += half * uniform((n, 3), -1.0, 1.0, self.device)
        self._robot.set_coms_mask(coms=coms.contiguous())

    def _randomize_friction(self, events: EventConfig) -> None:
        # One value per robot. Isaac Lab's own term draws per shape, which would give every point of a foot another.
        model = NewtonManager.get_model()
        view = self._robot.root_view
        friction = wp.to_torch(view.get_attribute("shape_material_mu", model)[:, 0])
        feet = [s for n in ("left_ankle_roll_link", "right_ankle_roll_link") for s in self._shapes_of(n)]
        value = uniform((self.num_envs, 1), *events.friction, self.device)
        friction[:, torch.tensor(feet, device=friction.device)] = value
        NewtonManager.add_model_change(ModelFlags.SHAPE_PROPERTIES)

    def _shapes_of(self, body: str) -> list[int]:
        return list(self._robot.root_view.body_shapes[list(self._robot.body_names).index(body)])

    def _check_robot(self) -> None:
        joints, bodies = tuple(self._robot.joint_names), tuple(self._robot.body_names)
        if joints != tuple(g1.JOINT_NAMES_HW) or bodies != tuple(g1.BODY_NAMES):
            raise RobotError(
                "Isaac Lab loaded a robot with other joints or bodies than sonic_runtime.robots.g1; expected "
                f"{g1.JOINT_NAMES_HW} and {g1.BODY_NAMES}, got {joints} and {bodies}; delete the cached USD"
            )

    def close(self) -> None:
        """Release the simulator; a process can hold one at a time."""
        self._sim.clear_instance()


def _solver() -> Any:
    """Return Newton's MuJoCo-Warp solver; Isaac Lab offers no public way to its overflow flags."""
    return NewtonManager._solver


def _simulation_cfg(device: str, config: SimulationConfig) -> SimulationCfg:
    solver = MJWarpSolverCfg(
        njmax=config.njmax,
        nconmax=config.nconmax,
        iterations=config.iterations,
        ls_iterations=config.ls_iterations,
        integrator="implicitfast",
        cone="pyramidal",
        use_mujoco_contacts=True,
    )
    return SimulationCfg(
        dt=config.physics_dt_s,
        device=device,
        render_interval=config.decimation,
        physics=NewtonCfg(solver_cfg=solver, num_substeps=1),
    )


def _scene_cfg(num_envs: int) -> InteractiveSceneCfg:
    usd_path = g1_usd_path()
    ground_path = _ground_usd(usd_path.parent)
    robot_cfg = ArticulationCfg(
        prim_path="{ENV_REGEX_NS}/Robot",
        spawn=sim_utils.UsdFileCfg(usd_path=str(usd_path), activate_contact_sensors=True),
        init_state=ArticulationCfg.InitialStateCfg(
            pos=(0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M),
            joint_pos=_by_joint(g1.DEFAULT_POS_HW),
        ),
        actuators={"motors": _actuators()},
    )

    @configclass
    class SceneCfg(InteractiveSceneCfg):
        ground = AssetBaseCfg(
            prim_path="/World/ground",
            spawn=sim_utils.GroundPlaneCfg(
                usd_path=str(ground_path),
                physics_material=RigidBodyMaterialBaseCfg(static_friction=1.0, dynamic_friction=1.0),
            ),
        )
        robot = robot_cfg
        contact = ContactSensorCfg(prim_path="{ENV_REGEX_NS}/Robot/.*", history_length=0, track_air_time=False)

    # Environments are separate worlds in Newton; a spacing would only cost precision in float32.
    return SceneCfg(num_envs=num_envs, env_spacing=0.0)


def _by_joint(values_hw: npt.NDArray[np.floating]) -> dict[str, float]:
    return dict(zip(g1.JOINT_NAMES_HW, values_hw.tolist(), strict=True))


def _actuators() -> ImplicitActuatorCfg:
    return ImplicitActuatorCfg(
        joint_names_expr=list(g1.JOINT_NAMES_HW),
        stiffness=_by_joint(g1.STIFFNESS_HW),
        damping=_by_joint(g1.DAMPING_HW),
        armature=_by_joint(g1.ARMATURE_HW),
        joint_effort_limit=_by_joint(g1.EFFORT_LIMIT_HW),
        joint_velocity_limit=_by_joint(g1.VELOCITY_LIMIT_HW),
    )


def _ground_usd(folder: Path) -> Path:
    """Write a plane, unless it is there; Isaac Lab's stock ground lives on a remote server.

    Several processes may do so at the same time: each has a file of its own until the rename.
    """
    path = folder / "ground_plane.usda"
    if path.exists():
        return path
    own = path.with_suffix(f".{os.getpid()}.usda")
    own.write_text(_GROUND)
    own.replace(path)
    return path
