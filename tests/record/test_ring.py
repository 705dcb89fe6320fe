"""The queue in shared memory: order, wrapping, room, and frames that are not all there."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonic_runtime.record.ring import Ring, ring_bytes
from sonic_runtime.robot_io.mailbox import shared_memory

SIZE = 256


@pytest.fixture
def sides():
    memory = shared_memory(ring_bytes(SIZE))
    rings = Ring(memory, SIZE, touch=True), Ring(memory, SIZE)
    os.close(memory)
    yield rings
    for ring in rings:
        ring.close()


@settings(max_examples=50)
@given(script=st.lists(st.one_of(st.binary(max_size=120), st.none()), max_size=60))
def test_frames_come_out_as_they_went_in(script):
    memory = shared_memory(ring_bytes(SIZE))
    here, there = Ring(memory, SIZE), Ring(memory, SIZE)
    os.close(memory)
    waiting: list[bytes] = []
    for frame in script:
        if frame is None:
            assert there.take() == (waiting.pop(0) if waiting else None)
            continue
        room = SIZE - sum(len(f) + 8 for f in waiting)
        assert here.put(frame) == (len(frame) + 8 <= room)
        if len(frame) + 8 <= room:
            waiting.append(frame)
    while waiting:
        assert there.take() == waiting.pop(0)
    assert there.waiting_bytes == 0
    here.close()
    there.close()


def test_a_frame_that_is_not_all_there_waits(sides):
    here, there = sides
    assert here.put(b"first frame")
    here._map[192 + 8] ^= 1
    assert there.take() is None
    here._map[192 + 8] ^= 1
    assert there.take() == b"first frame"


def test_the_reader_can_say_that_it_takes_no_more(sides):
    here, there = sides
    assert not here.closed
    there.mark_closed()
    assert here.closed
