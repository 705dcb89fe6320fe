"""What keys of `sonic-run` must not say together; checked before anything is opened."""

from __future__ import annotations

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.robot_io.unitree.config import LOOPBACK
from sonic_runtime.run_config import RunConfig

MIN_RAMP_S = 1.0
"""Shortest ramp on a robot [s]. From the joint limits to the default pose it is up to 3 rad at the shoulders, so that a
second already means some 3 rad/s; with 0, the default pose is asked for at full stiffness in the first tick."""
MIN_BLEND_S = 0.1
"""Shortest blend on a robot [s]: five ticks. With 0, the target of one controller replaces that of another within a
tick, and only the rate limit of the guard, which allows 1.5 times the full effort, is left between them."""


def require_safe_on_robot(config: RunConfig) -> None:
    """Refuse what a simulator may do and a robot must not.

    Raises:
        ConfigError: a key has such a value, with robot=unitree.
    """
    if config.robot != "unitree":
        return
    for key, value, least, why in (
        ("ramp_s", config.ramp_s, MIN_RAMP_S, "a shorter ramp throws the limbs into the default pose"),
        ("blend_s", config.blend_s, MIN_BLEND_S, "without a blend the target jumps from one controller to the next"),
    ):
        if value < least:
            raise ConfigError(f"{key}={value:g}: expected at least {least:g} s for robot=unitree; {why}")
    if config.operator.auto_start and config.unitree.interface != LOOPBACK:
        raise ConfigError(
            f"operator.auto_start=true: expected false for robot=unitree on the interface {config.unitree.interface}; "
            "a robot is started by a person who sees it: operator.keyboard, gamepad or remote. Only sonic-sim "
            f"(interface={LOOPBACK}) may be started by the program"
        )
