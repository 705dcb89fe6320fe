"""A G1 over DDS: read everything, send nothing to its motors."""

from __future__ import annotations

import time

import msgspec
import numpy as np

from sonic_runtime.contract.errors import RobotError, SonicError
from sonic_runtime.doctor.finding import Finding, failure, of_error, warning, well
from sonic_runtime.robot_io.unitree.bus import Bus, addresses_of, has_link
from sonic_runtime.robot_io.unitree.config import LOOPBACK, UnitreeConfig
from sonic_runtime.robot_io.unitree.hands import SIDES, Hands
from sonic_runtime.robot_io.unitree.motion_switcher import MotionSwitcher
from sonic_runtime.robot_io.unitree.other_controllers import OtherControllers
from sonic_runtime.robot_io.unitree.port import open_bus
from sonic_runtime.robot_io.unitree.state_input import MODE_MACHINES, UnitreeStates
from sonic_runtime.robot_io.unitree.vitals import Vitals
from sonic_runtime.robots import g1

_ROBOT_NETWORK = "192.168.123."
_GOOD_HZ, _POOR_HZ = 450.0, 100.0
_GAP_MS = 20.0
_WARM_C, _HOT_C = 70.0, 100.0
_SWITCHER_S = 1.0
_POLL_S = 0.001


def check_robot(config: UnitreeConfig, seconds: float) -> list[Finding]:
    """Look at a robot as a run would find it, without commanding it.

    Args:
        config: network and checks.
        seconds: how long to listen to its states [s].

    Returns:
        What was found; where the robot cannot be reached, only why.
    """
    try:
        bus = open_bus(config)
    except SonicError as error:
        return of_error("robot network", error, "mend interface or cable; `ip -br addr` lists the interfaces")
    findings = _network(bus)
    # everything is to be told, not only the first thing that keeps a run from starting
    lenient = msgspec.structs.replace(config.checks, mode_machine=False, one_robot=False)
    try:
        states = UnitreeStates(bus, lenient)
    except RobotError as error:
        return findings + of_error("robot states", error, "docs/robot.md has the usual reasons")
    try:
        findings += _rate(states, seconds) + _machine(config, states) + _one_robot(bus)
        findings += _motors(states) + _posture(states) + _remote(states) + _torso(config, states)
    finally:
        states.close()
    relaxed = config.checks.relaxed()
    if relaxed:
        grade = warning if bus.interface == LOOPBACK else failure
        findings += grade("robot checks", f"turned off: {', '.join(relaxed)}", "leave out unitree.checks on a robot")
    return findings + _hands(config, bus) + _battery(config, bus) + _controllers(config, bus)


def _network(bus: Bus) -> list[Finding]:
    if bus.interface == LOOPBACK:
        return well("robot network", f"{bus.where()}: a simulator on this machine")
    addresses = addresses_of(bus.interface)
    text = f"{bus.where()}: {', '.join(addresses) or 'no address'}"
    if not has_link(bus.interface):
        return failure("robot network", f"{text}, no link", "plug the cable in at both ends")
    if not any(address.startswith(_ROBOT_NETWORK) for address in addresses):
        remedy = f"ip addr add {_ROBOT_NETWORK}222/24 dev {bus.interface}"
        return warning("robot network", f"{text}; the robot is on {_ROBOT_NETWORK}0/24", remedy)
    return well("robot network", text)


def _rate(states: UnitreeStates, seconds: float) -> list[Finding]:
    received, dropped = states.received, sum(states.dropped.values())
    began, gap_ms = time.monotonic(), 0.0
    while time.monotonic() - began < seconds:
        time.sleep(_POLL_S)
        gap_ms = max(gap_ms, (time.monotonic_ns() - states.read().stamp_ns) * 1e-6)
    hz = (states.received - received) / (time.monotonic() - began)
    bad = sum(states.dropped.values()) - dropped
    text = f"{hz:.0f} states/s, oldest {gap_ms:.0f} ms"
    if bad:
        reasons = ", ".join(f"{count} for {reason}" for reason, count in states.dropped.items())
        return failure("robot states", f"{text}; not used: {reasons}", "mend the cable, or the peer that sends these")
    if hz < _POOR_HZ:
        return failure("robot states", text, "a G1 sends 500/s: mend the cable, end what loads the network")
    if hz < _GOOD_HZ or gap_ms > _GAP_MS:
        return warning("robot states", text, "a G1 sends 500/s, 2 ms apart: end what loads network and machine")
    return well("robot states", text)


def _machine(config: UnitreeConfig, states: UnitreeStates) -> list[Finding]:
    number = states.mode_machine
    if number in MODE_MACHINES:
        return well("robot variant", f"mode_machine {number}: {MODE_MACHINES[number]}")
    known = ", ".join(f"{n} ({what})" for n, what in MODE_MACHINES.items())
    grade = failure if config.checks.mode_machine else warning
    return grade("robot variant", f"mode_machine {number}; policies are made for {known}", "use another robot")


