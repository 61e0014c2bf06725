"""Load: a number of connections, each asking for the next target as soon as it has an answer.

By wrk where it is installed, else by threads of Python: those are slow and only show that everything works.
"""

import http.client
import itertools
import json
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common.client import Client
from benchmarks.common.errors import BenchmarkError
from benchmarks.common.processes import HOST
from benchmarks.common.server import Target

WRK = shutil.which("wrk")
SCRIPT = Path(__file__).with_name("cycle.lua")
TIMEOUT = 30
"""Seconds an answer may take before it counts as an error."""

THREADS = 4
"""Of the substitute for wrk."""


@dataclass(frozen=True)
class Load:
    """What came of it.

    Attributes:
        seconds: How long it lasted.
        requests: Answers that arrived whole.
        bytes: Received, headers included.
        refused: Answers with a status of 400 or more.
        broken: Connections that failed, and answers that took too long.
        p50: Median of the time to a whole answer, seconds.
        p95, p99, p999: Percentiles of it.
        client: Cores that the load generator kept busy; near 1.0 it, not the server, is what was measured.
    """

    seconds: float
    requests: int
    bytes: int
    refused: int
    broken: int
    p50: float
    p95: float
    p99: float
    p999: float
    client: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> int:
        """Everything that went wrong."""
        return self.refused + self.broken


@dataclass(frozen=True)
class Shape:
    """How load is made: connections, and whole seconds."""

    connections: int
    seconds: int
    scratch: Path
    headers: Mapping[str, str] = field(default_factory=dict)


def load(port: int, targets: list[Target], shape: Shape) -> Load:
    """Put load on a server.

    Raises:
        BenchmarkError: wrk failed.
    """
    return _wrk(port, targets, shape) if WRK else _threads(port, targets, shape)


def _wrk(port: int, targets: list[Target], shape: Shape) -> Load:
    lines = shape.scratch / "targets.txt"
    lines.write_text("".join(f"{target.path}\t{target.byte_range}\n" for target in targets))
    command = [
        str(WRK), "-t1", f"-c{shape.connections}", f"-d{shape.seconds}s", f"--timeout={TIMEOUT}s",
        *(word for name, value in shape.headers.items() for word in ("-H", f"{name}: {value}")),
        "-s", str(SCRIPT), f"http://{HOST}:{port}/", "--", str(lines),
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=shape.seconds + 2 * TIMEOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = next((line[7:] for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if result is None:
        raise BenchmarkError(f"wrk: {done.stdout}{done.stderr}")
    values = json.loads(result)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Load(**values, client=busy / values["seconds"])


def _threads(port: int, targets: list[Target], shape: Shape) -> Load:
    """The same by ``http.client`` in threads."""
    count = min(shape.connections, THREADS)
    return _ask(port, [itertools.cycle(targets[n::count] or targets) for n in range(count)], shape)


def load_once(port: int, targets: list[Target], shape: Shape) -> Load:
    """Ask for each target once, as far as the time goes: for servers that remember answers.

    By threads of Python: good enough where an answer takes many milliseconds.
    """
    count = min(shape.connections, THREADS)
    return _ask(port, [iter(targets[n::count]) for n in range(count)], shape)


def _ask(port: int, shares: list[Iterator[Target]], shape: Shape) -> Load:
    """A thread for each share of the targets."""
    count = len(shares)
    found: list[list[tuple[float, int, bool]]] = [[] for _ in range(count)]
    broken = [0] * count
    until = time.monotonic() + shape.seconds

    def work(n: int) -> None:
        with Client(port, TIMEOUT, shape.headers) as client:
            for target in shares[n]:
                start = time.monotonic()
                if start >= until:
                    return
                try:
                    answer = client.get(*target)
                except (OSError, http.client.HTTPException):
                    broken[n] += 1
                else:
                    found[n].append((time.monotonic() - start, len(answer.body), answer.status >= 400))

    start, busy = time.monotonic(), time.process_time()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    every = sorted(itertools.chain(*found))
    return Load(
        seconds, len(every), sum(size for _, size, _ in every), sum(bad for *_, bad in every), sum(broken),
        _at(every, 0.5), _at(every, 0.95), _at(every, 0.99), _at(every, 0.999),
        (time.process_time() - busy) / seconds,
    )  # fmt: skip


def _at(every: Iterable[tuple[float, int, bool]], share: float) -> float:
    times = [seconds for seconds, _, _ in every]
    return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0
