"""Writes a recording as the CSV files that SONIC's runtime logs: the same files, the same columns.

Every file begins with index, time_ms, time_realtime_ms, time_monotonic_ms, ros_timestamp; behind them

    base_quat.csv            base_qw base_qx base_qy base_qz          pelvis in the world
    base_ang_vel.csv         base_wx base_wy base_wz                  pelvis, its own frame [rad/s]
    torso_quat.csv           torso_qw torso_qx torso_qy torso_qz      pelvis turned by the waist joints
    torso_ang_vel.csv        torso_wx torso_wy torso_wz               its own frame [rad/s]
    q.csv, dq.csv            q_0 ... q_28, dq_0 ... dq_28             motor order, absolute [rad], [rad/s]
    motor_torque.csv         tau_0 ... tau_28                         motor order [N m]
    motor_temperature.csv    temp_0 ... temp_57                       two a motor, here twice the hotter one
    motor_error.csv          err_0 ... err_28                         where known
    action.csv               act_0 ... act_28                         raw action of the tick before, policy order
    token_state.csv          token_0 ... token_63                     in ticks with a token
    encoder_mode.csv         encoder_mode_0                           mode of the encoder; -1 ready token, -2 no token
    motion_playing.csv       playing_0                                1 while the reference plays
    motion_name.csv          motion_name                              where the reference comes from

Files of parts that this robot does not report (accelerometers, hands) are left out. Numbers have all their digits.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from sonic_runtime.contract.errors import RecordingError
from sonic_runtime.contract.layout import RELEASE_ENCODERS
from sonic_runtime.contract.messages import Array, RobotState
from sonic_runtime.contract.rotations import quat_multiply
from sonic_runtime.record.about import CONFIG_NAME
from sonic_runtime.record.read import RecordedTick, Recording
from sonic_runtime.robots import g1

TIME_COLUMNS = ("index", "time_ms", "time_realtime_ms", "time_monotonic_ms", "ros_timestamp")
_WAIST = [
    (g1.JOINT_NAMES_HW.index(f"waist_{name}_joint"), axis) for name, axis in (("yaw", 2), ("roll", 0), ("pitch", 1))
]
_MODE_OF = {encoder.name: encoder.mode_id for encoder in RELEASE_ENCODERS}
_READY_TOKEN, _NO_TOKEN = -1, -2
_CONTROL_S = 0.02
Values = Sequence[Any] | None
"""Values of one row; None where the tick has none and the row is left out."""


class _Writer(Protocol):
    def writerow(self, row: Sequence[Any], /) -> Any: ...


class Table(NamedTuple):
    """One file: its columns behind the times, and what a tick puts into them."""

    stem: str
    columns: tuple[str, ...]
    values: Callable[[RecordedTick], Values]


def write_csv(recording: Recording, folder: Path) -> int:
    """Write a recording as CSV files, all of them or none.

    Args:
        recording: the run.
        folder: folder to make; must not exist yet.

    Returns:
        The number of ticks written.

    Raises:
        RecordingError: the folder exists or cannot be written, or the recording is malformed.
    """
    if folder.exists():
        raise RecordingError(f"{folder}: expected no such folder yet, found one; choose another for csv=")
    scratch = folder.with_name(f".{folder.name}.partial")
    try:
        scratch.mkdir(parents=True)
        count = _write_tables(recording, scratch)
        (scratch / "metadata.json").write_bytes(_metadata(recording))
        for empty in [path for path in scratch.glob("*.csv") if not path.stat().st_size]:
            empty.unlink()
        scratch.rename(folder)
    except OSError as error:
        raise RecordingError(f"{folder}: the CSV files cannot be written there ({error.strerror})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return count


def torso_motion(state: RobotState) -> tuple[Array, Array]:
    """Return orientation wxyz of the torso in the world, and its angular velocity [rad/s] in its own frame.

    Follows the waist, yaw about z, roll about x, pitch about y, from the pelvis up.
    """
    quat, spin = state.base_quat_wxyz, state.base_ang_vel_b
    for joint, axis in _WAIST:
        half = 0.5 * float(state.joint_pos_hw[joint])
        turn = np.array([np.cos(half), 0.0, 0.0, 0.0])
        turn[1 + axis] = np.sin(half)
        quat = quat_multiply(quat, turn)
        # seen from the turned frame, the other two components turn back
        c, s = np.cos(2.0 * half), np.sin(2.0 * half)
        j, k = (axis + 1) % 3, (axis + 2) % 3
        turned = spin.copy()
        turned[j], turned[k] = c * spin[j] + s * spin[k], c * spin[k] - s * spin[j]
        turned[axis] += state.joint_vel_hw[joint]
        spin = turned
    return quat, spin


def _write_tables(recording: Recording, folder: Path) -> int:
    last_action = np.zeros(len(g1.JOINT_NAMES_POL), dtype=np.float32)

    def action(tick: RecordedTick) -> Values:
        return last_action.tolist()

    first: RecordedTick | None = None
    count = 0
    with ExitStack() as files:
        writers: dict[str, _Writer] = {}
        tables = [*_tables(_motion_name(recording)), Table("action", _numbered("act", 29), action)]
        for table in tables:
            file = files.enter_context((folder / f"{table.stem}.csv").open("w", newline=""))
            writers[table.stem] = csv.writer(file, lineterminator="\n")
        headed: set[str] = set()
        for tick in recording.ticks():
            first = tick if first is None else first
            times = _times(tick, first)
            for table in tables:
                values = table.values(tick)
                if values is None:
                    continue
                if table.stem not in headed:
                    headed.add(table.stem)
                    writers[table.stem].writerow((*TIME_COLUMNS, *table.columns))
                writers[table.stem].writerow((*times, *values))
            last_action = tick.action.get("action_pol", last_action)
            count += 1
    return count


def _times(tick: RecordedTick, first: RecordedTick) -> tuple[Any, ...]:
    passed_ms = (tick.now_ns - first.now_ns) * 1e-6
    return (
        tick.index,
        f"{passed_ms:.3f}",
        f"{tick.wall_ns * 1e-6:.3f}",
        f"{tick.now_ns * 1e-6:.3f}",
        (f"{tick.wall_ns * 1e-9:.9f}"),
    )


def _numbered(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}_{i}" for i in range(count))


def _lettered(prefix: str, letters: str) -> tuple[str, ...]:
    return tuple(prefix + letter for letter in letters)


def _tables(motion_name: str) -> Iterator[Table]:
    """Yield the files whose rows depend on one tick alone."""
    yield Table("base_quat", _lettered("base_q", "wxyz"), lambda t: t.state.base_quat_wxyz.tolist())
    yield Table("base_ang_vel", _lettered("base_w", "xyz"), lambda t: t.state.base_ang_vel_b.tolist())
    yield Table("torso_quat", _lettered("torso_q", "wxyz"), lambda t: torso_motion(t.state)[0].tolist())
    yield Table("torso_ang_vel", _lettered("torso_w", "xyz"), lambda t: torso_motion(t.state)[1].tolist())
    yield Table("q", _numbered("q", 29), lambda t: t.state.joint_pos_hw.tolist())
    yield Table("dq", _numbered("dq", 29), lambda t: t.state.joint_vel_hw.tolist())
    yield Table("motor_torque", _numbered("tau", 29), lambda t: t.state.joint_torque_hw.tolist())
    yield Table("motor_temperature", _numbered("temp", 58), lambda t: _twice(t.state.motor_temperature_c_hw))
    yield Table("motor_error", _numbered("err", 29), lambda t: _listed(t.state.motor_error_hw))
    yield Table("token_state", _numbered("token", 64), lambda t: _listed(t.action.get("token")))
    yield Table("encoder_mode", ("encoder_mode_0",), lambda t: [_encoder_mode(t)])
    yield Table("motion_playing", ("playing_0",), lambda t: [int(t.goal is not None and t.goal["playing"])])
    yield Table("motion_name", ("motion_name",), lambda t: ["" if t.goal is None else motion_name])


def _listed(values: Array | None) -> Values:
    return None if values is None else values.tolist()


def _twice(values: Array | None) -> Values:
    return None if values is None else np.repeat(values, 2).tolist()


def _encoder_mode(tick: RecordedTick) -> int:
    if "token" not in tick.action:
        return _NO_TOKEN
    if tick.goal is None:
        return _MODE_OF["g1"]
    return _READY_TOKEN if "token" in tick.goal else _MODE_OF.get(tick.goal["encoder"], _NO_TOKEN)


def _config(recording: Recording) -> dict[str, Any]:
    config = msgspec.yaml.decode(recording.about.attachment(CONFIG_NAME))
    return config if isinstance(config, dict) else {}


def _motion_name(recording: Recording) -> str:
    """Return what SONIC's runtime calls a stream, or the motion that was asked for."""
    goals = _config(recording).get("goals")
    motion = goals.get("motion") if isinstance(goals, dict) else None
    return "streamed" if motion is None else str(motion)


def _metadata(recording: Recording) -> bytes:
    config = _config(recording)
    content = {
        "logging": {"dt": _CONTROL_S, "num_joints": len(g1.JOINT_NAMES_HW), "num_actions": len(g1.JOINT_NAMES_POL)},
        "robot_config": {
            "model_path": str(config.get("policy", "")),
            "reference_motion_path": _motion_name(recording),
            "control_frequency": 1.0 / _CONTROL_S,
        },
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
