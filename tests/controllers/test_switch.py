"""Switching between controllers: who is in charge, who is reset, and that no target jumps."""

import numpy as np
import pytest

from controllers.damping import Damping
from controllers.switch import ControllerSwitch
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.messages import Decision
from sonic_runtime.contract.operator import OperatorEvent
from tests.fakes.parts import FakeController, make_goal, make_state, make_target

MS = 1_000_000
NEXT_POLICY = [OperatorEvent("policy")]


class Constant(FakeController):
    """Asks every joint for one angle."""

    def __init__(self, angle, memory=None):
        super().__init__()
        self._decision = Decision(target=make_target(np.full(29, angle)))
        self._memory = memory

    @property
    def memory(self):
        return self._memory or self

    def act(self, state, goal):
        return self._decision


def switch(blend_s=0.1, **more):
    track = Constant(1.0)
    controllers = {
        "damping": Damping(29, 8.0),
        "ramp": Constant(0.0),
        "stand": Constant(1.0, memory=track),
        "track": track,
        **more,
    }
    return ControllerSwitch(controllers, blend_s), controllers


def angle(decision):
    (value,) = set(decision.target.joint_pos_hw.tolist())
    return value


def at(ms):
    return make_state(stamp_ns=ms * MS)


def test_the_first_controller_is_reset_and_not_blended():
    chosen, controllers = switch()
    assert angle(chosen.act("active", at(0), make_goal())) == 1.0
    assert controllers["track"].resets == 1
    assert chosen.current == "track"


def test_from_ready_to_the_policy_targets_and_gains_go_in_a_line():
    chosen, controllers = switch(blend_s=0.1)
    chosen.act("ready", at(0), None)
    angles = [angle(chosen.act("active", at(20 * k), make_goal())) for k in range(1, 8)]
    assert angles == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert controllers["track"].resets == 1


def test_a_switch_in_a_blend_begins_where_the_blend_was():
    chosen, _ = switch(blend_s=0.1, other=Constant(-1.0))
    chosen.act("ready", at(0), None)
    for k in (1, 2, 3):
        before = angle(chosen.act("active", at(20 * k), make_goal()))
    after = angle(chosen.act("active", at(80), make_goal(), NEXT_POLICY))
    assert before == pytest.approx(0.4)
    assert after == pytest.approx(0.4)
    assert chosen.current == "other"


def test_a_goal_that_comes_during_the_blend_to_standing_does_not_cut_it_short():
    chosen, _ = switch(blend_s=0.1)
    chosen.act("ready", at(0), None)
    angles = [angle(chosen.act("stand", at(20 * k), None)) for k in (1, 2, 3)]
    angles += [angle(chosen.act("active", at(20 * k), make_goal())) for k in (4, 5, 6, 7)]
    assert angles == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert chosen.current == "track"


def test_controllers_that_share_a_memory_hand_over_without_forgetting():
    chosen, controllers = switch()
    chosen.act("stand", at(0), None)
    chosen.act("active", at(20), make_goal())
    assert controllers["track"].resets == 0
    assert controllers["stand"].resets == 1
    assert chosen.current == "track"


@pytest.mark.parametrize("mode", ["ramp", "ready", "stand", "active"])
def test_damping_is_at_once_from_everywhere(mode):
    chosen, controllers = switch(blend_s=10.0)
    chosen.act("ready", at(0), None)
    chosen.act(mode, at(20), make_goal())
    decision = chosen.act("damping", at(40), make_goal())
    assert decision.target is controllers["damping"].target


def test_the_operator_goes_round_the_policies():
    chosen, _ = switch(other=Constant(-1.0))
    seen = []
    for k in range(4):
        chosen.act("active", at(20 * k), make_goal(), NEXT_POLICY)
        seen.append(chosen.current)
    assert seen == ["other", "track", "other", "track"]


def test_a_token_goes_to_the_token_controller_or_is_refused():
    token = np.zeros(64, dtype=np.float32)
    chosen, _ = switch(token=Constant(2.0))
    assert angle(chosen.act("active", at(0), make_goal(token=token))) == 2.0
    without, _ = switch()
    with pytest.raises(ContractError, match="motion tokens"):
        without.act("active", at(0), make_goal(token=token))
