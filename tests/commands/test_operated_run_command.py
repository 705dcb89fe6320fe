"""`sonic-run` on the simulated robot in real time, operated from its own terminal from the start to the end."""

import termios
import time

import numpy as np

from sonic_runtime.motions.clip import clip_from_qpos
from sonic_runtime.motions.read import read_motions
from sonic_runtime.motions.reference_folder import write_reference_folder
from sonic_runtime.robots import g1
from tests.fakes.terminal_program import TerminalProgram

CODE = "import sys; from sonic_runtime import cli; sys.argv = ['sonic-run', *sys.argv[1:]]; sys.exit(cli.run())"


def waving(name, joint):
    """Stand and wave for four seconds."""
    joints = np.tile(g1.DEFAULT_POS_HW, (200, 1))
    joints[:, g1.JOINT_NAMES_HW.index(joint)] -= 0.4 * (1.0 - np.cos(np.linspace(0.0, 4.0 * np.pi, 200)))
    root = np.tile([0.0, 0.0, g1.STANDING_PELVIS_HEIGHT_M], (200, 1))
    return clip_from_qpos(name, 50.0, root, np.tile([1.0, 0.0, 0.0, 0.0], (200, 1)), joints)


def test_an_operator_needs_no_second_window(tmp_path):
    for side in ("left", "right"):
        clip = waving(f"wave_{side}", f"{side}_shoulder_pitch_joint")
        write_reference_folder(clip, tmp_path / "motions" / clip.name)
    program = TerminalProgram(
        "-c", CODE, "goals.source=motion", f"goals.motion={tmp_path}/motions", "output.endpoint=null",
        f"run_dir={tmp_path}/run", "record.motion=true", "ramp_s=1.5",
        # what a busy machine does to the time of a test is not what is tested
        "guard.off=[overrun,stale_state,tilt,base_height]",
    )  # fmt: skip
    try:
        program.expect("CHECKS OF THE GUARD ARE OFF: overrun", 60.0)
        program.expect("waiting: nothing moves")
        program.press("]")
        program.expect("ready: holds the default pose")
        program.press("]")
        program.expect("stand: the policy balances")
        time.sleep(1.0)
        program.press("t")
        program.expect(r"active \| .*track \| wave_left 1/2: on the way to it, playing \| g1")
        program.expect(r"wave_left 1/2: frame \d+/200, playing")
        program.press("k")
        program.expect(r"wave_left 1/2: frame \d+/200, paused")
        program.press("n")
        program.expect("motion 2 of 2: wave_right, 4.0 s")
        program.expect("wave_right 2/2: frame 1/200, paused")
        program.press("t")
        program.expect(r"wave_right 2/2: frame 200/200, paused \| g1")
        program.press("z")
        program.expect("encoder: teleop")
        program.press("o")
        assert program.wait() == 0
        assert "ended by stopped" in program.text
        assert termios.tcgetattr(program.slave) == program.before
    finally:
        program.close()
    (recorded,) = read_motions(tmp_path / "run" / "motion")
    assert recorded.duration_s > 5.0
    lifted = recorded.joint_pos_hw[:, g1.JOINT_NAMES_HW.index("right_shoulder_pitch_joint")]
    assert np.ptp(lifted) > 0.15  # the shipped policy follows a third of a wave
