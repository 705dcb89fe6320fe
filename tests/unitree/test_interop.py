"""A robot's side on cyclonedds 0.10, as in Unitree's SDK: both understand each other, and live.

Wheels of 0.10 exist for Python up to 3.10; where that Python or the package cannot be had, this is skipped.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("cyclonedds")

from tests.unitree.network import ROOT, own_network

VERSIONS = ("0.10.2", "0.10.5")
ANSWER = """
import sys, time
from sonic_runtime.robot_io.records import damping_target
from sonic_runtime.robot_io.unitree.bus import Bus
from sonic_runtime.robot_io.unitree.config import StateChecks
from sonic_runtime.robot_io.unitree.motor_output import UnitreeOutput
from sonic_runtime.robot_io.unitree.state_input import UnitreeStates

checks = StateChecks(
    crc=True, tick=True, mode_machine=True, torso_imu=True, one_robot=True, alone=True, first_state_s=15.0
)
domain, seconds = int(sys.argv[1]), float(sys.argv[2])
bus = Bus("lo", domain, "test")
states = UnitreeStates(bus, checks)
output = UnitreeOutput("lo", domain, "test")
end = time.monotonic() + seconds
while time.monotonic() < end:
    state = states.read()
    output.write(damping_target(8.0))
    time.sleep(0.01)
stamp, torso = states.torso_imu()
fields = states.fields()
print(states.received, sum(states.dropped.values()), fields.mode_machine, state.joint_pos_hw[7].round(4),
      state.motor_temperature_c_hw[28], state.joint_torque_hw[10], torso.accel_b[2], bool(torso.gyro_b[2] > 10.0))
"""


def old_python():
    """Return a Python 3.10 that runs, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(path / "bin" / "python") for path in sorted(pyenv.glob("3.10*"))]
    # pyenv puts a python3.10 on the path that only says that it is not chosen
    found += filter(None, [shutil.which("python3.10")])
    runs = [path for path in found if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]
    return next(iter(runs), None)


@pytest.fixture(scope="module", params=VERSIONS)
def peer(request, tmp_path_factory):
    """Return a Python 3.10 and the folder of its packages."""
    python = old_python()
    if python is None:
        pytest.skip(f"cyclonedds {request.param} has wheels for Python up to 3.10, and there is no Python 3.10 here")
    folder = tmp_path_factory.mktemp("peer")
    command = [python, "-m", "pip", "-qq", "install", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps"]
    command += ["--target", str(folder), f"cyclonedds=={request.param}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"cyclonedds {request.param} cannot be installed here: {done.stderr.strip()[-200:]}")
    return python, folder


def test_both_versions_understand_each_other(peer):
    python, packages = peer
    with own_network() as network:
        domain = str(network.domain)
        robot = network.popen(
            [str(ROOT / "tests/unitree/peer_010.py"), domain, "6"],
            python=python,
            path=packages,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.5)
        ours = network.popen(["-c", ANSWER, domain, "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said, errors = ours.communicate(timeout=30)
        robot_said, robot_errors = robot.communicate(timeout=30)
    assert ours.returncode == 0, errors
    assert robot.returncode == 0, f"the robot's side ended with {robot.returncode}: {robot_errors}"
    received, dropped, machine, knee, temperature, torque, gravity, turns = said.split()
    assert int(received) > 100
    assert (int(dropped), int(machine)) == (0, 5)
    assert (float(knee), float(temperature), float(torque)) == (0.07, 58.0, 5.0)
    assert (float(gravity), turns) == (9.8125, "True")
    heard = json.loads(robot_said)
    assert heard["bad"] == 0
    assert heard["good"] > 100
    assert heard["last"]["mode_machine"] == 5
    assert heard["last"]["modes"] == [1] * 29 + [0] * 6
    assert heard["last"]["kd"] == [8.0] * 29 + [0.0] * 6