def _one_robot(bus: Bus) -> list[Finding]:
    count = bus.publishers("rt/lowstate").count
    if count <= 1:
        return []
    return failure("robot states", f"{count} programs publish states", "end the simulator, or use another domain")


def _motors(states: UnitreeStates) -> list[Finding]:
    fields = states.fields()
    errors = [
        f"{g1.JOINT_NAMES_HW[i]} 0x{fields.motor_error_hw[i]:x}" for i in np.flatnonzero(fields.motor_error_hw).tolist()
    ]
    if errors:
        return failure("motors", f"errors: {', '.join(errors)}", "switch the robot off and on; else its service")
    hottest = int(fields.temperature_c_hw.argmax())
    degrees = float(fields.temperature_c_hw[hottest])
    text = f"no errors; hottest {g1.JOINT_NAMES_HW[hottest]} at {degrees:.0f} degrees Celsius"
    if degrees > _HOT_C:
        return failure("motors", text, "let them cool down")
    return warning("motors", text, "let them cool down") if degrees > _WARM_C else well("motors", text)


def _posture(states: UnitreeStates) -> list[Finding]:
    fields = states.fields()
    norm = float(np.linalg.norm(fields.quat_wxyz))
    _, x, y, _ = fields.quat_wxyz.tolist()
    lean = float(np.degrees(np.arccos(np.clip(1.0 - 2.0 * (x * x + y * y), -1.0, 1.0))))
    if abs(norm - 1.0) > 0.02:
        return failure("pelvis IMU", f"its quaternion has norm {norm:.3f}", "wait until the robot has started up")
    low, high = g1.JOINT_RANGE_HW[:, 0] - 0.2, g1.JOINT_RANGE_HW[:, 1] + 0.2
    outside = np.flatnonzero((fields.joint_pos_hw < low) | (fields.joint_pos_hw > high)).tolist()
    if outside:
        names = ", ".join(f"{g1.JOINT_NAMES_HW[i]} {fields.joint_pos_hw[i]:+.2f} rad" for i in outside)
        return failure("joints", f"outside their range: {names}", "calibrate the joints' zeros")
    if lean > 30.0:
        return warning("posture", f"the pelvis leans {lean:.0f} degrees", "hang it upright before a run")
    return well("posture", f"pelvis {lean:.0f} degrees from upright, all joints within their ranges")


def _remote(states: UnitreeStates) -> list[Finding]:
    if any(states.fields().wireless_remote):
        return well("remote", "there")
    return warning("remote", "none", "switch it on: select stops the robot with operator.remote=true")


def _torso(config: UnitreeConfig, states: UnitreeStates) -> list[Finding]:
    deadline = time.monotonic() + _SWITCHER_S
    while states.torso_imu() is None:
        if time.monotonic() > deadline:
            grade = failure if config.checks.torso_imu else warning
            return grade("torso IMU", "silent", "a G1 has one; a simulator without: unitree.checks.torso_imu=false")
        time.sleep(0.01)
    return well("torso IMU", "there")


def _hands(config: UnitreeConfig, bus: Bus) -> list[Finding]:
    if not config.hands:
        return well("hands", "not used (unitree.hands=false)")
    hands = Hands(bus, dry_run=True)
    found = [side for side in SIDES if hands.present[side]]
    hands.close()
    return well("hands", f"Dex3: {' and '.join(found)}" if found else "no Dex3 answers; they are left alone")


def _battery(config: UnitreeConfig, bus: Bus) -> list[Finding]:
    vitals = Vitals(bus, config.battery_warning_percent)
    deadline = time.monotonic() + 2.0 * _SWITCHER_S
    while vitals.charge_percent is None and time.monotonic() < deadline:
        time.sleep(0.05)
        vitals.look()
    warnings, line = vitals.warnings(), vitals.line()
    vitals.close()
    if warnings:
        return warning("battery", warnings[0].detail, "charge it")
    return well("battery", line)


def _controllers(config: UnitreeConfig, bus: Bus) -> list[Finding]:
    try:
        stock = MotionSwitcher(bus, _SWITCHER_S).controller()
        text = f"{stock!r} is in charge" if stock else "no stock controller is in charge"
    except RobotError as error:
        if config.releases():
            return of_error("controllers", error, "wait until the robot has started up")
        stock, text = "", "no motion switcher answers"
    others = OtherControllers(bus)
    heard, note = others.listen(0.5), others.note()
    others.close()
    text += f"; {note}" if note and not heard else ""
    if heard and not stock:
        return failure("controllers", f"{text}, yet another program sends commands", "end the other program")
    if stock and not config.releases():
        remedy = "unitree.release_stock_controller=true"
        return failure("controllers", f"{text} and would not be let go", remedy)
    return well("controllers", f"{text}; a run lets it go, and the robot goes limp: hang it up" if stock else text)
