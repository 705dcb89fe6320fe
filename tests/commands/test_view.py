"""The live view as a process that listens to g1_debug."""

import importlib.util
import time
import urllib.request

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.demo import free_endpoint
from sonic_runtime.view import View, start_view
from teleop.debug_output import DebugOutput, debug_map
from tests.teleop.test_debug_output import report

needs_viser = pytest.mark.skipif(importlib.util.find_spec("viser") is None, reason="needs the view extra")


@needs_viser
def test_page_is_served_and_survives_messages():
    endpoint = free_endpoint()
    output = DebugOutput(endpoint)
    child, page = start_view(endpoint)
    try:
        assert b"<html" in urllib.request.urlopen(page, timeout=10).read().lower()
        for _ in range(25):
            output.put(report())
            time.sleep(0.02)
        child.require_alive()
    finally:
        child.close()
        output.close()


@needs_viser
def test_links_are_placed_where_the_message_says():
    view = View()
    try:
        tick = report(yaw=0.5)
        message = debug_map(tick, tick.goal) | {"base_trans_measured": [1.0, 2.0, 0.8]}
        view.show(message)
        robot, reference = view._frames["robot"], view._frames["reference"]
        np.testing.assert_allclose(robot[0].position, [1.0, 2.0, 0.8])
        np.testing.assert_allclose(robot[0].wxyz, tick.state.base_quat_wxyz)
        # a stream tells no place of its root: the reference is drawn where the robot is
        np.testing.assert_allclose(reference[0].position, [1.0, 2.0, 0.8])
        np.testing.assert_allclose(reference[0].wxyz, message["base_quat_target"])
        assert np.linalg.norm(robot[20].position - robot[0].position) < 1.0
    finally:
        view.server.stop()


@needs_viser
def test_view_of_nothing_published_is_named():
    with pytest.raises(ConfigError, match=r"output.endpoint to listen to, found null"):
        start_view(None)
