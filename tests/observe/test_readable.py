"""Which encoders can read a motion."""

import dataclasses

from sonic_runtime.contract import layout
from sonic_runtime.contract.manifest import EncoderSpec, TermSpec
from sonic_runtime.observe.readable import readable_encoders
from teleop.motion_file import reference_of
from tests.fakes.parts import make_reference
from tests.teleop.clips import turning_clip

MOTION = reference_of(turning_clip(20))


def names(reference, encoders=layout.RELEASE_ENCODERS, terms=layout.RELEASE_ENCODER_INPUTS):
    return readable_encoders(terms, encoders, reference)


def test_a_clip_has_what_every_encoder_of_the_release_reads():
    assert names(MOTION) == ("g1", "teleop", "smpl")


def test_an_encoder_without_its_tracks_is_left_out():
    # without points to steer, the teleop encoder reads those of standing
    assert names(make_reference()) == ("g1", "teleop")
    assert names(dataclasses.replace(MOTION, smpl_root_quat_wxyz=None)) == ("g1", "teleop")


def test_a_term_that_no_clip_has_is_found_out():
    pose = TermSpec(name="smpl_pose", frames=1, step=1, dim=63)
    encoders = (*layout.RELEASE_ENCODERS, EncoderSpec(name="pose", mode_id=3, required_terms=("smpl_pose",)))
    assert names(MOTION, encoders, (*layout.RELEASE_ENCODER_INPUTS, pose)) == ("g1", "teleop", "smpl")
