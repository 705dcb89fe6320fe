"""What a recording says about the run besides its ticks: enough to know what ran, and to run it again."""

from __future__ import annotations

import hashlib
import io
import platform
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.contract.manifest import manifest_json
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import onnx_files
from sonic_runtime.motions.clip import Clip
from sonic_runtime.record.channels import FORMAT_VERSION
from sonic_runtime.robots import g1

PACKAGES = ("sonic-wbc", "numpy", "onnxruntime", "mujoco", "msgspec", "pyzmq", "mcap")
"""Packages whose versions can change what a run computes, or what a recording looks like."""
CONFIG_NAME = "config.yaml"


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """A file inside the recording."""

    name: str
    media_type: str
    data: bytes


class About(msgspec.Struct, frozen=True, array_like=True):
    """What the run is.

    Attributes:
        metadata: records of text by name: "sonic", "versions", "policy", "clips".
        attachments: configuration, manifests, clips.
    """

    metadata: dict[str, dict[str, str]]
    attachments: list[Attachment]

    def attachment(self, name: str) -> bytes:
        """Return the content of an attachment.

        Raises:
            RecordingError: there is none of that name.
        """
        for attachment in self.attachments:
            if attachment.name == name:
                return attachment.data
        known = ", ".join(a.name for a in self.attachments) or "none"
        raise RecordingError(f"recording: expected the attachment {name!r}, found {known}")

    def clips(self) -> dict[str, Clip]:
        """Return the clips of the run by name, in the order of the names, bit for bit as they were.

        Raises:
            RecordingError: an attachment is missing or damaged.
        """
        names = sorted(self.metadata.get("clips", {}).items())
        return {name: clip_of_npz(self.attachment(file)) for name, file in names}


def about_run(config: msgspec.Struct, policy: OnnxPolicy | None, clips: Mapping[str, Clip], command: str = "") -> About:
    """Collect what a recording says about a run.

    Args:
        config: the resolved configuration.
        policy: the networks; None where no policy runs.
        clips: clips that the run plays, by names in whose order a replay is to have them.
        command: the command line, for whoever opens the file.
    """
    attachments = [Attachment(CONFIG_NAME, "application/yaml", msgspec.yaml.encode(config))]
    metadata = {
        "sonic": {
            "format_version": str(FORMAT_VERSION),
            "robot": g1.ROBOT_NAME,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": command,
            "joint_names_hw": ",".join(g1.JOINT_NAMES_HW),
            "joint_names_pol": ",".join(g1.JOINT_NAMES_POL),
        },
        "versions": versions(),
    }
    if policy is not None:
        metadata["policy"] = {**policy.origin, **policy_hashes(policy.folder)}
        for part, manifest in (("encoder", policy.encoder), ("decoder", policy.decoder)):
            if policy.contract is None:
                text = manifest_json(manifest).encode()
                attachments.append(Attachment(f"manifest_{part}.json", "application/json", text))
    imported = getattr(config, "imported", ())
    metadata["imported"] = file_hashes(imported)
    names = {name: f"clips/{number:03d}.npz" for number, name in enumerate(clips)}
    attachments += [Attachment(names[name], "application/x-npz", npz_of_clip(clip)) for name, clip in clips.items()]
    return About(metadata={**metadata, "clips": names}, attachments=attachments)


def versions() -> dict[str, str]:
    """Return the versions of Python, the machine's architecture, and the packages that matter."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def policy_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the two ONNX files of a policy folder, under the keys encoder_sha256 and decoder_sha256."""
    encoder, decoder = onnx_files(folder)
    return {f"{part}_sha256": _sha256(path) for part, path in (("encoder", encoder), ("decoder", decoder))}


def file_hashes(files: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of ONNX files of other projects by what the user wrote for them; a prefix ends at a colon."""
    return {file: _sha256(Path(file.rpartition(":")[2]).expanduser()) for file in files}


def npz_of_clip(clip: Clip) -> bytes:
    """Return a clip as NPZ with every number at full precision; `save_clip` rounds to float32."""
    content = {name: np.asarray(getattr(clip, name)) for name in Clip.__slots__}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **content)
    return buffer.getvalue()


def clip_of_npz(data: bytes) -> Clip:
    """Return the clip that `npz_of_clip` wrote.

    Raises:
        RecordingError: the bytes are none.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            values = {name: archive[name] for name in Clip.__slots__}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordingError(f"recording: expected a clip as NPZ, found damaged bytes ({error})") from error
    plain = {name: value.item() if value.ndim == 0 else value for name, value in values.items()}
    return Clip(**plain)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
