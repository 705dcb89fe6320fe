from sonic_runtime.contract.messages import Fault
from sonic_runtime.guard.modes import Guard
from tests.fakes.parts import guard_config, make_goal, make_state

S = 1_000_000_000


def decide(guard, t_s, goal=True):
    now = int(t_s * S)
    return guard.decide(make_state(stamp_ns=now), make_goal(stamp_ns=now) if goal else None, now)


def test_ramp_ready_active():
    guard = Guard(guard_config(), ramp_s=1.0)
    assert decide(guard, 10.0) == "ramp"
    assert decide(guard, 10.98) == "ramp"
    assert decide(guard, 11.0, goal=False) == "ready"
    assert decide(guard, 11.5) == "active"


def test_without_a_ramp_the_first_goal_is_tracked_at_once():
    assert decide(Guard(guard_config()), 0.0) == "active"


def test_an_active_run_never_goes_back_to_ready():
    guard = Guard(guard_config())
    decide(guard, 0.0)
    assert decide(guard, 0.02, goal=False) == "damping"
    assert guard.fault is not None
    assert guard.fault.code == "stale_stream"


def test_damping_is_for_ever_and_keeps_the_first_fault():
    guard = Guard(guard_config())
    guard.fail(Fault(code="first", detail=""))
    guard.fail(Fault(code="second", detail=""))
    assert [decide(guard, t) for t in (0.0, 1.0, 100.0)] == ["damping"] * 3
    assert guard.fault == Fault(code="first", detail="")


def test_release_is_damping_without_a_fault():
    guard = Guard(guard_config())
    decide(guard, 0.0)
    guard.release()
    assert decide(guard, 0.02) == "damping"
    assert guard.fault is None
