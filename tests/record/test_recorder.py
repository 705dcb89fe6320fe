"""The recorder: what is in the file, and what it does when it cannot write."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from mcap.reader import make_reader

from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.contract.messages import Decision, TickReport
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.loop import Loop, RunLimits
from sonic_runtime.record import channels as ch
from sonic_runtime.record.about import About, about_run, clip_of_npz, npz_of_clip
from sonic_runtime.record.read import Recording
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.stand_ins import same_bits
from sonic_runtime.record.tape import Tape
from tests.fakes.parts import FakeRun, make_goal, make_state, make_target
from tests.record.faults import measure
from tests.record.runs import sway

ROOT = Path(__file__).resolve().parents[2]
ABOUT = About(metadata={"sonic": {"format_version": "1"}}, attachments=[])


class Config(msgspec.Struct):
    name: str = "x"


def make_report(index: int, **changes) -> TickReport:
    rng = np.random.default_rng(index)
    values = {
        "index": index,
        "now_ns": 1_000_000_007 + 20_000_000 * index,
        "state": make_state(stamp_ns=20_000_000 * index, joint_pos_hw=rng.normal(size=29)),
        "goal": make_goal(),
        "mode": "active",
        "controller": "track",
        "decision": Decision(
            target=make_target(), action_pol=rng.normal(size=29).astype(np.float32),
            token=rng.normal(size=64).astype(np.float32),
        ),
        "target": make_target(rng.normal(size=29)),
        "stage_ns": {"sense": 1234, "write": 5},
    }  # fmt: skip
    return TickReport(**{**values, **changes})


def test_every_number_comes_back_bit_for_bit(tmp_path):
    awkward = np.array([0.1 + 0.2, 1e-308, 5e-324, -0.0, np.nan, np.inf, -np.inf, np.pi, 1.0, *np.zeros(20)])
    report = make_report(
        0,
        state=make_state(
            stamp_ns=2**62 + 1, joint_vel_hw=awkward, base_pos_w=np.array([1.0, 2.0, 1 / 3]),
            motor_temperature_c_hw=np.full(29, 36.6), motor_error_hw=np.arange(29) + 2**32,
            wireless_remote=bytes(range(40)),
        ),
        events=(OperatorEvent("turn", 0.1 + 0.2, "keys"), OperatorEvent("play")),
        goal=make_goal(token=np.linspace(0, 1, 64, dtype=np.float32), hand_joint_pos=np.arange(14.0).reshape(2, 7)),
    )  # fmt: skip
    with McapRecorder(tmp_path / "r.mcap", ABOUT, Tape()) as recorder:
        recorder.put(report)
    (tick,) = Recording(tmp_path / "r.mcap").ticks()
    for name in ("joint_pos_hw", "joint_vel_hw", "base_quat_wxyz", "base_pos_w", "motor_error_hw"):
        assert same_bits(getattr(tick.state, name), getattr(report.state, name)), name
    assert (tick.state.stamp_ns, tick.now_ns, tick.state.wireless_remote) == (
        2**62 + 1,
        report.now_ns,
        bytes(range(40)),
    )
    assert same_bits(tick.action["action_pol"], report.decision.action_pol)
    assert same_bits(tick.goal["token"], report.goal.token)
    assert same_bits(tick.goal["hand_joint_pos"], report.goal.hand_joint_pos)
    assert tick.events == list(report.events)
    assert tick.timing["sense_us"] == 1.234


def test_a_bug_while_a_tick_is_packed_ends_the_run_like_a_full_disk(tmp_path, monkeypatch):
    def divide(report, cut):
        raise ZeroDivisionError("a bug")

    run = FakeRun()
    with McapRecorder(tmp_path / "r.mcap", ABOUT, Tape()) as recorder:
        recorder.put(make_report(0))
        monkeypatch.setattr("sonic_runtime.record.recorder.frame_of_tick", divide)
        summary = Loop(run.parts, [recorder]).run(RunLimits(max_ticks=20, damping_ticks=3))
    assert summary.fault is not None
    assert summary.fault.code == "recording"
    assert "r.mcap: tick 0 cannot be packed (ZeroDivisionError: a bug)" in summary.fault.detail
    assert run.robot.written[-1] is run.parts.damping_target
    assert len(list(Recording(tmp_path / "r.mcap").ticks())) == 1


def test_any_mcap_reader_opens_it_and_every_message_fits_its_schema(tmp_path):
    with McapRecorder(tmp_path / "r.mcap", about_run(Config(), None, {"sway": sway()}), Tape()) as recorder:
        for index in range(20):
            recorder.put(make_report(index, events=[OperatorEvent("play")]))
    with (tmp_path / "r.mcap").open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert {c.topic for c in summary.channels.values()} == set(ch.CHANNELS)
        assert summary.statistics.message_count == 20 * 9
        seen = set()
        for schema, channel, message in reader.iter_messages():
            content, described = json.loads(message.data), json.loads(schema.data)
            assert schema.encoding == "jsonschema"
            assert channel.message_encoding == "json"
            assert described["type"] == "object"
            assert set(content) <= set(described["properties"])
            for name, value in content.items():
                assert fits(value, described["properties"][name]), (channel.topic, name)
            assert message.sequence == content["tick"]
            seen.add(channel.topic)
        assert seen >= {"/state", "/goal", "/action", "/command", "/operator", "/guard", "/timing", "/tick", "/inputs"}
        # log times are times of day, and pass as the loop's do
        assert abs(summary.statistics.message_start_time * 1e-9 - time.time()) < 60
        assert summary.statistics.message_end_time - summary.statistics.message_start_time == 19 * 20_000_000


def fits(value, schema):
    types = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "array": list, "object": dict}
    if not isinstance(value, types[schema["type"]]):
        return False
    return schema["type"] != "array" or all(fits(v, schema["items"]) for v in value)


def test_config_versions_and_clips_are_in_it(tmp_path):
    clip = sway()
    with McapRecorder(tmp_path / "r.mcap", about_run(Config(), None, {"sway": clip}, "sonic-run"), Tape()):
        pass
    about = Recording(tmp_path / "r.mcap").about
    assert about.attachment("config.yaml") == b"name: x\n"
    assert about.metadata["sonic"]["command"] == "sonic-run"
    assert about.metadata["versions"]["numpy"] == np.__version__
    found = about.clips()["sway"]
    assert same_bits(found.joint_pos_hw, clip.joint_pos_hw)
    assert (found.name, found.fps, found.smpl_measured) == (clip.name, clip.fps, clip.smpl_measured)
    with pytest.raises(RecordingError, match=r"expected the attachment 'x'.*config\.yaml"):
        about.attachment("x")
    with pytest.raises(RecordingError, match="expected a clip as NPZ"):
        clip_of_npz(npz_of_clip(clip)[:1000])


def test_messages_are_recorded_with_the_tick_that_took_them(tmp_path):
    tape = Tape()

    class Two:
        def take(self, limit):
            return [b"one\xff", b"two"][:limit]

        def close(self):
            pass

    inbox = tape.inbox("stream", Two())
    with McapRecorder(tmp_path / "r.mcap", ABOUT, tape) as recorder:
        assert inbox.take(8) == [b"one\xff", b"two"]
        recorder.put(make_report(0))
        recorder.put(make_report(1))
        inbox.take(1)
        inbox.take(0)
        recorder.put(make_report(2))
    takes = [tick.takes for tick in Recording(tmp_path / "r.mcap").ticks()]
    assert takes == [[("stream", [b"one\xff", b"two"])], [], [("stream", [b"one\xff"]), ("stream", [])]]


def put_until_refused(recorder, most=500, pause_s=0.005):
    for index in range(most):
        recorder.put(make_report(index))
        time.sleep(pause_s)


def test_a_full_disk_is_told_at_the_start():
    with pytest.raises(RecordingError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        McapRecorder(Path("/dev/full"), ABOUT, Tape())


def test_a_disk_that_fills_up_ends_the_run_in_damping(tmp_path, monkeypatch):
    monkeypatch.setenv("SONIC_TEST_FILE_BYTES", "150000")
    monkeypatch.setattr("sonic_runtime.record.recorder._WRITER", "tests.record.small_disk_writer")
    run = FakeRun()
    recorder = McapRecorder(tmp_path / "r.mcap", ABOUT, Tape())
    slow = SlowSink()
    summary = Loop(run.parts, [recorder, slow]).run(RunLimits(max_ticks=2000))
    assert summary.fault is not None
    assert summary.fault.code == "recording"
    assert "cannot be written (File too large)" in summary.fault.detail
    assert run.robot.written[-1].damping_hw[0] == 8.0
    recorder.close()
    assert sum(1 for _ in Recording(tmp_path / "r.mcap").ticks()) > 10


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("full_disk", "cannot be written (0 MB are left on the disk)"),
        ("killed_recording", "has ended with exit code -9"),
    ],
)
def test_time_from_a_fault_of_the_recording_to_damping(name, expected):
    times = []
    for _ in range(3):
        ms, fault = measure(name)
        assert fault.startswith("recording: ")
        assert expected in fault
        times.append(ms)
    assert statistics.median(times) < 100.0


class SlowSink:
    """Gives the writer time."""

    def put(self, report):
        time.sleep(0.003)


def test_a_killed_writer_is_told_and_leaves_a_readable_file(tmp_path):
    recorder = McapRecorder(tmp_path / "r.mcap", ABOUT, Tape())
    for index in range(300):
        recorder.put(make_report(index))
    time.sleep(0.5)
    os.kill(recorder.pid, signal.SIGKILL)
    time.sleep(0.1)
    with pytest.raises(RecordingError, match="the process that writes the recording has ended with exit code -9"):
        for index in range(300, 304):
            recorder.put(make_report(index))
    recorder.close()
    recording = Recording(tmp_path / "r.mcap")
    ticks = list(recording.ticks())
    assert len(ticks) > 200
    assert [tick.index for tick in ticks] == list(range(len(ticks)))
    assert "breaks off" in recording.broken_off


def test_a_stopped_writer_makes_the_queue_run_over(tmp_path):
    recorder = McapRecorder(tmp_path / "r.mcap", ABOUT, Tape(), queue_bytes=200_000)
    os.kill(recorder.pid, signal.SIGSTOP)
    with pytest.raises(RecordingError, match="wait for the disk"):
        put_until_refused(recorder, pause_s=0.0)
    os.kill(recorder.pid, signal.SIGCONT)
    recorder.close()
    ticks = list(Recording(tmp_path / "r.mcap").ticks())
    assert len(ticks) > 20


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.record.test_recorder import ABOUT, make_report
from sonic_runtime.record.recorder import McapRecorder
from sonic_runtime.record.tape import Tape
recorder = McapRecorder(Path(sys.argv[1]), ABOUT, Tape())
for index in range(57):
    recorder.put(make_report(index))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_a_whole_file(tmp_path):
    path = tmp_path / "r.mcap"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", _KILLED, str(path)], cwd=ROOT, env=environment, timeout=60)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        recording = Recording(path)
        count = sum(1 for _ in recording.ticks())
        if count == 57 and not recording.broken_off:
            break
        time.sleep(0.05)
    assert (count, recording.broken_off) == (57, "")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_off_is_read_up_to_there(tmp_path, share):
    with McapRecorder(tmp_path / "r.mcap", ABOUT, Tape()) as recorder:
        for index in range(200):
            recorder.put(make_report(index))
    data = (tmp_path / "r.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: int(share * len(data))])
    recording = Recording(tmp_path / "cut.mcap")
    ticks = list(recording.ticks())
    assert 0 < len(ticks) < 200
    assert "it breaks off or is damaged after" in recording.broken_off
    assert [tick.index for tick in ticks] == list(range(len(ticks)))


@pytest.mark.parametrize("content", [b"", b"not a recording", bytes(100)])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "x.mcap").write_bytes(content)
    with pytest.raises(RecordingError, match="expected the recording of a run as MCAP"):
        Recording(tmp_path / "x.mcap")


def test_no_file_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"x\.mcap: expected a recording here \(No such file"):
        Recording(tmp_path / "x.mcap")


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path):
    with pytest.raises(RecordingError, match=r"cannot be written \(No such file or directory\)"):
        McapRecorder(tmp_path / "none" / "r.mcap", ABOUT, Tape())
