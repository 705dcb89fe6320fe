"""Several goal sources, one in charge: declared priorities, and hand-over only at moments that are well defined.

Who is in charge changes
    at the beginning     to the live source of the highest priority, of equal ones to the freshest;
    by the operator      on "source": to the next live source, or to number `value` (from 1) as soon as it is live;
    by priority          when a source of higher priority than the one in charge comes alive, unless the operator chose.

A source that falls silent stays in charge: its old goals reach the guard, which ends the run. Only with
fallback="stand" does the robot stand instead, until a source comes alive again or the operator chooses one. Another
source never takes over the silent one's motion by itself.

A source is told with the event "source" that it has taken over, and lets its reference begin where the robot faces. The
value of the event is 1 where the robot tracks a goal now and must go on having one, else 0: a source that waits for
"play" then gives none, and the policy stands.
Who is live is known from what came in the tick before, so a hand-over is one tick late and never reads a source twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Goal, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.ports import GoalSource
from teleop.standing import Standing

STAND = "stand"
"""Name of the standing that fallback="stand" means, in status and messages."""
_WISH_NS = 2_000_000_000
"""How long a hand-over that was asked for waits for its source: a client says so before its first message arrives."""
_NOBODY = -1
_FALLBACK = -2


class ArbiterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How several goal sources share a robot."""

    live_ms: Annotated[float, msgspec.Meta(gt=0.0, le=5000.0)] = 200.0
    """Age of its newest data up to which a stream is live [ms]; ten messages at 50 Hz."""
    fallback: Literal["silence", "stand"] = "silence"
    """Where the source in charge falls silent: silence lets the guard end the run; stand goes on standing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A goal source that may be in charge.

    Attributes:
        name: for status and messages.
        source: read in every tick where `newest_ns` is given, else only while it is in charge.
        priority: the lowest number wins; several sources may share one.
        newest_ns: when the newest data of a stream came, None before the first; None in place of the function for a
            source that is always live, such as motions in memory.
    """

    name: str
    source: GoalSource
    priority: int
    newest_ns: Callable[[], int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How a source stands.

    Attributes:
        name: its name.
        in_charge: whether its goals are tracked.
        live: whether its data is fresh.
        age_ms: age of its newest data [ms]; None before the first, and for a source that has all data at hand.
        hand_overs: how often it took over.
    """

    name: str
    in_charge: bool
    live: bool
    age_ms: float | None
    hand_overs: int


class OnlySource:
    """The only goal source of a run. A hand-over that is asked for does not reach it: it would begin anew for nothing.

    Args:
        source: the source; closed with this.
        say: where messages for the operator go.
    """

    def __init__(self, source: GoalSource, say: Callable[[str], None]) -> None:
        self._source = source
        self._say = say

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the goal of the source."""
        passed = [event for event in events if event.kind != "source"]
        if len(passed) < len(events):
            self._say("goals: there is one source; goals.source=[...] names several")
        return self._source.read(state, passed)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class Arbiter:
    """A GoalSource made of several.

    Args:
        candidates: the sources, in the order of "source".
        config: when a stream is live, and what its silence means.
        say: where messages for the operator go.

    Attributes:
        mode: tells the mode of the guard after the tick before; whoever has the guard sets it.

    Raises:
        ConfigError: there is no source, or two of one name.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        config: ArbiterConfig | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        names = [candidate.name for candidate in candidates]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"goal sources: expected at least one, each of another name, got {names or 'none'}")
        config = ArbiterConfig() if config is None else config
        self._candidates = list(candidates)
        self._live_ns = round(config.live_ms * 1e6)
        self._may_stand = config.fallback == "stand"
        self._say = say
        self.mode: Callable[[], str] = lambda: "waiting"
        self._stand = Standing()
        self._current = _NOBODY
        self._chosen = False
        self._wish: tuple[int, int] | None = None
        self._live: list[bool] = [candidate.newest_ns is None for candidate in candidates]
        self._ages_ns: list[int | None] = [None] * len(candidates)
        self._hand_overs = [0] * len(candidates)
        self._stands = 0

    @property
    def current(self) -> str:
        """Name of the source in charge; empty before the first, "stand" in the fallback."""
        if self._current == _FALLBACK:
            return STAND
        return "" if self._current == _NOBODY else self._candidates[self._current].name

    def read(self, state: RobotState, events: Sequence[OperatorEvent] = ()) -> Goal | None:
        """Return the goal of the source in charge."""
        before, came_alive = self._current, self._update_live(state.stamp_ns)
        self._decide(state.stamp_ns, events, came_alive)
        passed = [event for event in events if event.kind != "source"]
        if self._current != before:
            passed.append(OperatorEvent("source", float(self.mode() == "active"), origin="arbiter"))
        goal: Goal | None = None
        for number, candidate in enumerate(self._candidates):
            if number == self._current:
                goal = candidate.source.read(state, passed)
            elif candidate.newest_ns is not None:
                candidate.source.read(state, ())
        return self._stand.read(state, passed) if self._current == _FALLBACK else goal

    def status(self) -> list[SourceStatus]:
        """Return how each source stands, in the order given."""
        return [
            SourceStatus(
                name=candidate.name,
                in_charge=number == self._current,
                live=self._live[number],
                age_ms=None if age_ns is None else age_ns * 1e-6,
                hand_overs=self._hand_overs[number],
            )
            for number, (candidate, age_ns) in enumerate(zip(self._candidates, self._ages_ns, strict=True))
        ]

    def line(self) -> str:
        """Return who is in charge, and every source, in one line."""
        parts = [
            f"{s.name} {'live' if s.live else 'silent'}"
            + ("" if s.age_ms is None else f" ({s.age_ms:.0f} ms)")
            + (f", took over {s.hand_overs} times" if s.hand_overs else "")
            for s in self.status()
        ]
        return f"in charge: {self.current or 'nobody'}; {'; '.join(parts)}; stood in their place {self._stands} times"

    def close(self) -> None:
        """Close all sources."""
        for candidate in self._candidates:
            candidate.source.close()

    def _update_live(self, now_ns: int) -> list[int]:
        """Take note of the age of each source; return the numbers of those that have come alive."""
        came_alive: list[int] = []
        for number, candidate in enumerate(self._candidates):
            if candidate.newest_ns is None:
                continue
            newest_ns = candidate.newest_ns()
            age_ns = None if newest_ns is None else now_ns - newest_ns
            live = age_ns is not None and age_ns <= self._live_ns
            if live and not self._live[number]:
                came_alive.append(number)
            self._live[number], self._ages_ns[number] = live, age_ns
        return came_alive

    def _decide(self, now_ns: int, events: Sequence[OperatorEvent], came_alive: Sequence[int]) -> None:
        for event in events:
            if event.kind == "source":
                self._wish = self._wished(int(event.value)), now_ns
        if self._wish is not None and self._grant(*self._wish, now_ns):
            return
        if self._current == _NOBODY:
            best = self._best([number for number, live in enumerate(self._live) if live])
            if best is not None:
                self._hand_over(best, "it is live")
            return
        rival = None if self._chosen else self._best([number for number in came_alive if self._outranks(number)])
        if rival is not None:
            self._hand_over(rival, "it has come alive")
        elif self._current >= 0 and not self._live[self._current] and self._may_stand:
            self._fall_back()

    def _wished(self, value: int) -> int:
        """Return the number of the source that a "source" event asks for."""
        count = len(self._candidates)
        if 1 <= value <= count:
            return value - 1
        start = max(self._current, -1)
        order = [(start + step) % count for step in range(1, count + 1)]
        return next((number for number in order if self._live[number] and number != self._current), order[0])

    def _grant(self, wanted: int, asked_ns: int, now_ns: int) -> bool:
        """Hand over to the source that was asked for; False where it is not live yet."""
        if self._live[wanted]:
            self._wish = None
            self._chosen = True
            if wanted != self._current:
                self._hand_over(wanted, "the operator chose it")
            return True
        if now_ns - asked_ns > _WISH_NS:
            self._wish = None
            self._say(f"goals: {self._candidates[wanted].name} was asked for, but nothing comes from it")
        return False

    def _outranks(self, number: int) -> bool:
        return self._current < 0 or self._candidates[number].priority < self._candidates[self._current].priority

    def _best(self, numbers: Sequence[int]) -> int | None:
        """Return the source of the highest priority, of equal ones the freshest."""
        return min(numbers, key=lambda n: (self._candidates[n].priority, self._ages_ns[n] or 0, n), default=None)

    def _hand_over(self, number: int, reason: str) -> None:
        old, name = self.current, self._candidates[number].name
        self._current = number
        self._hand_overs[number] += 1
        self._say(f"goals: {name} takes over{f' from {old}' if old else ''}; {reason}")

    def _fall_back(self) -> None:
        old = self.current
        self._current = _FALLBACK
        self._chosen = False
        self._stands += 1
        self._say(f"goals: {old} fell silent; the robot stands")
