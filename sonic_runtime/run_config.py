"""What `sonic-run` can be told: the schema of configs/run.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.open_robot import SimulatorConfig
from sonic_runtime.realtime import RealTimeConfig
from sonic_runtime.robot_io.unitree.config import UnitreeConfig
from teleop.arbiter import ArbiterConfig
from teleop.operator_station import OperatorConfig


class GoalsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where goals come from."""

    source: str | tuple[str, ...]
    """stream (topic pose), planner (topic planner), motion (files), stand; or a list, the highest priority first."""
    endpoint: str
    """ZeroMQ address the stream is sent from; its sender binds it."""
    motion: str | tuple[str, ...] | None
    """Motion files, folders of them, or names of procedural motions such as walk; several make a playlist."""
    encoder: str
    """Encoder that motions begin with: g1, teleop or smpl; a stream brings its own."""
    arbiter: ArbiterConfig
    """How several sources share the robot."""


class OutputConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is published."""

    endpoint: str | None
    """ZeroMQ address to bind for g1_debug and robot_config; null publishes nothing."""
    every_mode: bool
    """Publish g1_debug in ticks without a goal too; SONIC's runtime publishes it only while it controls."""
    init_ref: bool
    """Add init_ref_data_root_rot_array, which SONIC's exporter reads and its runtime does not send."""


class RecordConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a run besides its configuration and summary."""

    mcap: bool
    """Record the run as run.mcap in its folder; sonic-replay runs it again. A run whose recording fails ends."""
    observations: bool
    """Record what the networks were given, too."""
    motion: bool
    """Write what the robot did while it tracked as a reference motion folder, to be tracked again."""


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of the 50 Hz loop."""

    policy: str
    """Name of a packaged policy, or folder with encoder.onnx, decoder.onnx and observation_config.yaml; for the files
    that NVIDIA released, which carry no manifest, sonic_release:FOLDER."""
    imported: tuple[str, ...]
    """ONNX files of whole_body_tracking, mjlab or holosoma that the operator can hand over to."""
    robot: str
    """mujoco, or unitree: a G1 over DDS."""
    interface: str | None
    """Network interface of robot=unitree, such as enp2s0; lo for sonic-sim on this machine."""
    clock: Literal["real_time", "lockstep"]
    """real_time, or lockstep: as fast as it goes, the same every time, without the processes of a robot."""
    duration_s: Annotated[float, msgspec.Meta(gt=0.0)] | None
    """Time before the robot is put to rest [s]; null runs until the operator stops it."""
    ramp_s: Annotated[float, msgspec.Meta(ge=0.0, le=30.0)]
    """Time of the ramp from the pose found to the default pose [s]."""
    blend_s: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)]
    """Time of the blend from one controller to the next [s]."""
    run_dir: str
    """Folder of the run: configuration, summary, recordings; {time} becomes the start time."""
    view: bool
    """Show the robot live in the browser, from what output.endpoint publishes; needs the package viser."""
    operator: OperatorConfig
    goals: GoalsConfig
    output: OutputConfig
    record: RecordConfig
    simulator: SimulatorConfig
    unitree: UnitreeConfig
    realtime: RealTimeConfig
    guard: GuardConfig
