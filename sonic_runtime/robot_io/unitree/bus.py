"""A process's DDS participant on a named interface, and who else is on the robot's topics.

The interface is always named: left alone, cyclonedds picks the best multicast interface it finds, which on a laptop is
the wireless one. Discovery on a loopback goes by unicast, so that participants of cyclonedds 0.10 and 11 find each
other there too.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
from cyclonedds.core import DDSException, InstanceState, ReadCondition, SampleState, ViewState
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.qos import Policy, Qos

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree.idl import require_published_types

LOW_CMD, LOW_STATE, TORSO_IMU = "rt/lowcmd", "rt/lowstate", "rt/secondary_imu"
ROBOT_DOMAIN, SIMULATOR_DOMAIN = 0, 1
_SIOCGIFFLAGS = 0x8913
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING, _IFF_MULTICAST = 0x1, 0x8, 0x40, 0x1000
"""Linux: netdevice(7)."""
_OUR_NAME = b"sonic"
_MOST_PUBLISHERS = 1000

_joined: dict[int, tuple[str, Domain, DomainParticipant]] = {}
"""Domains of this process, their interface and its participant. A process configures a domain once and leaves it at its
end: a domain in which it had no participant for a while would miss that others leave, and take them to be there."""


@dataclass(frozen=True, slots=True)
class Publishers:
    """Who publishes a topic.

    Attributes:
        ours: publishers of our group.
        foreign: message types of the others, one for each publisher.
    """

    ours: int
    foreign: tuple[str, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return self.ours + len(self.foreign)


class Bus:
    """This process on the robot's network.

    Args:
        interface: network interface, such as "enp2s0"; "lo" for a simulator on this machine.
        domain: DDS domain, 0 on the robot.
        group: what ties the participants of one run together, so that they know each other.

    Raises:
        RobotError: the message types are not the published ones, there is no such interface, no cable, or the
            interface cannot be used.
    """

    def __init__(self, interface: str, domain: int, group: str) -> None:
        require_published_types()
        require_interface(interface)
        self.interface = interface
        self.domain = domain
        self.group = group
        try:
            self.participant = _join(interface, domain)
        except DDSException as error:
            raise RobotError(f"DDS on {interface}, domain {domain}: cannot join the network ({error})") from error
        self._publications = BuiltinDataReader(self.participant, BuiltinTopicDcpsPublication)
        alive = ViewState.Any | SampleState.Any | InstanceState.Alive
        self._alive = ReadCondition(self._publications, alive)

    def writer_qos(self) -> Qos:
        """Return the settings of our writers: reliable, the newest sample only, and marked as ours."""
        return Qos(
            Policy.Reliability.Reliable(max_blocking_time=0),
            Policy.History.KeepLast(1),
            Policy.Userdata(data=_OUR_NAME + b":" + self.group.encode()),
        )

    def reader_qos(self) -> Qos:
        """Return the settings of our readers: the newest sample only, lost ones are not asked for again."""
        return Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(1))

    def publishers(self, topic: str) -> Publishers:
        """Return who publishes a topic now."""
        ours, foreign = 0, []
        # without the condition, publishers that have left would be among them
        for sample in self._publications.read(N=_MOST_PUBLISHERS, condition=self._alive):
            if getattr(sample, "topic_name", "") != topic:
                continue
            if self.is_ours(sample.qos):
                ours += 1
            else:
                foreign.append(str(sample.type_name))
        return Publishers(ours, tuple(foreign))

    def is_ours(self, qos: Qos) -> bool:
        """Return whether the settings of a writer are those of our group."""
        # cyclonedds' Qos is no mapping and has no get
        data = qos[Policy.Userdata] if Policy.Userdata in qos else None  # noqa: SIM401
        return data is not None and bytes(data.data) == _OUR_NAME + b":" + self.group.encode()

    def where(self) -> str:
        """Return interface and domain in words."""
        return f"interface {self.interface}, domain {self.domain}"


def require_interface(interface: str) -> None:
    """Check that a network interface exists and has a link.

    Raises:
        RobotError: it does not, or there is no cable in it.
    """
    known = sorted(name for _, name in socket.if_nameindex())
    if interface not in known:
        raise RobotError(
            f"interface={interface}: expected a network interface of this machine, it has {', '.join(known)}; "
            "the robot's cable is on the one with an address 192.168.123.x"
        )
    if not has_link(interface):
        raise RobotError(
            f"interface={interface}: no link; is the cable plugged in at both ends, is the robot switched on, and is "
            f"the interface up (ip link set {interface} up)?"
        )


def addresses_of(interface: str) -> list[str]:
    """Return the IPv4 addresses of an interface, as far as the system tells."""
    found = []
    for line in _ip_addresses().splitlines():
        words = line.split()
        if len(words) > 3 and words[1] == interface and words[2] == "inet":
            found.append(words[3].split("/")[0])
    return found


def _ip_addresses() -> str:
    try:
        return subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def has_link(interface: str) -> bool:
    """Return whether an interface is up and has a carrier; True where the system does not say."""
    flags = _flags(interface)
    return flags is None or bool(flags & _IFF_UP and flags & _IFF_RUNNING)


def hurry_receive_threads(priority: int) -> bool:
    """Give the threads of this process in which cyclonedds receives a SCHED_FIFO priority; return whether it may.

    A state that waits for a turn behind other programs gets old in the eyes of the guard.
    """
    if sys.platform != "linux":
        return False
    for task in Path("/proc/self/task").iterdir():
        try:
            if (task / "comm").read_text().startswith("recv"):
                os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(priority))
        except PermissionError:
            return False
        except (FileNotFoundError, ProcessLookupError):
            # a thread that has just ended
            continue
    return True


def _flags(interface: str) -> int | None:
    """Return the flags of an interface; None where the system does not say, 0 where there is none."""
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sH14x", interface.encode(), 0))
        except OSError:
            return 0
    return struct.unpack_from("16sH", answer)[1]


def _join(interface: str, domain: int) -> DomainParticipant:
    """Return this process's participant in a domain, tied to an interface."""
    if domain in _joined:
        before, _, participant = _joined[domain]
        if before != interface:
            raise RobotError(
                f"DDS domain {domain}: this process uses it on {before} already, it cannot use it on {interface} too"
            )
        return participant
    # a loopback is no multicast interface unless it was made one; cyclonedds 0.10 goes by this, 11 does not by itself
    flags = _flags(interface)
    unicast = flags is not None and bool(flags & _IFF_LOOPBACK) and not flags & _IFF_MULTICAST
    multicast = ' multicast="false"' if unicast else ""
    peers = '<Discovery><Peers><Peer address="127.0.0.1"/></Peers></Discovery>' if unicast else ""
    xml = (
        f'<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name={quoteattr(interface)}{multicast}/>'
        f"</Interfaces></General>{peers}</Domain></CycloneDDS>"
    )
    settings = Domain(domain, xml)
    participant = DomainParticipant(domain)
    _joined[domain] = interface, settings, participant
    return participant
