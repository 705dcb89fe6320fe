import tracemalloc

import numpy as np
import pytest

from sonic_runtime.contract import layout
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.rotations import quat_from_yaw
from sonic_runtime.observe.assemble import DecoderInput, EncoderInput, expected_term, look_ahead_frames
from sonic_runtime.observe.history import History
from tests.fakes.parts import IDENTITY, make_goal, make_reference, make_state

ENCODERS = {e.name: e for e in layout.RELEASE_ENCODERS}
# offsets of the published release layout
OFFSETS = {
    "motion_joint_positions_10frame_step5": 4,
    "motion_joint_velocities_10frame_step5": 294,
    "motion_root_z_position_10frame_step5": 584,
    "motion_root_z_position": 594,
    "motion_anchor_orientation": 595,
    "motion_anchor_orientation_10frame_step5": 601,
    "motion_joint_positions_lowerbody_10frame_step5": 661,
    "motion_joint_velocities_lowerbody_10frame_step5": 781,
    "vr_3point_local_target": 901,
    "vr_3point_local_orn_target": 910,
    "smpl_joints_10frame_step1": 922,
    "smpl_anchor_orientation_10frame_step1": 1642,
    "motion_joint_positions_wrists_10frame_step1": 1702,
}


def encoder_input() -> EncoderInput:
    return EncoderInput(layout.RELEASE_ENCODER_INPUTS, layout.RELEASE_ENCODERS)


def full_goal(encoder):
    reference = make_reference(
        60,
        cursor=3,
        root_quat_wxyz=np.tile(quat_from_yaw(0.4), (60, 1)),
        vr_pos_b=np.ones((60, 3, 3)),
        vr_quat_b_wxyz=np.ones((60, 3, 4)),
        smpl_joints_b=np.ones((60, 24, 3)),
        smpl_root_quat_wxyz=np.tile(IDENTITY, (60, 1)),
    )
    return make_goal(reference, encoder=encoder)


@pytest.mark.parametrize("name", ["g1", "teleop", "smpl"])
def test_terms_lie_at_the_published_offsets_and_the_others_are_zero(name):
    vector = encoder_input().fill(make_state(), full_goal(name))
    assert vector.shape == (1, 1762)
    assert vector.dtype == np.float32
    assert vector[0, :4].tolist() == [ENCODERS[name].mode_id, 0, 0, 0]
    for term in layout.RELEASE_ENCODER_INPUTS[1:]:
        values = vector[0, OFFSETS[term.name] : OFFSETS[term.name] + term.dim]
        assert values.any() == (term.name in ENCODERS[name].required_terms), term.name


def test_values_are_frame_after_frame():
    vector = encoder_input().fill(make_state(), full_goal("g1"))[0]
    # cursor 3, step 5: frame k of the term is frame 3 + 5 k of the reference
    assert vector[4 + 2 * 29 + 11] == pytest.approx(13.11)
    assert vector[294 + 9 * 29 + 28] == pytest.approx(-48.28)
    assert vector[601:607] == pytest.approx([np.cos(0.4), -np.sin(0.4), np.sin(0.4), np.cos(0.4), 0, 0])


def test_changing_the_encoder_clears_what_the_other_one_wrote():
    observe = encoder_input()
    observe.fill(make_state(), full_goal("smpl"))
    changed = observe.fill(make_state(), full_goal("g1")).copy()
    assert np.array_equal(changed, encoder_input().fill(make_state(), full_goal("g1")))


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ContractError, match=r"\['g1', 'smpl', 'teleop'\], got 'soma'"):
        encoder_input().fill(make_state(), full_goal("soma"))


def test_other_frame_counts_and_steps_work():
    terms = (
        expected_term("encoder_mode_4", "encoder"),
        expected_term("motion_joint_positions_3frame_step2", "encoder"),
    )
    encoder = layout.EncoderSpec(name="g1", mode_id=0, required_terms=tuple(t.name for t in terms))
    vector = EncoderInput(terms, [encoder]).fill(make_state(), full_goal("g1"))[0]
    assert vector.shape == (4 + 87,)
    assert vector[4::29] == pytest.approx([3, 5, 7])
    assert look_ahead_frames(terms, encoder) == 5


def test_look_ahead_of_the_release_encoders():
    frames = {n: look_ahead_frames(layout.RELEASE_ENCODER_INPUTS, e) for n, e in ENCODERS.items()}
    assert frames == {"g1": 46, "teleop": 46, "smpl": 10}


def test_unknown_terms_are_refused_with_the_known_ones():
    with pytest.raises(ContractError, match="no such term; it has encoder_mode, encoder_mode_4, heading_diff"):
        expected_term("soma_joints_10frame_step1", "encoder")


def test_decoder_input_is_token_then_histories_oldest_first():
    observe = DecoderInput(layout.RELEASE_DECODER_INPUTS, "first")
    token = np.arange(64, dtype=np.float32)
    for i in range(12):
        state = make_state(base_ang_vel_b=np.array([i, 10.0 + i, 20.0 + i]))
        vector = observe.fill(state, np.full(29, float(i)), token)
    assert vector.shape == (1, 994)
    assert vector[0, :64].tolist() == list(range(64))
    assert vector[0, 64:94:3].tolist() == list(range(2, 12))
    assert vector[0, 64:67].tolist() == [2, 12, 22]
    assert vector[0, 674 : 674 + 290 : 29].tolist() == list(range(2, 12))
    assert vector[0, 964:967].tolist() == [0, 0, -1]


