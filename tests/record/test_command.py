"""sonic-replay: the comparison, the CSV files, the motion folder."""

import csv
import json

import numpy as np
import pytest

from sonic_runtime.contract.errors import ConfigError, RecordingError
from sonic_runtime.motions.reference_folder import read_reference_folder
from sonic_runtime.record.command import main
from sonic_runtime.record.read import Recording
from sonic_runtime.record.stand_ins import same_bits
from sonic_runtime.robots import g1
from sonic_runtime.robots.kinematics import forward_kinematics
from tests.fakes.random_policy import write_random_policy
from tests.record.runs import record_run, run_config, sway

TICKS = 60
COLUMNS = {
    "base_quat": ["base_qw", "base_qx", "base_qy", "base_qz"],
    "base_ang_vel": ["base_wx", "base_wy", "base_wz"],
    "torso_quat": ["torso_qw", "torso_qx", "torso_qy", "torso_qz"],
    "torso_ang_vel": ["torso_wx", "torso_wy", "torso_wz"],
    "q": [f"q_{i}" for i in range(29)],
    "dq": [f"dq_{i}" for i in range(29)],
    "motor_torque": [f"tau_{i}" for i in range(29)],
    "action": [f"act_{i}" for i in range(29)],
    "token_state": [f"token_{i}" for i in range(64)],
    "encoder_mode": ["encoder_mode_0"],
    "motion_playing": ["playing_0"],
    "motion_name": ["motion_name"],
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    policy = write_random_policy(folder / "policy", encoder_hidden=(16,), decoder_hidden=(16,))
    path = folder / "run.mcap"
    config = run_config(str(policy), "goals.source=motion", "goals.motion=sway", "goals.encoder=teleop")
    return path, record_run(path, config, sway(), TICKS)


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_replay_ends_with_json_and_exit_code_0(recorded, capsys):
    assert main([str(recorded[0])]) == 0
    line = last_line(capsys)
    assert line["same"] is True
    assert line["ticks"] == len(recorded[1])
    assert (line["first_tick"], line["changed"], line["whole"]) == (None, [], True)


def test_another_policy_gives_exit_code_1_and_says_where(recorded, capsys, tmp_path):
    other = write_random_policy(tmp_path / "other", seed=3, encoder_hidden=(16,), decoder_hidden=(16,))
    assert main([str(recorded[0]), f"policy={other}"]) == 1
    out = capsys.readouterr().out
    assert "first difference in tick 0, 0.00 s after the first: action.token[" in out
    assert "not as it was when the run was recorded: encoder: recorded" in out
    line = json.loads(out.splitlines()[-1])
    assert line["first_tick"] == 0
    assert line["differing_ticks"] > 20


def test_a_recording_that_breaks_off_is_replayed_up_to_there_and_said(recorded, capsys, tmp_path):
    data = recorded[0].read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: int(0.9 * len(data))])
    assert main([str(tmp_path / "cut.mcap")]) == 0
    out = capsys.readouterr().out
    assert "is not whole: it breaks off or is damaged" in out
    assert 0 < json.loads(out.splitlines()[-1])["ticks"] < len(recorded[1])


