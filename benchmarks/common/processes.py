"""Servers as child processes: each in a process group of its own, ended by that group's id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.common.errors import NotStarted

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds a process may take to end when asked to."""


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Process:
    """A command running in its own process group, its output in a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it, with ``environment`` added to this process's own."""
        self.log = log
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(environment or {}),
                start_new_session=True,
            )

    @property
    def group(self) -> int:
        """Id of the process group (and of its first process)."""
        return self._child.pid

    def ended(self) -> bool:
        """Whether the first process is gone."""
        return os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def stop(self) -> None:
        """End the whole group; return when its first process is gone."""
        if self._child.returncode is not None:
            return
        self._tell(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._tell(signal.SIGKILL)  # before the first process is reaped, so that the id is still ours
        self._child.wait()

    def _tell(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, number)

    def tail(self, lines: int = 5) -> str:
        """The last lines it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for_port(self, port: int, seconds: float = 60.0) -> None:
        """Return when something accepts connections on a port.

        Raises:
            NotStarted: The process ended, or time is up.
        """
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1.0):
                return
            if self.ended():
                raise NotStarted(f"ended at once: {self.tail()}")
            if time.monotonic() > deadline:
                raise NotStarted(f"does not listen after {seconds:.0f} s: {self.tail()}")
            time.sleep(0.02)
