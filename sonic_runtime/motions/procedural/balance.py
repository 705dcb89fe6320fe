"""Centre of mass motions whose zero-moment point follows a wanted path.

The linear inverted pendulum (Kajita et al., "The 3D linear inverted pendulum mode", IROS 2001): at constant height z
the centre of mass c accelerates by w^2 (c - p), with the zero-moment point p and w^2 = g / z. Its unstable part is the
divergent component xi = c + c'/w (Englsberger et al., "Three-dimensional bipedal walking control based on divergent
component of motion", IEEE T-RO 31, 2015): xi' = w (xi - p) is solved backwards in time from rest at the end,
c' = w (xi - c) forwards from rest at the start, both in closed form between samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sonic_runtime.motions.procedural.profiles import RATE_HZ, bump

Array = npt.NDArray[np.floating]

GRAVITY_M_S2 = 9.81


def _divergent_component(zmp: Array, rate: float) -> Array:
    """Solve xi' = w (xi - p) backwards from xi = p at the end, p linear between samples; (T, D)."""
    dt = 1.0 / RATE_HZ
    decay = np.exp(-rate * dt)
    xi = np.empty_like(zmp)
    xi[-1] = zmp[-1]
    slope = np.diff(zmp, axis=0) / (dt * rate)
    for k in range(len(zmp) - 2, -1, -1):
        xi[k] = zmp[k] + slope[k] + (xi[k + 1] - zmp[k + 1] - slope[k]) * decay
    return xi


def _centre_of_mass(xi: Array, rate: float) -> Array:
    """Solve c' = w (xi - c) forwards from c = xi at the start, xi linear between samples; (T, D)."""
    dt = 1.0 / RATE_HZ
    decay = np.exp(-rate * dt)
    com = np.empty_like(xi)
    com[0] = xi[0]
    slope = np.diff(xi, axis=0) / (dt * rate)
    for k in range(len(xi) - 1):
        com[k + 1] = xi[k + 1] - slope[k] + (com[k] - xi[k] + slope[k]) * decay
    return com


def com_for_zmp(zmp_w: Array, height_m: float, settle_s: float) -> Array:
    """Return the centre of mass motion that starts and ends at rest on top of the zero-moment point.

    The wanted path alone would ask for motion before its first frame and after its last. Two short swings of the
    zero-moment point within `settle_s` of either end take that up, as people do who shift their weight the wrong way
    for a moment before they step; how large they are follows from two linear equations.

    Args:
        zmp_w: (T, 2) wanted path [m] at `RATE_HZ`, constant within about `settle_s` of both ends.
        height_m: height of the centre of mass above the ground [m].
        settle_s: duration of the two swings [s].

    Returns:
        (T, 2) centre of mass [m].
    """
    rate = float(np.sqrt(GRAVITY_M_S2 / height_m))
    times = np.arange(len(zmp_w)) / RATE_HZ
    swings = np.stack([bump(times / settle_s), bump((times[-1] - times) / settle_s)], axis=1)

    def offsets(path: Array) -> Array:
        """How far off rest the ends are: (2, D)."""
        xi = _divergent_component(path, rate)
        return np.stack([xi[0] - path[0], _centre_of_mass(xi, rate)[-1] - path[-1]])

    sizes = np.linalg.solve(offsets(swings), -offsets(zmp_w))
    return _centre_of_mass(_divergent_component(zmp_w + swings @ sizes, rate), rate)


def zmp_of_com(com_w: Array, height_m: float) -> Array:
    """Return the zero-moment point (T - 2, 2) [m] of the inner frames of a motion (T, 2) of the centre of mass [m]."""
    acceleration = np.diff(com_w, n=2, axis=0) * RATE_HZ**2
    return com_w[1:-1] - height_m / GRAVITY_M_S2 * acceleration
