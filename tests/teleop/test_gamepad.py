"""A gamepad, played by a FIFO in the place of its device file."""

import os
import struct
import time

import pytest

from teleop.gamepad import ButtonReader, Gamepad, Layout, layout_of_codes
from tests.teleop.test_pose_stream import state

BUTTON, AXIS, INITIAL = 1, 2, 0x80


def event(kind, number, value):
    return struct.pack("<IhBB", 1234, value, kind, number)


def press(number):
    return event(BUTTON, number, 1) + event(BUTTON, number, 0)


class Pad:
    """The FIFO, the input that reads it, and what it said."""

    def __init__(self, folder, **options):
        self.path = folder / "js0"
        os.mkfifo(self.path)
        self.said = []
        self.input = Gamepad(self.said.append, devices=str(folder / "js*"), **options)
        self.fd = None

    def plug_in(self):
        self.fd = os.open(self.path, os.O_WRONLY)  # waits for the reader

    def unplug(self):
        os.close(self.fd)

    def wait_for_events(self, count, mode="active"):
        events, deadline = [], time.monotonic() + 5.0
        while len(events) < count and time.monotonic() < deadline:
            events += self.input.read(state(), mode)
            time.sleep(0.005)
        return [(event.kind, event.origin) for event in events]

    def wait_for_message(self, text):
        deadline = time.monotonic() + 5.0
        while not any(text in message for message in self.said):
            self.input.read(state(), "active")
            assert time.monotonic() < deadline, self.said
            time.sleep(0.005)


@pytest.fixture
def pad(tmp_path):
    pad = Pad(tmp_path)
    yield pad
    pad.input.close()


def test_buttons_and_the_direction_pad_ask_for_what_the_table_says(pad):
    pad.plug_in()
    buttons = press(7) + press(0) + press(2) + press(3) + press(8)  # start, A, X, Y, guide
    hat = event(AXIS, 6, -32767) + event(AXIS, 6, -32767) + event(AXIS, 6, 0) + event(AXIS, 7, 32767)
    stick = event(AXIS, 0, 30000)
    os.write(pad.fd, buttons + stick + hat[:13])  # an event may arrive in two pieces
    time.sleep(0.02)
    os.write(pad.fd, hat[13:] + press(6))
    kinds = ["start", "play", "pause", "recenter", "source", "turn", "policy", "stop"]
    assert pad.wait_for_events(8) == [(kind, "gamepad") for kind in kinds]
    pad.unplug()


def test_buttons_held_while_it_is_plugged_in_were_not_pressed(pad):
    pad.plug_in()
    os.write(pad.fd, event(BUTTON | INITIAL, 7, 1) + event(AXIS | INITIAL, 6, -32767) + press(0))
    assert pad.wait_for_events(1) == [("play", "gamepad")]
    pad.unplug()


def test_a_pad_that_was_used_and_vanishes_stops_the_robot_and_may_come_back(pad):
    pad.plug_in()
    os.write(pad.fd, press(0))
    assert pad.wait_for_events(1) == [("play", "gamepad")]
    pad.unplug()
    assert pad.wait_for_events(1) == [("stop", "gamepad")]
    assert any("GAMEPAD LOST: STOP" in message for message in pad.said)
    pad.plug_in()
    os.write(pad.fd, press(6))
    assert pad.wait_for_events(1) == [("stop", "gamepad")]
    pad.unplug()


def test_a_pad_that_nobody_used_does_not_stop_the_robot(pad):
    pad.plug_in()
    os.write(pad.fd, event(AXIS, 0, 20000))
    time.sleep(0.05)
    pad.unplug()
    pad.wait_for_message("GAMEPAD LOST: the run goes on")


def test_the_only_input_stops_the_robot_used_or_not(tmp_path):
    pad = Pad(tmp_path, stop_when_lost="always")
    pad.plug_in()
    os.write(pad.fd, event(AXIS, 0, 20000))
    time.sleep(0.05)
    pad.unplug()
    assert pad.wait_for_events(1) == [("stop", "gamepad")]
    pad.input.close()


def test_without_a_device_nothing_happens_and_closing_is_quick(tmp_path):
    said = []
    pad = Gamepad(said.append, devices=str(tmp_path / "js*"))
    assert pad.read(state(), "active") == ()
    begin = time.monotonic()
    pad.close()
    pad.close()
    assert time.monotonic() - begin < 0.5
    assert said == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_device_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "js0").write_bytes(b"")
    (tmp_path / "js0").chmod(0)
    said = []
    pad = Gamepad(said.append, devices=str(tmp_path / "js*"))
    time.sleep(0.2)
    pad.close()
    assert "group input" in said[0]


XPAD = [0x130, 0x131, 0x133, 0x134, 0x136, 0x137, 0x13A, 0x13B, 0x13C, 0x13D, 0x13E]
DUALSENSE = [0x130, 0x131, 0x133, 0x134, 0x136, 0x137, 0x138, 0x139, 0x13A, 0x13B, 0x13C, 0x13D, 0x13E]


def test_the_codes_of_the_kernel_name_the_buttons():
    xbox = layout_of_codes("Microsoft X-Box One pad", XPAD, [0, 1, 2, 3, 4, 5, 0x10, 0x11])
    default = Layout("default")
    assert dict(xbox.buttons) == dict(default.buttons)
    assert dict(xbox.hats) == dict(default.hats)
    sony = layout_of_codes("Sony Interactive Entertainment DualSense Wireless Controller", DUALSENSE, [0, 1, 0x10])
    # numbers 2 and 3 are triangle and square, which lie where Y and X lie
    assert [sony.buttons[i] for i in (0, 1, 2, 3, 8, 9)] == ["A", "B", "Y", "X", "select", "start"]
    assert dict(sony.hats) == {2: ("left", "right")}
    reader = ButtonReader(sony)
    assert list(reader.feed(press(8) + press(12))) == ["select"]


def test_a_pad_with_a_direction_pad_of_buttons():
    layout = layout_of_codes("pad", [0x220, 0x221, 0x222, 0x223], [])
    assert list(ButtonReader(layout).feed(press(0) + press(3))) == ["up", "right"]