def test_reset_starts_the_histories_anew():
    observe = DecoderInput(layout.RELEASE_DECODER_INPUTS, "first")
    for i in range(4):
        observe.fill(make_state(base_ang_vel_b=np.full(3, float(i))), np.ones(29), np.zeros(64))
    observe.reset()
    vector = observe.fill(make_state(base_ang_vel_b=np.full(3, 7.0)), np.zeros(29), np.zeros(64))
    assert vector[0, 64:94].tolist() == [7.0] * 30
    assert not vector[0, 674:964].any()


def test_history_filled_with_the_first_sample():
    history = History(np.zeros((4, 2), dtype=np.float32), "first")
    history.push(np.array([1.0, 2.0]))
    assert history.values.tolist() == [[1, 2]] * 4
    history.push(np.array([3.0, 4.0]))
    assert history.values.tolist() == [[1, 2], [1, 2], [1, 2], [3, 4]]


def test_history_filled_with_padding():
    history = History(np.zeros((3, 3), dtype=np.float32), "zero", (0.0, 0.0, 1.0))
    history.push(np.array([5.0, 6.0, 7.0]))
    assert history.values.tolist() == [[0, 0, 1], [0, 0, 1], [5, 6, 7]]


def test_observing_does_not_keep_memory():
    observe, decode = encoder_input(), DecoderInput(layout.RELEASE_DECODER_INPUTS, "first")
    state, goal = make_state(), full_goal("g1")

    def ticks(n):
        for _ in range(n):
            observe.fill(state, goal)
            decode.fill(state, np.zeros(29), np.zeros(64))

    tracemalloc.start()
    try:
        ticks(2500)  # fills the interpreter's free lists, which are bounded
        before = tracemalloc.get_traced_memory()[0]
        ticks(500)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 2000, f"{grown} bytes more after 500 ticks"


def test_a_history_of_every_third_sample():
    history = History(np.zeros((3, 1), dtype=np.float32), "zero", step=3)
    for i in range(1, 6):
        history.push(np.array([float(i)]))
    # samples 5, 2 and -1, which was before the start
    assert history.values.ravel().tolist() == [0, 2, 5]
    history.push(np.array([6.0]))
    history.push(np.array([7.0]))
    assert history.values.ravel().tolist() == [1, 4, 7]


def test_a_stepped_history_filled_with_the_first_sample():
    history = History(np.zeros((3, 1), dtype=np.float32), "first", step=2)
    for i in (1.0, 2.0, 3.0, 4.0):
        history.push(np.array([i]))
    assert history.values.ravel().tolist() == [1, 2, 4]


def test_decoder_histories_of_any_length_and_step_and_single_samples():
    names = ("token_state", "his_base_angular_velocity_2frame_step4", "gravity_dir", "last_actions")
    observe = DecoderInput([expected_term(n, "decoder") for n in names], "zero")
    for i in range(1, 7):
        state = make_state(base_ang_vel_b=np.full(3, float(i)))
        vector = observe.fill(state, np.full(29, -float(i)), np.zeros(64))
    assert vector[0, 64:].tolist() == [2, 2, 2, 6, 6, 6, 0, 0, -1, *[-6] * 29]


def test_padded_gravity_points_up_as_in_the_published_runtime():
    observe = DecoderInput(layout.RELEASE_DECODER_INPUTS, "zero")
    vector = observe.fill(make_state(), np.ones(29), np.zeros(64))
    assert vector[0, 964:].reshape(10, 3).tolist() == [[0, 0, 1]] * 9 + [[0, 0, -1]]
    assert vector[0, 674:964].tolist() == [0.0] * 261 + [1.0] * 29


def test_a_decoder_may_read_the_reference():
    names = ("token_state", "heading_diff_robot_ref", "motion_joint_positions_2frame_step10")
    terms = [expected_term(n, "decoder") for n in names]
    observe = DecoderInput(terms, "first")
    vector = observe.fill(make_state(), np.zeros(29), np.zeros(64), full_goal("g1"))
    assert vector[0, 64:70] == pytest.approx([np.cos(0.4), -np.sin(0.4), np.sin(0.4), np.cos(0.4), 0, 0])
    assert vector[0, 70::29] == pytest.approx([3, 13])
    with pytest.raises(ContractError, match="expected a goal"):
        observe.fill(make_state(), np.zeros(29), np.zeros(64))
    assert look_ahead_frames((), ENCODERS["g1"], terms) == 11


def test_an_encoder_does_not_read_what_the_robot_feels():
    with pytest.raises(ContractError, match="encoder input 'gravity_dir': this runtime has no such term"):
        expected_term("gravity_dir", "encoder")


def test_modes_and_tokens_have_no_frames():
    for name, part in (("encoder_mode_4_2frame_step1", "encoder"), ("token_state_2frame_step1", "decoder")):
        with pytest.raises(ContractError, match="no such term"):
            expected_term(name, part)


def test_the_short_mode_has_three_values():
    names = ("motion_joint_positions_wrists", "encoder_mode")
    terms = [expected_term(n, "encoder") for n in names]
    spec = layout.EncoderSpec(name="smpl", mode_id=2, required_terms=names)
    vector = EncoderInput(terms, [spec]).fill(make_state(), full_goal("smpl"))[0]
    assert vector.tolist() == pytest.approx([*(3 + np.arange(23, 29) / 100), 2, 0, 0])
