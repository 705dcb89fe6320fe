"""The graph of one encoder gives the tokens of the whole graph, or the whole graph runs."""

import logging
import shutil
import tracemalloc

import numpy as np
import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.observation_yaml import read_observation_yaml
from sonic_runtime.infer import encoder_graphs
from sonic_runtime.infer.encoder_graphs import mode_vector
from sonic_runtime.infer.onnx_policy import OnnxPolicy
from sonic_runtime.infer.released import CONTRACTS
from sonic_runtime.infer.sized_policy import PolicySize, write_sized_policy
from sonic_runtime.infer.specialise import Specialiser
from tests.fakes.parts import IDENTITY, make_goal, make_reference, make_state
from tests.fakes.random_policy import write_random_policy
from tests.infer.published import ENCODER_DIMS, LAYOUTS

CONTRACT = CONTRACTS["sonic_release"]
SIZE = PolicySize((64, 32), (16,))


@pytest.fixture(scope="module", params=LAYOUTS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_sized_policy(folder, read_observation_yaml(LAYOUTS[request.param]), SIZE, seed=1)
    shutil.copy(LAYOUTS[request.param], folder / "observation_config.yaml")
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    write_sized_policy(folder, read_observation_yaml(LAYOUTS["release"]), SIZE)
    return folder


def random_inputs(policy, encoder, count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield mode_vector(policy.encoder, encoder, 3.0 * rng.standard_normal((1, policy.encoder.input_dim), np.float32))


def test_every_mode_of_every_published_layout_gives_the_tokens_of_the_whole_graph(folder):
    parts, whole = OnnxPolicy(folder, CONTRACT), OnnxPolicy(folder, CONTRACT, whole_graph=True)
    assert parts.origin["encoder_graph"].startswith("one graph for each encoder: g1 ")
    assert whole.origin["encoder_graph"] == "whole: as asked for"
    for encoder in parts.encoder.encoders:
        for vector in random_inputs(parts, encoder, 20):
            assert np.array_equal(parts.encode(vector), whole.encode(vector))


def test_each_session_holds_its_own_encoder_and_no_other(release):
    policy = OnnxPolicy(release, CONTRACT)
    sizes = {
        name: 4 * (dim * 64 + 64 + 64 * 32 + 32 + 32 * 64 + 64)
        for name, dim in (("g1", 640), ("teleop", 267), ("smpl", 840))
    }
    text = policy.origin["encoder_graph"]
    assert all(f"{name} {size / 1e6:.1f}" in text for name, size in sizes.items())
    assert f"of {sum(sizes.values()) / 1e6:.1f} MB" in text
    assert len({id(s) for s in policy._encoders.by_mode.values()}) == 3


def test_encoders_may_change_at_any_tick_without_a_session_made(release, monkeypatch):
    policy, whole = OnnxPolicy(release, CONTRACT), OnnxPolicy(release, CONTRACT, whole_graph=True)
    monkeypatch.setattr(encoder_graphs, "open_model", None)
    rng = np.random.default_rng(2)
    for i in range(30):
        encoder = policy.encoder.encoders[rng.integers(3)]
        (vector,) = random_inputs(policy, encoder, 1, seed=i)
        assert np.array_equal(policy.encode(vector), whole.encode(vector))


def test_a_mode_that_no_encoder_has_is_refused(release):
    vector = np.zeros((1, ENCODER_DIMS["release"]), dtype=np.float32)
    vector[0, 0] = 3
    with pytest.raises(
        ContractError, match=r"expected one of the modes 0 \(g1\), 1 \(teleop\), 2 \(smpl\) in element 0"
    ):
        OnnxPolicy(release, CONTRACT).encode(vector)


def test_a_graph_for_the_wrong_mode_is_found_out(release, monkeypatch, caplog):
    """A specialiser that mixes up the modes must not get through."""
    original = Specialiser.specialise

    def next_mode(self, vector, fixed):
        vector = vector.copy()
        vector[0, 0] = (vector[0, 0] + 1) % 3
        return original(self, vector, fixed)

    monkeypatch.setattr(Specialiser, "specialise", next_mode)
    with caplog.at_level(logging.INFO):
        policy = OnnxPolicy(release, CONTRACT)
    assert policy.origin["encoder_graph"].startswith("whole: all encoders run at every tick: encoder 'g1': expected")
    assert "the encoder graph runs as it is" in caplog.text
    whole = OnnxPolicy(release, CONTRACT, whole_graph=True)
    for encoder in policy.encoder.encoders:
        (vector,) = random_inputs(policy, encoder, 1)
        assert np.array_equal(policy.encode(vector), whole.encode(vector))


def test_control_flow_is_left_alone_without_a_warning(caplog):
    from sonic_runtime.infer.policy_folder import find_policy

    with caplog.at_level(logging.WARNING):
        policy = OnnxPolicy(find_policy("default"))
    assert policy.origin["encoder_graph"].startswith("whole: it chooses by control flow")
    assert not caplog.records


def test_one_encoder_for_all_modes_leaves_nothing_out(tmp_path):
    folder = write_random_policy(tmp_path / "policy", encoder_hidden=(16,), decoder_hidden=(16,))
    note = OnnxPolicy(folder).origin["encoder_graph"]
    assert note == "whole: all encoders run at every tick: the mode of encoder 'g1' leaves nothing out"


def full_goal(encoder):
    reference = make_reference(
        60,
        vr_pos_b=np.ones((60, 3, 3)),
        vr_quat_b_wxyz=np.tile(IDENTITY, (60, 3, 1)),
        smpl_joints_b=np.ones((60, 24, 3)),
        smpl_root_quat_wxyz=np.tile(IDENTITY, (60, 1)),
    )
    return make_goal(reference, encoder=encoder)


def test_a_tick_leaves_nothing_behind_and_takes_little_memory(release):
    controller = TrackMotion(OnnxPolicy(release, CONTRACT))
    state, goals = make_state(), [full_goal(e) for e in ("g1", "teleop", "smpl")]
    for i in range(60):
        controller.act(state, goals[i % 3])
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        for i in range(300):
            controller.act(state, goals[i % 3])
        now, peak = tracemalloc.get_traced_memory()
        del before
    finally:
        tracemalloc.stop()
    assert now - start < 8_000
    assert peak - start < 64_000
