"""Pickled motions, read without trusting them.

A pickle is a program: an ordinary unpickler calls whatever the file names. This one knows five names, all of them ways
to make a numpy array, and refuses the rest. It reads plain pickles of numpy arrays and the files of joblib, whose array
bytes lie raw between the opcodes (joblib/numpy_pickle.py, BSD-3-Clause, describes that layout; joblib itself is not
used, because it unpickles without limits).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import pickle
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sonic_runtime.contract.errors import MotionError

MAX_BYTES = 1 << 30
"""Largest decompressed file [bytes]; an hour of motion is about 100 MB."""
LFS_PREFIX = b"version https://git-lfs"

_NUMERIC_KINDS = "biufUS"
_BUILD = pickle.BUILD[0]
# everything that pickle's machine raises on a damaged or hostile file
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)

_NDARRAY_CLASS = "the class numpy.ndarray"
"""Stands in for the class itself, which pickles only hand around, so that no file can call it."""


class _RefusedNameError(pickle.UnpicklingError):
    """The pickle names something that is not part of an array."""


def _checked_dtype(*arguments: Any) -> np.dtype:
    """Stand in for numpy.dtype: numbers and text, no objects and no structures."""
    # a copy, because pickles set the byte order afterwards, and numpy shares its native types
    dtype = np.dtype(arguments[0], False, True)
    if dtype.kind not in _NUMERIC_KINDS:
        raise _RefusedNameError(f"an array of {dtype}, where numbers were expected")
    return dtype


def _reconstruct(_class: Any, _shape: Any, _kind: Any) -> np.ndarray:
    """Stand in for numpy's _reconstruct: an empty array, which gets shape, type and bytes from its state."""
    return np.zeros(0, dtype=np.int8)


