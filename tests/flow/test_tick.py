import numpy as np
import pytest

from sonic_runtime.contract.messages import Decision
from sonic_runtime.robots import g1
from sonic_runtime.tick import STAGES, tick
from tests.fakes.parts import FakeRun, make_state, make_target


def test_stages_run_in_order_and_each_is_timed():
    run = FakeRun()
    report = tick(run.parts, 0)
    assert run.calls == ["read", "goal", "act", "write"]
    assert tuple(report.stage_ns) == STAGES
    assert all(ns > 0 for ns in report.stage_ns.values())
    assert report.mode == "active"
    assert run.robot.written == [report.target]


def test_a_controller_is_reset_once_when_it_takes_over():
    run = FakeRun()
    for i in range(5):
        tick(run.parts, i)
    assert run.controller.resets == 1


def test_the_ramp_holds_its_line_from_ramp_to_ready():
    run = FakeRun(ramp_s=0.1)
    run.goals.goal_of = lambda _: None
    start = g1.DEFAULT_POS_HW + 0.2
    run.robot.state_of = lambda _: make_state(stamp_ns=run.clock.now_ns(), joint_pos_hw=start)
    offsets = []
    for i in range(8):
        offsets.append(float((tick(run.parts, i).target.joint_pos_hw - g1.DEFAULT_POS_HW)[0]))
        run.clock.wait_until(run.clock.now_ns() + 20_000_000)
    # 0.2 rad in 0.1 s, a fifth of it each tick; the measured pose, which does not move, plays no part
    assert offsets == pytest.approx([0.2, 0.16, 0.12, 0.08, 0.04, 0.0, 0.0, 0.0])


def test_a_nan_action_never_reaches_the_robot():
    run = FakeRun()
    bad = np.full(29, np.nan)
    run.controller.decision_of = lambda _: Decision(target=make_target(bad), action_pol=np.zeros(29, dtype=np.float32))
    report = tick(run.parts, 0)
    assert report.fault is not None
    assert report.fault.code == "non_finite"
    assert report.mode == "damping"
    assert run.robot.written == [run.parts.damping_target]
    assert np.all(run.robot.written[0].stiffness_hw == 0.0)


def test_a_nan_measurement_is_answered_without_it():
    run = FakeRun()
    run.robot.state_of = lambda _: make_state(joint_pos_hw=np.full(29, np.nan))
    report = tick(run.parts, 0)
    assert report.mode == "damping"
    assert run.controller.acts == 0
    assert all(np.isfinite(getattr(run.robot.written[0], f)).all() for f in ("joint_pos_hw", "damping_hw"))
