"""Limits of the guard; values and reasons in configs/guard."""

from __future__ import annotations

from typing import Annotated

import msgspec


class GuardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a run must end, and how far targets may reach."""

    stale_stream_ms: Annotated[float, msgspec.Meta(ge=1.0, le=5000.0)]
    """Oldest data of a reference that may still be tracked [ms]."""
    stale_state_ms: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)]
    """Oldest measurement that may still be acted upon [ms]."""
    overrun_ms: Annotated[float, msgspec.Meta(ge=1.0, le=1000.0)]
    """How late a tick may be before the run ends [ms]."""
    tilt_rad: Annotated[float, msgspec.Meta(ge=0.1, le=3.2)]
    """Largest angle between the z axis of the pelvis and the vertical [rad]."""
    joint_range_margin_rad: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    """How far outside its range a joint may be measured [rad]."""
    torque_at_limit_fraction: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
    """Share of the effort limit that a target may ask for at the end of the joint range."""
    damping_nm_s_per_rad: Annotated[float, msgspec.Meta(ge=0.1, le=50.0)]
    """Velocity gain of every joint in damping [N m s/rad]."""
