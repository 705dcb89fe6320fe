"""Checks of machine, timing and speed, with machines that are made up."""

import os
from importlib import metadata

import pytest

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.doctor import files, machine, speed, timing
from sonic_runtime.doctor.finding import Finding, is_safe, of_error, table
from sonic_runtime.pacing import LatenessStats
from sonic_runtime.stage_times import TimeStats
from tests.fakes.parts import guard_config
from tests.fakes.random_policy import write_random_policy


def level(findings):
    (found,) = findings
    return found.level


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 10, 9), "failure"), ((3, 11, 0), "ok"), ((3, 14, 0), "failure")]
)
def test_python(version, expected):
    assert level(machine.check_python(version)) == expected


def test_packages_that_are_missing_or_old_are_named_with_the_command_that_mends_it():
    versions = {"numpy": "1.20.0", "mujoco": "3.12.1"}

    def version_of(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    needed = ["numpy>=1.26", "mujoco~=3.12.0", "mcap>=1.3", "openvr>=2.5; extra == 'vr'"]
    old, missing = machine.check_packages(needed, version_of)
    assert old.found == "numpy: expected >=1.26, found 1.20.0"
    assert missing.found == "mcap: expected >=1.3, found none"
    assert missing.remedy.endswith("-m pip install 'mcap>=1.3'")
    versions |= {"numpy": "2.0", "mcap": "1.6"}
    assert level(machine.check_packages(needed, version_of)) == "ok"


def test_the_packages_of_this_environment_are_sound():
    assert level(machine.check_packages()) == "ok"


def test_a_governor_that_saves_power_is_a_warning(tmp_path):
    for core, governor in enumerate(("performance", "powersave")):
        folder = tmp_path / f"cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
    found = {f.check: f for f in machine.check_cores(tmp_path)}["governor"]
    assert (found.level, found.found) == ("warning", "cores run under powersave")
    assert "cpupower" in found.remedy


@pytest.mark.parametrize(("load", "expected"), [(0.5, "ok"), (3.0, "warning")])
def test_load(load, expected):
    assert level(machine.check_load(load, 4)) == expected


@pytest.mark.parametrize(("source", "expected"), [("tsc", "ok"), ("hpet", "warning"), ("arch_sys_counter", "ok")])
def test_clock_source(tmp_path, source, expected):
    folder = tmp_path / "clocksource/clocksource0"
    folder.mkdir(parents=True)
    (folder / "current_clocksource").write_text(source + "\n")
    assert level(machine.check_clock(tmp_path)) == expected


@pytest.mark.parametrize(("late_ms", "expected"), [(0.2, "ok"), (3.0, "warning"), (12.0, "failure")])
def test_sleep(late_ms, expected):
    stats = LatenessStats(count=500, p50_ms=0.1, p99_ms=0.2, p999_ms=late_ms, max_ms=20.0)
    (found,) = timing.check_sleep(stats)
    assert found.level == expected
    assert f"{late_ms:.3f} ms (99.9 %)" in found.found


def test_sleep_is_measured():
    stats, notes = timing.measure(0.1, 0, None, False)
    assert 10 <= stats.count <= 60
    assert notes == []
    assert 0.0 <= stats.p50_ms <= stats.max_ms


@pytest.mark.parametrize(("free", "expected"), [(5e9, "ok"), (1e9, "warning"), (5e7, "failure")])
def test_disk(tmp_path, free, expected):
    assert level(timing.check_disk(f"{tmp_path}/runs/{{time}}", lambda path: int(free))) == expected
    assert list(tmp_path.iterdir()) == []


def test_permissions_that_are_refused_are_warnings_with_a_remedy(monkeypatch):
    def refuse(pid, *_):
        raise PermissionError(1, "Operation not permitted")

    allowed = os.sched_setscheduler

    def schedule(pid, policy, parameters):
        return refuse(pid) if policy & os.SCHED_FIFO else allowed(pid, policy, parameters)

    monkeypatch.setattr("os.sched_setscheduler", schedule)
    monkeypatch.setattr("os.sched_setaffinity", lambda pid, cpus: refuse(pid) if cpus == {900} else None)
    fifo, pin = sorted(
        timing.check_permissions(timing.measure(0.01, 40, 900, False)[1]), key=lambda f: "pinned" in f.found
    )
    assert (fifo.level, pin.level) == ("warning", "warning")
    assert "rtprio" in fifo.remedy
    assert level(timing.check_permissions([])) == "ok"


@pytest.mark.parametrize(("factor", "expected"), [(20.0, "ok"), (2.0, "warning"), (1.1, "failure")])
def test_simulator(factor, expected):
    assert level(speed.check_simulator(1.0, lambda seconds: factor)) == expected


def test_the_simulator_is_measured():
    assert speed.simulator_speed(0.05) > 0.1


@pytest.mark.parametrize(("p99_ms", "expected"), [(3.0, "ok"), (10.0, "warning"), (18.0, "failure")])
def test_tick(p99_ms, expected):
    def measured(policy, guard, ticks):
        assert (policy, ticks) == ("x", 50)
        return TimeStats(p50_ms=1.0, p99_ms=p99_ms, max_ms=30.0)

    (found,) = speed.check_tick("x", guard_config(), 1.0, measured)
    assert found.level == expected
    assert f"{p99_ms:.2f} ms (99 %), of 20 ms" in found.found


def test_the_tick_is_measured(tmp_path):
    policy = write_random_policy(tmp_path / "policy", encoder_hidden=(16,), decoder_hidden=(16,))
    times = speed.measure_paced(str(policy), guard_config(), 5)
    assert 0.0 < times.p50_ms <= times.max_ms


def test_many_pointers_are_counted(tmp_path):
    for number in range(8):
        (tmp_path / f"{number}.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (found,) = files.check_pointers("motions", tmp_path)
    assert found.found.endswith("4.npz and 3 more")


def test_an_error_that_says_what_to_do_gives_the_remedy():
    (found,) = of_error("x", ConfigError("a: expected b; got c; do d"), "else")
    assert (found.found, found.remedy) == ("a: expected b; got c", "do d")
    (found,) = of_error("x", ConfigError("a: expected b"), "else")
    assert (found.found, found.remedy) == ("a: expected b", "else")


def test_the_table_shows_marks_and_remedies_and_only_failures_are_unsafe():
    findings = [
        Finding(check="one", level="ok", found="well"),
        Finding(check="three", level="warning", found="a\nb", remedy="do"),
    ]
    assert table(findings).splitlines() == [
        "ok    one    well",
        "WARN  three  a",
        "             b",
        "             -> do",
    ]
    assert is_safe(findings)
    assert not is_safe([Finding(check="x", level="failure", found="y", remedy="z")])
