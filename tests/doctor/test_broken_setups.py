"""Set-ups that are broken on purpose, from end to end: the doctor names the cause of each, and what to do."""

import json
import shutil
import socket
import threading

import msgspec
import numpy as np
import onnx
import pytest
import zmq

from sonic_runtime.contract.manifest import read_manifest
from sonic_runtime.doctor.command import main
from sonic_runtime.motions.reference_folder import write_reference_folder
from teleop.command_packet import Command, pack_command
from teleop.wire import pack
from tests.fakes.random_policy import write_model, write_random_policy
from tests.record.runs import pose_messages, sway

QUICK = ("seconds=0.3", "leave_out=[machine,timing,speed]")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "policy"
    return write_random_policy(folder, encoder_hidden=(16,), decoder_hidden=(16,))


@pytest.fixture
def policy(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "policy")


@pytest.fixture
def doctor(capsys, tmp_path, monkeypatch):
    """Runs the doctor and returns its exit code, and what is not ok as {check: (level, found, remedy)}."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([*QUICK, "output.endpoint=null", *arguments])
        out = capsys.readouterr().out
        line = json.loads(out.splitlines()[-1])
        assert line["safe"] is (code == 0)
        wrong = {f["check"]: (f["level"], f["found"], f["remedy"]) for f in line["findings"] if f["level"] != "ok"}
        for _, found, remedy in wrong.values():
            assert found.splitlines()[0] in out
            assert remedy
            assert f"-> {remedy}" in out
        return code, wrong

    return run


@pytest.fixture
def endpoint():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Sender:
    """Sends messages for ever, from a thread."""

    def __init__(self, endpoint, messages):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, args=(endpoint, messages))
        self._thread.start()

    def _send(self, endpoint, messages):
        with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
            publisher.set(zmq.LINGER, 0)
            publisher.bind(endpoint)
            while not self._stop.wait(0.01):
                for message in messages:
                    publisher.send(message)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def test_a_sound_set_up_is_safe(doctor, policy):
    assert doctor(f"policy={policy}") == (0, {})


def test_1_a_missing_file(doctor, policy):
    (policy / "decoder.onnx").unlink()
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert "expected decoder.onnx in" in wrong["policy"][1]
    assert wrong["policy"][2] == "write them with sonic-export"


@pytest.mark.parametrize("name", ["encoder.onnx", "observation_config.yaml"])
def test_2_a_git_lfs_pointer(doctor, policy, name):
    (policy / name).write_bytes(POINTER)
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert wrong["policy"][1] == f"Git LFS pointers in the place of files: {policy / name}"
    assert "git lfs pull" in wrong["policy"][2]


def test_3_a_truncated_onnx_file(doctor, policy):
    data = (policy / "decoder.onnx").read_bytes()
    (policy / "decoder.onnx").write_bytes(data[: len(data) // 2])
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert "decoder.onnx: expected an ONNX model" in wrong["policy"][1]
    assert "copy the file again" in wrong["policy"][2]


def test_4_no_manifest(doctor, policy):
    model = onnx.load(policy / "encoder.onnx")
    del model.metadata_props[:]
    onnx.save(model, policy / "encoder.onnx")
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert (
        "expected the policy manifest under the metadata key 'sonic_manifest', found no metadata" in wrong["policy"][1]
    )


def test_5_a_manifest_of_other_gains(doctor, policy):
    manifest = read_manifest(policy / "decoder.onnx")
    stiffness = (*manifest.stiffness_pol[:3], 12.5, *manifest.stiffness_pol[4:])
    changed = msgspec.structs.replace(manifest, stiffness_pol=stiffness)
    write_model(policy / "decoder.onnx", onnx.load(policy / "decoder.onnx"), changed)
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert "stiffness_pol[3]: expected" in wrong["policy"][1]
    assert "found 12.5" in wrong["policy"][1]


def test_6_an_encoder_and_a_decoder_of_two_policies(doctor, policy):
    manifest = read_manifest(policy / "decoder.onnx")
    changed = msgspec.structs.replace(manifest, pair_id="fedcba9876543210")
    write_model(policy / "decoder.onnx", onnx.load(policy / "decoder.onnx"), changed)
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert "were not exported together" in wrong["policy"][1]


def test_7_an_observation_config_that_does_not_fit(doctor, policy):
    path = policy / "observation_config.yaml"
    path.write_text(path.read_text().replace("his_gravity_dir_10frame_step1", "his_gravity_dir_5frame_step1"))
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert "observation_config.yaml: observations: the ONNX file says" in wrong["policy"][1]


def test_8_a_port_that_is_taken(doctor, policy, endpoint):
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        other.bind(endpoint)
        code, wrong = doctor(f"policy={policy}", f"output.endpoint={endpoint}")
    assert code == 1
    assert f"{endpoint}: the port is in use by another program" in wrong["output"][1]
    assert "output.endpoint=" in wrong["output"][2]


def test_9_a_stream_that_is_silent(doctor, policy, endpoint):
    code, wrong = doctor(f"policy={policy}", f"goals.endpoint={endpoint}")
    assert code == 1
    assert f"{endpoint}: no message in 1 s, nobody has the port" in wrong["stream"][1]
    assert "start the sender" in wrong["stream"][2]


def test_a_port_behind_which_nothing_is_sent(doctor, policy, endpoint):
    with Sender(endpoint, []):
        code, wrong = doctor(f"policy={policy}", f"goals.endpoint={endpoint}")
    assert code == 1
    assert "a program has the port and sends nothing" in wrong["stream"][1]


def test_10_a_stream_of_something_else(doctor, policy, endpoint):
    message = pack("pose", 1, {"joint_pos": np.full((1, 29), np.nan), "frame_index": np.array([3])})
    with Sender(endpoint, [message]):
        code, wrong = doctor(f"policy={policy}", f"goals.endpoint={endpoint}")
    assert code == 1
    assert "valid: none" in wrong["stream"][1]
    assert "the last because pose: " in wrong["stream"][1]


def test_a_stream_of_another_topic(doctor, policy, endpoint):
    with Sender(endpoint, [b"image and so on"]):
        code, wrong = doctor(f"policy={policy}", f"goals.endpoint={endpoint}")
    assert code == 1
    assert "of topics that no run reads" in wrong["stream"][1]
    assert wrong["stream"][2] == "let the sender publish pose, command, planner, manager_state"


def test_a_stream_with_a_bad_message_now_and_then_is_a_warning(doctor, policy, endpoint):
    with Sender(endpoint, [*pose_messages(sway(), 20)[15], b"pose and nothing more"]):
        code, wrong = doctor(f"policy={policy}", f"goals.endpoint={endpoint}")
    assert code == 0
    assert wrong["stream"][0] == "warning"


def test_a_sound_stream_of_two_topics_is_safe(doctor, policy, endpoint):
    command = pack_command(Command(start=False, stop=False, planner=False))
    with Sender(endpoint, [*pose_messages(sway(), 20)[15], command]):
        assert doctor(f"policy={policy}", f"goals.endpoint={endpoint}") == (0, {})


def test_11_motions_that_are_git_lfs_pointers(doctor, policy, tmp_path):
    folder = tmp_path / "motions" / "walk"
    folder.mkdir(parents=True)
    for name in ("joint_pos.csv", "joint_vel.csv", "body_quat.csv"):
        (folder / name).write_bytes(POINTER)
    code, wrong = doctor(f"policy={policy}", f"motions={tmp_path / 'motions'}")
    assert code == 1
    assert "Git LFS pointers in the place of files" in wrong["motions"][1]
    assert "joint_pos.csv" in wrong["motions"][1]


def test_12_a_motion_with_a_wrong_number_of_columns(doctor, policy, tmp_path):
    folder = write_reference_folder(sway(), tmp_path / "walk")
    lines = (folder / "joint_pos.csv").read_text().splitlines()
    (folder / "joint_pos.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    code, wrong = doctor(f"policy={policy}", "goals.source=motion", f"goals.motion={folder}")
    assert code == 1
    assert "joint_pos.csv: expected 29 columns, found 28" in wrong["motions"][1]


def test_13_a_folder_for_runs_that_is_a_file(doctor, policy, tmp_path):
    (tmp_path / "runs").write_text("")
    code, wrong = doctor(f"policy={policy}")
    assert code == 1
    assert f"{tmp_path / 'runs'} is a file" in wrong["disk"][1]
    assert "run_dir=" in wrong["disk"][2]


def test_a_folder_for_runs_that_cannot_be_written(doctor, policy):
    code, wrong = doctor(f"policy={policy}", "run_dir=/proc/runs")
    assert code == 1
    assert "/proc cannot be written to (" in wrong["disk"][1]


def test_14_a_guard_that_is_turned_off_is_shown(doctor, policy):
    code, wrong = doctor(f"policy={policy}", "guard.off=[tilt,overrun]")
    assert code == 0
    assert wrong["guard"] == ("warning", "turned off: tilt, overrun", "leave out guard.off")


def test_15_a_key_that_does_not_exist(doctor, policy):
    code, wrong = doctor(f"policy={policy}", "goals.endpiont=tcp://127.0.0.1:5556")
    assert code == 1
    assert "there is no key 'goals.endpiont' (did you mean 'goals.endpoint'?)" in wrong["configuration"][1]


def test_16_a_clock_that_does_not_go_with_a_stream(doctor, policy):
    code, wrong = doctor(f"policy={policy}", "clock=lockstep")
    assert code == 1
    assert wrong["clock of the loop"][2] == "set clock=real_time"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["goals.source=motion"], "goals.source=motion without a motion"),
        (["goals.source=motion", "goals.motion=walkk"], "walkk: neither a file nor a procedural motion"),
        (["goals.source=motion", "goals.motion=a/b.npz"], "a/b.npz: expected a motion file or a folder of them"),
    ],
)
def test_17_a_motion_that_is_not_there(doctor, policy, arguments, expected):
    code, wrong = doctor(f"policy={policy}", *arguments)
    assert code == 1
    assert expected in wrong["motions"][1]


def test_a_procedural_motion_is_known_by_name(doctor, policy):
    assert doctor(f"policy={policy}", "goals.source=motion", "goals.motion=walk") == (0, {})


def test_18_addresses_that_are_none(doctor, policy):
    code, wrong = doctor(f"policy={policy}", "output.endpoint=nonsense", "goals.endpoint=nonsense")
    assert code == 1
    assert "nonsense: expected an address such as" in wrong["output"][1]
    assert "expected an address such as" in wrong["stream"][1]


def test_a_released_model_is_a_warning_that_says_what_is_taken_on_trust(doctor, policy):
    for part in ("encoder", "decoder"):
        model = onnx.load(policy / f"{part}.onnx")
        del model.metadata_props[:]
        onnx.save(model, policy / f"model_{part}.onnx")
        (policy / f"{part}.onnx").unlink()
    code, wrong = doctor(f"policy=sonic_release:{policy}")
    assert code == 0
    assert wrong["policy"][0] == "warning"
    assert "no manifest in the ONNX files" in wrong["policy"][1]


def test_help_tells_its_keys_and_those_of_sonic_run(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "leave_out" in out
    assert "the keys of sonic-run" in out
