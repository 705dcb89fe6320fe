"""Limits of the guard, and which of its checks can be turned off; values and reasons are in configs/guard."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

import msgspec

from sonic_runtime.config import packaged_configs
from sonic_runtime.contract.errors import ConfigError

STATE_CHECKS: tuple[str, ...] = (
    "orientation",
    "clock",
    "stale_state",
    "joint_velocity",
    "joint_range",
    "tilt",
    "base_height",
    "motor_error",
    "temperature",
    "stale_stream",
)
"""Checks of what is measured and asked for, in the order in which they are made; each is also the code of its fault."""
TARGET_LIMITS: tuple[str, ...] = (
    "target_gains",
    "target_velocity",
    "target_torque_ff",
    "target_range",
    "target_torque",
    "target_rate",
)
"""Limits of a target, in the order in which they are applied. Gains outside theirs are refused, the rest is clamped."""
CHECKS: tuple[str, ...] = (*STATE_CHECKS, "overrun", *TARGET_LIMITS)
"""Everything that `guard.off` may name. What is not finite, damping and the operator's stop are not among them."""

_NEVER_OFF = ("non_finite", "damping", "stop")

LOOSER: dict[str, Literal["higher", "lower"]] = {
    "stale_state_ms": "higher",
    "late_state_ms": "higher",
    "stale_stream_ms": "higher",
    "late_stream_ms": "higher",
    "overrun_ms": "higher",
    "joint_velocity_fraction": "higher",
    "joint_range_margin_rad": "higher",
    "tilt_rad": "higher",
    "base_height_m": "lower",
    "motor_error_ticks": "higher",
    "temperature_limit_c": "higher",
    "temperature_warning_c": "higher",
    "temperature_clear_c": "higher",
    "target_stiffness_rad": "lower",
    "target_damping_nm_s_per_rad": "higher",
    "target_damping_s": "lower",
    "target_velocity_fraction": "higher",
    "target_torque_ff_fraction": "higher",
    "target_rate_fraction": "higher",
    "target_range_fraction": "higher",
    "target_torque_fraction": "higher",
    "damping_nm_s_per_rad": "lower",
}
"""Which way each limit lets more pass. One far enough that way is a check that is not made, whatever `off` says."""

_IN_ORDER = (
    ("late_state_ms", "stale_state_ms"),
    ("late_stream_ms", "stale_stream_ms"),
    ("temperature_clear_c", "temperature_warning_c"),
    ("temperature_warning_c", "temperature_limit_c"),
)
"""Pairs of limits of which the first must not exceed the second: a warning comes before its fault."""


class GuardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a run must end, and how far targets may reach."""

    off: tuple[str, ...]
    """Checks that are not made, by name; shown as long as the run lasts and in its summary."""
    stale_state_ms: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)]
    """Oldest measurement that may still be acted upon [ms]."""
    late_state_ms: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)]
    """Age of a measurement from which on there is a warning [ms]."""
    stale_stream_ms: Annotated[float, msgspec.Meta(ge=1.0, le=5000.0)]
    """Oldest data of a reference that may still be tracked [ms]."""
    late_stream_ms: Annotated[float, msgspec.Meta(ge=1.0, le=5000.0)]
    """Age of the data of a reference from which on there is a warning [ms]."""
    overrun_ms: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)]
    """How late a tick may be before the run ends [ms]."""
    joint_velocity_fraction: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)]
    """Largest measured speed of a joint, either way, as a share of its motor's [1]."""
    joint_range_margin_rad: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    """How far outside its range a joint may be measured [rad]."""
    tilt_rad: Annotated[float, msgspec.Meta(ge=0.1, le=3.2)]
    """Largest angle between the z axis of the pelvis and the vertical [rad]."""
    base_height_m: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    """Least height of the pelvis above the ground, where a backend knows it [m]."""
    motor_error_ticks: Annotated[int, msgspec.Meta(ge=1, le=50)]
    """Ticks in a row in which a motor may report an error before the run ends; the first is a warning."""
    temperature_limit_c: Annotated[float, msgspec.Meta(ge=20.0, le=200.0)]
    """Highest temperature of a motor [degrees Celsius]."""
    temperature_warning_c: Annotated[float, msgspec.Meta(ge=20.0, le=200.0)]
    """Temperature of a motor from which on there is a warning [degrees Celsius]."""
    temperature_clear_c: Annotated[float, msgspec.Meta(ge=20.0, le=200.0)]
    """Temperature below which that warning ends [degrees Celsius]."""
    target_stiffness_rad: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)]
    """Least error of position at which a stiffness may ask for the full effort [rad]; a smaller one is refused."""
    target_damping_nm_s_per_rad: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)]
    """Largest velocity gain of a target [N m s/rad]; a larger one is refused."""
    target_damping_s: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    """Least velocity gain as a share of the stiffness [s]; a smaller one is refused."""
    target_velocity_fraction: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
    """Largest velocity target as a share of the motor's speed [1]."""
    target_torque_ff_fraction: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
    """Largest feed-forward torque as a share of the effort limit [1]."""
    target_rate_fraction: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)]
    """How much torque a position target may add from one tick to the next, as a share of the effort limit [1]."""
    target_range_fraction: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
    """Share of the effort limit that a position target may ask for at the end of the joint range [1]."""
    target_torque_fraction: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)]
    """Largest torque that the PD law makes of a target when it is written, as a share of the effort limit [1]."""
    damping_nm_s_per_rad: Annotated[float, msgspec.Meta(ge=0.1, le=50.0)]
    """Velocity gain of every joint in damping [N m s/rad]."""

    def __post_init__(self) -> None:
        """Check the names of `off`, and that warnings come before faults.

        Raises:
            ConfigError: a name is unknown or cannot be turned off, or two limits contradict each other.
        """
        for name in self.off:
            if name in _NEVER_OFF:
                raise ConfigError(f"guard.off: {name} cannot be turned off; expected some of {', '.join(CHECKS)}")
            if name not in CHECKS:
                raise ConfigError(f"guard.off: expected some of {', '.join(CHECKS)}; got {name!r}")
        for first, second in _IN_ORDER:
            least, most = getattr(self, first), getattr(self, second)
            if least > most:
                raise ConfigError(f"guard.{first}={least:g}: expected at most guard.{second}, which is {most:g}")


class LooserLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that lets more pass than the shipped one."""

    shipped: float
    value: float


@cache
def shipped_limits() -> GuardConfig:
    """Return the limits of the package, configs/guard/g1.yaml."""
    return msgspec.yaml.decode((packaged_configs() / "guard" / "g1.yaml").read_bytes(), type=GuardConfig)


def looser_limits(config: GuardConfig) -> dict[str, LooserLimit]:
    """Return the limits, by key, that are looser than the shipped ones."""
    found: dict[str, LooserLimit] = {}
    for key, way in LOOSER.items():
        shipped, value = getattr(shipped_limits(), key), getattr(config, key)
        if value > shipped if way == "higher" else value < shipped:
            found[key] = LooserLimit(shipped=shipped, value=value)
    return found
