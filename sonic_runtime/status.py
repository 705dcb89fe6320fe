"""What the operator sees in the terminal: one line that is kept up to date, and above it a line for everything new.

The loop only hands over its reports; a thread of its own writes, five times a second, so that a slow terminal delays
nobody. Where the output is no terminal there is no line that is kept up to date, only what is new.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np

# np.percentile imports it at its first call; compiled in this thread, it would keep the interpreter from the loop
import numpy.ma

from sonic_runtime.contract.messages import Mode, TickReport
from sonic_runtime.contract.operator import BINDINGS, EventKind, shown_key
from sonic_runtime.guard.config import LooserLimit
from sonic_runtime.guard.warning import GuardWarning

_UPDATE_S = 0.2
_KEPT_TICKS = 500
_KEPT_MESSAGES = 200
_LATE_TICK = 1.25
"""A tick that begins later than this many periods after the one before is counted as late."""
_SILENT_S = 0.5
_LAST_EVENT_S = 3.0
_CLEAR_LINE = "\r\x1b[K"


def _key(kind: EventKind) -> str:
    return shown_key(next(row for row in BINDINGS if row.event.kind == kind).keys[0])


_NEXT_STEP: dict[Mode, str] = {
    "waiting": f"nothing moves; {_key('start')} ramps to the default pose",
    "ramp": f"to the default pose; {_key('stop')} stops",
    "ready": f"holds the default pose; {_key('start')} hands over to the policy",
    "stand": f"the policy balances; {_key('play')} plays, {_key('source')} changes the source, {_key('stop')} stops",
    "active": f"tracks its goal; {_key('pause')} pauses, {_key('stop')} stops",
    "damping": "every joint brakes; the run ends",
}
"""What a mode is, and the keys that lead on from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a report does not tell; functions that return at once, from any thread.

    Attributes:
        source: what goals come from now, in a few words.
        received: messages the stream has brought; None without a stream.
        refusal: why the last "start" was refused.
        policy: what "policy" has selected to be in charge once a policy is.
        warnings: what is not well but goes on.
        checks_off: checks of the guard that are turned off.
        looser: limits of the guard that are looser than the shipped ones, by key.
        robot: what the robot's side has to say, in a few words.
    """

    source: Callable[[], str] = lambda: ""
    received: Callable[[], int] | None = None
    refusal: Callable[[], str] = lambda: ""
    policy: Callable[[], str] = lambda: ""
    warnings: Callable[[], Sequence[GuardWarning]] = lambda: ()
    checks_off: Sequence[str] = ()
    looser: Mapping[str, LooserLimit] = field(default_factory=dict)
    robot: Callable[[], str] = lambda: ""


class Status:
    """A ReportSink that writes to a terminal or a log.

    Args:
        out: where to write.
        hz: rate of the loop [1/s].
    """

    def __init__(self, out: TextIO, hz: float = 50.0) -> None:
        self._out = out
        self._live = out.isatty()
        self._period_ns = 1e9 / hz
        self._start_s = time.monotonic()
        self._facts = Facts()
        self._messages: deque[str] = deque(maxlen=_KEPT_MESSAGES)
        self._report: TickReport | None = None
        self._put_s = 0.0
        self._tick_ms = np.zeros(_KEPT_TICKS)
        self._ticks = 0
        self._late = 0
        self._event = ("", 0.0)
        self._rate = (0.0, 0, 0.0)
        self._warned: dict[str, GuardWarning] = {}
        self._shown = ""
        self._broken = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._thread.start()

    def watch(self, facts: Facts) -> None:
        """Take the parts to ask from now on; they are built after the inputs that already speak through `say`."""
        self._facts = facts
        if facts.checks_off:
            self.say(f"CHECKS OF THE GUARD ARE OFF: {', '.join(facts.checks_off)}")
        if facts.looser:
            limits = (f"{key}={limit.value:g} (shipped {limit.shipped:g})" for key, limit in facts.looser.items())
            self.say(f"LIMITS OF THE GUARD ARE LOOSER THAN SHIPPED: {', '.join(limits)}")

    def say(self, text: str) -> None:
        """Write a message with the time; returns at once, from any thread."""
        self._messages.append(f"[{time.monotonic() - self._start_s:7.2f} s] {text}")

    def put(self, report: TickReport) -> None:
        """Take one report."""
        self._tick_ms[self._ticks % _KEPT_TICKS] = sum(report.stage_ns.values()) * 1e-6
        self._ticks += 1
        self._put_s = time.monotonic()
        # last: the thread that writes takes the first report for a sign that there are times to show
        before, self._report = self._report, report
        if before is not None and report.now_ns - before.now_ns > _LATE_TICK * self._period_ns:
            self._late += 1
        if report.events:
            self._tell_events(report, None if before is None else before.mode)
        if before is None or before.mode != report.mode:
            self.say(f"{report.mode}: {_NEXT_STEP[report.mode]}")
        if before is not None and before.controller != report.controller:
            self.say(f"controller: {before.controller} -> {report.controller}")
        if report.fault is not None and (before is None or before.fault is None):
            self.say(f"FAULT {report.fault.code}: {report.fault.detail}")

    def close(self) -> None:
        """Write what is still to be said and end the thread; safe to call twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        # a terminal that takes nothing any more must not keep the program from ending
        self._thread.join(timeout=2.0)

    def line(self) -> str:
        """Return the line that is kept up to date, the most important first."""
        report = self._report
        if report is None:
            return ""
        silent_s = time.monotonic() - self._put_s
        goal = report.goal
        parts = [
            f"NO TICK FOR {silent_s:.1f} s" if silent_s > _SILENT_S else "",
            report.mode if report.fault is None else f"{report.mode} ({report.fault.code})",
            " ".join(f"!{warning.code}" for warning in self._facts.warnings()),
            f"OFF: {' '.join(self._facts.checks_off)}" if self._facts.checks_off else "",
            f"LOOSER: {' '.join(self._facts.looser)}" if self._facts.looser else "",
            self._facts.robot(),
            self._last_event(),
            report.controller,
            self._facts.source(),
            "" if goal is None else goal.encoder,
            self._stream(report),
            self._timing(),
            "? keys",
        ]
        return " | ".join(part for part in parts if part)

    def _tell_events(self, report: TickReport, mode_before: Mode | None) -> None:
        for event in report.events:
            text = f"{event.kind} ({event.origin or 'unknown'})"
            self._event = (event.kind, time.monotonic())
            if event.kind == "start" and mode_before == report.mode:
                why = self._facts.refusal() or f"there is nothing to start in the mode {report.mode}"
                text = f"start refused: {why}"
            if event.kind == "policy" and self._facts.policy():
                text += f": {self._facts.policy()} is selected"
            if event.kind != "turn":  # a held key gives thirty a second
                self.say(text)

    def _last_event(self) -> str:
        kind, at_s = self._event
        return f"[{kind}]" if kind and time.monotonic() - at_s < _LAST_EVENT_S else ""

    def _stream(self, report: TickReport) -> str:
        """Return age and rate of the stream; nothing where goals do not come from one."""
        if self._facts.received is None:
            return ""
        now_s, count = time.monotonic(), self._facts.received()
        at_s, counted, per_s = self._rate
        if now_s - at_s >= 1.0:
            per_s = (count - counted) / (now_s - at_s) if at_s else 0.0
            self._rate = (now_s, count, per_s)
        age = "no goal" if report.goal is None else f"{(report.now_ns - report.goal.stamp_ns) * 1e-6:.0f} ms old"
        return f"stream {age}, {per_s:.0f}/s"

    def _timing(self) -> str:
        kept = self._tick_ms[: min(self._ticks, _KEPT_TICKS)]
        p50, p99 = np.percentile(kept, [50, 99])
        return f"tick {p50:.1f} p99 {p99:.1f} ms, late {self._late}"

    def _run(self) -> None:
        while not self._closing.wait(_UPDATE_S):
            self._refresh()
        self._refresh()
        self._write(_CLEAR_LINE if self._live else "")

    def _refresh(self) -> None:
        self._tell_warnings()
        text = ""
        while self._messages:
            text += self._messages.popleft() + "\n"
        if self._live:
            line = self.line()[: self._columns() - 1]
            if text or line != self._shown:
                text = f"{_CLEAR_LINE}{text}{line}"
                self._shown = line
        self._write(text)

    def _tell_warnings(self) -> None:
        now = {warning.code: warning for warning in tuple(self._facts.warnings())}
        for code, warning in now.items():
            if code not in self._warned:
                self.say(f"WARNING {code}: {warning.detail}")
        for code in self._warned:
            if code not in now:
                self.say(f"warning {code} is over")
        self._warned = now

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._out.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        if not text or self._broken:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._broken = True  # nobody reads any more; the run is not its victim
