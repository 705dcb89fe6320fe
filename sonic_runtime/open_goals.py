"""Opens where the goals of a run come from: streams, motions, standing, or several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controllers.track_motion import TrackMotion
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.ports import GoalSource
from sonic_runtime.motions.clip import Clip
from sonic_runtime.observe.readable import readable_encoders
from sonic_runtime.run_config import GoalsConfig
from teleop.arbiter import Arbiter, Candidate, OnlySource
from teleop.inbox import Inbox
from teleop.planner_packet import TOPIC as PLANNER_TOPIC
from teleop.planner_stream import PlannerStream
from teleop.playlist import Playlist
from teleop.pose_packet import TOPIC as POSE_TOPIC
from teleop.pose_stream import PoseStream
from teleop.standing import Standing
from teleop.stream_counters import StreamCounters

OpenInbox = Callable[[str, str, Sequence[str]], Inbox]
"""Opens an inbox: its name in a recording, the address, the topics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """A goal source, and what there is to know about it.

    Attributes:
        source: gives the goals.
        line: what it is and does, in a few words.
        counters: what the pose stream brought; None without one.
        newest_ns: when the newest data came [ns]; None for a source that has all its data at hand.
        counts: for each topic, what it brought, in one line.
    """

    source: GoalSource
    line: Callable[[], str]
    counters: StreamCounters | None = None
    newest_ns: Callable[[], int | None] | None = None
    counts: Mapping[str, Callable[[], str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalParts:
    """What goal sources are made from.

    Attributes:
        config: what to open.
        tracker: the controller that will track them.
        clips: motions, already read.
        open_inbox: how to open a stream.
        say: where messages for the operator go.
        takes_tokens: whether there is a controller for ready tokens.
    """

    config: GoalsConfig
    tracker: TrackMotion
    clips: Sequence[Clip]
    open_inbox: OpenInbox
    say: Callable[[str], None]
    takes_tokens: bool = True


def sources_of(config: GoalsConfig) -> tuple[str, ...]:
    """Return the names of the sources, the highest priority first.

    Raises:
        ConfigError: there is none, or one of them is not known.
    """
    names: tuple[str, ...] = (config.source,) if isinstance(config.source, str) else config.source
    for name in names:
        if name not in SOURCES:
            raise ConfigError(f"goals.source={name}: expected one of {', '.join(SOURCES)}, or a list of them")
    if not names:
        raise ConfigError(f"goals.source: expected at least one of {', '.join(SOURCES)}, found none")
    return names


def read_clips(config: GoalsConfig) -> list[Clip]:
    """Return the motions that a configuration asks for; none where no source plays motions.

    Raises:
        ConfigError: motions are to be played and none is named.
        MotionError: one cannot be read.
    """
    if "motion" not in sources_of(config):
        return []
    if not config.motion:
        raise ConfigError("goals.motion: expected motion files or names for goals.source=motion, found none")
    from sonic_runtime.motions.sources import find_clips

    words = (config.motion,) if isinstance(config.motion, str) else config.motion
    return [clip for word in words for clip in find_clips(word)]


def open_goals(parts: GoalParts) -> Goals:
    """Open the sources of a run.

    Raises:
        SonicError: one cannot be used.
    """
    names = sources_of(parts.config)
    opened = [SOURCES[name](parts) for name in names]
    if len(opened) == 1:
        return replace(opened[0], source=OnlySource(opened[0].source, parts.say))
    candidates = [
        Candidate(name=name, source=goals.source, priority=number, newest_ns=goals.newest_ns)
        for number, (name, goals) in enumerate(zip(names, opened, strict=True))
    ]
    arbiter = Arbiter(candidates, parts.config.arbiter, parts.say)
    lines = dict(zip(names, (goals.line for goals in opened), strict=True))

    def line() -> str:
        # looked at once: this is asked from another thread, between two ticks' hand-overs
        current = arbiter.current
        return lines[current]() if current in lines else f"no live source of {', '.join(names)}"

    counters = next((goals.counters for goals in opened if goals.counters is not None), None)
    counts = {topic: count for goals in opened for topic, count in goals.counts.items()}
    return Goals(source=arbiter, line=line, counters=counters, counts={"sources": arbiter.line, **counts})


def stream_of(
    inbox: Inbox, tracker: TrackMotion, *, takes_tokens: bool, say: Callable[[str], None] = lambda text: None
) -> PoseStream:
    """Return a pose stream from an inbox, with the look-ahead of every encoder of the policy."""
    look_ahead = {spec.name: tracker.look_ahead_frames(spec.name) for spec in tracker.policy.encoder.encoders}
    return PoseStream(inbox, look_ahead, takes_tokens=takes_tokens, say=say)


def _stream(parts: GoalParts) -> Goals:
    inbox = parts.open_inbox("stream", parts.config.endpoint, [POSE_TOPIC])
    stream = stream_of(inbox, parts.tracker, takes_tokens=parts.takes_tokens, say=parts.say)
    return Goals(
        source=stream,
        line=lambda: f"stream {parts.config.endpoint}",
        counters=stream.counters,
        newest_ns=lambda: stream.newest_ns,
        counts={POSE_TOPIC: stream.counters.line},
    )


def _planner(parts: GoalParts) -> Goals:
    inbox = parts.open_inbox("planner", parts.config.endpoint, [PLANNER_TOPIC])
    encoders = [spec.name for spec in parts.tracker.policy.encoder.encoders]
    planner = PlannerStream(inbox, encoders, parts.say)
    return Goals(
        source=planner,
        line=lambda: "planner topic, standing",
        newest_ns=lambda: planner.newest_ns,
        counts={PLANNER_TOPIC: planner.line},
    )


def _motion(parts: GoalParts) -> Goals:
    policy = parts.tracker.policy.encoder
    playlist = Playlist(
        parts.clips,
        parts.config.encoder,
        lambda reference: readable_encoders(policy.inputs, policy.encoders, reference),
        parts.say,
    )
    return Goals(source=playlist, line=playlist.line)


def _stand(parts: GoalParts) -> Goals:
    return Goals(source=Standing(), line=lambda: "standing")


SOURCES: dict[str, Callable[[GoalParts], Goals]] = {
    "stream": _stream,
    "planner": _planner,
    "motion": _motion,
    "stand": _stand,
}
"""Goal sources by name."""
