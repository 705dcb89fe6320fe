"""`sonic-sim2sim`: how well a policy tracks motions in MuJoCo, clip by clip, in lockstep."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from sonic_runtime.app import load_policy
from sonic_runtime.command_line import help_text, say, wants_help
from sonic_runtime.config import load_config, make_run_folder, save_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.evaluate import Evaluation, evaluate
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.motions.clip import Clip
from sonic_runtime.motions.sources import find_clips
from sonic_runtime.results.sim2sim_report import write_sim2sim_report
from sonic_runtime.results.tracking import ClipResult, Summary, summarize
from sonic_runtime.whole_file import write_whole

_DESCRIPTION = """Evaluates a policy in MuJoCo: each clip from its first frame, in lockstep, as fast as it goes.
motions takes files, folders, `procedural` or a kind of procedural motion, separated by commas.
Prints a table and, last, one line of JSON; writes results.json, clips.csv and report.html into the run folder."""


class Sim2SimConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An evaluation."""

    policy: str
    """Name of a packaged policy, or folder with encoder.onnx, decoder.onnx and observation_config.yaml."""
    motions: tuple[str, ...]
    """Files, folders, `procedural` (the built-in library) or kinds of procedural motion."""
    encoder: Literal["g1", "teleop", "smpl"]
    """Encoder that reads the motions."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)]
    """Processes; each takes one core."""
    pictures: Annotated[int, msgspec.Meta(ge=0, le=20)]
    """Clips drawn in the report, the worst ones; each takes some seconds."""
    run_dir: str
    """Folder of the results; {time} becomes the start time."""
    guard: GuardConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Sim2SimResult:
    """What an evaluation found.

    Attributes:
        clips: one by one, in the order of the motions.
        summary: their means.
        worst: the evaluations to draw, worst first.
        speed_x_real_time: simulated seconds per second of wall time, of all workers together.
    """

    clips: list[ClipResult]
    summary: Summary
    worst: list[Evaluation]
    speed_x_real_time: float


def main(arguments: list[str]) -> int:
    """Run the command; the exit code is 0 whatever the success rate."""
    if wants_help(arguments):
        say(help_text("sonic-sim2sim [key=value ...]", _DESCRIPTION, "sim2sim", Sim2SimConfig))
        return 0
    config = load_config("sim2sim", [motions_as_list(argument) for argument in arguments], Sim2SimConfig)
    # what can be wrong is found before the motions are made, which takes a minute, and evaluated, which takes longer
    load_policy(config.policy)
    clips = gather_clips(config)
    folder = make_run_folder(config.run_dir)
    save_config(config, folder)
    say(table_header(clips))
    result = run_sim2sim(config, clips)
    line = result_line(config, result)
    write_results(folder, line, result.clips)
    report = write_sim2sim_report(folder / "report.html", line, result.clips, result.worst)
    say(f"report: {report}")
    say(msgspec.json.encode(line).decode())
    return 0


def motions_as_list(argument: str) -> str:
    """Turn `motions=a,b` into the list it means; in the grammar of Hydra a comma would ask for two runs."""
    key, _, value = argument.partition("=")
    if key != "motions" or value.startswith("["):
        return argument
    quoted = ",".join("'" + item.replace("\\", "\\\\").replace("'", "\\'") + "'" for item in value.split(","))
    return f"motions=[{quoted}]"


def gather_clips(config: Sim2SimConfig) -> list[Clip]:
    """Return the clips of all sources.

    Raises:
        ConfigError: there is no source.
        MotionError: a source is unknown or a file cannot be read.
    """
    if not any(config.motions):
        raise ConfigError("motions: expected files, folders or procedural, found nothing; e.g. motions=procedural")
    clips = [clip for source in config.motions for clip in find_clips(source, workers=config.workers)]
    if not clips:
        raise ConfigError(f"motions={','.join(config.motions)}: expected at least one motion, found none")
    return clips


def run_sim2sim(config: Sim2SimConfig, clips: Sequence[Clip]) -> Sim2SimResult:
    """Evaluate the clips and print a row for each."""
    results: list[ClipResult] = []
    worst: list[Evaluation] = []
    simulated_s = 0.0
    width = _name_width(clips)
    start = time.perf_counter()
    for evaluation in evaluate(clips, config.policy, config.encoder, config.guard, config.workers):
        results.append(evaluation.result)
        simulated_s += len(evaluation.recording) / clips[0].fps
        # recordings are large: only those to be drawn are kept
        worst = sorted([*worst, evaluation], key=_badness, reverse=True)[: config.pictures]
        say(table_row(evaluation.result, width))
    return Sim2SimResult(
        clips=results,
        summary=summarize(results),
        worst=worst,
        speed_x_real_time=simulated_s / (time.perf_counter() - start),
    )


def table_header(clips: Sequence[Clip]) -> str:
    """Return the line above the rows."""
    name = f"{'clip':<{_name_width(clips)}}"
    return f"{name} {'s':>6} {'ok':>4} {'mpjpe_l':>8} {'mpjpe_g':>8} {'xy mean':>8} {'xy max':>7} {'foot':>5}  failure"


def table_row(result: ClipResult, width: int) -> str:
    """Return the line of a clip: mm, and m over the ground."""
    failure = "" if result.success else f"{result.failure} at {result.failure_s:.2f} s"
    return (
        f"{result.name:<{width}} {result.seconds:6.1f} {'yes' if result.success else 'NO':>4} {result.mpjpe_l_mm:8.1f} "
        f"{result.mpjpe_g_mm:8.1f} {result.root_xy_error_m:8.3f} {result.root_xy_error_max_m:7.3f} "
        f"{'yes' if result.foot_rule else 'no':>5}  {failure}"
    ).rstrip()


def result_line(config: Sim2SimConfig, result: Sim2SimResult) -> dict[str, Any]:
    """Return the numbers of the last line of output."""
    summary = result.summary
    return {
        "clips": summary.clips,
        "success_rate": round(summary.success_rate, 4),
        "mpjpe_l_mm": round(summary.mpjpe_l_mm, 2),
        "mpjpe_g_mm": round(summary.mpjpe_g_mm, 2),
        "root_xy_error_m": round(summary.root_xy_error_m, 4),
        "speed_x_real_time": round(result.speed_x_real_time, 1),
        "success_rate_foot_rule": round(summary.success_rate_foot_rule, 4),
        "mpjpe_l_mm_success": None if summary.mpjpe_l_mm_success is None else round(summary.mpjpe_l_mm_success, 2),
        "encoder": config.encoder,
        "policy": config.policy,
    }


def write_results(folder: Path, line: dict[str, Any], clips: Sequence[ClipResult]) -> None:
    """Write results.json (means and clips) and clips.csv, each whole or not at all."""
    content = msgspec.json.encode({**line, "per_clip": [asdict(clip) for clip in clips]})
    write_whole(folder / "results.json", msgspec.json.format(content, indent=2))
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow([field.name for field in fields(ClipResult)])
    writer.writerows(asdict(clip).values() for clip in clips)
    write_whole(folder / "clips.csv", table.getvalue().encode())


def _badness(evaluation: Evaluation) -> tuple[bool, float]:
    return not evaluation.result.success, evaluation.result.mpjpe_l_mm


def _name_width(clips: Sequence[Clip]) -> int:
    return min(48, max(len(clip.name) for clip in clips))
