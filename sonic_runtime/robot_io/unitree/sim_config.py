"""What `sonic-sim` can be told, at its start and while it runs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sonic_runtime.robots import g1

Band = Literal["auto", "hold", "lower", "free"]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong."""

    drop: Share = 0.0
    """Share of the states that are lost on the way."""
    delay_ms: Annotated[float, msgspec.Meta(ge=0.0, le=5000.0)] = 0.0
    """How late states arrive [ms]."""
    jitter_ms: Annotated[float, msgspec.Meta(ge=0.0, le=5000.0)] = 0.0
    """How much later still, at most, each state by another amount [ms]; they keep their order."""
    corrupt_crc: Share = 0.0
    """Share of the states whose checksum is wrong."""
    freeze_tick: bool = False
    """The count of states stands still."""
    cable_out: bool = False
    """Nothing comes through, either way."""
    silent: bool = False
    """The publisher of the states is gone; false brings a new one."""
    motor_error: str | None = None
    """Joint whose motor reports an error, such as left_knee."""
    hot: str | None = None
    """Joint whose motor is hot."""
    hot_c: Annotated[float, msgspec.Meta(ge=0.0, le=300.0)] = 130.0
    """How hot [degrees Celsius]."""


class SimConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A simulated G1 that speaks DDS."""

    interface: str
    """Network interface; lo for this machine alone."""
    domain: Annotated[int, msgspec.Meta(ge=0, le=230)]
    """DDS domain."""
    start: Literal["hanging", "standing"]
    """Hanging with all joints at zero, or standing in the default pose."""
    band: Band
    """The support band: hold, lower, free; auto lowers the robot at the first command with stiffness and lets go of it
    band_s later."""
    band_s: Annotated[float, msgspec.Meta(ge=0.0, le=600.0)]
    """Time from the first command with stiffness until band=auto lets go [s]."""
    mode_machine: Annotated[int, msgspec.Meta(ge=0, le=255)]
    """Variant that the robot says it is; commands for another one are ignored."""
    stock_controller: str | None
    """Name of the stock controller in charge at the start, such as ai; null for none."""
    hands: bool
    """Has Dex3 hands."""
    remote: bool
    """Has a wireless remote."""
    battery_percent: Annotated[int, msgspec.Meta(ge=0, le=100)]
    """Charge of the battery [%]."""
    control: str
    """ZeroMQ address at which `sonic-sim tell` reaches it."""
    view: bool
    """Show the robot live in the browser; needs the package viser."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=98)]
    """SCHED_FIFO priority, for a robot is not late because a computer is busy; 0 for none."""
    seed: int
    """Of the faults' dice."""
    duration_s: Annotated[float, msgspec.Meta(gt=0.0)] | None
    """Time before it ends [s]; null runs until Ctrl-C."""
    faults: Faults


def joint_index(name: str) -> int | None:
    """Return the motor of a joint's name, with or without "_joint"; None for one that the G1 does not have."""
    full = name if name.endswith("_joint") else f"{name}_joint"
    return g1.JOINT_NAMES_HW.index(full) if full in g1.JOINT_NAMES_HW else None
