"""The robot's remote, from the 40 bytes of a state."""

import struct

import pytest

from sonic_runtime.contract.operator import BINDINGS
from teleop.wireless_remote import BUTTONS, WirelessRemote, buttons_of
from tests.fakes.parts import make_state

TICK_NS = 20_000_000


def remote_bytes(*names):
    word = sum(1 << BUTTONS.index(name) for name in names)
    return struct.pack("<2BH5f16x", 0x55, 0x51, word, 0.1, 0.0, 0.0, 0.0, -0.2)


class Remote:
    """A remote, the input that reads it, and what it said; every state is one tick later."""

    def __init__(self, **options):
        self.said, self.now_ns = [], 0
        self.input = WirelessRemote(self.said.append, **options)

    def states(self, *contents, mode="active"):
        """Return the kinds of events that each of some states gave; a content is a tuple of buttons, or raw bytes."""
        result = []
        for content in contents:
            data = remote_bytes(*content) if isinstance(content, tuple) else content
            state = make_state(stamp_ns=self.now_ns, wireless_remote=data)
            result.append([event.kind for event in self.input.read(state, mode)])
            self.now_ns += TICK_NS
        return result


def test_the_button_word_is_read_as_the_robot_sends_it():
    data = bytearray(40)
    data[2], data[3] = 0b0000_0100, 0b0000_0001  # third bit of the first byte, first bit of the second
    assert buttons_of(bytes(data)) == (1 << BUTTONS.index("start")) | (1 << BUTTONS.index("A"))
    assert buttons_of(bytes(40)) is None
    assert buttons_of(None) is None
    assert buttons_of(b"\x01" * 39) is None


@pytest.mark.parametrize("binding", [b for b in BINDINGS if b.event.kind != "stop"], ids=lambda b: b.meaning)
def test_every_button_of_the_table_gives_its_event_once(binding):
    (button,) = binding.buttons
    remote = Remote()
    events = remote.states((), (button,), (button,), (button,), (), (), (button,), (button,))
    assert [len(e) for e in events] == [0, 0, 1, 0, 0, 0, 0, 1]
    assert events[2] == [binding.event.kind]


def test_a_bit_that_flickers_is_no_press_and_no_release():
    remote = Remote()
    assert remote.states((), ("A",), (), ("A",), (), ()) == [[]] * 6
    assert remote.states(("A",), ("A",), (), ("A",), ("A",)) == [[], ["play"], [], [], []]


def test_a_stop_counts_at_once_and_once():
    remote = Remote()
    assert remote.states((), ("select",), ("select",), ("select",)) == [[], ["stop"], [], []]
    assert Remote().states(("select",), ("select",)) == [["stop"], []]


def test_buttons_held_when_it_appears_were_not_pressed():
    remote = Remote()
    assert remote.states(("start",), ("start",), (), (), ("start",), ("start",)) == [[]] * 5 + [["start"]]


def test_silence_of_a_remote_that_was_used_stops_the_robot():
    remote = Remote()
    remote.states((), ("A",), ("A",), ())
    assert remote.states(*[None] * 20) == [[]] * 20
    assert remote.states((), *[bytes(40)] * 24) == [[]] * 25  # silent for less than half a second, again
    assert remote.states(bytes(40), bytes(40)) == [["stop"], []]
    assert "WIRELESS REMOTE LOST: STOP" in remote.said[-1]
    assert remote.states(("A",), ("A",)) == [[], []]
    assert "there" in remote.said[-1]


def test_silence_of_a_remote_that_was_not_used_does_not():
    remote = Remote()
    assert [kinds for kinds in remote.states((), *[None] * 60) if kinds] == []
    assert "the run goes on" in remote.said[-1]
    never = Remote()
    assert [kinds for kinds in never.states(*[None] * 60) if kinds] == []
    assert never.said == []
