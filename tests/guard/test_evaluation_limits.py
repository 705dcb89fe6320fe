"""What an evaluation asks of the guard: falls are judged by its own rule, everything else stays checked."""

import numpy as np

from sonic_runtime.evaluate import Evaluator
from sonic_runtime.motions.clip import clip_from_qpos
from sonic_runtime.robots import g1
from tests.fakes.parts import guard_config
from tests.fakes.random_policy import write_random_policy


def test_a_motion_that_lies_down_is_not_ended_by_the_guard(tmp_path):
    policy = write_random_policy(tmp_path / "policy", action_gain=0.0, encoder_hidden=(32,), decoder_hidden=(32,))
    frames = 30
    lying = np.tile([np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0], (frames, 1))
    height = np.tile([0.0, 0.0, 0.15], (frames, 1))
    clip = clip_from_qpos("lying", 50.0, height, lying, np.tile(g1.DEFAULT_POS_HW, (frames, 1)))
    evaluator = Evaluator(str(policy), guard_config(off=("target_rate", "tilt")))
    assert evaluator.guard.off == ("target_rate", "tilt", "base_height")
    evaluation = evaluator.run(clip, "g1")
    assert evaluation.recording.fault is None
    assert len(evaluation.recording) == len(clip)