def test_csv_files_have_the_columns_of_sonic(recorded, capsys, tmp_path):
    assert main([str(recorded[0]), f"csv={tmp_path}/logs"]) == 0
    found = {path.stem for path in (tmp_path / "logs").glob("*.csv")}
    assert found == set(COLUMNS)
    tables = {}
    for stem, columns in COLUMNS.items():
        with (tmp_path / "logs" / f"{stem}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["index", "time_ms", "time_realtime_ms", "time_monotonic_ms", "ros_timestamp", *columns]
        tables[stem] = rows
    reports = recorded[1]
    assert [int(row[0]) for row in tables["q"]] == [report.index for report in reports]
    assert [float(row[1]) for row in tables["q"]] == [20.0 * i for i in range(len(reports))]
    for row, report in zip(tables["q"], reports, strict=True):
        assert same_bits(np.array(row[5:], dtype=np.float64), report.state.joint_pos_hw)
    # the last action is that of the tick before, as it is fed back
    assert [float(v) for v in tables["action"][0][5:]] == [0.0] * 29
    np.testing.assert_array_equal(np.array(tables["action"][1][5:], dtype=np.float32), reports[0].decision.action_pol)
    assert {row[5] for row in tables["motion_name"][:30]} == {"sway"}
    assert {row[5] for row in tables["encoder_mode"][:30]} == {"1"}
    torso = g1.BODY_NAMES.index("torso_link")
    for row, report in list(zip(tables["torso_quat"], reports, strict=True))[::10]:
        state = report.state
        _, quat = forward_kinematics(np.zeros((1, 3)), state.base_quat_wxyz[None], state.joint_pos_hw[None])
        np.testing.assert_allclose(np.array(row[5:], dtype=np.float64), quat[0, torso], atol=1e-9)
    metadata = json.loads((tmp_path / "logs" / "metadata.json").read_text())
    assert metadata["logging"] == {"dt": 0.02, "num_joints": 29, "num_actions": 29}


def test_the_torso_turns_with_pelvis_and_waist():
    from sonic_runtime.record.export_csv import torso_motion
    from tests.fakes.parts import make_state

    rng = np.random.default_rng(1)
    pos, vel, spin = 0.3 * rng.normal(size=29), rng.normal(size=29), rng.normal(size=3)
    torso, step = g1.BODY_NAMES.index("torso_link"), 1e-6
    quat_0, spin_torso = torso_motion(make_state(joint_pos_hw=pos, joint_vel_hw=vel, base_ang_vel_b=spin))
    # a step in time: joints by their speeds, pelvis by its own
    turned = np.array([1.0, *(0.5 * step * spin)])
    quat_1, _ = torso_motion(make_state(joint_pos_hw=pos + step * vel, base_quat_wxyz=turned / np.linalg.norm(turned)))
    _, expected = forward_kinematics(np.zeros((1, 3)), np.array([[1.0, 0, 0, 0]]), pos[None])
    np.testing.assert_allclose(quat_0, expected[0, torso], atol=1e-12)
    from sonic_runtime.contract.rotations import quat_conjugate, quat_multiply

    np.testing.assert_allclose(2.0 * quat_multiply(quat_conjugate(quat_0), quat_1)[1:] / step, spin_torso, atol=1e-5)


@pytest.mark.parametrize("of", ["robot", "reference"])
def test_what_was_tracked_becomes_a_motion_that_can_be_read(recorded, capsys, tmp_path, of):
    assert main([str(recorded[0]), f"motion={tmp_path}/again", f"motion_of={of}"]) == 0
    clip = read_reference_folder(tmp_path / "again", "again")
    reports = [report for report in recorded[1] if report.mode == "active"]
    assert len(clip) == len(reports)
    if of == "robot":
        expected = np.array([report.state.joint_pos_hw for report in reports])
    else:
        shown = [report.goal.reference for report in reports]
        expected = np.array([g1.to_hw_order(r.joint_pos_pol[r.cursor]) for r in shown])
        assert clip.smpl_measured
    np.testing.assert_allclose(clip.joint_pos_hw, expected, atol=1e-8)


def test_an_export_is_not_written_over_anything(recorded, tmp_path):
    with pytest.raises(RecordingError, match="expected no such folder yet"):
        main([str(recorded[0]), f"csv={tmp_path}"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["csv=x"]])
def test_the_file_comes_first(arguments):
    with pytest.raises(ConfigError, match="expected a recording first"):
        main(arguments)


def test_help_names_the_keys(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "sonic-replay FILE.mcap" in out
    assert "motion_of=robot" in out


def test_recorded_observations_are_what_the_networks_were_given(recorded, tmp_path):
    policy = Recording(recorded[0]).about.metadata["policy"]["folder"]
    path = tmp_path / "o.mcap"
    reports = record_run(path, run_config(policy), sway(), 20, observations=True)
    recording = Recording(path)
    decoder = list(recording.messages("/observation/decoder"))
    encoder = list(recording.messages("/observation/encoder"))
    assert len(decoder) == len(encoder) == sum(report.decision.action_pol is not None for report in reports)
    assert (decoder[0]["values"].shape, encoder[0]["values"].shape) == ((994,), (1762,))
    # the decoder's input begins with the token
    for content in decoder:
        np.testing.assert_array_equal(content["values"][:64], reports[content["tick"]].decision.token)
