"""Writes the measured table of docs/faults.md: `python -m tests.faults.table`, for an idle machine; takes minutes."""

import os
import platform
import statistics
import sys
from pathlib import Path

from sonic_runtime.command_line import say
from tests.faults.inject import CASES, Case, measure, shipped_guard
from tests.realtime import faults as processes
from tests.realtime.loop_process import shipped_config

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- measured by python -m tests.faults.table -->", "<!-- end of what is measured -->"
HEAD = (
    "| what happens | fault | limit | time to damping [ms], median (worst) | from the last good message [ms] |",
    "|---|---|---|---|---|",
)
_TRIES, _PROCESS_TRIES = 9, 5
PROCESS_LIMITS = {
    "stopped_controller": "command age {command_max_age_ms:g} ms",
    "stopped_writer": "heartbeat age {heartbeat_max_age_ms:g} ms",
}


def fixed_cells(case: Case) -> tuple[str, str, str]:
    """Return what of a row is not measured."""
    values = {name: getattr(shipped_guard(), name) for name in shipped_guard().__struct_fields__}
    code = f"`{case.codes[0]}`" if case.codes[0] else "no fault"
    return case.what, code, case.limit.format(**values)


def fixed_process_cells(name: str) -> tuple[str, str, str]:
    """Return what of a row of tests/realtime/faults.py is not measured."""
    config = shipped_config()
    values = {field: getattr(config, field) for field in config.__struct_fields__}
    code = {"killed_writer": "`robot`", "stopped_writer": "`robot`", "terminated_writer": "`robot`"}.get(name)
    if code is None:
        code = "no fault" if name == "clean_stop" else "the writer damps"
    text = (processes.FAULTS[name].__doc__ or "").strip()
    return text, code, PROCESS_LIMITS.get(name, "none").format(**values)


def row(fixed: tuple[str, str, str], ms: list[float], last_good_ms: list[float]) -> str:
    """Return a line of the table."""
    return "| " + " | ".join((*fixed, _shown(ms), _shown(last_good_ms))) + " |"


def _shown(ms: list[float]) -> str:
    known = [value for value in ms if value == value]
    return f"{statistics.median(known):.1f} ({max(known):.1f})" if known else "-"


def rows() -> list[str]:
    """Measure everything."""
    lines = []
    for name, case in CASES.items():
        injected = [measure(name) for _ in range(_TRIES)]
        measured = row(fixed_cells(case), [i.ms for i in injected], [i.ms_of_last_good for i in injected])
        lines.append(measured if case.damps else measured.replace("| - | - |", "| clamped at once, no damping | - |"))
        say(lines[-1])
    with processes.simulated_robot() as robot:
        for name in processes.FAULTS:
            ms = [processes.measure(name, robot) for _ in range(_PROCESS_TRIES)]
            lines.append(row(fixed_process_cells(name), ms, []))
            say(lines[-1])
    return lines


def main() -> int:
    """Measure and write."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    where = f"Measured on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}."
    PAGE.write_text(before + "\n".join([BEGIN, "", where, "", *HEAD, *rows(), "", END]) + after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
