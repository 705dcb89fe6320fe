"""A network of its own for the processes of a test: a namespace with nothing but lo, where the system permits one.

Elsewhere they share lo with everybody, in a DDS domain picked at random. ZeroMQ goes over files either way.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SET_UP = "ip link set lo up multicast on; ip route add 224.0.0.0/4 dev lo; echo ready; exec sleep 3600"


def random_domain():
    # domains beyond 232 have no ports left
    return random.Random(os.getpid() ^ time.monotonic_ns()).randrange(20, 200)


class Network:
    """Where processes meet.

    Attributes:
        enter: command that puts another one there; empty for this machine's own network.
        domain: DDS domain.
        isolated: whether it is a namespace.
    """

    def __init__(self, enter=(), isolated=False):
        self.enter = list(enter)
        self.isolated = isolated
        self.domain = 0 if isolated else random_domain()

    def popen(self, arguments, python=sys.executable, path=ROOT, **options):
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(path), "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen([*self.enter, python, *arguments], env=env, cwd=ROOT, **options)


@contextmanager
def own_network():
    """Yield a network that nobody else is on, as far as that is permitted."""
    for user in ((), ("-r",)):
        holder = _hold(user)
        if holder is None:
            continue
        try:
            enter_user = ("-U", "--preserve-credentials") if user else ()
            yield Network(["nsenter", "-t", str(holder.pid), *enter_user, "-n"], isolated=True)
        finally:
            holder.kill()
            holder.wait()
        return
    yield Network()


def _hold(user):
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return None
    command = ["unshare", *user, "-n", "sh", "-c", _SET_UP]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if holder.stdout.readline().strip() == "ready":
        return holder
    holder.kill()
    holder.wait()
    return None
