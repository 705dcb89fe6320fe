"""What is asked of the operating system is granted or explained, and taken back; the tick keeps nothing."""

import gc
import os
import sys
import threading
import tracemalloc

import pytest

from controllers.track_motion import TrackMotion
from sonic_runtime.app import build_parts, load_policy
from sonic_runtime.clock import LockstepClock
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.realtime import quiet_heap, real_time
from sonic_runtime.robot_io.mujoco_sim import MujocoSim
from teleop.standing import Standing
from tests.fakes.parts import guard_config

linux = pytest.mark.skipif(sys.platform != "linux", reason="scheduling of Linux")


@linux
def test_everything_is_taken_back():
    before = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.sched_getaffinity(0), sys.getswitchinterval()
    with real_time("loop", 40, min(os.sched_getaffinity(0)), False) as notes:
        assert len(notes) == 2
        assert len(os.sched_getaffinity(0)) == 1
        assert sys.getswitchinterval() < 0.001
        if notes[1].granted:
            assert os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
    after = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.sched_getaffinity(0), sys.getswitchinterval()
    assert after == before


@linux
def test_threads_started_later_are_ordinary():
    found = []
    with real_time("loop", 40, None, False):
        thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
        thread.start()
        thread.join()
    assert found == [os.SCHED_OTHER]


@linux
def test_what_is_refused_is_told_with_its_remedy(monkeypatch):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_setscheduler", refuse)
        patch.setattr(os, "geteuid", lambda: 1000)
        patch.setattr("resource.getrlimit", lambda _: (8 << 20, 8 << 20))
        # the way back is not refused
        with real_time("loop", 0, 1000, True) as notes:
            pass
        (pin, lock) = notes
    assert not pin.granted
    assert pin.text.startswith("loop: not pinned to core 1000")
    assert "may use the cores [0" in pin.text
    assert not lock.granted
    assert "memlock unlimited" in lock.text


@linux
def test_a_refused_priority_is_no_error(monkeypatch):
    real = os.sched_setscheduler

    def refuse_fifo(pid, policy, parameter):
        if policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO:
            raise PermissionError(1, "Operation not permitted")
        return real(pid, policy, parameter)

    monkeypatch.setattr(os, "sched_setscheduler", refuse_fifo)
    with real_time("loop", 40, None, False) as notes:
        pass
    assert notes[0].granted is False
    assert "rtprio" in notes[0].text


def test_a_system_without_scheduling_says_so(monkeypatch):
    for name in ("sched_setaffinity", "sched_getaffinity", "sched_setscheduler", "sched_getscheduler"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    with real_time("loop", 40, 0, True) as notes:
        pass
    assert [note.granted for note in notes] == [False] * 3


def test_nothing_asked_nothing_said():
    with real_time("loop", 0, None, False) as notes:
        assert notes == []


def test_the_collector_is_off_in_the_quiet_heap_and_back_after_it():
    assert gc.isenabled()
    with quiet_heap():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


GROWTH_BYTES = 4096


def test_two_thousand_ticks_allocate_nothing_that_stays():
    clock = LockstepClock()
    robot = MujocoSim(clock.now_ns)
    parts = build_parts(
        robot=robot,
        goals=Standing(),
        controller=TrackMotion(load_policy("default")),
        guard=guard_config(),
        clock=clock,
    )
    held = []

    def note(report):
        if report.index in (200, 2200):
            held.append((tracemalloc.get_traced_memory()[0], len(gc.get_objects())))
        return False

    tracemalloc.start()
    try:
        with quiet_heap():
            summary = Loop(parts).run(RunLimits(max_ticks=2201, damping_ticks=0), note)
    finally:
        tracemalloc.stop()
    assert summary.fault is None
    (bytes_before, objects_before), (bytes_after, objects_after) = held
    assert bytes_after - bytes_before < GROWTH_BYTES
    assert objects_after - objects_before < 20
