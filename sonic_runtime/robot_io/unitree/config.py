"""How a G1 is reached over DDS, and what is asked of its messages; values and reasons are in configs/unitree."""

from __future__ import annotations

from typing import Annotated

import msgspec

LOOPBACK = "lo"


class StateChecks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold of the robot's messages; each can be relaxed by name for a peer that leaves it empty."""

    crc: bool
    """Use no state whose checksum is wrong."""
    tick: bool
    """Use no state whose count has not moved on: its sender is frozen."""
    mode_machine: bool
    """The variant of the robot is one that policies for 29 joints are made for."""
    torso_imu: bool
    """The IMU of the torso sends too."""
    one_robot: bool
    """No more than one program publishes states."""
    alone: bool
    """No other program sends commands to the motors."""
    first_state_s: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)]
    """How long to wait for the first good state [s]."""

    def relaxed(self) -> list[str]:
        """Return the names of the checks that are off."""
        names = ("crc", "tick", "mode_machine", "torso_imu", "one_robot", "alone")
        return [name for name in names if not getattr(self, name)]


class UnitreeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A G1 on a network."""

    interface: str | None
    """Network interface with the robot's cable, such as enp2s0; lo for sonic-sim on this machine. Must be named."""
    domain: Annotated[int, msgspec.Meta(ge=0, le=230)]
    """DDS domain: 0 on the robot and with sonic-sim, 1 with Unitree's simulators."""
    release_stock_controller: bool | None
    """Take the robot out of its stock controller before the first command; null does so except on lo."""
    dry_run: bool
    """Read everything, send nothing: no command, no call; what would be sent is shown."""
    hands: bool
    """Command Dex3 hands where they are there."""
    battery_warning_percent: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
    """Charge of the battery below which there is a warning [%]."""
    checks: StateChecks

    def releases(self) -> bool:
        """Return whether the stock controller is to be let go."""
        if self.dry_run:
            return False
        return self.interface != LOOPBACK if self.release_stock_controller is None else self.release_stock_controller
