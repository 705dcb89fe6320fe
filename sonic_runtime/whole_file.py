"""Files that are there whole or not at all, however a command ends."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sonic_runtime.contract.errors import ConfigError


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file beside its name and then put it there in one step; return it.

    Raises:
        ConfigError: the folder cannot be written to, or the disk is full.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        return partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); choose another folder with run_dir"
        ) from error
