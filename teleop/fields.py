"""Reads the fields of a message with checks of dtype, shape, range and norm; complaints name topic and field."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.messages import Array

FLOATS = (np.float64, np.float32, np.float16)
INTEGERS = (np.int64, np.int32)
FLAGS = (np.bool_, np.uint8, np.int64, np.int32)

MAX_NORM_ERROR = 0.02
"""[-] A quaternion in f16 is off by 1e-3."""


class Fields:
    """The fields of one message.

    Args:
        topic: topic of the message, for complaints.
        fields: arrays by name, as `teleop.wire.unpack` returns them.
    """

    def __init__(self, topic: str, fields: Mapping[str, npt.NDArray]) -> None:
        self._topic = topic
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def array(self, names: tuple[str, ...], dtypes: tuple[type, ...]) -> npt.NDArray:
        """Return the first field of those names, which must have one of the dtypes.

        Raises:
            WireError: there is none, or it has another dtype.
        """
        for name in names:
            if name not in self._fields:
                continue
            array = self._fields[name]
            if array.dtype.type in dtypes:
                return array
            wanted = ", ".join(np.dtype(d).name for d in dtypes)
            raise self.error(name, f"expected one of the dtypes {wanted}, got {array.dtype.name}")
        found = ", ".join(sorted(self._fields)) or "none"
        raise WireError(f"{self._topic}: expected a field {' or '.join(names)}, got only {found}")

    def bounded(self, name: str, shape: tuple[int, ...], limit: float, unit: str) -> Array:
        """Return floats of exactly this shape and at most `limit` in size, as f64.

        Raises:
            WireError: missing, or of another dtype, shape or range.
        """
        values = self.array((name,), FLOATS)
        if values.shape != shape:
            raise self.error(name, f"expected shape {list(shape)}, got {list(values.shape)}")
        return self.within(name, values, limit, unit)

    def within(self, name: str, values: npt.NDArray, limit: float, unit: str) -> Array:
        """Return at least one value as f64, none of which exceeds `limit` in size.

        Raises:
            WireError: one of them does, or is not finite.
        """
        # false for what is not finite, too; before the cast, which warns of a signalling NaN
        if float(values.max()) <= limit and float(values.min()) >= -limit:
            return values.astype(np.float64)
        self._require_finite(name, values)
        worst = float(np.abs(values).max())
        angles = "; angles are in radians" if unit.startswith("rad") else ""
        raise self.error(name, f"expected values within {limit:g} {unit}, got {worst:.4g}{angles}")

    def flat(self, name: str, size: int, limit: float, unit: str) -> Array:
        """Return `size` floats of any shape, flat, at most `limit` in size, as f64.

        Raises:
            WireError: missing, or of another dtype, size or range.
        """
        values = self.array((name,), FLOATS)
        if values.size != size:
            raise self.error(name, f"expected {size} values, got shape {list(values.shape)}")
        return self.within(name, values.reshape(-1), limit, unit)

    def flat_or_none(self, name: str, size: int, limit: float, unit: str) -> Array | None:
        """Return `flat`, or None where there is no such field.

        Raises:
            WireError: of another dtype, size or range.
        """
        return self.flat(name, size, limit, unit) if name in self._fields else None

    def number(self, name: str, limit: float, unit: str, default: float | None = None) -> float:
        """Return a single float of at most `limit` in size; the default where there is no such field.

        Raises:
            WireError: missing without a default, or of another dtype, size or range.
        """
        if default is not None and name not in self._fields:
            return default
        return float(self.flat(name, 1, limit, unit)[0])

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return a single truth value; the default where there is no such field.

        Raises:
            WireError: missing without a default, or of another dtype or size.
        """
        if default is not None and name not in self._fields:
            return default
        value = self.array((name,), FLAGS)
        if value.size != 1:
            raise self.error(name, f"expected shape [1], got {list(value.shape)}")
        return bool(value.reshape(-1)[0])

    def integer(self, name: str, low: int, high: int) -> int:
        """Return a single integer from `low` to `high`.

        Raises:
            WireError: missing, or of another dtype, size or range.
        """
        value = self.array((name,), (*INTEGERS, np.uint8, np.int8, np.int16))
        if value.size != 1:
            raise self.error(name, f"expected shape [1], got {list(value.shape)}")
        number = int(value.reshape(-1)[0])
        if not low <= number <= high:
            raise self.error(name, f"expected a number from {low} to {high}, got {number}")
        return number

    def unit_quats(self, name: str, quats: npt.NDArray) -> Array:
        """Return quaternions (N, 4) wxyz as f64 of norm one, from values that have almost that norm.

        Raises:
            WireError: one of them is not finite, or its norm is off by more than MAX_NORM_ERROR.
        """
        # huge numbers first, so that their squares do not overflow; false for what is not finite, too
        if not (float(quats.max()) <= 2.0 and float(quats.min()) >= -2.0):
            self._require_finite(name, quats)
            raise self.error(name, f"expected unit quaternions (w, x, y, z), got a value of {np.abs(quats).max():.3g}")
        quats = quats.astype(np.float64)
        norm = np.sqrt((quats * quats).sum(axis=1))
        if norm.max() <= 1.0 + MAX_NORM_ERROR and norm.min() >= 1.0 - MAX_NORM_ERROR:
            return quats / norm[:, None]
        worst = int(np.abs(norm - 1.0).argmax())
        raise self.error(name, f"expected unit quaternions (w, x, y, z), got norm {norm[worst]:.3g} at number {worst}")

    def error(self, name: str, complaint: str) -> WireError:
        """Return an error that names topic and field."""
        return WireError(f"{self._topic}: {name}: {complaint}")

    def _require_finite(self, name: str, values: npt.NDArray) -> None:
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            raise self.error(name, f"expected finite numbers, got a non-finite one at row {int(np.argmin(finite))}")
