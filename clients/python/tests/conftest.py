"""Real servers over files that tests write; what h5py reads from them is what is right."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hdf5plugin  # noqa: F401 - registers the filters that tests write with
import pytest
from hypothesis import settings

from chunkserve_client import Server, connect

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

REALDATA = Path(os.environ.get("CHUNKSERVE_REALDATA", Path(__file__).parents[4] / "shared" / "realdata"))

Serve = Callable[..., "Running"]


class Running:
    """A ``chunkserve serve`` process that can be ended and started again on the same port."""

    def __init__(self, paths: tuple[str, ...], flags: dict[str, object]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        self._command = [sys.executable, "-m", "chunkserve", "serve", *paths, f"--port={port}", *words]
        self.url = ""
        self._later: threading.Timer | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        environment = os.environ | {"COLUMNS": "400"}
        self.process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        self.url = found[0]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; by SIGKILL with all that it started, as it ends if it takes too long otherwise."""
        if number == signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def restart(self, number: int = signal.SIGTERM, pause: float = 0.5) -> None:
        """End it, and start it again a little later."""
        self.stop(number)
        self._later = threading.Timer(pause, self.start)
        self._later.start()

    def close(self) -> None:
        """End it for good."""
        if self._later is not None:
            self._later.join()
        if self.process.poll() is None:
            self.stop()

    def connect(self, **options: object) -> Server:
        """A client of it, with short patience."""
        return connect(self.url, token="", **{"patience": 20.0, **options})


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test touches the caches or profiles of the person who runs it."""
    os.environ["CHUNKSERVE_CACHE_DIR"] = str(tmp_path_factory.mktemp("server-cache"))
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    for name in ("CHUNKSERVE_URL", "CHUNKSERVE_TOKEN"):
        os.environ.pop(name, None)


@contextlib.contextmanager
def serving(*paths: Path | str, **flags: object) -> Iterator[Running]:
    """A server over folders or files."""
    running = Running(tuple(map(str, paths)), {"settle": 0, "workers": 1, "log_level": "warning"} | flags)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers over folders or files; they end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *paths, **flags: stack.enter_context(serving(*paths, **flags))
