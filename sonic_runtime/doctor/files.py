"""The files of a run: policy and motions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controllers.imported import load_imported
from sonic_runtime.app import load_policy
from sonic_runtime.contract.errors import ConfigError, ContractError, MotionError
from sonic_runtime.doctor.finding import Finding, failure, of_error, warning, well
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import find_policy
from sonic_runtime.infer.released import split_contract
from sonic_runtime.motions.read import read_motions

_LFS_PREFIX = b"version https://git-lfs"
_LFS_REMEDY = "run `git lfs install` and `git lfs pull` where the files came from"
_EXPORT = "export the policy again, or choose another with policy=FOLDER"
_MOST_POINTERS = 5


def check_policy(name: str) -> tuple[list[Finding], OnnxPolicy | None]:
    """Check the files of a policy as a run would, and load it.

    Returns:
        What was found, and the policy; None where it cannot run.
    """
    try:
        folder = find_policy(split_contract(name)[1])
    except ConfigError as error:
        return of_error("policy", error, _EXPORT), None
    pointers = check_pointers("policy", folder)
    if pointers:
        return pointers, None
    try:
        policy = load_policy(name)
    except (ConfigError, ContractError) as error:
        return of_error("policy", error, _EXPORT), None
    origin = policy.origin
    text = f"{folder}: {origin['training_revision']}, encoders {', '.join(e.name for e in policy.encoder.encoders)}"
    if not origin["note"]:
        return well("policy", text), policy
    remedy = "nothing to be done about files without a manifest; try the policy in the simulator first"
    return warning("policy", f"{text}; {origin['note']}", remedy), policy


def check_imported(file: str) -> list[Finding]:
    """Check an ONNX file of another project as a run would."""
    try:
        load_imported(file)
    except (ConfigError, ContractError) as error:
        return of_error("imported", error, "leave it out of imported")
    return well("imported", file)


def check_motions(source: str) -> list[Finding]:
    """Check every motion in a file or folder as a run would read it.

    Args:
        source: file or folder.
    """
    path = Path(source).expanduser()
    if not path.exists():
        return failure("motions", f"{path}: expected a motion file or a folder of them, found nothing", "mend the path")
    pointers = check_pointers("motions", path)
    if pointers:
        return pointers
    try:
        clips = read_motions(path)
    except MotionError as error:
        return of_error("motions", error, "convert the motion again, or leave it out")
    seconds = sum(clip.duration_s for clip in clips)
    return well("motions", f"{path}: {len(clips)} motions, {seconds:.0f} s")


def check_pointers(check: str, path: Path) -> list[Finding]:
    """Return a failure where a file, or any file in a folder, is a Git LFS pointer in the place of its content."""
    found = list(_pointers(path))
    if not found:
        return []
    names = ", ".join(str(pointer) for pointer in found[:_MOST_POINTERS])
    more = f" and {len(found) - _MOST_POINTERS} more" if len(found) > _MOST_POINTERS else ""
    return failure(check, f"Git LFS pointers in the place of files: {names}{more}", _LFS_REMEDY)


def _pointers(path: Path) -> Iterator[Path]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        with file.open("rb") as stream:
            if stream.read(len(_LFS_PREFIX)) == _LFS_PREFIX:
                yield file
