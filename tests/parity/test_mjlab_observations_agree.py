"""What we see and ask for against mjlab itself: its environment, exporter and metadata, on the CPU."""

from types import SimpleNamespace

import numpy as np
import pytest

from sonic_runtime.motions.clip import save_clip
from sonic_runtime.motions.sources import find_clips
from sonic_runtime.robots import g1
from tests.fakes.parts import make_state

torch = pytest.importorskip("torch", reason="mjlab's exporter needs torch")
pytest.importorskip("mjlab", reason="mjlab is not installed; pip install mjlab in an environment of its own")

from mjlab.envs import ManagerBasedRlEnv  # noqa: E402
from mjlab.rl.exporter_utils import attach_metadata_to_onnx, get_base_metadata  # noqa: E402
from mjlab.tasks.tracking.config.g1.env_cfgs import unitree_g1_flat_tracking_env_cfg  # noqa: E402
from mjlab.tasks.tracking.rl.runner import MotionTrackingOnPolicyRunner  # noqa: E402

from controllers.imported import load_imported  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def motion_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "walk.npz"
    save_clip(find_clips("walk")[0], path)
    return path


def make_env(motion_file, **changes):
    """The task without state estimation, nothing random in it, some observation terms changed."""
    config = unitree_g1_flat_tracking_env_cfg(has_state_estimation=False, play=True)
    config.scene.num_envs = 1
    config.events = {}
    config.commands["motion"].motion_file = str(motion_file)
    for name, fields in changes.items():
        for field, value in fields.items():
            setattr(config.observations["actor"].terms[name], field, value)
    return ManagerBasedRlEnv(config, device="cpu")


class Actor(torch.nn.Module):
    """What mjlab's runner asks of an actor."""

    def __init__(self, size):
        super().__init__()
        torch.manual_seed(0)
        self.input_size = size
        self.layers = torch.nn.Sequential(torch.nn.Linear(size, 32), torch.nn.ELU(), torch.nn.Linear(32, 29))

    def as_onnx(self, verbose=False):
        return self

    def forward(self, obs):
        return self.layers(obs)


def export(env, folder):
    """As MotionTrackingOnPolicyRunner.save does it."""
    actor = Actor(env.observation_manager.group_obs_dim["actor"][0])
    runner = SimpleNamespace(env=SimpleNamespace(unwrapped=env), alg=SimpleNamespace(get_policy=lambda: actor))
    MotionTrackingOnPolicyRunner.export_policy_to_onnx(runner, str(folder), "policy.onnx")
    command = env.command_manager.get_term("motion").cfg
    metadata = get_base_metadata(env, "local")
    metadata |= {"anchor_body_name": command.anchor_body_name, "body_names": list(command.body_names)}
    attach_metadata_to_onnx(str(folder / "policy.onnx"), metadata)
    return folder / "policy.onnx"


def state_of(env, tick):
    """What our robot would measure in mjlab's simulator."""
    robot = env.scene["robot"]
    index = [robot.joint_names.index(name) for name in g1.JOINT_NAMES_HW]
    data = robot.data
    return make_state(
        stamp_ns=tick * 20_000_000,
        joint_pos_hw=data.joint_pos[0, index].double().numpy(),
        joint_vel_hw=data.joint_vel[0, index].double().numpy(),
        base_quat_wxyz=data.root_link_quat_w[0].double().numpy(),
        base_ang_vel_b=env.scene["robot/imu_ang_vel"].data[0].double().numpy(),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "base_ang_vel": {"history_length": 3, "scale": (0.5, 1.0, 2.0)},
            "joint_vel": {"clip": (-1.0, 1.5), "scale": 0.25},
            "actions": {"history_length": 2},
        },
    ],
    ids=["as_shipped", "scaled_clipped_remembered"],
)
def test_what_our_controller_sees_is_what_mjlab_computes(changes, motion_file, tmp_path):
    env = make_env(motion_file, **changes)
    controller = load_imported(export(env, tmp_path))
    assert controller.origin["contract"] == "mjlab"
    observation, _ = env.reset()
    command = env.command_manager.get_term("motion")
    for tick in range(12):
        if tick == 0:
            # mjlab begins where its sampler says and turns nothing
            controller.frame_index = int(command.time_steps[0])
            controller._frame = controller.policy.run(controller.policy._blank, controller.frame_index)[1]
            controller._heading_wxyz = np.array([1.0, 0.0, 0.0, 0.0])
        decision = controller.act(state_of(env, tick), None)
        expected = observation["actor"][0].numpy()
        np.testing.assert_allclose(controller._input.vector[0], expected, atol=2e-5)
        action = torch.from_numpy(controller._last_action_file)[None]
        observation, *_ = env.step(action)
        target = env.sim.data.ctrl[0].numpy()
        by_joint = {a.target.split("/")[-1]: target[a.id] for a in env.scene["robot"].spec.actuators}
        wanted = np.array([by_joint[name] for name in g1.JOINT_NAMES_HW])
        np.testing.assert_allclose(decision.target.joint_pos_hw, wanted, atol=2e-5)
        assert int(command.time_steps[0]) == controller.frame_index
    gains = decision.target
    model = env.sim.mj_model
    for actuator in env.scene["robot"].spec.actuators:
        joint = g1.JOINT_NAMES_HW.index(actuator.target.split("/")[-1])
        assert model.actuator_gainprm[actuator.id, 0] == pytest.approx(gains.stiffness_hw[joint], rel=1e-6)
        assert -model.actuator_biasprm[actuator.id, 2] == pytest.approx(gains.damping_hw[joint], rel=1e-6)
