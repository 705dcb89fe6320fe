"""The topics command and manager_state: what they say, and the events that come of it."""

import numpy as np
import pytest

from sonic_runtime.contract.errors import WireError
from sonic_runtime.contract.operator import OperatorEvent
from teleop.command_input import MAX_MESSAGES_PER_TICK, CommandInput, ManagerStateInput
from teleop.command_packet import (
    STREAM_MODES,
    Command,
    ManagerState,
    pack_command,
    pack_manager_state,
    unpack_command,
    unpack_manager_state,
)
from teleop.wire import pack
from tests.teleop.inboxes import HeldInbox
from tests.teleop.test_pose_stream import state


def command(start: bool = False, stop: bool = False, planner: bool = True, turn: float = 0.0) -> bytes:
    return pack_command(Command(start=start, stop=stop, planner=planner, delta_heading_rad=turn))


def kinds(events) -> list[str]:
    return [event.kind for event in events]


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_round_trip(turn):
    sent = Command(start=True, stop=False, planner=True, delta_heading_rad=turn)
    assert unpack_command(pack_command(sent)) == sent


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_truth_values_of_every_published_dtype(dtype):
    values = {"start": np.array([1], dtype), "stop": np.array([0], dtype), "planner": np.array([2]).astype(dtype)}
    back = unpack_command(pack("command", 1, values, endian="be"))
    assert (back.start, back.stop, back.planner) == (True, False, True)


FLAGS = {name: np.zeros(1, np.uint8) for name in ("start", "stop", "planner")}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stop": None}, "stop"),
        ({"start": np.zeros(2, np.uint8)}, "start"),
        ({"start": np.zeros(0, np.uint8)}, "start"),
        ({"planner": np.zeros(1, np.float32)}, "float32"),
        ({"delta_heading": np.array([np.nan])}, "finite"),
        ({"delta_heading": np.array([4.0])}, "delta_heading"),
    ],
)
def test_what_is_wrong_is_named(changes, says):
    fields = {name: value for name, value in {**FLAGS, **changes}.items() if value is not None}
    with pytest.raises(WireError, match=says):
        unpack_command(pack("command", 1, fields))


def test_silence_asks_for_nothing():
    assert CommandInput(HeldInbox(), 2, 1).read(state(), "waiting") == ()


def test_start_and_stop_of_several_messages_are_not_lost():
    one = CommandInput(HeldInbox(command(start=True), command(stop=True), command()))
    assert kinds(one.read(state(), "ready")) == ["stop", "start"]
    assert one.read(state(), "ready") == ()


@pytest.mark.parametrize(("mode", "passed"), [("waiting", 1), ("ramp", 1), ("ready", 1), ("stand", 0), ("active", 0)])
def test_start_is_a_step_forward_only_until_a_policy_is_in_charge(mode, passed):
    assert kinds(CommandInput(HeldInbox(command(start=True))).read(state(), mode)) == ["start"] * passed


def starts(one: CommandInput, inbox: HeldInbox, now_ms: int, *messages: bytes) -> int:
    inbox.send(*messages)
    return kinds(one.read(state(stamp_ns=now_ms * 1_000_000), "waiting")).count("start")


def test_a_start_that_is_repeated_counts_once():
    inbox = HeldInbox()
    one = CommandInput(inbox)
    assert sum(starts(one, inbox, 20 * tick, command(start=True)) for tick in range(500)) == 1
    assert starts(one, inbox, 10_000, command(turn=0.1)) == 0
    assert starts(one, inbox, 10_020, command(start=True)) == 1, "after a message without it"


def test_a_start_counts_again_after_a_second_without_one():
    inbox = HeldInbox()
    one = CommandInput(inbox)
    told = [starts(one, inbox, now_ms, command(start=True)) for now_ms in (0, 900, 1900, 2901, 3000)]
    assert told == [1, 0, 0, 1, 0]
    assert starts(one, inbox, 3020) == 0


def test_a_start_in_the_same_tick_as_one_without_counts():
    inbox = HeldInbox()
    one = CommandInput(inbox)
    assert starts(one, inbox, 0, command(start=True), command()) == 1
    assert starts(one, inbox, 20, command(start=True)) == 1
    assert starts(one, inbox, 40, command(), command(start=True), command(start=True)) == 1


def test_turns_add_up():
    (event,) = CommandInput(HeldInbox(command(turn=0.25), command(turn=0.5))).read(state(), "active")
    assert (event.kind, event.value, event.origin) == ("turn", pytest.approx(0.75), "command")


def test_the_last_word_on_the_planner_hands_over_once():
    inbox = HeldInbox(command(planner=True), command(planner=False))
    one = CommandInput(inbox, planner_source=2, stream_source=1)
    assert one.read(state(), "active") == [OperatorEvent("source", 1.0, "command")]
    inbox.send(command(planner=False))
    assert one.read(state(), "active") == []
    inbox.send(command(planner=True))
    assert one.read(state(), "active") == [OperatorEvent("source", 2.0, "command")]


def test_without_sources_the_planner_flag_is_nothing():
    assert CommandInput(HeldInbox(command())).read(state(), "active") == []


def test_a_stop_behind_a_flood_is_heard_at_once_and_what_is_malformed_is_counted():
    one = CommandInput(HeldInbox(*[b"command" + bytes(20)] * (MAX_MESSAGES_PER_TICK - 1), command(stop=True)))
    assert kinds(one.read(state(), "active")) == ["stop"]
    assert (one.counters.received, one.counters.rejected) == (MAX_MESSAGES_PER_TICK, MAX_MESSAGES_PER_TICK - 1)
    assert "at least" in one.line()


@pytest.mark.parametrize("mode", STREAM_MODES)
def test_manager_state_round_trip(mode):
    sent = ManagerState(stream_mode=mode, toggle_data_collection=True, toggle_data_abort=False)
    assert unpack_manager_state(pack_manager_state(sent)) == sent


@pytest.mark.parametrize("number", [-1, 6])
def test_manager_state_of_an_unknown_mode_is_refused(number):
    fields = {"stream_mode": np.array([number], np.int32), **{f"toggle_data_{n}": np.array([True]) for n in ("a", "b")}}
    with pytest.raises(WireError, match="from 0 to 5"):
        unpack_manager_state(pack("manager_state", 3, fields))


def test_manager_state_is_kept_for_those_who_ask():
    sent = ManagerState(stream_mode="vr_3pt", toggle_data_collection=False, toggle_data_abort=False)
    one = ManagerStateInput(HeldInbox(pack_manager_state(sent), b"manager_state?"))
    assert one.line().startswith("not heard")
    assert one.read(state(stamp_ns=9), "active") == ()
    assert (one.latest, one.newest_ns, one.counters.rejected) == (sent, 9, 1)
    assert one.line().startswith("vr_3pt; 2 messages, 1 rejected")
