"""Where rays meet spheres, capsules, cylinders, ellipsoids and boxes: the geometry behind pictures without OpenGL.

All functions take rays in the frame of the shape and return the distance along the ray, infinite where it misses, and
the outward normal there. Rays are n; a shape is convex, so that the nearest hit is its surface.
"""

# MuJoCo's compiled modules carry no type stubs, so that pyright sees none of their names
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from sonic_runtime.contract.messages import Array

Hit = tuple[Array, Array]
"""(n,) distance along each ray and (n, 3) normal; normals of rays that miss mean nothing."""


def hit_ellipsoid(origin: Array, direction: Array, size: Array) -> Hit:
    """Meet an ellipsoid with semi-axes `size` (3,) [m]; rays (n, 3). A sphere has three equal ones."""
    # scaled to the unit sphere
    o, d = origin / size, direction / size
    distance = _quadratic((d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1.0)
    point = origin + _finite(distance)[:, None] * direction
    return distance, _unit(point / size**2)


def hit_sphere(origin: Array, direction: Array, size: Array) -> Hit:
    """Meet a sphere of radius size[0]."""
    return hit_ellipsoid(origin, direction, np.full(3, size[0]))


def hit_cylinder(origin: Array, direction: Array, size: Array) -> Hit:
    """Meet a cylinder along z of radius size[0] and half length size[1]."""
    side, side_normal = _tube(origin, direction, size)
    # of the two caps a ray meets first the one that faces it
    cap_z = -np.sign(direction[:, 2]) * size[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        cap = (cap_z - origin[:, 2]) / direction[:, 2]
    point = origin[:, :2] + _finite(cap)[:, None] * direction[:, :2]
    cap = np.where(np.isfinite(cap) & (cap > 0) & ((point**2).sum(-1) <= size[0] ** 2), cap, np.inf)
    cap_normal = np.zeros_like(direction)
    cap_normal[:, 2] = np.sign(cap_z)
    nearer = cap < side
    return np.where(nearer, cap, side), np.where(nearer[:, None], cap_normal, side_normal)


def hit_capsule(origin: Array, direction: Array, size: Array) -> Hit:
    """Meet a capsule along z of radius size[0] whose tube has half length size[1]."""
    distance, normal = _tube(origin, direction, size)
    for end in (-size[1], size[1]):
        shift = np.array([0.0, 0.0, end])
        ball, ball_normal = hit_sphere(origin - shift, direction, size)
        nearer = ball < distance
        distance = np.where(nearer, ball, distance)
        normal = np.where(nearer[:, None], ball_normal, normal)
    return distance, normal


def hit_box(origin: Array, direction: Array, size: Array) -> Hit:
    """Meet a box of half lengths `size` (3,)."""
    safe = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    entry = (-np.sign(safe) * size - origin) / safe
    leave = (np.sign(safe) * size - origin) / safe
    axis = entry.argmax(axis=-1)
    rows = np.arange(len(origin))
    first = entry[rows, axis]
    normal = np.zeros_like(direction)
    normal[rows, axis] = -np.sign(safe[rows, axis])
    return np.where((first <= leave.min(axis=-1)) & (first > 0), first, np.inf), normal


HIT_OF_TYPE: dict[int, Callable[[Array, Array, Array], Hit]] = {
    int(mujoco.mjtGeom.mjGEOM_SPHERE): hit_sphere,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): hit_capsule,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): hit_cylinder,
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): hit_ellipsoid,
    int(mujoco.mjtGeom.mjGEOM_BOX): hit_box,
}


def _tube(origin: Array, direction: Array, size: Array) -> Hit:
    o, d = origin[:, :2], direction[:, :2]
    distance = _quadratic((d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - size[0] ** 2)
    point = origin + _finite(distance)[:, None] * direction
    distance = np.where(np.abs(point[:, 2]) <= size[1], distance, np.inf)
    normal = point / size[0]
    normal[:, 2] = 0.0
    return distance, normal


def _quadratic(a: Array, half_b: Array, c: Array) -> Array:
    """Return the smaller root of a t^2 + 2 half_b t + c = 0, infinite where there is none above zero."""
    a = np.maximum(a, 1e-18)
    discriminant = half_b**2 - a * c
    root = (-half_b - np.sqrt(np.maximum(discriminant, 0.0))) / a
    return np.where((discriminant > 0.0) & (root > 0.0), root, np.inf)


def _finite(distance: Array) -> Array:
    return np.where(np.isfinite(distance), distance, 0.0)


def _unit(vector: Array) -> Array:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)
