"""The devices of an operator as configured."""

import os
import pty
from pathlib import Path

import pytest

from sonic_runtime.contract.errors import ConfigError
from teleop import operator_station
from teleop.operator_inputs import AutoStart
from teleop.operator_station import OperatorConfig, open_station
from tests.fakes.parts import make_state
from tests.teleop.test_wireless_remote import remote_bytes


def config(**changes):
    values = dict.fromkeys(("keyboard", "gamepad", "remote", "command", "auto_start"), False)
    values["stop_when_lost"] = "in_use"
    return OperatorConfig(**{**values, **changes})


@pytest.fixture
def terminal(monkeypatch):
    """Let the keyboard read a pseudo terminal; returns the end that types."""
    master, slave = pty.openpty()
    keyboard = operator_station.Keyboard
    monkeypatch.setattr(operator_station, "Keyboard", lambda say, when: keyboard(say, when, slave))
    ends = [master]
    yield ends
    for fd in (*ends, slave):
        os.close(fd)


def lose_remote(station):
    """Show a remote for a tick, then none; return what the station asked for."""
    events = []
    for tick in range(60):
        remote = remote_bytes() if tick == 0 else None
        events += station.read(make_state(stamp_ns=tick * 20_000_000, wireless_remote=remote), "active")
    return [event.kind for event in events]


def test_keys_and_remote_together(terminal):
    said = []
    station = open_station(config(keyboard=True, remote=True), said.append)
    os.write(terminal[0], b"t")
    state = make_state(wireless_remote=remote_bytes("select"))
    assert [(e.kind, e.origin) for e in station.read(state, "active")] == [("play", "keys"), ("stop", "remote")]
    station.close()


def test_a_start_from_before_the_first_tick_does_not_move_the_robot_later(terminal):
    said = []
    station = open_station(config(keyboard=True), said.append)
    os.write(terminal[0], b"]")
    assert station.read(make_state(), "waiting") == []
    assert "ask again" in said[-1]
    os.write(terminal[0], b"]")
    assert [e.kind for e in station.read(make_state(stamp_ns=1_000_000_000), "waiting")] == ["start"]
    station.close()


def test_a_stop_from_before_the_first_tick_counts_and_a_script_may_start(terminal):
    station = open_station(config(keyboard=True, auto_start=True), print)
    os.write(terminal[0], b"]o")
    assert [e.kind for e in station.read(make_state(), "waiting")] == ["stop", "start"]
    station.close()


def test_a_device_that_is_the_only_one_stops_the_robot_when_it_is_lost(terminal):
    assert lose_remote(open_station(config(remote=True), print)) == ["stop"]
    # where standard input is no terminal, the keyboard is no other device
    both = config(remote=True, keyboard=True)
    station = open_station(both, print)
    assert lose_remote(station) == []
    station.close()
    assert lose_remote(open_station(config(remote=True, gamepad=True), print)) == []
    assert lose_remote(open_station(config(remote=True, stop_when_lost="never"), print)) == []
    alone = open_station(config(keyboard=True), print)
    os.close(terminal.pop())
    assert [e.kind for e in alone.read(make_state(), "active")] == ["stop"]


def test_a_keyboard_without_a_terminal_is_no_other_device(monkeypatch):
    keyboard = operator_station.Keyboard
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(operator_station, "Keyboard", lambda say, when: keyboard(say, when, nothing.fileno()))
        assert lose_remote(open_station(config(remote=True, keyboard=True), print)) == ["stop"]


def test_a_run_that_nobody_could_start_is_refused():
    with pytest.raises(ConfigError, match="nobody could start"):
        open_station(config(), print)
    station = open_station(config(auto_start=True), print)
    assert [event.kind for event in station.read(make_state(), "waiting")] == ["start"]


def test_an_automatic_start_that_is_refused_is_asked_for_once_a_second():
    auto = AutoStart()
    asked = [tick for tick in range(151) if auto.read(make_state(stamp_ns=tick * 20_000_000), "waiting")]
    assert asked == [0, 50, 100, 150]
    assert auto.read(make_state(stamp_ns=3_010_000_000), "ready"), "another mode is another question"
