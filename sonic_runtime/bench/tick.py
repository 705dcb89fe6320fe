"""How long a tick takes, stage by stage: the loop's tick on MuJoCo, standing.

The tick is the one of a robot's computer: its target goes into the mailbox of the writer's process. The simulator's
physics, which a robot does by itself, runs between ticks and is told apart.

In lockstep tick follows tick and small weights stay in the processor's caches: what evaluation pays. Paced in real
time, the processor sleeps in between and finds them in memory again: what a robot pays, up to three times as much.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import numpy as np

from controllers.track_motion import TrackMotion
from sonic_runtime.app import CLOCKS, build_parts, choose
from sonic_runtime.bench.network import NetworkBench, load_sized, measure_network
from sonic_runtime.contract.messages import JointTarget, RobotState
from sonic_runtime.contract.ports import Clock
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.infer.network import Products
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.policy_folder import find_policy
from sonic_runtime.infer.released import split_contract
from sonic_runtime.infer.sized_policy import SIZED_POLICIES
from sonic_runtime.loop import CONTROL_HZ, no_garbage_collection
from sonic_runtime.robot_io.mailbox import MailboxWriter, create_mailbox
from sonic_runtime.robot_io.motor_output import close_fds
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from sonic_runtime.robot_io.records import MOTOR_COMMAND, put_target
from sonic_runtime.stage_times import StageTimes, TimeStats, stats_of
from sonic_runtime.tick import TickParts, tick
from teleop.standing import Standing

_RESTART_TICKS = 50
"""The robot is put back on its feet once a second, so that a policy that falls is measured standing too."""


class BenchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measurement of the tick."""

    policy: str
    """As in sonic-run; or release_size: networks of the released sizes with random weights, for their time alone."""
    clock: str
    """lockstep: tick after tick; real_time: one every 20 ms, as on a robot."""
    ticks: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """Ticks measured."""
    warm_up_ticks: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    """Ticks run before them."""
    guard: GuardConfig
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Threads inside one operator of the networks; more than one leave every product to ONNX Runtime."""
    products: Products = "auto"
    """auto: row by row where the weights are larger than a cache; onnxruntime: never."""
    parts: bool = False
    """Measure observations and memory by themselves too."""
    compare: bool = False
    """Run the networks in the other ways too, in turns, and print the ratios."""


class TickBench(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of the tick, of its stages, and of the four physics steps of the simulator after it."""

    policy: str
    clock: str
    ticks: int
    tick: TimeStats
    physics: TimeStats
    stages: dict[str, TimeStats]
    speed_x_real_time: float
    network: NetworkBench | None = None

    def table(self) -> str:
        """Return a table of milliseconds."""
        rows = {**self.stages, "tick": self.tick, "(physics, beside it)": self.physics}
        lines = [f"{'stage':<24}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}"]
        lines += [f"{n:<24}{s.p50_ms:>10.4f}{s.p99_ms:>10.4f}{s.max_ms:>10.4f}" for n, s in rows.items()]
        return "\n".join(lines) + (self.network.table() if self.network else "")

    def line(self) -> dict[str, Any]:
        """Return the numbers for one line of JSON."""
        return {
            "policy": self.policy,
            "clock": self.clock,
            "ticks": self.ticks,
            "tick_p50_ms": round(self.tick.p50_ms, 4),
            "tick_p99_ms": round(self.tick.p99_ms, 4),
            "physics_p50_ms": round(self.physics.p50_ms, 4),
            "stages": {n: {"p50_ms": round(s.p50_ms, 4), "p99_ms": round(s.p99_ms, 4)} for n, s in self.stages.items()},
            "speed_x_real_time": round(self.speed_x_real_time, 1),
            **(self.network.line() if self.network else {}),
        }


def measure_tick(config: BenchConfig) -> TickBench:
    """Run ticks and time them.

    Raises:
        SonicError: the policy cannot be used.
    """
    clock = choose("clock", config.clock, CLOCKS)()
    robot = SteppedRobot(MujocoSim(clock.now_ns))
    policy = _policy(config.policy, threads=config.threads, products=config.products)
    controller = TrackMotion(policy)
    with no_garbage_collection():
        _run(robot, controller, config.guard, clock, config.warm_up_ticks)
        start = time.perf_counter()
        robot.physics_ns.clear()
        times = _run(robot, controller, config.guard, clock, config.ticks)
        wall_s = time.perf_counter() - start
        network = None
        if config.parts or config.compare:
            network = measure_network(policy, config.policy, _policy, compare=config.compare)
    return TickBench(
        policy=config.policy,
        clock=config.clock,
        ticks=config.ticks,
        tick=times.tick_stats(),
        physics=stats_of(np.array(robot.physics_ns)),
        stages=times.stage_stats(),
        speed_x_real_time=config.ticks / CONTROL_HZ / wall_s,
        network=network,
    )


def _policy(name: str, **options: Any) -> OnnxPolicy:
    if name in SIZED_POLICIES:
        return load_sized(name, **options)
    contract, folder = split_contract(name)
    return OnnxPolicy(find_policy(folder), contract, **options)


class SteppedRobot:
    """A simulated robot whose physics waits for `advance`, and whose targets go into a mailbox, as a writer's do.

    Attributes:
        physics_ns: how long each `advance` took [ns].
    """

    def __init__(self, sim: MujocoSim) -> None:
        self.physics_ns: list[int] = []
        self._sim = sim
        self._target: JointTarget | None = None
        fd = create_mailbox(MOTOR_COMMAND)
        self._box = MailboxWriter(fd, MOTOR_COMMAND)
        close_fds(fd)

    def read(self) -> RobotState:
        """Return the state now."""
        return self._sim.read()

    def write(self, target: JointTarget) -> None:
        """Put the target into the mailbox."""
        put_target(self._box, target, time.monotonic_ns())
        self._target = target

    def advance(self) -> None:
        """Let one control period pass with the target last written."""
        if self._target is not None:
            start = time.perf_counter_ns()
            self._sim.write(self._target)
            self.physics_ns.append(time.perf_counter_ns() - start)

    def stand(self) -> None:
        """Put the robot back on its feet."""
        self._sim.stand()

    def close(self) -> None:
        """Release the mailbox."""
        self._box.close()


def _run(robot: SteppedRobot, controller: TrackMotion, guard: GuardConfig, clock: Clock, ticks: int) -> StageTimes:
    times = StageTimes()
    parts: TickParts | None = None
    index, deadline_ns = 0, clock.now_ns()
    for _ in range(ticks):
        if parts is None or index == _RESTART_TICKS:
            robot.stand()
            parts = build_parts(robot=robot, goals=Standing(), controller=controller, guard=guard, clock=clock)
            index = 0
        report = tick(parts, index)
        times.add(report.stage_ns)
        robot.advance()
        deadline_ns += round(1e9 / CONTROL_HZ)
        clock.wait_until(deadline_ns)
        # a tick in damping runs no network; begin anew rather than measure it
        parts = parts if report.fault is None else None
        index += 1
    return times
