"""What a check has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from sonic_runtime.contract.errors import SonicError

Level = Literal["ok", "warning", "failure"]
_MARKS: dict[Level, str] = {"ok": "ok", "warning": "WARN", "failure": "FAIL"}
_WIDTH = 118


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result of one check.

    Attributes:
        check: what was looked at: "policy", "sleep".
        level: ok; warning, a run works and something is not as it should be; failure, a run would not be safe or would
            not start.
        found: what was found, with numbers.
        remedy: what to do; empty where all is well.
    """

    check: str
    level: Level
    found: str
    remedy: str = ""


def well(check: str, found: str) -> list[Finding]:
    """Return one finding that all is well."""
    return [Finding(check=check, level="ok", found=found)]


def warning(check: str, found: str, remedy: str) -> list[Finding]:
    """Return one finding that a run works, but not as it should."""
    return [Finding(check=check, level="warning", found=found, remedy=remedy)]


def failure(check: str, found: str, remedy: str) -> list[Finding]:
    """Return one finding that a run would not be safe or would not start."""
    return [Finding(check=check, level="failure", found=found, remedy=remedy)]


def of_error(check: str, error: SonicError, remedy: str) -> list[Finding]:
    """Return the failure that an error tells.

    Args:
        check: what was looked at.
        error: what it raised; where its last clause says what to do, that becomes the remedy.
        remedy: what to do where it does not.
    """
    found, semicolon, told = str(error).rpartition("; ")
    # a list of differences has semicolons of its own
    if semicolon and "\n" not in str(error):
        return failure(check, found, told)
    return failure(check, str(error), remedy)


def graded(check: str, found: str, value: float, limits: tuple[float, float], remedy: str) -> list[Finding]:
    """Return ok, a warning above the first limit, a failure above the second."""
    warn, fail = limits
    if value > fail:
        return failure(check, found, remedy)
    return warning(check, found, remedy) if value > warn else well(check, found)


def is_safe(findings: Sequence[Finding]) -> bool:
    """Return whether nothing stands against a run."""
    return all(finding.level != "failure" for finding in findings)


def table(findings: Sequence[Finding]) -> str:
    """Return a readable table: what was looked at, what was found, and below it what to do."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines: list[str] = []
    for finding in findings:
        first, *more = finding.found.splitlines() or [""]
        lines.append(f"{_MARKS[finding.level]:<5} {finding.check:<{width}}  {first}")
        lines += [" " * (width + 8) + line for line in more]
        if finding.remedy:
            lines.append(" " * (width + 8) + f"-> {finding.remedy}")
    return "\n".join(lines)
