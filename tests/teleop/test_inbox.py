"""Inboxes: over real sockets on the loopback, and from a recording."""

import time

import pytest
import zmq

from sonic_runtime.contract.errors import ConfigError
from teleop.inbox import MAX_BYTES_PER_TAKE, RECEIVE_QUEUE, RecordedInbox, ZmqInbox
from teleop.wire import MAX_MESSAGE_BYTES


@pytest.fixture
def link():
    """A sender and an inbox of the topics a and b that has heard it."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as sender:
        sender.set(zmq.LINGER, 0)
        port = sender.bind_to_random_port("tcp://127.0.0.1")
        inbox = ZmqInbox(f"tcp://127.0.0.1:{port}", ["a", "b"])
        for _ in range(2):
            assert sender.poll(5000), "no subscription within 5 s"
            sender.recv()
        yield sender, inbox
        inbox.close()


def take(inbox: ZmqInbox, limit: int = 8) -> list[bytes]:
    assert inbox.wait(2.0), "nothing arrived within 2 s"
    time.sleep(0.05)
    return inbox.take(limit)


def test_only_the_topics_asked_for_come_oldest_first(link):
    sender, inbox = link
    for message in (b"a1", b"c2", b"b3", b"a4"):
        sender.send(message)
    assert take(inbox) == [b"a1", b"b3", b"a4"]
    assert inbox.take(8) == []


def test_no_more_than_the_limit(link):
    sender, inbox = link
    for number in range(5):
        sender.send(b"a%d" % number)
    assert take(inbox, 2) == [b"a0", b"a1"]
    assert inbox.take(0) == []
    assert inbox.take(9) == [b"a2", b"a3", b"a4"]


def test_very_large_messages_come_one_at_a_time(link):
    sender, inbox = link
    for _ in range(3):
        sender.send(b"a" + bytes(MAX_BYTES_PER_TAKE))
    sender.send(b"b")
    assert [len(take(inbox)) for _ in range(3)] == [1, 1, 1]
    assert take(inbox) == [b"b"]


@pytest.fixture
def fresh():
    """A sender, and an inbox for data that must not have waited, connected and not read yet."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as sender:
        sender.set(zmq.LINGER, 0)
        sender.set(zmq.SNDHWM, 0)
        port = sender.bind_to_random_port("tcp://127.0.0.1")
        inbox = ZmqInbox(f"tcp://127.0.0.1:{port}", ["a"], fresh=True)
        yield sender, inbox
        inbox.close()


def test_what_was_sent_before_the_first_take_of_a_fresh_inbox_never_comes(fresh):
    sender, inbox = fresh
    assert not sender.poll(300), "subscribed before anything is taken"
    for number in range(10 * RECEIVE_QUEUE):
        sender.send(b"a old %d" % number)
    assert inbox.take(8) == []
    assert sender.poll(5000), "no subscription within 5 s"
    sender.recv()
    sender.send(b"a new")
    assert take(inbox) == [b"a new"]


def test_a_fresh_inbox_gives_the_newest_and_leaves_nothing_for_later(fresh):
    sender, inbox = fresh
    inbox.take(8)
    assert sender.poll(5000), "no subscription within 5 s"
    for number in range(20):
        sender.send(b"a%d" % number)
    assert take(inbox, 3) == [b"a17", b"a18", b"a19"]
    assert inbox.take(3) == []
    assert inbox.left_out == 17


def test_a_fresh_inbox_is_bounded_by_bytes_too(fresh):
    sender, inbox = fresh
    inbox.take(8)
    assert sender.poll(5000), "no subscription within 5 s"
    for _ in range(4):
        sender.send(b"a" + bytes(MAX_BYTES_PER_TAKE))
    sender.send(b"a")
    assert [len(message) for message in take(inbox)] == [MAX_BYTES_PER_TAKE + 1, 1]
    assert inbox.take(8) == []
    inbox.close()
    assert inbox.take(8) == []


def test_parts_are_joined(link):
    sender, inbox = link
    sender.send_multipart([b"a", b"body", b""])
    sender.send(b"b2")
    assert take(inbox) == [b"abody", b"b2"]


def test_an_oversized_message_never_arrives_and_the_sender_may_go_on(link):
    sender, inbox = link
    sender.send(b"a" + bytes(MAX_MESSAGE_BYTES))
    assert hear(inbox, sender, b"b") == [b"b"]
    assert inbox.disconnects == 1


def test_a_sender_may_be_started_again(link):
    sender, inbox = link
    endpoint = sender.get_string(zmq.LAST_ENDPOINT)
    sender.unbind(endpoint)
    sender.close()
    with zmq.Context() as context, context.socket(zmq.PUB) as second:
        second.set(zmq.LINGER, 0)
        bind_soon(second, endpoint)
        assert hear(inbox, second, b"a2") == [b"a2"], "each message once"


def bind_soon(socket: zmq.Socket, endpoint: str) -> None:
    """Bind as soon as ZeroMQ's own thread has let go of the address."""
    deadline = time.monotonic() + 5
    while True:
        try:
            socket.bind(endpoint)
        except zmq.ZMQError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def hear(inbox: ZmqInbox, sender: zmq.Socket, message: bytes) -> list[bytes]:
    """Send until something is heard, then once more; return what one sending brings."""
    deadline = time.monotonic() + 10
    while not inbox.take(100) and time.monotonic() < deadline:
        sender.send(message)
        time.sleep(0.05)
    inbox.take(100)
    sender.send(message)
    return take(inbox)


def test_closed_is_empty(link):
    _, inbox = link
    inbox.close()
    inbox.close()
    assert inbox.take(8) == []


def test_bad_endpoint_is_named():
    with pytest.raises(ConfigError, match="nonsense"):
        ZmqInbox("nonsense", ["pose"])


def test_a_recording_gives_what_each_call_gave():
    inbox = RecordedInbox([[b"1", b"2"], [], [b"3"]])
    assert [inbox.take(8) for _ in range(4)] == [[b"1", b"2"], [], [b"3"], []]
    inbox.close()


def test_a_recording_keeps_to_the_limit():
    inbox = RecordedInbox([[b"1", b"2", b"3"], [b"4"]])
    assert [inbox.take(2) for _ in range(3)] == [[b"1", b"2"], [b"3", b"4"], []]
