"""Standing and ready tokens: the tracker's networks and memory, without a goal or without the encoder."""

import msgspec
import numpy as np
import pytest

from controllers.stand import Stand
from controllers.track_motion import TrackMotion
from controllers.track_tokens import TrackTokens
from sonic_runtime.app import load_policy
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import TOKEN_TERM, term
from sonic_runtime.contract.messages import RobotState
from sonic_runtime.contract.rotations import quat_from_yaw
from teleop.standing import Standing
from tests.fakes.parts import make_goal, make_state
from tests.fakes.random_policy import write_random_policy

TICK_NS = 20_000_000


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    return load_policy(str(write_random_policy(folder, action_gain=1.0, encoder_hidden=(32,), decoder_hidden=(32,))))


def moving_state(tick: int, yaw: float = 0.4) -> RobotState:
    rng = np.random.default_rng(tick)
    return make_state(
        stamp_ns=tick * TICK_NS,
        joint_vel_hw=rng.normal(size=29),
        base_quat_wxyz=quat_from_yaw(np.array(yaw + 0.01 * tick)),
    )


def actions(controller, goals, ticks=range(5)):
    return [controller.act(moving_state(t), goals(t)).action_pol for t in ticks]


def test_standing_is_tracking_the_standing_reference(policy):
    standing = Standing()
    expected = actions(TrackMotion(policy), lambda t: standing.read(moving_state(t)))
    np.testing.assert_array_equal(actions(Stand(TrackMotion(policy)), lambda t: None), expected)


def test_standing_takes_its_heading_at_the_reset_and_after_another_controller(policy):
    stand = Stand(TrackMotion(policy))

    def first_action(yaw, stamp_ns):
        # one action after a forgotten history depends on the heading alone: none where the reference turned with it
        stand._tracker.reset()
        return stand.act(make_state(stamp_ns=stamp_ns, base_quat_wxyz=quat_from_yaw(np.array(yaw))), None).token

    aligned = first_action(0.5, 0)
    assert not np.array_equal(first_action(1.5, TICK_NS), aligned)
    np.testing.assert_array_equal(first_action(1.5, 200 * TICK_NS), aligned)
    stand.reset()
    np.testing.assert_array_equal(first_action(-2.0, 201 * TICK_NS), aligned)


def test_tokens_give_what_the_encoder_would_have_given(policy):
    tracker = TrackMotion(policy)
    tracked = [tracker.act(moving_state(t), make_goal()) for t in range(5)]
    tokens = TrackTokens(TrackMotion(policy))
    for t, decision in enumerate(tracked):
        found = tokens.act(moving_state(t), make_goal(token=decision.token))
        np.testing.assert_array_equal(found.action_pol, decision.action_pol)
        np.testing.assert_array_equal(found.target.joint_pos_hw, decision.target.joint_pos_hw)
        np.testing.assert_array_equal(found.token, decision.token)


def test_all_three_take_turns_on_one_memory(policy):
    tracker = TrackMotion(policy)
    expected = [tracker.act(moving_state(t), make_goal()) for t in range(4)]
    tracker = TrackMotion(policy)
    tokens, stand = TrackTokens(tracker), Stand(tracker)
    assert tokens.memory is stand.memory is tracker.memory
    for t in range(4):
        turn = tokens if t % 2 else tracker
        found = turn.act(moving_state(t), make_goal(token=expected[t].token))
        np.testing.assert_array_equal(found.action_pol, expected[t].action_pol)


def test_a_goal_without_a_token_is_refused(policy):
    tokens = TrackTokens(TrackMotion(policy))
    with pytest.raises(ContractError, match="expected a goal with a token, got a goal without one"):
        tokens.act(make_state(), make_goal())
    with pytest.raises(ContractError, match="got no goal"):
        tokens.act(make_state(), None)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((term(TOKEN_TERM, 32),), "takes token_state of 64 numbers, this one takes token_state \\(32\\)"),
        ((term("his_gravity_dir", 3),), "takes token_state of 64"),
        ((term(TOKEN_TERM, 64), term("motion_anchor_orientation", 6)), "reads the reference"),
    ],
)
def test_decoders_that_do_not_live_on_tokens_are_refused(policy, inputs, message):
    tracker = TrackMotion(policy)

    class Other:
        decoder = msgspec.structs.replace(policy.decoder, inputs=inputs)

    tracker.policy = Other()
    with pytest.raises(ContractError, match=message):
        TrackTokens(tracker)


def test_a_policy_without_the_g1_encoder_cannot_stand(policy):
    tracker = TrackMotion(policy)

    class Other:
        decoder = policy.decoder
        encoder = msgspec.structs.replace(policy.encoder, encoders=policy.encoder.encoders[1:])

    tracker.policy = Other()
    with pytest.raises(ContractError, match="got 'g1'"):
        Stand(tracker)
