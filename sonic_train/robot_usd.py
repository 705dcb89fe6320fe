"""The robot as USD, which Isaac Lab clones its environments from; converted from the MuJoCo model once and kept.

The USD holds the physics alone: links, joints, collision shapes with friction, priority and contact dimension.
Actuators are left to Isaac Lab's configuration.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.robots import g1
from sonic_runtime.robots.mjcf import build_spec

CACHE_VARIABLE = "SONIC_CACHE"
"""Environment variable that names the cache folder; without it, `sonic` in the user's cache folder is used."""

CONVERSION = "mujoco-usd-converter 0.6, physics only"
"""How the USD is made; part of the cache key, to be changed together with the conversion."""


def default_cache_dir() -> Path:
    """Return the folder for derived files that can be made again."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonic"


def g1_usd_path(cache_dir: Path | None = None) -> Path:
    """Return the USD file of the G1, converting it first where the cache lacks it.

    The cache is keyed by a hash of the MuJoCo XML and the way of conversion, and filled by one rename: several
    processes may ask at the same time, and an interrupted conversion leaves nothing that is taken for whole. Where
    the cache holds the file, the converter need not be installed.

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
    key = hashlib.sha256(f"{CONVERSION}\n{xml}".encode()).hexdigest()[:16]
    root = default_cache_dir() if cache_dir is None else Path(cache_dir)
    asset = root / f"{g1.ROBOT_NAME}-{key}" / f"{g1.ROBOT_NAME}.usdc"
    if asset.is_file():
        return asset
    if importlib.util.find_spec("mujoco_usd_converter") is None:
        raise ConfigError(
            f"the robot's USD is not in {root} and making it needs mujoco-usd-converter: pip install 'sonic-wbc[train]'"
        )
    _convert(xml, asset)
    return asset


def _convert(xml: str, asset: Path) -> None:
    """Write the USD of a MuJoCo XML to `asset`, in a scratch folder beside it first."""
    import mujoco_usd_converter

    root = asset.parent.parent
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
        converter = mujoco_usd_converter.Converter(layer_structure=False, scene=False)
        written = converter.convert(str(source), str(scratch / "usd"))
        if written is None or not written.path:
            raise ConfigError(f"{source.name}: mujoco-usd-converter wrote no USD; its messages above say why")
        _publish(Path(written.path), asset)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(written: Path, asset: Path) -> None:
    """Move a finished conversion to its place in the cache, unless another process was first."""
    written = written.rename(written.with_name(asset.name))
    try:
        written.parent.rename(asset.parent)
    except OSError:
        if not asset.is_file():
            raise
