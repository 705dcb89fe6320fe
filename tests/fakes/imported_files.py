"""Writes ONNX files as whole_body_tracking, mjlab and holosoma write them: their metadata, names and shapes.

The network is one random layer; the motion is a real one, consistent with the robot's kinematics. Joints are shuffled,
so that whoever trusts an order instead of the names is found out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sonic_runtime.contract.rotations import quat_from_axis_angle
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics

RNG = np.random.default_rng(7)
JOINTS = tuple(str(name) for name in RNG.permutation(g1.JOINT_NAMES_HW))
"""The order of the files, which is nobody's."""
HW_INDEX_OF_FILE = [g1.JOINT_NAMES_HW.index(name) for name in JOINTS]
BODIES = ("torso_link", "pelvis", "left_knee_link", "right_wrist_yaw_link", "left_ankle_roll_link")
MIMIC_NAMES = ("command", "motion_anchor_ori_b", "base_ang_vel", "joint_pos", "joint_vel", "actions")
"""Without state estimation, in the order of both projects."""
HOLOSOMA_NAMES = ("motion_command", "motion_ref_ori_b", "base_ang_vel", "dof_pos", "dof_vel", "actions")
SIZES = {
    "command": 58,
    "motion_command": 58,
    "motion_anchor_pos_b": 3,
    "motion_anchor_ori_b": 6,
    "motion_ref_ori_b": 6,
    "base_lin_vel": 3,
    "base_ang_vel": 3,
    "projected_gravity": 3,
}
"""Every other term has 29 values."""


@dataclass
class Motion:
    """Joints (T, 29) in hardware order, and the bodies of `BODIES`."""

    joint_pos_hw: np.ndarray
    joint_vel_hw: np.ndarray
    body_pos_w: np.ndarray
    body_quat_wxyz: np.ndarray


def make_motion(frames: int = 60, hz: float = 50.0) -> Motion:
    """All joints swing, each at its own rate, while the robot turns and leans."""
    t = np.arange(frames)[:, None] / hz
    rate, phase = np.linspace(1.0, 3.0, 29), np.linspace(0.0, 2.0, 29)
    joint_pos_hw = g1.DEFAULT_POS_HW + 0.3 * np.sin(rate * t + phase)
    joint_vel_hw = 0.3 * rate * np.cos(rate * t + phase)
    turn = np.concatenate([0.2 * np.sin(t), 0.1 * np.cos(t), 1.0 + 0.8 * t], axis=1)
    root = np.array([[0.1, 0.2, 0.76]]).repeat(frames, axis=0)
    pos, quat = forward_kinematics(root, quat_from_axis_angle(turn), joint_pos_hw)
    bodies = [g1.BODY_NAMES.index(name) for name in BODIES]
    return Motion(joint_pos_hw, joint_vel_hw, pos[:, bodies], quat[:, bodies])


