"""docs/observations.md says what the code does."""

import re

import numpy as np
import pytest

from sonic_runtime.observe import terms
from tests.fakes.parts import IDENTITY, make_goal, make_reference, make_state
from tests.observe.observations_page import FIELDS, PAGE, described, layouts_of, page

UNITS = {"rad", "rad/s", "m", "1"}
COMPUTED = {n: t.compute for n, t in (terms.REFERENCE_TERMS | terms.HISTORY_TERMS).items()}


def test_the_page_is_that_of_the_code():
    assert PAGE.read_text() == page(), "run `python -m tests.observe.observations_page`"


def test_every_name_is_on_the_page():
    rows = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    names = {*terms.REFERENCE_TERMS, *terms.HISTORY_TERMS, *terms.MODE_TERMS, *terms.TOKEN_TERMS}
    assert names - rows == set()


@pytest.mark.parametrize(
    "function", {*COMPUTED.values(), terms.encoder_mode, terms.token_state}, ids=lambda f: f.__name__
)
def test_every_term_has_formula_shape_frame_unit_and_order(function):
    fields = described(function)
    assert [f for f in FIELDS if not fields.get(f)] == []
    assert fields["Unit"] in UNITS


def test_shapes_on_the_page_are_those_computed():
    tracks = {
        "root_pos_w": np.zeros((60, 3)),
        "vr5_pos_b": np.zeros((60, 5, 3)),
        "vr5_quat_b_wxyz": np.zeros((60, 5, 4)),
        "smpl_joints_b": np.zeros((60, 24, 3)),
        "smpl_root_quat_wxyz": np.tile(IDENTITY, (60, 1)),
        "smpl_pose_rad": np.zeros((60, 21, 3)),
    }
    goal = make_goal(make_reference(**tracks))
    for name, term in terms.REFERENCE_TERMS.items():
        out = term.compute(make_state(), goal, np.arange(7))
        assert described(term.compute)["Shape"] == str(out.shape).replace("7,", "K,", 1), name
    for name, term in terms.HISTORY_TERMS.items():
        assert described(term.compute)["Shape"] == str(term.compute(make_state(), np.zeros(29)).shape), name


def test_layouts_are_those_of_the_published_files():
    assert layouts_of(("motion_joint_positions",)) == "release 10/5; low_latency 10/1; v1_1 10/5"
    assert layouts_of(("smpl_anchor_orientation",)) == "release 10/1; low_latency 4/1"
    assert layouts_of(("motion_anchor_orientation_heading",)) == "v1_1 10/5, 1"
    assert layouts_of(("smpl_pose",)) == ""
