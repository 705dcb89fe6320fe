"""The robot live in the browser: a process of its own that listens to `g1_debug` and draws with viser.

The loop pays nothing for it beyond the messages it publishes anyway. The robot is solid, the reference green and
transparent; a stream of version 1 tells no place of its root, so that the reference is drawn where the robot is.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import Any

import msgpack
import numpy as np
import zmq

from sonic_runtime.child import Child
from sonic_runtime.command_line import run_command, say
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.contract.messages import Array
from sonic_runtime.results.shape_mesh import robot_meshes
from sonic_runtime.robots.kinematics import forward_kinematics

TOPIC = b"g1_debug"
_UPDATE_S = 0.04
_GHOST_COLOR = (46, 158, 91)
_READY = "live view: "
_START_TIMEOUT_S = 30.0


def require_viser() -> None:
    """Raise ConfigError where the viewer is not installed."""
    if importlib.util.find_spec("viser") is None:
        raise ConfigError("view=true: expected the package viser, found none; pip install 'sonic-wbc[view]'")


def start_view(endpoint: str | None) -> tuple[Child, str]:
    """Start the viewer process for what is published at an endpoint; return it and the address of its page.

    Raises:
        ConfigError: viser is not installed, or nothing is published.
        RobotError: the viewer did not start.
    """
    require_viser()
    if endpoint is None:
        raise ConfigError("view=true: expected an address in output.endpoint to listen to, found null")
    child = Child("viewer", "sonic_runtime.view", [endpoint.replace("*", "127.0.0.1"), str(os.getpid())])
    try:
        child.wait_for_output(_READY, _START_TIMEOUT_S)
        page = child.output().split(_READY, 1)[1].split()[0]
    except BaseException:
        child.close()
        raise
    return child, page


class View:
    """A page with the robot and its reference."""

    def __init__(self) -> None:
        import viser

        self.server = viser.ViserServer(host="127.0.0.1", verbose=False)
        scene = self.server.scene
        scene.set_up_direction("+z")
        scene.add_grid("/floor", width=40.0, height=40.0, cell_size=0.5, section_size=2.0, infinite_grid=True)
        self._frames: dict[str, list[Any]] = {"robot": [], "reference": []}
        meshes = robot_meshes()
        for name, frames in self._frames.items():
            frames += [scene.add_frame(f"/{name}/{body}", show_axes=False) for body in range(30)]
            for i, mesh in enumerate(meshes):
                scene.add_mesh_simple(
                    f"/{name}/{mesh.body}/shape{i}",
                    mesh.vertices_b,
                    mesh.faces,
                    color=mesh.color if name == "robot" else _GHOST_COLOR,
                    opacity=None if name == "robot" else 0.3,
                )

    def show(self, message: dict[str, Any]) -> None:
        """Move robot and reference to what a `g1_debug` message tells."""
        base_pos_w = np.array(message["base_trans_measured"])
        target_pos_w = np.array(message["base_trans_target"])
        if not target_pos_w.any():
            target_pos_w = base_pos_w
        with self.server.atomic():
            self._place("robot", base_pos_w, message["base_quat_measured"], message["body_q_measured"])
            self._place("reference", target_pos_w, message["base_quat_target"], message["body_q_target"])

    def _place(self, name: str, base_pos_w: Array, base_quat_wxyz: list[float], joint_pos_hw: list[float]) -> None:
        pos_w, quat = forward_kinematics(base_pos_w[None], np.array([base_quat_wxyz]), np.array([joint_pos_hw]))
        for body, frame in enumerate(self._frames[name]):
            frame.position, frame.wxyz = pos_w[0, body], quat[0, body]


def _main(arguments: list[str]) -> None:
    """Show what an endpoint publishes until the process with the number given second is no longer the parent."""
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.set(zmq.CONFLATE, 1)
    socket.setsockopt(zmq.SUBSCRIBE, TOPIC)
    socket.connect(arguments[0])
    view = View()
    say(f"{_READY}http://127.0.0.1:{view.server.get_port()}")
    while os.getppid() == int(arguments[1]):
        if socket.poll(500):
            view.show(msgpack.unpackb(socket.recv()[len(TOPIC) :]))
            time.sleep(_UPDATE_S)


if __name__ == "__main__":
    sys.exit(run_command(_main, sys.argv[1:]))
