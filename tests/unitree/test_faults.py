"""What goes wrong between robot and loop: damping within 100 ms, or a refusal that says why; nobody crashes."""

import json
import math
import re
import subprocess
import time

import pytest

pytest.importorskip("cyclonedds")

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree.sim_command import tell
from tests.unitree.network import own_network
from tests.unitree.processes import LoopProcess, simulated_robot

LIMIT_MS = 100.0
TRIES = 3
"""On a machine that is busy with other things one try may be late; that all of them are is a fault of ours."""
FAULTS = {
    "drop": ({"drop": 1.0}, "stale_state"),
    "delay": ({"delay_ms": 500.0}, "stale_state"),
    "jitter": ({"jitter_ms": 4000.0}, "stale_state"),
    "corrupt_crc": ({"corrupt_crc": 1.0}, "stale_state"),
    "frozen_tick": ({"freeze_tick": True}, "stale_state"),
    "motor_error": ({"motor_error": "left_knee"}, "motor_error: motors report errors: left_knee_joint 0x1"),
    "heat": ({"hot": "right_ankle_pitch"}, "temperature: the motor of right_ankle_pitch_joint is at 130"),
    "cable_out": ({"cable_out": True}, "stale_state"),
    "publisher_dies": ({"silent": True}, "stale_state"),
    "another_robot": ({"mode_machine": 6}, "robot: RobotError: robot: expected mode_machine 5"),
}
WELL = {
    "drop": 0.0,
    "delay_ms": 0.0,
    "jitter_ms": 0.0,
    "corrupt_crc": 0.0,
    "freeze_tick": False,
    "motor_error": None,
    "hot": None,
    "cable_out": False,
    "silent": False,
    "mode_machine": 5,
}


@pytest.fixture(scope="module")
def network():
    with own_network() as network:
        yield network