@dataclass
class FileMaker:
    """A file of one of the exporters; change what it says before `write`."""

    metadata: dict[str, str]
    names: tuple[str, ...]
    outputs: dict[str, np.ndarray]
    frames: dict[str, int] = field(default_factory=dict)
    weight: np.ndarray | None = None
    obs_dim: int | None = None
    inputs: tuple[str, str] = ("obs", "time_step")

    def size(self) -> int:
        return self.obs_dim or sum(SIZES.get(n, 29) * self.frames.get(n, 1) for n in self.names)

    def write(self, path: Path) -> Path:
        """Write the file: actions = obs W, and the frame of every output at the clamped time step."""
        size = self.size()
        if self.weight is None:
            self.weight = np.random.default_rng(3).normal(0.0, 0.02, (size, 29))
        total = len(next(iter(self.outputs.values())))
        constants = {"weight": self.weight.astype(np.float32), "last": np.array([total - 1], dtype=np.int64)}
        nodes = [
            helper.make_node("MatMul", [self.inputs[0], "weight"], ["actions"]),
            helper.make_node("Cast", [self.inputs[1]], ["long"], to=TensorProto.INT64),
            helper.make_node("Squeeze", ["long", "axis"], ["index"]),
            helper.make_node("Min", ["index", "last"], ["frame"]),
        ]
        constants["axis"] = np.array([1], dtype=np.int64)
        values = [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, 29])]
        for name, track in self.outputs.items():
            constants[f"{name}_all"] = track.astype(np.float32)
            nodes.append(helper.make_node("Gather", [f"{name}_all", "frame"], [name], axis=0))
            values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *track.shape[1:]]))
        graph = helper.make_graph(
            nodes,
            "main_graph",
            [
                helper.make_tensor_value_info(self.inputs[0], TensorProto.FLOAT, [1, size]),
                helper.make_tensor_value_info(self.inputs[1], TensorProto.FLOAT, [1, 1]),
            ],
            values,
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        for key, value in self.metadata.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.save(model, path)
        return path


def listed(values: Any) -> str:
    """Join a list as both exporters do: numbers with three decimals; entries that are lists with semicolons."""

    def entry(value: Any) -> str:
        if isinstance(value, list | tuple):
            return ";".join(entry(v) for v in value)
        return f"{value:.3f}" if isinstance(value, int | float) else str(value)

    return ",".join(entry(value) for value in values)


def per_joint(values_hw: np.ndarray) -> list[float]:
    return values_hw[HW_INDEX_OF_FILE].tolist()


def _mimic_metadata(names: tuple[str, ...]) -> dict[str, str]:
    return {
        "run_path": "team/project/run",
        "joint_names": listed(JOINTS),
        "joint_stiffness": listed(per_joint(g1.STIFFNESS_HW)),
        "joint_damping": listed(per_joint(g1.DAMPING_HW)),
        "default_joint_pos": listed(per_joint(g1.DEFAULT_POS_HW)),
        "command_names": "motion",
        "observation_names": listed(names),
        "action_scale": listed(per_joint(g1.ACTION_SCALE_HW)),
        "anchor_body_name": "torso_link",
        "body_names": listed(BODIES),
    }


def _mimic_outputs(motion: Motion) -> dict[str, np.ndarray]:
    return {
        "joint_pos": motion.joint_pos_hw[:, HW_INDEX_OF_FILE],
        "joint_vel": motion.joint_vel_hw[:, HW_INDEX_OF_FILE],
        "body_pos_w": motion.body_pos_w,
        "body_quat_w": motion.body_quat_wxyz,
        "body_lin_vel_w": np.zeros_like(motion.body_pos_w),
        "body_ang_vel_w": np.zeros_like(motion.body_pos_w),
    }


def beyondmimic_file(names: tuple[str, ...] = MIMIC_NAMES, motion: Motion | None = None) -> FileMaker:
    """As utils/exporter.py of whole_body_tracking writes it."""
    metadata = _mimic_metadata(names) | {"observation_history_lengths": listed([1] * len(names))}
    return FileMaker(metadata, names, _mimic_outputs(motion or make_motion()))


def mjlab_file(names: tuple[str, ...] = MIMIC_NAMES, motion: Motion | None = None) -> FileMaker:
    """As rl/exporter_utils.py of mjlab 1.6.0 writes it."""
    count = len(names)
    metadata = _mimic_metadata(names) | {
        "observation_terms_scale": listed([1.0] * count),
        "observation_terms_flatten_history_dim": listed([True] * count),
        "observation_terms_history_length": listed([0] * count),
        "observation_terms_clip": listed([[float("-inf"), float("inf")]] * count),
    }
    return FileMaker(metadata, names, _mimic_outputs(motion or make_motion()))


def holosoma_config(names: tuple[str, ...] = HOLOSOMA_NAMES) -> dict[str, Any]:
    """The part of holosoma's experiment_config that says how the policy was trained."""
    term = {"func": "holosoma.managers.observation.terms.wbt:x", "params": {}, "scale": 1.0, "noise": 0.1, "clip": None}
    return {
        "env_class": "holosoma.envs.wbt.wbt_manager.WholeBodyTrackingManager",
        "simulator": {"config": {"sim": {"fps": 200, "control_decimation": 4}}},
        "observation": {
            "groups": {
                "actor_obs": {
                    "terms": {name: dict(term) for name in names},
                    "concatenate": True,
                    "enable_noise": True,
                    "history_length": 1,
                },
            },
            "clip_observations": 100.0,
        },
        "command": {
            "setup_terms": {
                "motion_command": {
                    "params": {"motion_config": {"body_name_ref": ["torso_link"], "body_names_to_track": list(BODIES)}}
                }
            }
        },
        "robot": {
            "dof_effort_limit_list": per_joint(g1.EFFORT_LIMIT_HW),
            "init_state": {
                "default_joint_angles": dict(zip(g1.JOINT_NAMES_HW, g1.DEFAULT_POS_HW.tolist(), strict=True))
            },
            "control": {
                "action_scale": 0.25,
                "action_scales_by_effort_limit_over_p_gain": True,
                "action_clip_value": 100.0,
                "clip_actions": True,
            },
        },
    }


def holosoma_file(config: dict[str, Any] | None = None, motion: Motion | None = None) -> FileMaker:
    """As agents/ppo of holosoma writes it; without a config, as the file that holosoma ships."""
    motion = motion or make_motion()
    metadata = {
        "dof_names": json.dumps(list(JOINTS)),
        "kp": json.dumps(per_joint(g1.STIFFNESS_HW)),
        "kd": json.dumps(per_joint(g1.DAMPING_HW)),
        "command_ranges": "null",
        "robot_urdf": json.dumps("<robot/>"),
        "robot_urdf_path": json.dumps("g1/g1_29dof.urdf"),
    }
    names = HOLOSOMA_NAMES
    if config is not None:
        metadata |= {"experiment_config": json.dumps(config), "iteration": "1000"}
        names = tuple(config["observation"]["groups"]["actor_obs"]["terms"])
    outputs = {
        "joint_pos": motion.joint_pos_hw[:, HW_INDEX_OF_FILE],
        "joint_vel": motion.joint_vel_hw[:, HW_INDEX_OF_FILE],
        "ref_pos_xyz": motion.body_pos_w[:, 0],
        "ref_quat_xyzw": motion.body_quat_wxyz[:, 0, [1, 2, 3, 0]],
    }
    return FileMaker(metadata, names, outputs)
