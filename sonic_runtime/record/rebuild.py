"""Builds the parts of a recorded run anew, with the recording in the place of the outside world.

Like `sonic_runtime.app`, and for the replay command alone, this module knows controllers and goal sources by name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy, other_controllers
from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.open_goals import GoalParts, open_goals
from sonic_runtime.record.about import CONFIG_NAME, About, policy_hashes, versions
from sonic_runtime.record.read import Recording
from sonic_runtime.record.stand_ins import RecordedClock, RecordedOperator, RecordedRobot, RecordedWorld
from sonic_runtime.run_config import RunConfig
from sonic_runtime.tick import TickParts


def rebuild(recording: Recording, world: RecordedWorld, policy: str | None = None) -> TickParts:
    """Return the parts of a recorded run.

    Args:
        recording: the run.
        world: what stands in for robot, operator, clock and streams.
        policy: name or folder of the policy to run; None for the recorded one.

    Raises:
        RecordingError: the recording lacks its configuration, or was made with one that this version does not know.
        SonicError: the policy or a clip cannot be used.
    """
    config = run_config(recording.about)
    networks = load_policy(config.policy if policy is None else policy)
    controller = TrackMotion(networks)
    return build_parts(
        robot=RecordedRobot(world),
        goals=open_goals(
            GoalParts(
                config=config.goals,
                tracker=controller,
                clips=list(recording.about.clips().values()),
                open_inbox=lambda name, endpoint, topics: world.inbox(name),
                say=lambda text: None,
            )
        ).source,
        controller=controller,
        guard=config.guard,
        clock=RecordedClock(world),
        operator=RecordedOperator(world),
        begins=_begins(recording),
        ramp_s=config.ramp_s,
        blend_s=config.blend_s,
        others=other_controllers(controller, config.imported),
    )


def run_config(about: About) -> RunConfig:
    """Return the configuration of a recorded run.

    Raises:
        RecordingError: there is none, or one of another version.
    """
    try:
        return msgspec.yaml.decode(about.attachment(CONFIG_NAME), type=RunConfig)
    except msgspec.DecodeError as error:
        raise RecordingError(
            f"recording: {CONFIG_NAME}: {error}; it was made by sonic {about.metadata['versions']['sonic-wbc']}, "
            "replay it with that version"
        ) from error


def changes_since(about: About, policy: str | None = None) -> list[str]:
    """Return what is not as it was when the run was recorded, and could make a replay differ: policy and versions.

    Args:
        about: what the run was.
        policy: as in `rebuild`.

    Raises:
        SonicError: the policy cannot be used.
    """
    config = run_config(about)
    changed: list[str] = []
    folder = load_policy(config.policy if policy is None else policy).folder
    for key, now in policy_hashes(folder).items():
        then = about.metadata.get("policy", {}).get(key, "none")
        if then != now:
            changed.append(f"{key.removesuffix('_sha256')}: recorded {then[:12]}, now {now[:12]} ({folder})")
    found = versions()
    for package, then in about.metadata.get("versions", {}).items():
        if found.get(package) != then:
            changed.append(f"{package}: recorded {then}, now {found.get(package, 'not installed')}")
    return changed


def _begins(recording: Recording) -> Literal["waiting", "stand"]:
    first = next(recording.ticks(), None)
    return "waiting" if first is not None and first.mode in ("waiting", "ramp") else "stand"