@pytest.fixture(scope="module")
def robot(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sim")
    with simulated_robot(network, folder, "start=standing", "band_s=0.8", "stock_controller=ai") as robot:
        robot.tell(stock_controller=None)
        yield robot


@pytest.fixture(scope="module")
def loop(network, robot, tmp_path_factory):
    loop = LoopProcess(network, tmp_path_factory.mktemp("loop"))
    yield loop
    assert loop.close() == 0


def stand(robot, loop, **unitree):
    """Begin a run; return once the robot stands by the policy alone, and what was said when it was opened."""
    robot.tell(reset=True, **WELL)
    opened = loop.start(**unitree)
    assert opened.startswith("opened"), opened
    robot.wait_for(lambda: robot.tell()["last_command_ns"] and not robot.tell()["held"], 20.0)
    time.sleep(0.3)
    return opened


def ms_to_damping(robot, fault):
    """Inject a fault and return the time until the robot is told to damp [ms]; infinite where it was already."""
    if robot.tell()["damping_since_ns"]:
        return math.inf
    began_ns = time.monotonic_ns()
    robot.tell(**fault)
    robot.wait_for(lambda: robot.tell()["damping_since_ns"], 5.0)
    return (robot.tell()["damping_since_ns"] - began_ns) * 1e-6


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leads_to_damping(robot, loop, name):
    fault, expected = FAULTS[name]
    times_ms = []
    for _ in range(TRIES):
        stand(robot, loop)
        times_ms.append(ms_to_damping(robot, fault))
        if times_ms[-1] == math.inf:
            continue  # a busy machine ended the run before its fault
        since_ns = robot.tell()["damping_since_ns"]
        ended = loop.end()
        assert expected in ended
        assert robot.tell()["damping_since_ns"] == since_ns, "a command that moves the robot came after damping"

        if times_ms[-1] < LIMIT_MS:
            return
    pytest.fail(f"{name}: damping came after {times_ms} ms")


def test_a_publisher_that_comes_back_does_not_move_a_damped_robot(robot, loop):
    stand(robot, loop)
    ms_to_damping(robot, {"silent": True})
    robot.tell(silent=False)
    time.sleep(0.3)
    assert robot.tell()["damping_since_ns"], "it stays in damping"
    assert "stale_state" in loop.end()
    # and the next run finds the new publisher
    stand(robot, loop, seconds=3.0, patient=True)
    assert "ended: no fault" in loop.end()


def test_a_bad_network_is_lived_with(robot, loop):
    stand(robot, loop, seconds=4.0, patient=True)
    robot.tell(drop=0.3, corrupt_crc=0.2, delay_ms=4.0, jitter_ms=6.0)
    ended = loop.end()
    assert "ended: no fault" in ended
    assert "for crc" in ended


REFUSALS = {
    "nobody": ({"silent": True}, {}, "nobody publishes it; is the robot on"),
    "bad_crc": ({"corrupt_crc": 1.0}, {}, "none passed the checks"),
    "waist_locked": ({"mode_machine": 6}, {}, "it says 6 (waist locked, rev 1.0)"),
    "no_cable": ({"cable_out": True}, {}, "there is a publisher, but no message"),
    "no_interface": ({}, {"interface": "enp99"}, "expected a network interface of this machine, it has"),
    "unnamed": ({}, {"interface": None}, "expected the network interface with the robot's cable, found null"),
    "other_domain": ({}, {"domain": 3}, "nobody publishes it"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_robot_that_cannot_be_used_is_refused_before_anything_is_sent(robot, loop, name):
    fault, unitree, expected = REFUSALS[name]
    robot.tell(reset=True, **{**WELL, **fault})
    time.sleep(0.3)
    before = robot.tell()["commands"]
    answer = loop.start(**{"checks": {"first_state_s": 1.0}, **unitree})
    assert answer.startswith("refused"), answer
    assert expected in answer
    assert robot.tell()["commands"] == before


def test_relaxed_checks_are_shown_and_work(robot, loop):
    robot.tell(reset=True, **{**WELL, "mode_machine": 6})
    opened = loop.start(checks={"mode_machine": False, "crc": False}, seconds=1.0, patient=True)
    assert "CHECKS OF THE ROBOT ARE OFF: crc, mode_machine" in opened
    assert "ended: no fault" in loop.end()
    assert robot.tell()["refused"].get("mode_machine", 0) < 50, "what the robot says it is was echoed"


def test_a_dry_run_sends_nothing(robot, loop):
    robot.tell(reset=True, **WELL)
    time.sleep(0.2)
    before = robot.tell()["commands"]
    opened = loop.start(dry_run=True, seconds=1.5, patient=True)
    assert "DRY RUN: everything is read, nothing is sent" in opened
    ended = loop.end()
    assert "dry run, nothing is sent: damping" in ended
    assert robot.tell()["commands"] == before


def doctor(network):
    arguments = ["robot", "interface=lo", f"unitree.domain={network.domain}", "seconds=0.5", "goals.source=stand"]
    arguments += ["output.endpoint=null", "leave_out=[machine,timing,disk,motions,policy,speed]"]
    code = "import sys; from sonic_runtime.cli import doctor; sys.exit(doctor())"
    process = network.popen(["-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=60)
    findings = json.loads(said.splitlines()[-1])["findings"]
    return process.returncode, {finding["check"]: (finding["level"], finding["found"]) for finding in findings}


def test_the_doctor_finds_a_robot_well_and_ill(network, robot):
    robot.tell(reset=True, **WELL)
    before = robot.tell()["commands"]
    code, findings = doctor(network)
    assert code == 0, findings
    for check in ("robot states", "robot variant", "motors", "torso IMU", "hands", "battery", "controllers", "remote"):
        assert findings[check][0] == "ok", findings[check]
    robot.tell(mode_machine=6, motor_error="left_knee", corrupt_crc=0.3, battery_percent=5)
    time.sleep(1.2)
    code, findings = doctor(network)
    robot.tell(battery_percent=80, **WELL)
    assert code == 1
    assert findings["robot variant"] == (
        "failure",
        "mode_machine 6; policies are made for 5 (29 joints, rev 1.0), 11 (29 joints, hip gear 22.5)",
    )
    assert findings["motors"] == ("failure", "errors: left_knee_joint 0x1")
    assert findings["robot states"][0] == "failure"
    assert "for crc" in findings["robot states"][1]
    assert findings["battery"][0] == "warning"
    assert robot.tell()["commands"] == before, "nothing was commanded"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"motor_error": "left_nose"}, "expected a joint of the G1 such as left_knee, got 'left_nose'"),
        ({"drop": 2}, "Expected `float` <= 1.0"),
        ({"dorp": 1}, "expected one of drop, delay_ms"),
        ({"press": "Z"}, "expected names of buttons joined by +"),
    ],
)
def test_the_simulated_robot_refuses_what_it_does_not_know(robot, order, expected):
    with pytest.raises(RobotError, match=re.escape(expected)):
        tell(robot.control, order)
