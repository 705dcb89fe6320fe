"""Where policies are: the one in the package, or a folder of the user's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.observation_yaml import FILE_NAME

ENCODER_FILE = "encoder.onnx"
DECODER_FILE = "decoder.onnx"
RELEASED_ENCODER_FILE = "model_encoder.onnx"
RELEASED_DECODER_FILE = "model_decoder.onnx"
"""The names in the folders that NVIDIA released."""


def find_policy(name: str) -> Path:
    """Return the folder of a policy.

    Args:
        name: name of a packaged policy ("default"), or path of a folder with encoder.onnx, decoder.onnx and
            observation_config.yaml.

    Raises:
        ConfigError: there is no such policy, or a file is missing in its folder.
    """
    packaged = _packaged_policies()
    folder = packaged.get(name, Path(name).expanduser())
    if not folder.is_dir():
        known = ", ".join(sorted(packaged)) or "none"
        raise ConfigError(
            f"policy={name}: expected the name of a packaged policy ({known}) or a folder with {ENCODER_FILE}, "
            f"{DECODER_FILE} and {FILE_NAME}; there is no folder {folder}"
        )
    missing = [f.name for f in (*onnx_files(folder), folder / FILE_NAME) if not f.is_file()]
    if missing:
        raise ConfigError(f"policy={name}: expected {', '.join(missing)} in {folder}; write them with sonic-export")
    return folder


def onnx_files(folder: Path) -> tuple[Path, Path]:
    """Return encoder and decoder in a folder: under our names, or under the released ones where those are there."""
    released = folder / RELEASED_ENCODER_FILE, folder / RELEASED_DECODER_FILE
    ours = folder / ENCODER_FILE, folder / DECODER_FILE
    return released if released[0].is_file() and not ours[0].is_file() else ours


def _packaged_policies() -> dict[str, Path]:
    root = Path(str(files("sonic_runtime") / "policies"))
    if not root.is_dir():
        return {}
    return {folder.name: folder for folder in root.iterdir() if (folder / ENCODER_FILE).is_file()}
