"""Policies of other projects by the metadata of their files: one line here and one file each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from controllers import beyondmimic, holosoma, mjlab_tracking
from controllers.beyondmimic import BeyondMimic
from controllers.holosoma import Holosoma
from controllers.mjlab_tracking import MjlabTracking
from sonic_runtime.contract.manifest import MANIFEST_KEY
from sonic_runtime.infer.imported_onnx import ImportedFile
from sonic_runtime.infer.imported_tracker import ImportedTracker

IMPORTED: dict[str, Callable[[ImportedFile], ImportedTracker]] = {
    "beyondmimic": BeyondMimic,
    "mjlab": MjlabTracking,
    "holosoma": Holosoma,
}
"""Controllers by the name of the project that exported the file."""


def load_imported(name: str | Path) -> ImportedTracker:
    """Open an ONNX file of another project.

    Args:
        name: the file; or holosoma_release:FILE for one of holosoma that does not say its default pose.

    Returns:
        The controller of its kind.

    Raises:
        ContractError: no exporter known here wrote such metadata, or the policy does not fit the robot; the message
            says what differs.
    """
    prefix, colon, rest = str(name).partition(":")
    if colon and prefix == holosoma.RELEASE_NAME:
        return Holosoma(ImportedFile(Path(rest).expanduser()), published=True)
    file = ImportedFile(Path(name).expanduser())
    return IMPORTED[kind_of(file)](file)


def kind_of(file: ImportedFile) -> str:
    """Return which exporter wrote a file, a key of `IMPORTED`.

    Raises:
        ContractError: none of these.
    """
    keys = set(file.metadata)
    if MANIFEST_KEY in keys:
        raise file.error("this is half of a policy of this project; say policy=FOLDER with the folder it is in")
    if keys.issuperset(holosoma.KEYS):
        return "holosoma"
    if any(key.startswith(mjlab_tracking.KEY_PREFIX) for key in keys):
        return "mjlab"
    if keys.issuperset(beyondmimic.KEYS):
        return "beyondmimic"
    found = ", ".join(sorted(keys)) or "no metadata at all"
    raise file.error(f"expected the metadata of one of {', '.join(IMPORTED)}, found {found}")
