"""The task in Isaac Lab on the processor: one small simulation, shared by the tests (a process holds only one)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("isaaclab")

import msgspec  # noqa: E402
import warp as wp  # noqa: E402

from sonic_runtime.motions.clip import clip_from_qpos  # noqa: E402
from sonic_runtime.robots import g1  # noqa: E402
from sonic_train.env.config import NoiseConfig, ResetConfig, TaskConfig  # noqa: E402
from sonic_train.env.layout import CRITIC_TERMS, TOKENIZER_TERMS, term_slice  # noqa: E402
from sonic_train.env.tracking_env import TrackingEnv  # noqa: E402
from sonic_train.motions.library import MotionLibrary  # noqa: E402

pytestmark = [pytest.mark.isaac, pytest.mark.slow]
N = 4
STILL = ResetConfig(pos_m=(0, 0, 0), rpy_rad=(0, 0, 0), lin_vel=(0, 0, 0), ang_vel=(0, 0, 0), joint_pos_rad=0.0)


def sway(name, frames, shift):
    time = np.arange(frames) / 50.0
    joints = np.tile(g1.DEFAULT_POS_HW, (frames, 1))
    joints[:, g1.JOINT_NAMES_HW.index("left_elbow_joint")] += 0.3 * np.sin(3 * time)
    position = np.stack([shift + 0 * time, 0 * time, g1.STANDING_PELVIS_HEIGHT_M + 0 * time], axis=1)
    return clip_from_qpos(name, 50.0, position, np.tile([1.0, 0, 0, 0], (frames, 1)), joints)


@pytest.fixture(scope="module")
def simulation():
    from sonic_train.env.simulation import TrackingSimulation

    simulation = TrackingSimulation(N, "cpu", TaskConfig().simulation)
    yield simulation
    simulation.close()


def make_env(simulation, **changes):
    torch.manual_seed(0)
    base = TaskConfig(reset=STILL, noise=NoiseConfig(enabled=False))
    config = msgspec.structs.replace(base, **changes)
    return TrackingEnv(MotionLibrary([sway("a", 60, 0.0), sway("b", 90, 3.0)], "cpu"), simulation, config)


def test_a_reset_puts_the_robot_on_its_reference(simulation):
    env = make_env(simulation)
    first = env.reset()
    state, reference = simulation.state(), env._library.at(env._frame)
    torch.testing.assert_close(state.body_pos_w, reference.body_pos_w, atol=2e-5, rtol=0)
    torch.testing.assert_close(state.body_lin_vel_w, reference.body_lin_vel_w, atol=0.05, rtol=0)
    assert first.critic[:, term_slice(CRITIC_TERMS, "motion_anchor_pos_b")].abs().max() < 1e-4
    assert torch.isfinite(first.policy).all() and first.policy.shape == (N, 930)


def test_a_step_compares_robot_and_reference_at_the_same_instant(simulation):
    env = make_env(simulation)
    env.reset()
    before = env._frame.clone()
    result = env.step(torch.zeros(N, 29))
    assert (env._frame == before + 1).all()
    assert result.reward.shape == (N,) and (result.reward > 0.08).all()
    assert result.log["track/mpjpe_l_mm"] < 20


def test_a_fall_ends_the_episode_and_is_booked_where_it_happened(simulation):
    env = make_env(simulation)
    env.reset()
    pushed = env._library.at(env._frame)
    lying = torch.tensor([[0.7071, 0.7071, 0.0, 0.0]]).repeat(N, 1)
    only_second = torch.tensor([False, True, False, False])
    simulation.write_state(
        only_second, pushed.body_pos_w[:, 0], lying, torch.zeros(N, 6), pushed.joint_pos_hw, pushed.joint_vel_hw
    )
    bin_of_fall = env.sampler._bin_of_frame[env._frame[1] + 1]
    result = env.step(torch.zeros(N, 29))
    assert result.terminated.tolist() == [False, True, False, False]
    assert env.sampler.take_new()[1].nonzero().flatten().tolist() == [bin_of_fall.item()]
    # the state before the reset is lying, the one after it stands on a reference again
    down = term_slice(CRITIC_TERMS, "motion_anchor_ori_b")
    assert (result.final_critic_obs[1, down] - result.observations.critic[1, down]).abs().max() > 0.5
    torch.testing.assert_close(result.final_critic_obs[0], result.observations.critic[0])
    assert (env._action[1] == 0).all()


def test_the_end_of_a_clip_is_a_time_out(simulation):
    env = make_env(simulation)
    env.reset()
    env._frame[:] = env._library.last_frame_of[env._frame] - 1
    reference = env._library.at(env._frame)
    simulation.write_state(
        torch.ones(N, dtype=torch.bool),
        reference.body_pos_w[:, 0],
        reference.body_quat_wxyz[:, 0],
        torch.zeros(N, 6),
        reference.joint_pos_hw,
        reference.joint_vel_hw,
    )
    result = env.step(torch.zeros(N, 29))
    assert result.timed_out.all() and not result.terminated.any()
    assert (env._frame < env._library.last_frame_of[env._frame]).all()


def test_friction_is_one_value_per_robot(simulation):
    from isaaclab_newton.physics.newton_manager import NewtonManager

    make_env(simulation)
    view = simulation._robot.root_view
    friction = wp.to_torch(view.get_attribute("shape_material_mu", NewtonManager.get_model())[:, 0])
    feet = simulation._shapes_of("left_ankle_roll_link") + simulation._shapes_of("right_ankle_roll_link")
    values = friction[:, feet]
    assert (values == values[:, :1]).all() and len(values[:, 0].unique()) == N


def test_encoder_bits_reach_the_tokenizer(simulation):
    env = make_env(simulation)
    bits = env.reset().tokenizer[:, term_slice(TOKENIZER_TERMS, "encoder_index")]
    assert ((bits == 0) | (bits == 1)).all() and (bits.sum(1) >= 1).all()
    # smpl rows are read by g1 too
    assert (bits[bits[:, 2] == 1][:, 0] == 1).all()
