"""The robot as USD, which Isaac Lab clones its environments from; converted from the MuJoCo model once and kept.

The USD holds the physics alone: links, joints, collision shapes with friction, priority and contact dimension.
Actuators are left to Isaac Lab's configuration.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.robots import g1
from sonic_runtime.robots.mjcf import build_spec

CACHE_VARIABLE = "SONIC_CACHE"
"""Environment variable that names the cache folder; without it, `sonic` in the user's cache folder is used."""


def default_cache_dir() -> Path:
    """Return the folder for derived files that can be made again."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonic"


def g1_usd_path(cache_dir: Path | None = None) -> Path:
    """Return the USD file of the G1, converting it first where the cache lacks it.

    The cache is keyed by a hash of the MuJoCo XML and the converter's version, and filled by one rename: several
    processes may ask at the same time, and an interrupted conversion leaves nothing that is taken for whole.

    Args:
        cache_dir: folder for the file, `default_cache_dir()` when None.

    Returns:
        Path of an existing `.usdc` file.

    Raises:
        ConfigError: if the converter is not installed or the cache folder cannot be written.
    """
    spec = build_spec(floor=False, actuators=False, visuals=False)
    spec.compile()
    xml = spec.to_xml()
    key = hashlib.sha256(f"{version('mujoco-usd-converter')}\n{xml}".encode()).hexdigest()[:16]
    root = default_cache_dir() if cache_dir is None else Path(cache_dir)
    folder = root / f"{g1.ROBOT_NAME}-{key}"
    asset = folder / f"{g1.ROBOT_NAME}.usdc"
    if asset.is_file():
        return asset
    try:
        import mujoco_usd_converter
    except ImportError as error:
        raise ConfigError(
            "the robot's USD needs mujoco-usd-converter: install the extra, pip install 'sonic-wbc[train]'"
        ) from error
    try:
        root.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".usd-", dir=root))
    except OSError as error:
        raise ConfigError(
            f"cannot write the robot's USD to {root}: {error}; set {CACHE_VARIABLE} to a folder that can be written"
        ) from error
    try:
        source = scratch / f"{g1.ROBOT_NAME}.xml"
        source.write_text(xml, encoding="utf-8")
        made = scratch / "usd"
        converter = mujoco_usd_converter.Converter(layer_structure=False, scene=False)
        written = converter.convert(str(source), str(made))
        if written is None or not written.path:
            raise ConfigError(f"{source.name}: mujoco-usd-converter wrote no USD; its messages above say why")
        _publish(Path(written.path), folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return asset


def _publish(written: Path, folder: Path) -> None:
    """Move a finished conversion to its place in the cache, unless another process was first."""
    written = written.rename(written.with_name(f"{g1.ROBOT_NAME}.usdc"))
    try:
        written.parent.rename(folder)
    except OSError:
        if not (folder / written.name).is_file():
            raise
