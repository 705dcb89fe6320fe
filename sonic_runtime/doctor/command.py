"""`sonic-doctor`: checks the machine, the files, the network and the speed for a run that is about to be made."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from sonic_runtime.command_line import help_text, say, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.doctor import files, machine, network, speed, timing
from sonic_runtime.doctor.finding import Finding, failure, is_safe, of_error, table, warning, well
from sonic_runtime.guard.config import looser_limits
from sonic_runtime.open_goals import sources_of
from sonic_runtime.run_config import RunConfig

Group = Literal["machine", "timing", "disk", "network", "policy", "motions", "speed", "robot"]
_DESCRIPTION = """Checks whether a run would be safe here and now: machine, timing, disk, network, policy, motions,
speed, and with robot=unitree the robot. Give it the keys that sonic-run will get. Each finding says what to do. Exit
code 0 where a run would be safe, 1 where it would not; warnings do not count. The last line is JSON."""


class DoctorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How thorough the checks are."""

    seconds: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)]
    """Time of each measurement: sleep, stream, simulator, tick [s]."""
    motions: str | None
    """Motion file or folder to check; null for the motion that the run would play."""
    leave_out: tuple[Group, ...]
    """Checks not to make: machine, timing, disk, network, policy, motions, speed, robot."""


def main(arguments: list[str]) -> int:
    """Run the command."""
    if wants_help(arguments):
        say(help_text("sonic-doctor [robot] [key=value ...]", _DESCRIPTION, "doctor", DoctorConfig))
        say("\nand the keys of sonic-run, such as policy, goals.endpoint, goals.motion, output.endpoint, run_dir")
        return 0
    if arguments[:1] == ["robot"]:
        arguments = ["robot=unitree", *arguments[1:]]
    own, of_run = split_arguments(arguments)
    findings = examine(load_config("doctor", own, DoctorConfig), of_run)
    say(table(findings))
    failures = sum(finding.level == "failure" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    verdict = "a run would be safe" if is_safe(findings) else "a run would NOT be safe"
    say(f"{verdict}: {failures} failures, {warnings} warnings")
    line = {"safe": is_safe(findings), "failures": failures, "warnings": warnings, "findings": findings}
    say(msgspec.json.encode(line).decode())
    return 0 if is_safe(findings) else 1


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments that are the doctor's own, and those of sonic-run."""
    own = [a for a in arguments if re.split(r"[.=]", a.lstrip("+"), maxsplit=1)[0] in DoctorConfig.__struct_fields__]
    return own, [a for a in arguments if a not in own]


def examine(config: DoctorConfig, run_arguments: Sequence[str]) -> list[Finding]:
    """Make all checks.

    Args:
        config: how.
        run_arguments: what sonic-run would be given.

    Returns:
        What was found, in the order of the checks. Nothing is raised: what cannot be checked is a finding.
    """
    run, findings = _configuration(run_arguments)
    named = any(argument.split("=", 1)[0] == "goals.endpoint" for argument in run_arguments)
    checks: dict[Group, Callable[[], list[Finding]]] = {
        "machine": _machine,
        "timing": lambda: _timing(run, config.seconds),
        "disk": lambda: timing.check_disk(run.run_dir),
        "network": lambda: _network(run, config.seconds, named),
        "motions": lambda: _motions(run, config.motions),
        "policy": lambda: _policies(run, config),
        "speed": lambda: _simulator(run, config.seconds),
        "robot": lambda: _robot(run, config.seconds),
    }
    findings += guard_findings(run) + clock_findings(run)
    for group, check in checks.items():
        if group not in config.leave_out:
            findings += check()
    return findings


def _configuration(run_arguments: Sequence[str]) -> tuple[RunConfig, list[Finding]]:
    """Return the configuration of the run, or the default one where it is wrong, and what was found."""
    try:
        run = load_config("run", run_arguments, RunConfig)
        sources_of(run.goals)
    except ConfigError as error:
        remedy = "mend the argument; sonic-run --help lists the keys"
        return load_config("run", [], RunConfig), of_error("configuration", error, remedy)
    return run, well("configuration", " ".join(run_arguments) or "the defaults")


def guard_findings(run: RunConfig) -> list[Finding]:
    """Tell which checks of the guard are turned off or looser than shipped; on a robot that is a failure."""
    grade, looser = warning if run.robot == "mujoco" else failure, looser_limits(run.guard)
    found: list[Finding] = []
    if run.guard.off:
        found += grade("guard", f"turned off: {', '.join(run.guard.off)}", "leave out guard.off")
    if looser:
        limits = ", ".join(f"{key}={limit.value:g} (shipped {limit.shipped:g})" for key, limit in looser.items())
        found += grade("guard limits", f"looser than shipped: {limits}", "leave out these keys")
    return found or well("guard", "every check is on, no limit is looser than shipped")


def clock_findings(run: RunConfig) -> list[Finding]:
    """Tell where the clock of the loop does not go with robot or source."""
    if run.clock == "lockstep" and ("stream" in sources_of(run.goals) or run.robot != "mujoco"):
        found = f"lockstep, with robot={run.robot} and goals.source={run.goals.source}, which keep to real time"
        return failure("clock of the loop", found, "set clock=real_time")
    return well("clock of the loop", run.clock)


def _machine() -> list[Finding]:
    return [
        *machine.check_python(),
        *machine.check_packages(),
        *machine.check_cores(),
        *machine.check_load(),
        *machine.check_clock(),
    ]


def _timing(run: RunConfig, seconds: float) -> list[Finding]:
    if run.clock == "lockstep":
        return well("timing", "lockstep: nothing depends on it")
    asked = run.realtime
    stats, notes = timing.measure(seconds, asked.priority, asked.cpu, asked.lock_memory)
    return timing.check_permissions(notes) + timing.check_sleep(stats)


def _network(run: RunConfig, seconds: float, named: bool) -> list[Finding]:
    findings = network.check_output(run.output.endpoint)
    if "stream" in sources_of(run.goals):
        findings += network.check_stream(run.goals.endpoint, seconds, wanted=named)
    return findings


def _motions(run: RunConfig, motions: str | None) -> list[Finding]:
    if motions is not None:
        return files.check_motions(motions)
    if "motion" not in sources_of(run.goals):
        return []
    words = (run.goals.motion,) if isinstance(run.goals.motion, str) else run.goals.motion
    if not words:
        return failure("motions", "goals.source=motion without a motion", "name one with goals.motion=FILE")
    # the names of procedural motions are no files; what is neither is told by the check
    are_names = {word: word.isidentifier() and not Path(word).exists() for word in words}
    return [f for word in words for f in (_named_motion if are_names[word] else files.check_motions)(word)]


def _named_motion(name: str) -> list[Finding]:
    from sonic_runtime.motions.procedural import KINDS
    from sonic_runtime.motions.sources import DEMO_WALK, LIBRARY

    names = (LIBRARY, DEMO_WALK, *KINDS)
    if name in names:
        return well("motions", f"{name}: procedural")
    return failure("motions", f"{name}: neither a file nor a procedural motion", f"expected one of {', '.join(names)}")


def _policies(run: RunConfig, config: DoctorConfig) -> list[Finding]:
    findings, policy = files.check_policy(run.policy)
    for file in run.imported:
        findings += files.check_imported(file)
    if policy is None or "speed" in config.leave_out:
        return findings
    return findings + speed.check_tick(run.policy, run.guard, config.seconds)


def _robot(run: RunConfig, seconds: float) -> list[Finding]:
    if run.robot != "unitree":
        return []
    if importlib.util.find_spec("cyclonedds") is None:
        return failure("robot network", "the package cyclonedds is not installed", "pip install 'sonic-wbc[robot]'")
    # DDS is an extra of the installation
    from sonic_runtime.doctor.robot import check_robot

    return check_robot(run.unitree, seconds)


def _simulator(run: RunConfig, seconds: float) -> list[Finding]:
    return speed.check_simulator(seconds) if run.robot == "mujoco" else []