def _scalar(dtype: np.dtype, data: Any = b"") -> Any:
    """Stand in for numpy's scalar(): one number from its bytes."""
    if isinstance(data, str):
        data = data.encode("latin1")
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _frombuffer(data: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Stand in for the way numpy makes arrays under pickle protocol 5."""
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if order == "F" else "C").copy()


def _latin1(text: str, encoding: str) -> bytes:
    """Stand in for _codecs.encode, which old protocols use to write bytes; one encoding only."""
    if encoding != "latin1":
        raise _RefusedNameError(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stand in for bytes(), which old protocols call to write an empty string of bytes."""
    return b""


class _JoblibArray:
    """Stands in for joblib's NumpyArrayWrapper: shape, order and type of an array whose bytes follow."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def read(self, stream: io.BytesIO) -> np.ndarray:
        """Take the array's bytes off the stream."""
        dtype = self.state["dtype"]
        if not isinstance(dtype, np.dtype) or dtype.kind not in _NUMERIC_KINDS:
            raise _RefusedNameError(f"a joblib array of {dtype}, where numbers were expected")
        shape = tuple(int(n) for n in self.state["shape"])
        if any(n < 0 for n in shape):
            raise pickle.UnpicklingError(f"an array of shape {shape}")
        if self.state.get("numpy_array_alignment_bytes") is not None:
            stream.read(int.from_bytes(stream.read(1), "little"))
        size = math.prod(shape) * dtype.itemsize
        data = stream.read(min(size, MAX_BYTES + 1))
        if len(data) != size:
            raise EOFError(f"an array of {shape} {dtype} ends {size - len(data)} bytes too early")
        order = "F" if self.state["order"] == "F" else "C"
        return np.frombuffer(data, dtype=dtype).reshape(shape, order=order).copy()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY_CLASS,
    ("numpy", "dtype"): _checked_dtype,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): OrderedDict,
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _JoblibArray,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[_core + ".multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[_core + ".multiarray", "scalar"] = _scalar
    _ALLOWED[_core + ".numeric", "_frombuffer"] = _frombuffer


def _fill_array(array: np.ndarray, state: Any) -> None:
    """Give an array its shape, type and bytes, after checking what numpy trusts."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise pickle.UnpicklingError(f"an array described by {type(state).__name__}")
    _, shape, dtype, _, data = state
    if not isinstance(dtype, np.dtype) or dtype.kind not in _NUMERIC_KINDS:
        raise _RefusedNameError(f"an array of {dtype}, where numbers were expected")
    if not isinstance(data, bytes | str) or math.prod(shape) * dtype.itemsize != len(data) or min(shape, default=0) < 0:
        raise pickle.UnpicklingError(f"an array of shape {shape} {dtype} with other data than that")
    array.__setstate__(state)


def _set_byte_order(dtype: np.dtype, state: Any) -> None:
    """Set the byte order of a type; the rest of its state follows from the type, and numpy does not check it."""
    order = state[1]
    if order not in ("<", ">", "=", "|"):
        raise pickle.UnpicklingError(f"a type in the byte order {order!r}")
    size, alignment, flags = (dtype.itemsize, dtype.alignment, dtype.flags) if dtype.kind in "SU" else (-1, -1, 0)
    dtype.__setstate__((3, order, None, None, None, size, alignment, flags))  # pyright: ignore[reportAttributeAccessIssue]


class _ArrayUnpickler(pickle._Unpickler):  # pyright: ignore[reportAttributeAccessIssue]
    """Builds plain containers, numbers, text and numpy arrays; anything else is refused.

    The pure Python unpickler, because joblib's arrays need a hook at the BUILD opcode.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)  # pyright: ignore

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")
        self._bytes = stream

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of an allowed name, whatever the file says about the rest."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedNameError(f"the name {module}.{name}, which is no part of a numeric array") from None

    def load_build(self) -> None:
        """Fill an object with its state: arrays and types by numpy's own checks, joblib's arrays from the stream."""
        stack: list[Any] = self.stack  # pyright: ignore[reportAttributeAccessIssue]
        state = stack.pop()
        target = stack[-1]
        if isinstance(target, _JoblibArray):
            if not isinstance(state, dict):
                raise pickle.UnpicklingError(f"a joblib array described by {type(state).__name__}")
            target.state = state
            stack[-1] = target.read(self._bytes)
        elif isinstance(target, np.ndarray):
            _fill_array(target, state)
        elif isinstance(target, np.dtype):
            _set_byte_order(target, state)
        else:
            raise _RefusedNameError(f"a state for an object of type {type(target).__name__}")

    dispatch[_BUILD] = load_build


def load_arrays(path: Path) -> Any:
    """Read a pickle or joblib file of numpy arrays, numbers, text and plain containers.

    Args:
        path: the file, not compressed or compressed by zlib, gzip, bz2, xz or lzma as joblib writes them.

    Returns:
        What the file holds.

    Raises:
        MotionError: if the file is missing, a Git LFS pointer, truncated or damaged, too large, or names anything that
            is not part of a numeric array. Nothing in the file is executed.
    """
    data = read_bytes(path)
    try:
        return _ArrayUnpickler(io.BytesIO(_decompressed(path, data))).load()
    except _RefusedNameError as error:
        raise MotionError(
            f"{path}: expected a pickle of numeric arrays, found {error}; nothing in the file was executed"
        ) from error
    except _DAMAGE as error:
        raise MotionError(
            f"{path}: expected a whole pickle or joblib file, found a damaged or truncated one of {len(data)} bytes "
            f"({type(error).__name__}: {error}); fetch it again"
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises:
        MotionError: if it is missing, empty, too large, cannot be read, or is a Git LFS pointer.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise MotionError(f"{path}: expected at most {MAX_BYTES} bytes, found {size}")
        data = path.read_bytes()
    except OSError as error:
        raise MotionError(f"{path}: expected a motion file, found none that can be read: {error.strerror}") from error
    if data.startswith(LFS_PREFIX):
        raise MotionError(
            f"{path}: expected a motion file, found a Git LFS pointer of {len(data)} bytes; run: git lfs pull"
        )
    if not data:
        raise MotionError(f"{path}: expected a motion file, found an empty file")
    return data


def _decompressed(path: Path, data: bytes) -> bytes:
    """Undo the compressions that joblib writes, told apart by their first bytes."""
    openers: dict[bytes, Callable[[io.BytesIO], Any]] = {
        b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
        b"BZh": bz2.BZ2File,
        b"\xfd7zXZ": lzma.LZMAFile,
        b"\x5d\x00": lzma.LZMAFile,
    }
    try:
        if data[:1] == b"\x78":
            plain = zlib.decompressobj().decompress(data, MAX_BYTES + 1)
        else:
            opener = next((make for magic, make in openers.items() if data.startswith(magic)), None)
            plain = data if opener is None else opener(io.BytesIO(data)).read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise MotionError(
            f"{path}: expected a compressed pickle, found damaged data: {error}; fetch it again"
        ) from error
    if len(plain) > MAX_BYTES:
        raise MotionError(f"{path}: expected at most {MAX_BYTES} bytes after decompression, found more")
    return plain
