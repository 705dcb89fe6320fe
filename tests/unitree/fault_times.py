"""Time from each fault of `test_faults` to damping: `python -m tests.unitree.fault_times [TRIES]` prints a table."""

import statistics
import sys
import tempfile
from pathlib import Path

from sonic_runtime.command_line import say
from tests.unitree.network import own_network
from tests.unitree.processes import LoopProcess, simulated_robot
from tests.unitree.test_faults import FAULTS, ms_to_damping, stand


def main(tries: int) -> None:
    folder = Path(tempfile.mkdtemp())
    with own_network() as network, simulated_robot(network, folder, "start=standing", "band_s=0.8") as robot:
        loop = LoopProcess(network, folder)
        for name, (fault, _) in FAULTS.items():
            times_ms = []
            for _ in range(tries):
                stand(robot, loop)
                times_ms.append(ms_to_damping(robot, fault))
            median = statistics.median(times_ms)
            say(f"| `{name}` | {loop.end().split(':')[1].strip()} | {median:.0f} ({max(times_ms):.0f}) |")
        loop.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
