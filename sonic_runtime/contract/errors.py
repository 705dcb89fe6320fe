"""The error family of the project.

Every message says what was expected, what came, where, and what to do. The command line prints the message of a
`SonicError` alone (exit code 2); any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations


class SonicError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(SonicError):
    """A configuration value is missing, unknown or out of range."""


class ContractError(SonicError):
    """A policy file and what the runtime would feed it do not agree."""


class MotionError(SonicError):
    """A motion file cannot be read as what it claims to be."""


class WireError(SonicError):
    """A network message is malformed or foreign."""


class RobotError(SonicError):
    """The robot, or the simulator in its place, cannot be used."""


class RecordingError(SonicError):
    """What a run does can no longer be recorded."""
