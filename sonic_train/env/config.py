"""Schema of the tracking task; the values of a run live in configs/train.yaml and configs/preset/*.yaml."""

from __future__ import annotations

import msgspec


class SimulationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Physics. Sizes njmax and nconmax are per environment."""

    physics_dt_s: float = 0.005
    decimation: int = 4
    """Physics steps per control step: 4 x 5 ms = 50 Hz."""
    iterations: int = 10
    """Solver iterations. Measured: fewer do not make it faster."""
    ls_iterations: int = 20
    njmax: int = 250
    """Most constraint rows in one environment. Too small drops contacts (a warning counts them)."""
    nconmax: int = 40
    """Most contacts in one environment."""


class ResetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Uniform noise added to the reference state at a reset (half widths)."""

    pos_m: tuple[float, float, float] = (0.05, 0.05, 0.01)
    rpy_rad: tuple[float, float, float] = (0.1, 0.1, 0.2)
    lin_vel: tuple[float, float, float] = (0.5, 0.5, 0.2)
    ang_vel: tuple[float, float, float] = (0.52, 0.52, 0.78)
    joint_pos_rad: float = 0.1


class NoiseConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Uniform sensor noise on what the policy and the encoders see (half widths)."""

    enabled: bool = True
    base_ang_vel: float = 0.2
    joint_pos: float = 0.01
    joint_vel: float = 0.5
    gravity: float = 0.05
    anchor_ori: float = 0.05
    smpl_joints: float = 0.05


class EventConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Domain randomisation at start-up, and pushes."""

    friction: tuple[float, float] = (0.3, 1.6)
    """Sliding friction of the feet, one value per robot. The feet have contact priority, so this is what counts."""
    joint_offset_rad: float = 0.01
    """Calibration error of each joint zero (half width): shifts both the measured angle and the target."""
    torso_com_m: tuple[float, float, float] = (0.025, 0.05, 0.05)
    """Shift of the torso's centre of mass (half widths)."""
    mass_scale: tuple[float, float] = (0.8, 2.5)
    """Scale of the masses in `mass_bodies`."""
    mass_bodies: tuple[str, ...] = ("torso_link", "left_wrist_yaw_link", "right_wrist_yaw_link")
    push_interval_s: tuple[float, float] = (4.0, 6.0)
    push_lin_vel: tuple[float, float, float] = (0.5, 0.5, 0.2)
    push_ang_vel: tuple[float, float, float] = (0.52, 0.52, 0.78)
    push: bool = True


class RewardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights per second; each term is multiplied by its weight and the control period."""

    anchor_pos: float = 0.5
    anchor_ori: float = 0.5
    anchor_lin_vel: float = 0.0
    """Horizontal velocity of the pelvis, kept narrow: a robot that steps in place of walking loses little elsewhere."""
    relative_body_pos: float = 1.0
    relative_body_ori: float = 1.0
    body_lin_vel: float = 1.0
    body_ang_vel: float = 1.0
    vr_points: float = 2.0
    action_rate: float = -0.1
    joint_limit: float = -10.0
    undesired_contacts: float = -0.1
    anti_shake: float = -0.005
    feet_acc: float = -2.5e-6


class TerminationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an episode has failed. A low reference (under `low_height_m`) relaxes the height limits."""

    anchor_height_m: float = 0.15
    anchor_ori_rad: float = 0.447
    """The ancestor's 0.2 is compared with the squared angle: sqrt(0.2) rad."""
    end_effector_height_m: float = 0.15
    foot_pos_m: float = 0.2
    """Zero or less turns the foot rule off."""
    anchor_pos_xy_m: float = 0.0
    """Greatest drift in the ground plane; zero or less turns the rule off, as in the ancestor."""
    low_height_m: float = 0.5
    relaxed_height_m: float = 0.75


class SamplerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adaptive choice of clip and start frame."""

    bin_frames: int = 50
    uniform_rate: float = 0.1
    failure_rate_max_over_mean: float = 200.0
    pre_failure_frames: int = 200
    """Episodes start up to this many frames before the chosen bin."""
    decay: float = 1.0
    """Factor on both counts at every refresh; 1 keeps all history, as in the ancestor."""


class EncoderSamplingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which encoder drives an episode."""

    g1: float = 1.0
    teleop: float = 1.0
    smpl: float = 1.0
    teleop_when_smpl: float = 0.5


class TaskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tracking task."""

    simulation: SimulationConfig = SimulationConfig()
    reset: ResetConfig = ResetConfig()
    noise: NoiseConfig = NoiseConfig()
    events: EventConfig = EventConfig()
    rewards: RewardConfig = RewardConfig()
    terminations: TerminationConfig = TerminationConfig()
    sampler: SamplerConfig = SamplerConfig()
    encoders: EncoderSamplingConfig = EncoderSamplingConfig()
    action_clip: float = 20.0
    compile_terms: bool = False
    """Compile the terms with torch.compile: faster on a GPU after half a minute at the start."""
    max_episode_s: float = 0.0
    """Time-out of an episode; zero means that only the end of the clip ends it."""
