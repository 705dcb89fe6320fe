"""The measurements of loop and writer: they run what they say and count it; how fast it was is not asserted."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from sonic_runtime.bench.loop import LoopBenchConfig, loop_line, measure_loop
from sonic_runtime.bench.neighbour import start_neighbour, stolen_ms
from sonic_runtime.bench.writer import WriterBenchConfig, measure_writer, writer_line
from sonic_runtime.config import load_config


def test_the_loop_is_measured_in_each_condition():
    config = load_config("bench_loop", ["duration_s=1.0"], LoopBenchConfig)
    results = measure_loop(config)
    line = msgspec.json.decode(msgspec.json.encode(loop_line(config, results)))
    assert list(line)[-2:] == ["idle", "busy"]
    for result in results:
        numbers = line[result.condition]
        if not numbers["ended_by"]:
            assert 45 <= numbers["ticks"] <= 51
            # every tick is timed, and every wait for a deadline
            assert result.tick.count == numbers["ticks"] == result.wake_up.count
        assert (
            0.0 < numbers["tick_p50_ms"] <= numbers["tick_p99_ms"] <= numbers["tick_p999_ms"] <= numbers["tick_max_ms"]
        )
        assert result.writer.count > 10 * result.tick.count / 2
        assert f"{numbers['ticks']} ticks" in result.table()


def test_the_writer_is_measured_in_each_condition():
    config = load_config("bench_writer", ["duration_s=0.5", "conditions=[idle]"], WriterBenchConfig)
    results = measure_writer(config)
    numbers = writer_line(config, results)["idle"]
    assert numbers["cycles"] + numbers["missed"] == pytest.approx(250, abs=50)
    assert numbers["jitter_p999_ms"] <= numbers["jitter_max_ms"]


def test_a_neighbour_is_busy_and_leaves():
    before = stolen_ms()
    with start_neighbour(0) as neighbour:
        fields = Path(f"/proc/{neighbour.pid}/stat")
        if not fields.exists():
            pytest.skip("no /proc on this system")
        time.sleep(0.5)
        ticks = sum(map(int, fields.read_text().rsplit(")", 1)[1].split()[11:13]))
        assert ticks > 0
        cores = os.sched_getaffinity(neighbour.pid)
        assert len(cores) == 1
        assert len(os.sched_getaffinity(0)) == 1 or cores != {0}
    assert stolen_ms() >= before
