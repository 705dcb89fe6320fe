"""`sonic-sim`: a G1 that is not there; and `sonic-sim tell`, which reaches one that runs."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import msgpack
import msgspec
import yaml
import zmq

from sonic_runtime.command_line import help_text, run_command, say, stop_on_signal, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError, RobotError
from sonic_runtime.contract.messages import JointTarget, RobotState
from sonic_runtime.pacing import Lateness, Pacer
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.robot_io.unitree.config import LOOPBACK
from sonic_runtime.robot_io.unitree.sim_config import SimConfig

_DESCRIPTION = """Simulates a G1 that speaks DDS as the robot does: `sonic-run robot=unitree interface=lo` is
the command of the robot. Ctrl-C ends it. `sonic-sim tell KEY=VALUE ...` changes one that runs and prints how it is:
the faults by their names (drop=0.2 cable_out=true motor_error=left_knee), band=hold|lower|free, press=start,
buttons=L2+A, mode_machine=6, battery_percent=10."""
_CONTROL_EVERY = 5
_VIEW_EVERY = 20
_CATCH_UP_STEPS = 50
"""0.1 s; after a longer pause the world has stood still."""
_TELL_TIMEOUT_MS = 3000
_SLOW_SHARE = 0.02


def main(arguments: list[str]) -> int:
    """Run the command."""
    if wants_help(arguments):
        say(help_text("sonic-sim [key=value ...] (or: sonic-sim tell KEY=VALUE ...)", _DESCRIPTION, "sim", SimConfig))
        return 0
    if arguments[:1] == ["tell"]:
        own = [a for a in arguments[1:] if a.startswith("control=")]
        config = load_config("sim", own, SimConfig)
        order = dict(_pair(a) for a in arguments[1:] if a not in own)
        say(msgspec.json.encode(tell(config.control, order)).decode())
        return 0
    config = load_config("sim", arguments, SimConfig)
    with stop_on_signal() as stop:
        simulate(config, stop)
    return 0


def tell(endpoint: str, order: dict[str, Any]) -> dict[str, Any]:
    """Ask a simulated robot to change, and return its report.

    Args:
        endpoint: its `control`.
        order: as in `Simulator.tell`.

    Raises:
        ConfigError: the address is none.
        RobotError: it does not answer, or refuses.
    """
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise ConfigError(f"control: expected an address such as tcp://127.0.0.1:5560, got {endpoint!r}") from error
        socket.send(msgspec.json.encode(order))
        if not socket.poll(_TELL_TIMEOUT_MS):
            raise RobotError(f"{endpoint}: no answer; is sonic-sim running, and its `control` this address?")
        answer = msgspec.json.decode(socket.recv())
    if "error" in answer:
        raise RobotError(answer["error"])
    return answer


def simulate(config: SimConfig, stop: Callable[[], bool]) -> None:
    """Simulate until told to stop, or for `duration_s`.

    Raises:
        ConfigError: a setting is wrong.
        RobotError: the network cannot be used, or has a robot already.
    """
    if importlib.util.find_spec("cyclonedds") is None:
        raise ConfigError("sonic-sim: expected the package cyclonedds, found none; pip install 'sonic-wbc[robot]'")
    # DDS is an extra of the installation
    from sonic_runtime.robot_io.unitree.bus import hurry_receive_threads
    from sonic_runtime.robot_io.unitree.simulator import Simulator

    with ExitStack() as opened:
        control = opened.enter_context(_Control(config.control))
        view = opened.enter_context(_View()) if config.view else None
        simulator = Simulator(config)
        say(
            f"sonic-sim: a G1 {config.start}, mode_machine {config.mode_machine}, on interface {config.interface}, "
            f"domain {config.domain}; control {config.control}"
        )
        if view is not None:
            say(f"live view: {view.page}")
        if config.interface != LOOPBACK:
            say(f"sonic-sim: everybody on the network of {config.interface} sees this robot")
        lateness = Lateness()
        if config.priority:
            hurry_receive_threads(config.priority)
        with quiet_heap(), real_time("sonic-sim", config.priority, None, False) as notes:
            for note in notes:
                say(note.text)
            _pace(simulator, control, view, config, lateness, stop)
        report = simulator.report()
    if simulator.skipped_s > _SLOW_SHARE * report.steps * 0.002:
        say(f"sonic-sim: the machine was too slow, {simulator.skipped_s:.2f} s were left out")
    say(f"sonic-sim: {report.steps} states, {report.commands} commands, refused: {report.refused or 'none'}")


def _pace(
    simulator: Any, control: _Control, view: _View | None, config: SimConfig, late: Lateness, stop: Callable[[], bool]
) -> None:
    from sonic_runtime.robot_io.unitree.sim_robot import STATE_HZ

    pacer = Pacer(STATE_HZ, late, _CATCH_UP_STEPS)
    steps, most = 0, None if config.duration_s is None else round(config.duration_s * STATE_HZ)
    while not stop() and (most is None or steps < most):
        simulator.skipped_s += pacer.wait() / STATE_HZ
        simulator.step(time.monotonic_ns())
        steps += 1
        if steps % _CONTROL_EVERY == 0:
            control.answer(simulator.tell)
        if view is not None and steps % _VIEW_EVERY == 0:
            view.show(simulator.body.state, simulator.firmware.target)


class _Control:
    """Where `sonic-sim tell` comes in; a context manager."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.__exit__()
            raise ConfigError(
                f"control={endpoint}: cannot use this address ({error}); is another sonic-sim running? "
                "choose another with control=tcp://127.0.0.1:PORT"
            ) from error

    def answer(self, do: Callable[[dict[str, Any]], msgspec.Struct]) -> None:
        """Answer what was asked, where something was."""
        try:
            asked = self._socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        try:
            reply = msgspec.json.encode(do(msgspec.json.decode(asked, type=dict[str, Any])))
        except (ConfigError, msgspec.MsgspecError) as error:
            reply = msgspec.json.encode({"error": str(error)})
        self._socket.send(reply)

    def __enter__(self) -> _Control:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._context.term()


class _View:
    """The robot in the browser, solid, and where its motors are told to be, transparent; a context manager."""

    def __init__(self) -> None:
        from sonic_runtime.view import TOPIC, start_view

        self._topic = TOPIC
        self._packer = msgpack.Packer()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, 2)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._child, self.page = start_view(f"tcp://127.0.0.1:{port}")

    def show(self, state: RobotState, target: JointTarget | None) -> None:
        """Publish what the viewer draws."""
        place = [0.0, 0.0, 0.0] if state.base_pos_w is None else state.base_pos_w.tolist()
        quat, joints = state.base_quat_wxyz.tolist(), state.joint_pos_hw.tolist()
        told = joints if target is None or not target.stiffness_hw.any() else target.joint_pos_hw.tolist()
        message: dict[str, Any] = {
            "base_trans_measured": place,
            "base_quat_measured": quat,
            "body_q_measured": joints,
            "base_trans_target": place,
            "base_quat_target": quat,
            "body_q_target": told,
        }
        self._socket.send(self._topic + self._packer.pack(message), zmq.NOBLOCK)

    def __enter__(self) -> _View:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()
        self._socket.close(linger=0)
        self._context.term()


def _pair(argument: str) -> tuple[str, Any]:
    key, equals, value = argument.partition("=")
    if not equals:
        raise ConfigError(f"argument {argument!r}: expected KEY=VALUE")
    return key.removeprefix("faults."), yaml.safe_load(value)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
