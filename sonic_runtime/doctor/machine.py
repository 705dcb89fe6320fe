"""The machine and what is installed on it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from sonic_runtime.doctor.finding import Finding, failure, warning, well

DISTRIBUTION = "sonic-wbc"
_PYTHONS = SpecifierSet(">=3.11,<3.14")
_STEADY_CLOCKS = ("tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page", "xen", "riscv_clocksource")
"""Sources that a process reads without asking the kernel, or nearly so."""
_LOAD = 0.7
"""Processes ready to run for each core; above it a run is disturbed now and then. Whether too often, timing tells."""
_SYSTEM = Path("/sys/devices/system")


def check_python(version: tuple[int, int, int] | None = None) -> list[Finding]:
    """Check the version of Python."""
    found = ".".join(map(str, sys.version_info[:3] if version is None else version))
    if _PYTHONS.contains(found, prereleases=True):
        return well("python", f"{found}, {sys.executable}")
    return failure("python", f"expected 3.11 to 3.13, found {found}", "make an environment with one of those")


def check_packages(
    requirements: Iterable[str] | None = None, version_of: Callable[[str], str] = metadata.version
) -> list[Finding]:
    """Check that every package the runtime needs is there, in a version that it works with.

    Args:
        requirements: what is needed, "numpy>=1.26"; None for what the installed package says, or the source tree.
        version_of: returns the version of a package, or raises PackageNotFoundError.
    """
    needed = [Requirement(text) for text in (_requirements() if requirements is None else requirements)]
    found: list[Finding] = []
    versions: list[str] = []
    for requirement in needed:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = version_of(requirement.name)
        except metadata.PackageNotFoundError:
            found += failure(
                "packages", f"{requirement.name}: expected {requirement.specifier}, found none", _install(requirement)
            )
            continue
        versions.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            text = f"{requirement.name}: expected {requirement.specifier}, found {version}"
            found += failure("packages", text, _install(requirement))
    return found or well("packages", ", ".join(versions))


def check_cores(system: Path = _SYSTEM) -> list[Finding]:
    """Check number of cores and how their frequency is governed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = (
        well("cores", f"{cores} for this process")
        if cores > 1
        else warning(
            "cores", "1 for this process", "give it two: one for the loop, one for everything beside it (see taskset)"
        )
    )
    governors = {path.read_text().strip() for path in system.glob("cpu/cpu*/cpufreq/scaling_governor")}
    slow = governors - {"performance"}
    if slow:
        found += warning(
            "governor", f"cores run under {', '.join(sorted(slow))}", "sudo cpupower frequency-set -g performance"
        )
    elif governors:
        found += well("governor", "performance")
    return found


def check_load(load: float | None = None, cores: int | None = None) -> list[Finding]:
    """Check how busy the machine is.

    Args:
        load: processes ready to run, average of a minute; None asks the system.
        cores: number of cores; None asks the system.
    """
    load = os.getloadavg()[0] if load is None else load
    cores = (os.cpu_count() or 1) if cores is None else cores
    text = f"{load:.1f} processes ready to run on {cores} cores"
    if load / cores <= _LOAD:
        return well("load", text)
    return warning("load", text, "end what else is running; `top` shows it")


def check_clock(system: Path = _SYSTEM) -> list[Finding]:
    """Check what the system reads the time from."""
    path = system / "clocksource/clocksource0/current_clocksource"
    if not path.is_file():
        return well("clock", "unknown to this system")
    source = path.read_text().strip()
    if source in _STEADY_CLOCKS:
        return well("clock", source)
    remedy = f"boot with clocksource=tsc, or find in `dmesg | grep -i tsc` why the kernel took {source}"
    return warning("clock", f"{source}: slow to read, a look at the time costs microseconds", remedy)


def _requirements() -> list[str]:
    """Return what the package needs without any extra."""
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return tomllib.loads(project.read_text())["project"]["dependencies"] if project.is_file() else []


def _install(requirement: Requirement) -> str:
    return f"{sys.executable} -m pip install '{requirement.name}{requirement.specifier}'"
