"""The trainer's observations and the runtime's are the same numbers on the same states and goals."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sonic_runtime.contract.layout import RELEASE_DECODER_INPUTS, RELEASE_ENCODER_INPUTS, RELEASE_ENCODERS  # noqa: E402
from sonic_runtime.contract.messages import Goal, Reference, RobotState  # noqa: E402
from sonic_runtime.contract.rotations import quat_from_axis_angle, quat_rotate_inverse  # noqa: E402
from sonic_runtime.motions.clip import clip_from_qpos  # noqa: E402
from sonic_runtime.motions.vr_points import vr_points  # noqa: E402
from sonic_runtime.observe.assemble import DecoderInput, EncoderInput  # noqa: E402
from sonic_runtime.robots import g1  # noqa: E402
from sonic_train.env import observations as obs  # noqa: E402
from sonic_train.env.config import NoiseConfig  # noqa: E402
from sonic_train.env.state import RobotTensors  # noqa: E402
from sonic_train.motions.library import MotionLibrary  # noqa: E402

FRAMES = 80
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def clip():
    rng = np.random.default_rng(3)
    time = np.arange(FRAMES)[:, None] / 50.0
    joints = g1.DEFAULT_POS_HW + 0.3 * np.sin(time * rng.uniform(1, 6, 29) + rng.uniform(0, 6, 29))
    root_quat = quat_from_axis_angle(0.5 * np.sin(time * rng.uniform(1, 4, 3) + rng.uniform(0, 6, 3)))
    root_pos = np.concatenate([0.5 * time, 0.1 * time, 0.76 + 0.02 * np.sin(5 * time)], axis=1)
    smpl = rng.normal(size=(FRAMES, 24, 3))
    return clip_from_qpos("parity", 50.0, root_pos, root_quat, joints, smpl=smpl)


def random_states(count):
    rng = np.random.default_rng(7)
    states = []
    for _ in range(count):
        states.append(
            RobotState(
                stamp_ns=0,
                joint_pos_hw=g1.DEFAULT_POS_HW + rng.normal(size=29),
                joint_vel_hw=rng.normal(size=29),
                base_quat_wxyz=quat_from_axis_angle(rng.normal(size=3)),
                base_ang_vel_b=rng.normal(size=3),
                joint_torque_hw=np.zeros(29),
            )
        )
    return states


def as_tensors(state: RobotState) -> RobotTensors:
    """Only what the tokenizer and the proprioception read; the pelvis is the first tracked body."""
    quat = torch.tensor(state.base_quat_wxyz, dtype=torch.float32).expand(1, 14, 4).contiguous()
    ang_vel_w = quat_rotate_inverse(state.base_quat_wxyz * [1, -1, -1, -1], state.base_ang_vel_b)
    return RobotTensors(
        joint_pos_hw=torch.tensor(state.joint_pos_hw, dtype=torch.float32)[None],
        joint_vel_hw=torch.tensor(state.joint_vel_hw, dtype=torch.float32)[None],
        body_pos_w=torch.zeros(1, 14, 3),
        body_quat_wxyz=quat,
        body_lin_vel_w=torch.zeros(1, 14, 3),
        body_ang_vel_w=torch.tensor(ang_vel_w, dtype=torch.float32).expand(1, 14, 3).contiguous(),
        contact_force_w=torch.zeros(1, 30, 3),
    )


def reference_of(clip, cursor):
    vr_pos, vr_quat = vr_points(clip.body_pos_w, clip.body_quat_wxyz)
    return Reference(
        joint_pos_pol=g1.to_policy_order(clip.joint_pos_hw),
        joint_vel_pol=g1.to_policy_order(clip.joint_vel_hw),
        root_quat_wxyz=clip.root_quat_wxyz,
        cursor=cursor,
        vr_pos_b=vr_pos,
        vr_quat_b_wxyz=vr_quat,
        smpl_joints_b=clip.smpl_joints_b,
        smpl_root_quat_wxyz=clip.smpl_root_quat_wxyz,
    )


@pytest.mark.parametrize("encoder", ["g1", "teleop", "smpl"])
@pytest.mark.parametrize("cursor", [0, 20, FRAMES - 30, FRAMES - 1])
def test_encoder_input(clip, encoder, cursor):
    library = MotionLibrary([clip], "cpu")
    runtime = EncoderInput(RELEASE_ENCODER_INPUTS, RELEASE_ENCODERS)
    (state,) = random_states(1)
    goal = Goal(reference=reference_of(clip, cursor), encoder=encoder, heading_quat_wxyz=IDENTITY, stamp_ns=0)
    ours = runtime.fill(state, goal)[0]
    trained = obs.tokenizer_vector(
        as_tensors(state), library.at(torch.tensor([cursor])), torch.zeros(1, 3), NoiseConfig(enabled=False)
    )[0].numpy()
    required = next(e for e in RELEASE_ENCODERS if e.name == encoder).required_terms
    start, compared = 0, 0
    for term in RELEASE_ENCODER_INPUTS:
        if term.name in required and term.name != "encoder_mode_4":
            # the trainer's vector has three encoder bits where the file has four mode values
            np.testing.assert_allclose(
                trained[start - 1 : start - 1 + term.dim], ours[start : start + term.dim], atol=1e-5, err_msg=term.name
            )
            compared += term.dim
        start += term.dim
    assert compared == {"g1": 640, "teleop": 267, "smpl": 840}[encoder]


def test_decoder_input_through_a_filling_history():
    runtime = DecoderInput(RELEASE_DECODER_INPUTS, "first")
    histories = obs.ObservationHistories(1, "cpu").policy
    pol = torch.tensor(g1.HW_INDEX_OF_POL)
    default = torch.tensor(g1.DEFAULT_POS_HW, dtype=torch.float32)[None]
    rng = np.random.default_rng(1)
    action = np.zeros(29, dtype=np.float32)
    for i, state in enumerate(random_states(14)):
        ours = runtime.fill(state, action, np.zeros(64))[0, 64:]
        sample = obs.proprioception(as_tensors(state), default, torch.tensor(action)[None], pol)
        restart = torch.tensor([i == 0])
        trained = torch.cat([h.push(sample[name], restart) for name, h in histories.items()], dim=-1)[0].numpy()
        np.testing.assert_allclose(trained, ours, atol=1e-5, err_msg=f"tick {i}")
        action = rng.normal(size=29).astype(np.float32)
