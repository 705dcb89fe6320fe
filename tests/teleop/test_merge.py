"""Merging of streamed chunks: one test per row of the published table, then properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.merge import MAX_WINDOW_FRAMES, Window, merge
from teleop.pose_packet import PoseFrames


def chunk(first: int, count: int, step: int = 1, mark: float = 0.0, catch_up: bool = True) -> PoseFrames:
    """Frames whose joint values tell their number and who sent them."""
    index = first + step * np.arange(count)
    values = np.repeat((index + mark)[:, None].astype(float), 29, axis=1)
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    return PoseFrames(
        frame_index=index, joint_pos_pol=values, joint_vel_pol=-values, root_quat_wxyz=quat, catch_up=catch_up
    )


def window(first: int, count: int, step: int = 1) -> Window:
    return merge(None, 0, chunk(first, count, step)).window


def numbers(of: Window) -> list[float]:
    return of.tracks["joint_pos_pol"][:, 0].tolist()


def test_first_chunk_starts_the_window():
    merged = merge(None, 0, chunk(40, 3))
    assert (merged.reset, merged.cursor, merged.window.start, merged.window.end) == ("first", 0, 40, 42)
    assert numbers(merged.window) == [40, 41, 42]


@pytest.mark.parametrize("first", [99, 100])
def test_chunk_from_the_start_or_before_it_resets(first):
    merged = merge(window(100, 10), 4, chunk(first, 30))
    assert (merged.reset, merged.cursor, merged.window.start, len(merged.window)) == ("restart", 0, first, 30)


@pytest.mark.parametrize("count", [3, 7, 8])
def test_chunk_that_ends_at_or_before_the_end_resets(count):
    merged = merge(window(100, 10), 4, chunk(102, count))
    assert (merged.reset, merged.cursor, merged.window.start) == ("not_newer", 0, 102)


def test_playback_205_frames_behind_still_merges_206_resets():
    behind = window(0, 300)
    kept_205 = merge(behind, 10, chunk(210, 100))
    assert (kept_205.reset, kept_205.cursor, kept_205.window.start) == (None, 5, 5)
    assert merge(behind, 10, chunk(211, 100)).reset == "lagging"


def test_catch_up_false_lifts_the_lag_test_only():
    behind = window(0, 300)
    assert merge(behind, 10, chunk(290, 100, catch_up=False)).reset is None
    assert merge(behind, 10, chunk(301, 100, catch_up=False)).reset == "hole"


def test_catch_up_false_cannot_fill_the_memory():
    long = window(0, MAX_WINDOW_FRAMES + 2)
    assert merge(long, 0, chunk(MAX_WINDOW_FRAMES, 10, catch_up=False)).reset is None
    assert merge(long, 0, chunk(MAX_WINDOW_FRAMES + 1, 10, catch_up=False)).reset == "lagging"


def test_chunk_right_after_the_end_merges_one_later_is_a_hole():
    assert merge(window(100, 10), 9, chunk(110, 5)).reset is None
    merged = merge(window(100, 10), 9, chunk(111, 5))
    assert (merged.reset, merged.cursor, merged.window.start) == ("hole", 0, 111)


def test_merge_keeps_five_frames_before_the_cursor_and_overrides_the_overlap():
    merged = merge(window(100, 20), 12, chunk(115, 10, mark=0.5))
    # new start = min(100 + (12 - 5), 115) = 107: frames 107..114 are kept
    assert numbers(merged.window) == [*range(107, 115), *np.arange(115.5, 125.0)]
    assert (merged.reset, merged.cursor, merged.window.end) == (None, 5, 124)
    tracks = merged.window.tracks
    np.testing.assert_array_equal(tracks["joint_vel_pol"], -tracks["joint_pos_pol"])


def test_merge_before_five_frames_were_played_keeps_the_start():
    merged = merge(window(100, 20), 3, chunk(101, 20, mark=0.5))
    assert (merged.cursor, merged.window.start, len(merged.window)) == (3, 100, 21)
    assert numbers(merged.window)[:3] == [100, 101.5, 102.5]


def test_chunk_that_begins_before_the_history_moves_the_start_to_it():
    merged = merge(window(100, 20), 19, chunk(105, 30, mark=0.5))
    # new start = min(114, 105): nothing old is kept, and the cursor still stands on frame 119
    assert (merged.window.start, merged.cursor) == (105, 14)
    assert numbers(merged.window)[merged.cursor] == 119.5


def test_frame_numbers_two_apart():
    merged = merge(window(100, 20, step=2), 10, chunk(120, 20, step=2, mark=0.5))
    # new start = 100 + 2 * 5 = 110, kept = 5 frames: 110, 112, ... 118
    assert numbers(merged.window)[:6] == [110, 112, 114, 116, 118, 120.5]
    assert (merged.cursor, merged.window.end) == (5, 158)


def test_single_frames_with_numbers_two_apart_are_holes():
    # a single frame has step 1, so number 102 leaves 101 out
    assert merge(window(100, 1), 0, chunk(102, 1)).reset == "hole"


@pytest.mark.parametrize("incoming", [chunk(110, 30, step=1), chunk(111, 20, step=2)])
def test_other_spacing_resets(incoming):
    assert merge(window(100, 20, step=2), 3, incoming).reset == "spacing"


@given(
    start=st.integers(0, 50),
    count=st.integers(1, 80),
    cursor=st.integers(0, 79),
    first=st.integers(0, 200),
    incoming_count=st.integers(1, 80),
)
def test_frame_under_the_cursor_never_moves_on_a_merge(start, count, cursor, first, incoming_count):
    old = window(start, count)
    cursor = min(cursor, count - 1)
    merged = merge(old, cursor, chunk(first, incoming_count))
    got = numbers(merged.window)
    assert got == list(range(merged.window.start, merged.window.start + len(merged.window)))
    assert merged.window.end == first + incoming_count - 1
    if merged.reset is None:
        assert got[merged.cursor] == old.start + cursor
    else:
        assert (merged.cursor, merged.window.start) == (0, first)
