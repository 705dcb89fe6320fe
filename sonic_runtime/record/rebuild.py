"""Builds the parts of a recorded run anew, with the recording in the place of the outside world.

Like `sonic_runtime.app`, and for the replay command alone, this module knows controllers and goal sources by name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy, other_controllers
from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.infer.policy_folder import find_policy
from sonic_runtime.infer.released import split_contract
from sonic_runtime.open_goals import GoalParts, open_goals
from sonic_runtime.record.about import CONFIG_NAME, About, file_hashes, policy_hashes, versions
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
    """Return what is not as it was when the run was recorded, and could make a replay differ: policies and versions.

    Args:
        about: what the run was.
        policy: as in `rebuild`.

    Raises:
        SonicError: the policy cannot be used.
    """
    config = run_config(about)
    folder = find_policy(split_contract(config.policy if policy is None else policy)[1])
    then, now = about.metadata.get("policy", {}), policy_hashes(folder)
    changed = [
        f"{key.removesuffix('_sha256')}: recorded {then.get(key, 'none')[:12]}, now {digest[:12]} ({folder})"
        for key, digest in now.items()
        if then.get(key) != digest
    ]
    imported = about.metadata.get("imported", {})
    changed += [
        f"{file}: recorded {imported.get(file, 'none')[:12]}, now {digest[:12]}"
        for file, digest in file_hashes(config.imported).items()
        if imported.get(file) != digest
    ]
    found = versions()
    for package, recorded in about.metadata.get("versions", {}).items():
        if found.get(package) != recorded:
            changed.append(f"{package}: recorded {recorded}, now {found.get(package, 'not installed')}")
    return changed


def _begins(recording: Recording) -> Literal["waiting", "stand"]:
    first = next(recording.ticks(), None)
    return "waiting" if first is not None and first.mode in ("waiting", "ramp") else "stand"
