"""Puts the parts of a tick together: controllers, guard, clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

from controllers.damping import Damping
from controllers.imported import load_imported
from controllers.ramp_to_pose import RampToPose
from controllers.stand import Stand
from controllers.switch import ControllerSwitch
from controllers.track_motion import TrackMotion
from controllers.track_tokens import TrackTokens
from sonic_runtime.clock import LockstepClock, RealTimeClock
from sonic_runtime.contract.errors import ConfigError, ContractError
from sonic_runtime.contract.ports import Clock, Controller, GoalSource, OperatorInput, ReportSink, RobotPort
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.guard.modes import Guard
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import find_policy
from sonic_runtime.infer.released import split_contract
from sonic_runtime.loop import Loop, RunLimits, RunSummary, Stop
from sonic_runtime.record.tape import Tape
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robots import g1
from sonic_runtime.tick import TickParts
from teleop.arbiter import Arbiter
from teleop.operator_inputs import NoOperator

T = TypeVar("T")


def load_policy(name: str) -> OnnxPolicy:
    """Find, check and warm up a policy by name or folder, or without a manifest by sonic_release:FOLDER.

    Raises:
        ConfigError: there is no such policy.
        ContractError: it does not fit this runtime.
    """
    contract, folder = split_contract(name)
    return OnnxPolicy(find_policy(folder), contract)


def build_parts(
    *,
    robot: RobotPort,
    goals: GoalSource,
    controller: Controller,
    guard: GuardConfig,
    clock: Clock,
    operator: OperatorInput | None = None,
    begins: Literal["waiting", "stand"] = "stand",
    ramp_s: float = 0.0,
    blend_s: float = 0.0,
    others: Mapping[str, Controller] | None = None,
    tape: Tape | None = None,
) -> TickParts:
    """Put one run together.

    Args:
        robot: robot or simulator.
        goals: what to do.
        controller: in charge while there is a goal.
        guard: limits.
        clock: time of the loop; the same one that robot and goals stamp with.
        operator: what is asked for; None where nobody is there.
        begins: as in `Guard`.
        ramp_s: time of the ramp to the default pose [s].
        blend_s: time of the blend from one controller to the next [s].
        others: further controllers by name: stand, token, imported policies.
        tape: takes down what the loop tells the guard, for a recording; None where nothing is recorded.
    """
    ramp = RampToPose(g1.DEFAULT_POS_HW, g1.STIFFNESS_HW, g1.DAMPING_HW, ramp_s)
    damping = Damping(len(g1.JOINT_NAMES_HW), guard.damping_nm_s_per_rad)
    controllers = {"damping": damping, "ramp": ramp, "stand": controller, "track": controller, **(others or {})}
    machine = Guard(guard, ramp_s, begins)
    if isinstance(goals, Arbiter):
        goals.mode = lambda: machine.mode
    return TickParts(
        robot=robot,
        operator=NoOperator() if operator is None else operator,
        goals=goals,
        controllers=ControllerSwitch(controllers, blend_s),
        guard=machine if tape is None else tape.guard(machine),
        clock=clock,
        damping_target=damping.target,
    )


def other_controllers(tracker: TrackMotion, imported: Sequence[str]) -> dict[str, Controller]:
    """Return the controllers beside the tracker by name: stand, token where the policy takes tokens, imported ones.

    Args:
        tracker: what stand and token share their memory with.
        imported: ONNX files of other projects; each is named by its file.

    Raises:
        ConfigError: two files have the same name.
        ContractError: the policy cannot stand, or a file does not fit.
    """
    others: dict[str, Controller] = {"stand": Stand(tracker)}
    # without it the switch refuses tokens by name when a stream sends them
    with suppress(ContractError):
        others["token"] = TrackTokens(tracker)
    for file in imported:
        name = Path(file.rpartition(":")[2]).stem
        if name in others:
            raise ConfigError(f"imported={file}: expected files of different names, found {name!r} twice")
        others[name] = load_imported(file)
    return others


def run_lockstep(
    robot: MujocoSim,
    goals: GoalSource,
    controller: Controller,
    guard: GuardConfig,
    *,
    max_ticks: int,
    stop: Stop | None = None,
    sinks: Sequence[ReportSink] = (),
    clock: LockstepClock,
) -> RunSummary:
    """Run the loop in lockstep from the state the simulator is in: no ramp, and one tick of damping at the end.

    Args:
        robot: simulator, already put into the state to start from.
        goals: what to do; has a goal from the first tick on.
        controller: tracks it; forgets its history at the first tick, so that one object serves many runs.
        guard: limits.
        max_ticks: ticks to run.
        stop: ends the run early.
        sinks: where the reports go.
        clock: the clock that `robot` stamps with; goes on from run to run.
    """
    parts = build_parts(robot=robot, goals=goals, controller=controller, guard=guard, clock=clock)
    return Loop(parts, sinks).run(RunLimits(max_ticks=max_ticks, damping_ticks=1), stop)


CLOCKS: dict[str, Callable[[], Clock]] = {"real_time": RealTimeClock, "lockstep": LockstepClock}


def choose(key: str, name: str, known: dict[str, T]) -> T:
    """Return what is registered under a name.

    Raises:
        ConfigError: nothing is; the message names the configuration key and lists the names.
    """
    if name not in known:
        raise ConfigError(f"{key}={name}: expected one of {', '.join(known)}")
    return known[name]
