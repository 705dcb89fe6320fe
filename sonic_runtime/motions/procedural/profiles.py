"""Smooth profiles over time, from which every procedural motion is made: rest to rest, without jerks.

The minimum-jerk polynomial is that of Flash and Hogan, "The coordination of arm movements" (J. Neurosci. 5, 1985).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

RATE_HZ = 50
"""Frames per second of everything in this package."""


def frame_times(duration_s: float) -> Array:
    """Return the times (T,) [s] of the frames from 0 to at least `duration_s`."""
    return np.arange(int(np.ceil(duration_s * RATE_HZ)) + 1) / RATE_HZ


def minimum_jerk(fraction: npt.ArrayLike) -> Array:
    """Rise from 0 to 1 with zero speed and acceleration at both ends.

    Args:
        fraction: (...) of the duration; below 0 gives 0, above 1 gives 1.
    """
    s = np.clip(fraction, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


def bump(fraction: npt.ArrayLike) -> Array:
    """Rise from 0 to 1 at half time and fall again, with zero speed and acceleration at both ends.

    Args:
        fraction: (...) of the duration; 0 outside [0, 1].
    """
    s = np.clip(fraction, 0.0, 1.0)
    return 64.0 * (s * (1.0 - s)) ** 3


def through(times_s: Array, at_s: npt.ArrayLike, values: npt.ArrayLike) -> Array:
    """Move from value to value with minimum jerk, resting at each, constant before the first and after the last.

    Args:
        times_s: (T,) times wanted [s].
        at_s: (K,) times of the values [s], increasing.
        values: (K, ...) values.

    Returns:
        (T, ...) values at `times_s`.
    """
    keys_s, points = np.asarray(at_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    trailing = (1,) * (points.ndim - 1)
    result = np.repeat(points[:1], len(times_s), axis=0)
    for k in range(len(keys_s) - 1):
        share = minimum_jerk((times_s - keys_s[k]) / (keys_s[k + 1] - keys_s[k]))
        result = result + share.reshape(-1, *trailing) * (points[k + 1] - points[k])
    return result


def smoothed(values: Array, window_s: float) -> Array:
    """Average over a symmetric Hann window, holding the first and last value beyond the ends.

    Args:
        values: (T, ...) samples at `RATE_HZ`.
        window_s: full width of the window [s].

    Returns:
        (T, ...) averages.
    """
    half = max(1, round(window_s * RATE_HZ / 2.0))
    weights = np.hanning(2 * half + 3)[1:-1]
    weights /= weights.sum()
    padded = np.concatenate([np.repeat(values[:1], half, axis=0), values, np.repeat(values[-1:], half, axis=0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=0)
    return windows @ weights
