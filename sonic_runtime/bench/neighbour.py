"""A busy neighbour for measurements: keeps one core and its caches at work."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from sonic_runtime.child import Child

_MEGABYTES = 32
"""More than the caches of a core hold."""


def start_neighbour(besides_cpu: int | None = None) -> Child:
    """Start a busy process on the last core that is not the given one; the caller closes it."""
    cores = sorted(os.sched_getaffinity(0) - {besides_cpu}) if hasattr(os, "sched_getaffinity") else []
    child = Child("busy neighbour", "sonic_runtime.bench.neighbour", [str(cores[-1])] if cores else [])
    child.wait_for_output("busy", 30.0)
    return child


def stolen_ms() -> float:
    """Return the time that the host of a virtual machine has taken from all its cores since it started [ms]; else 0."""
    statistics = Path("/proc/stat")
    if not statistics.is_file():
        return 0.0
    # cpu user nice system idle iowait irq softirq steal, in hundredths of a second (man 5 proc)
    return float(statistics.read_text().split(maxsplit=9)[8]) * 10.0


def main(arguments: list[str]) -> None:
    """Keep the core busy until the parent is gone."""
    if arguments:
        os.sched_setaffinity(0, {int(arguments[0])})
    parent = os.getppid()
    memory = np.ones(_MEGABYTES * (1 << 17))
    sys.stdout.write("busy\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        memory += 1.0


if __name__ == "__main__":
    main(sys.argv[1:])
