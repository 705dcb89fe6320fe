"""Procedural motions for the G1, made from plans and inverse kinematics: seeded, deterministic, standing to standing.

`library()` makes the set that training and tests use, `generate()` one motion, `demo_walk()` the walk of the demo.
"""

from sonic_runtime.motions.procedural.catalog import KINDS, demo_walk, generate, library

__all__ = ["KINDS", "demo_walk", "generate", "library"]
