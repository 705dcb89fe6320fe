"""Opens ONNX files, with one plain error for each way in which a file can be something else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sonic_runtime.contract.errors import ContractError

if TYPE_CHECKING:
    import onnxruntime

_LFS_PREFIX = b"version https://git-lfs"


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Load an ONNX file for inference on the CPU.

    Args:
        path: the file.
        threads: threads inside one operator; 1 keeps the latency steady and leaves the other cores alone.

    Returns:
        The session. It busy-waits nowhere and its outputs do not depend on the number of cores when `threads` is 1.

    Raises:
        ContractError: the file is missing, empty, a Git LFS pointer, or no ONNX model.
    """
    import onnxruntime

    _check_is_data(path)
    options = _options(threads)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ContractError(
            f"{path}: expected an ONNX model, but ONNX Runtime cannot load these {path.stat().st_size} bytes "
            f"({reason}); export the policy again or copy the file again"
        ) from error


def open_model(data: bytes, folder: Path, threads: int = 1, *, optimise: bool = True) -> onnxruntime.InferenceSession:
    """Load an ONNX model from memory, as `open_session` does from a file.

    Args:
        data: the model.
        folder: where the weights are that it keeps in files of their own.
        threads: as there.
        optimise: False keeps every tensor of the graph as it is written.
    """
    import onnxruntime

    options = _options(threads)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _options(threads: int) -> onnxruntime.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_is_data(path: Path) -> None:
    if not path.is_file():
        raise ContractError(f"{path}: expected an ONNX file here, found {'a folder' if path.is_dir() else 'nothing'}")
    with path.open("rb") as file:
        start = file.read(len(_LFS_PREFIX))
    if not start:
        raise ContractError(f"{path}: expected an ONNX model, found an empty file; copy it again")
    if start == _LFS_PREFIX:
        raise ContractError(
            f"{path}: expected an ONNX model, found a Git LFS pointer; run `git lfs pull` where it came from"
        )
