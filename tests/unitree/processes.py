"""sonic-sim and the loop as processes, and the time from a fault to damping."""

import json
import subprocess
import time
from contextlib import contextmanager

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.unitree.sim_command import tell

START_S = 60.0


class Sim:
    """A `sonic-sim` that runs.

    Args:
        network: where.
        folder: for its socket and its log.
        settings: its command line.
    """

    def __init__(self, network, folder, *settings):
        self.control = f"ipc://{folder}/sim"
        self._log = (folder / "sim.log").open("wb+")
        arguments = ["-m", "sonic_runtime.robot_io.unitree.sim_command", f"control={self.control}"]
        self.process = network.popen(
            [*arguments, f"domain={network.domain}", *settings], stdout=self._log, stderr=subprocess.STDOUT
        )
        self.wait_for(lambda: self.tell()["steps"] > 0)

    def tell(self, **order):
        try:
            return tell(self.control, order)
        except RobotError:
            assert self.process.poll() is None, self.output()
            raise

    def wait_for(self, condition, timeout_s=START_S):
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if condition():
                    return
            except RobotError:
                pass
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.01)

    def output(self):
        self._log.flush()
        return (self._log.seek(0), self._log.read())[1].decode(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(10)
        text = self.output()
        self._log.close()
        return code, text


@contextmanager
def simulated_robot(network, folder, *settings):
    sim = Sim(network, folder, *settings)
    try:
        yield sim
    finally:
        code, text = sim.close()
    assert code == 0, text


class LoopProcess:
    """The process of `loop_process.py`: the real loop, guard, policy and writer on a robot, run by run."""

    def __init__(self, network, folder):
        self._log = (folder / "loop.log").open("wb+")
        self.process = network.popen(
            ["-m", "tests.unitree.loop_process", str(network.domain)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._running = False
        assert self.line() == "loaded"

    def line(self):
        text = self.process.stdout.readline().strip()
        assert text, (self._log.flush(), self._log.seek(0), self._log.read())[2].decode()
        return text

    def start(self, **unitree):
        """Begin a run, once the one before has ended; return the line that says "opened", or why it was refused."""
        while self._running:
            self.end()
        self.process.stdin.write(json.dumps(unitree) + "\n")
        self.process.stdin.flush()
        answer = self.line()
        self._running = answer.startswith("opened")
        return answer

    def end(self):
        """Return the line with which the run ends."""
        ended = self.line()
        self._running = False
        return ended

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(20)
        self._log.close()
        return code
