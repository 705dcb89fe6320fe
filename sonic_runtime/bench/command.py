"""`sonic-bench WHAT`: finds the measurement by name, prints its table, and one line of JSON last."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import msgspec

from sonic_runtime.command_line import help_text, say, wants_help
from sonic_runtime.config import load_config
from sonic_runtime.contract.errors import ConfigError

Report = tuple[list[str], dict[str, Any]]
"""What a measurement prints: lines, and what its last line of JSON holds."""


def main(arguments: list[str]) -> int:
    """Run the measurement named by the first argument.

    Raises:
        ConfigError: there is no such measurement, or a key is wrong.
    """
    if arguments and arguments[0] in BENCHES:
        return BENCHES[arguments[0]](arguments[1:])
    names = ", ".join(BENCHES)
    if wants_help(arguments):
        say("usage: sonic-bench WHAT [key=value ...]")
        say(f"WHAT is one of {names}; sonic-bench WHAT --help shows its keys.")
        return 0
    found = repr(arguments[0]) if arguments else "nothing"
    raise ConfigError(f"expected what to measure, one of: {names}; got {found}")


def _measure(
    name: str,
    text: str,
    config: str,
    schema: type[msgspec.Struct],
    report: Callable[[Any], Report],
    arguments: list[str],
) -> int:
    if wants_help(arguments):
        say(help_text(f"sonic-bench {name} [key=value ...]", f"{text} The last line is JSON.", config, schema))
        return 0
    lines, last = report(load_config(config, arguments, schema))
    for line in lines:
        say(line)
    say(msgspec.json.encode(last).decode())
    return 0


def _tick(arguments: list[str]) -> int:
    from sonic_runtime.bench.tick import BenchConfig, measure_tick

    def report(config: BenchConfig) -> Report:
        result = measure_tick(config)
        return [result.table()], result.line()

    return _measure("tick", "Measures the tick stage by stage, on MuJoCo.", "bench", BenchConfig, report, arguments)


def _loop(arguments: list[str]) -> int:
    from sonic_runtime.bench.loop import LoopBenchConfig, loop_line, measure_loop

    def report(config: LoopBenchConfig) -> Report:
        results = measure_loop(config)
        return [result.table() for result in results], loop_line(config, results)

    text = "Measures how well the loop keeps its deadlines: loop, writer and simulated robot in real time."
    return _measure("loop", text, "bench_loop", LoopBenchConfig, report, arguments)


def _writer(arguments: list[str]) -> int:
    from sonic_runtime.bench.writer import WriterBenchConfig, measure_writer, writer_line

    def report(config: WriterBenchConfig) -> Report:
        results = measure_writer(config)
        return [result.table() for result in results], writer_line(config, results)

    text = "Measures how late the 500 Hz writer's cycles begin."
    return _measure("writer", text, "bench_writer", WriterBenchConfig, report, arguments)


def _dds(arguments: list[str]) -> int:
    if importlib.util.find_spec("cyclonedds") is None:
        raise ConfigError(
            "sonic-bench dds: expected the package cyclonedds, found none; pip install 'sonic-wbc[robot]'"
        )
    from sonic_runtime.bench.dds import DdsBenchConfig, measure_dds

    def report(config: DdsBenchConfig) -> Report:
        result = measure_dds(config)
        return [result.table()], result.line()

    text = "Measures states and commands over DDS on this machine, both ways."
    return _measure("dds", text, "bench_dds", DdsBenchConfig, report, arguments)


def _guard(arguments: list[str]) -> int:
    from sonic_runtime.bench.guard import main as guard

    return guard(arguments)


def _streams(arguments: list[str]) -> int:
    from sonic_runtime.bench.streams import StreamsBenchConfig, measure_streams, streams_line, streams_tables

    def report(config: StreamsBenchConfig) -> Report:
        results = measure_streams(config)
        return streams_tables(results), streams_line(config, results)

    text = "Measures what messages of each protocol version cost the receiver."
    return _measure("streams", text, "bench_streams", StreamsBenchConfig, report, arguments)


def _compare(arguments: list[str]) -> int:
    from sonic_runtime.bench.compare import main as compare

    return compare(arguments)


BENCHES: dict[str, Callable[[list[str]], int]] = {
    "tick": _tick,
    "loop": _loop,
    "writer": _writer,
    "dds": _dds,
    "guard": _guard,
    "streams": _streams,
    "compare": _compare,
}
"""Measurements by name."""
