"""Ports and streams."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import zmq

from sonic_runtime.contract.errors import ConfigError, WireError
from sonic_runtime.doctor.finding import Finding, failure, of_error, warning, well
from teleop.command_packet import COMMAND_TOPIC, MANAGER_TOPIC, unpack_command, unpack_manager_state
from teleop.inbox import RECEIVE_QUEUE, ZmqInbox
from teleop.planner_packet import TOPIC as PLANNER_TOPIC
from teleop.planner_packet import unpack_planner
from teleop.pose_packet import TOPIC as POSE_TOPIC
from teleop.pose_packet import unpack_pose

_DECODERS: dict[str, Callable[[bytes], object]] = {
    POSE_TOPIC: unpack_pose,
    COMMAND_TOPIC: unpack_command,
    PLANNER_TOPIC: unpack_planner,
    MANAGER_TOPIC: unpack_manager_state,
}
"""What a run makes of the messages of each topic."""
_ADDRESS = "expected an address such as tcp://127.0.0.1:5556"


def check_output(endpoint: str | None) -> list[Finding]:
    """Check that the port of the output is free."""
    if endpoint is None:
        return well("output", "nothing is published")
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.set(zmq.LINGER, 0)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                return failure(
                    "output",
                    f"{endpoint}: the port is in use by another program (on a G1's own computer by iphone_server)",
                    "end that program (`ss -tlnp` shows it), or choose another port with output.endpoint=ADDRESS",
                )
            return failure("output", f"{endpoint}: {_ADDRESS} ({error})", "mend output.endpoint, or set it to null")
    return well("output", f"{endpoint} is free")


def check_stream(endpoint: str, seconds: float, *, wanted: bool) -> list[Finding]:
    """Listen to a stream for a while, and check every message as a run would.

    Args:
        endpoint: where the sender is.
        seconds: how long to listen after the connection had time to be made [s].
        wanted: whether silence is a failure: somebody named the address, so a sender should be there.
    """
    try:
        messages = _listen(endpoint, seconds)
    except ConfigError as error:
        return of_error("stream", error, f"goals.endpoint: {_ADDRESS}")
    if not messages:
        return _silent(endpoint, seconds, wanted)
    valid, others, rejected = _judged(messages)
    of_topics = ", ".join(f"{count} {topic}" for topic, count in valid.items()) or "none"
    text = f"{endpoint}: {len(messages)} messages in {seconds:g} s; valid: {of_topics}; {len(rejected)} rejected"
    text += f", {others} of topics that no run reads" if others else ""
    if rejected:
        # what has failed now and then is a warning; what never worked is a sender that no run can use
        grade = warning if valid else failure
        return grade("stream", f"{text}; the last because {rejected[-1]}", "mend the sender")
    if not valid:
        return failure("stream", text, f"let the sender publish {', '.join(_DECODERS)}")
    return well("stream", text)


def _judged(messages: list[bytes]) -> tuple[dict[str, int], int, list[str]]:
    """Return how many messages of each topic are valid, how many are of no known topic, and why others are rejected."""
    valid: dict[str, int] = {}
    others, rejected = 0, []
    for message in messages:
        topic = next((topic for topic in _DECODERS if message.startswith(topic.encode())), None)
        if topic is None:
            others += 1
            continue
        try:
            _DECODERS[topic](message)
            valid[topic] = valid.get(topic, 0) + 1
        except WireError as error:
            rejected.append(str(error))
    return valid, others, rejected


def _listen(endpoint: str, seconds: float) -> list[bytes]:
    """Return what came, of any topic."""
    inbox = ZmqInbox(endpoint, [""])
    messages: list[bytes] = []
    try:
        # a connection takes some tenths of a second; the time runs from the first message
        inbox.wait(max(1.0, seconds))
        end = time.monotonic() + seconds
        while time.monotonic() < end and inbox.wait(max(0.0, end - time.monotonic())):
            messages += inbox.take(RECEIVE_QUEUE)
    finally:
        inbox.close()
    return messages


def _silent(endpoint: str, seconds: float, wanted: bool) -> list[Finding]:
    port = _local_port(endpoint)
    listening = port is not None and _is_bound(endpoint)
    if listening:
        text = f"{endpoint}: a program has the port and sends nothing"
    else:
        text = f"{endpoint}: no message in {max(1.0, seconds):g} s" + (", nobody has the port" if port else "")
    if not wanted:
        return well("stream", f"{text}; a run waits for a sender")
    remedy = "start the sender and let it bind that port; a firewall between the two must let it through"
    return failure("stream", text, "is the program on that port the sender? start its motion" if listening else remedy)


def _local_port(endpoint: str) -> int | None:
    match = re.fullmatch(r"tcp://(?:127\.0\.0\.1|localhost):(\d+)", endpoint)
    return None if match is None else int(match[1])


def _is_bound(endpoint: str) -> bool:
    """Return whether somebody has a port of this machine."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.set(zmq.LINGER, 0)
        try:
            socket.bind(endpoint.replace("localhost", "127.0.0.1"))
        except zmq.ZMQError as error:
            return error.errno == zmq.EADDRINUSE
    return False
