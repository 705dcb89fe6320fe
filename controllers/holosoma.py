"""Whole-body tracking policies of holosoma, as its exporter writes them.

Source of keys, shapes and formulas: github.com/amazon-far/holosoma, commit fc600e7: utils/inference_helpers.py,
agents/{ppo,fast_sac}, managers/{observation,action}, config_values/wbt/g1, and holosoma_inference for what its own
runtime does. Every value of the metadata is JSON; per-joint values are in the order of dof_names. The key
experiment_config holds the whole training configuration, from which the default pose, the action scale, the observation
and the reference body are read. Files from before that key do not say these, the one that holosoma ships among them;
they run only when asked for by name, holosoma_release:FILE, with the constants of holosoma_inference's configuration
g1-29dof-wbt.

The observation is in alphabetical order of its terms. Each term is scaled, then clipped. Histories begin with zeros,
oldest sample first. Quaternions of the motion are xyzw. Actions are clipped to +- 100 before they are fed back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sonic_runtime.contract.messages import Array
from sonic_runtime.infer.imported_contract import (
    ImportedContract,
    check_body,
    file_joints,
    known_terms,
    per_joint,
)
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.infer.imported_policy import CONTROL_HZ, BakedBodies, ImportedPolicy
from sonic_runtime.infer.imported_tracker import ImportedTracker
from sonic_runtime.observe.imported_terms import HOLOSOMA_TERMS, FileJoints, ImportedTerm
from sonic_runtime.robots import g1

KEYS = ("dof_names", "kp", "kd")
"""Metadata keys by which such a file is known."""
RELEASE_NAME = "holosoma_release"
_RELEASE_TERMS = ("motion_command", "motion_ref_ori_b", "base_ang_vel", "dof_pos", "dof_vel", "actions")
_RELEASE_ACTION_SCALE = 1.0
_RELEASE_BODY = "torso_link"
_CONFIG = "experiment_config"
_ACTION_CLIP = 100.0
_WITHOUT_ESTIMATION = "train with an actor observation of motion_command, motion_ref_ori_b and what the robot measures"


class Holosoma(ImportedTracker):
    """Tracks the motion inside the file.

    Args:
        file: the ONNX file.
        published: whether a file that does not say its default pose, action scale and observation runs with the
            published ones.

    Raises:
        ContractError: the file is not one of these, or does not fit the robot.
    """

    def __init__(self, file: ImportedFile, *, published: bool = False) -> None:
        file.check_motion_inside()
        joints = file_joints(file, "dof_names", _list(file, "dof_names", file.json("dof_names"), str))
        if says_its_training(file):
            contract = _trained_contract(file, joints, _Config(file))
        elif published:
            contract = _published_contract(file, joints)
        else:
            raise file.error(
                f"expected the metadata key {_CONFIG!r}, which says default pose, action scale and observation; this "
                f"file is older than that key. To run it with the published constants of holosoma_inference, ask for "
                f"{RELEASE_NAME}:{file.path}"
            )
        super().__init__(ImportedPolicy(file, contract, BakedBodies(output="ref_quat_xyzw", quaternion_order="xyzw")))


def says_its_training(file: ImportedFile) -> bool:
    """Return whether a file says its default pose, action scale and observation."""
    return _CONFIG in file.metadata


class _Config:
    """The training configuration: nested JSON objects, read by path."""

    def __init__(self, file: ImportedFile) -> None:
        self._file = file
        self._content = file.json(_CONFIG)

    def at(self, path: str) -> Any:
        """Return the value at a path such as "robot.control.action_scale"; a missing key is a ContractError."""
        value = self._content
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                found = ", ".join(sorted(value)) if isinstance(value, dict) else repr(value)
                raise self._file.error(f"metadata {_CONFIG}.{path}: expected the key {key!r}, found {found}")
            value = value[key]
        return value

    def number(self, path: str) -> float:
        """Return a number; raises as `at`."""
        return _list(self._file, f"{_CONFIG}.{path}", [self.at(path)], float)[0]


def _trained_contract(file: ImportedFile, joints: FileJoints, config: _Config) -> ImportedContract:
    rate = config.number("simulator.config.sim.fps") / config.number("simulator.config.sim.control_decimation")
    if abs(rate - CONTROL_HZ) > 1e-6:
        raise file.error(f"expected a policy trained at {CONTROL_HZ:g} Hz, this one was at {rate:g} Hz")
    pose = config.at("robot.init_state.default_joint_angles")
    missing = [name for name in joints.order.names if name not in pose]
    if missing:
        raise file.error(f"metadata {_CONFIG}.robot.init_state.default_joint_angles: no angle for {', '.join(missing)}")
    body = config.at("command.setup_terms.motion_command.params.motion_config.body_name_ref")
    body = _list(file, "body_name_ref", body, str)[0]
    return _contract(
        file,
        joints,
        default=[float(pose[name]) for name in joints.order.names],
        scale_hw=_action_scale(file, joints, config),
        terms=_trained_terms(file, config),
        body=body,
    )


def _published_contract(file: ImportedFile, joints: FileJoints) -> ImportedContract:
    names = sorted(_RELEASE_TERMS)
    known = known_terms(file, names, HOLOSOMA_TERMS, _WITHOUT_ESTIMATION)
    default = g1.DEFAULT_POS_HW[joints.hw_index_of_file].tolist()
    return _contract(
        file,
        joints,
        default=default,
        scale_hw=per_joint(file, "action_scale", _metadata_scale(file) or [_RELEASE_ACTION_SCALE], joints),
        terms=tuple(ImportedTerm(name=name, known=term) for name, term in zip(names, known, strict=True)),
        body=_RELEASE_BODY,
        note=(
            f"contract {RELEASE_NAME}: the file says neither its default pose nor its observation nor its reference "
            "body; they are the published ones of holosoma_inference for g1-29dof-wbt"
        ),
    )


def _contract(
    file: ImportedFile,
    joints: FileJoints,
    *,
    default: list[float],
    scale_hw: Array,
    terms: tuple[ImportedTerm, ...],
    body: str,
    note: str = "",
) -> ImportedContract:
    def gains(key: str) -> Array:
        return per_joint(file, key, _list(file, key, file.json(key), float), joints, positive=True)

    return ImportedContract(
        kind="holosoma",
        joints=joints,
        default_pos_hw=per_joint(file, "default_joint_angles", default, joints),
        action_scale_hw=scale_hw,
        stiffness_hw=gains("kp"),
        damping_hw=gains("kd"),
        terms=terms,
        history_fill="zero",
        anchor_body=check_body(file, "body_name_ref", body),
        action_clip=_ACTION_CLIP,
        note=note,
    )


def _metadata_scale(file: ImportedFile) -> list[float]:
    """Return the action scale that later exporters write beside the gains, one or 29 values; empty without the key."""
    if "action_scale" not in file.metadata:
        return []
    value = file.json("action_scale")
    return _list(file, "action_scale", value if isinstance(value, list) else [value], float)


def _action_scale(file: ImportedFile, joints: FileJoints, config: _Config) -> Array:
    written = _metadata_scale(file)
    if written:
        return per_joint(file, "action_scale", written, joints, positive=True)
    scale = config.number("robot.control.action_scale")
    if not config.at("robot.control.action_scales_by_effort_limit_over_p_gain"):
        return per_joint(file, f"{_CONFIG}.robot.control.action_scale", [scale], joints, positive=True)
    key = f"{_CONFIG}.robot.dof_effort_limit_list"
    effort = per_joint(file, key, _list(file, key, config.at("robot.dof_effort_limit_list"), float), joints)
    stiffness = per_joint(file, "kp", _list(file, "kp", file.json("kp"), float), joints, positive=True)
    return scale * effort / stiffness


def _trained_terms(file: ImportedFile, config: _Config) -> tuple[ImportedTerm, ...]:
    group = "observation.groups.actor_obs"
    if not config.at(f"{group}.concatenate"):
        raise file.error(f"metadata {_CONFIG}.{group}: expected terms that are concatenated into one observation")
    frames = int(config.number(f"{group}.history_length"))
    names = sorted(config.at(f"{group}.terms"))
    known = known_terms(file, names, HOLOSOMA_TERMS, _WITHOUT_ESTIMATION)
    limit = config.number("observation.clip_observations")
    terms = []
    for name, term in zip(names, known, strict=True):
        where = f"{group}.terms.{name}"
        scale = config.at(f"{where}.scale")
        scale = _list(file, f"{_CONFIG}.{where}.scale", scale if isinstance(scale, list) else [scale], float)
        if len(scale) not in (1, term.dim):
            raise file.error(f"metadata {_CONFIG}.{where}.scale: expected 1 or {term.dim} numbers, found {len(scale)}")
        clip = config.at(f"{where}.clip")
        low, high = (-limit, limit) if clip is None else _list(file, f"{_CONFIG}.{where}.clip", clip, float)
        terms.append(
            ImportedTerm(
                name=name, known=term, frames=max(1, frames), scale=np.array(scale), low=np.array(max(low, -limit)),
                high=np.array(min(high, limit)),
            )
        )  # fmt: skip
    return tuple(terms)


def _list(file: ImportedFile, key: str, value: Any, kind: type) -> list[Any]:
    """Return a JSON list whose entries are names, or finite numbers."""
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, list) or not value or not all(isinstance(entry, wanted) for entry in value):
        label = "numbers" if kind is float else "names"
        raise file.error(f"metadata {key}: expected a list of {label}, found {str(value)[:80]}")
    if kind is float and not np.isfinite(value).all():
        raise file.error(f"metadata {key}: expected finite numbers, found {str(value)[:80]}")
    return [kind(entry) for entry in value]
