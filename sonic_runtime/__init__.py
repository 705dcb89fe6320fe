"""Real-time whole-body control of the Unitree G1: observe, infer, guard, write, fifty times a second."""

__version__ = "0.1.0"
