"""Servers taking turns: every round puts load on each of them once."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.common.load import Load, Shape, load, load_once
from benchmarks.common.procfs import cpu_seconds, wait_until_idle
from benchmarks.common.report import median
from benchmarks.common.series import Series
from benchmarks.common.server import Server, Target


@dataclass(frozen=True)
class Entrant:
    """A server and what to ask it; ``once`` if it remembers answers, so that each may be asked for only once."""

    server: Server
    targets: list[Target]
    once: bool


@dataclass(frozen=True)
class Turn:
    """One measurement: the load, and CPU seconds of the server."""

    load: Load
    cpu: float


@dataclass(frozen=True)
class Measured:
    """All turns of a server with a series."""

    series: Series
    server: str
    workers: int
    once: bool
    turns: list[Turn]

    @property
    def rate(self) -> float | None:
        """Median of the requests per second."""
        return median(t.load.rate for t in self.turns)

    @property
    def bandwidth(self) -> float | None:
        """Median of the bytes per second received."""
        return median(t.load.bytes / t.load.seconds for t in self.turns if t.load.seconds)

    @property
    def cpu(self) -> float | None:
        """Median of the server's CPU seconds per request."""
        return median(t.cpu / t.load.requests for t in self.turns if t.load.requests)

    @property
    def p99(self) -> float | None:
        """Median of the 99th percentile of the time to an answer, seconds."""
        return median(t.load.p99 for t in self.turns)

    @property
    def client(self) -> float | None:
        """Median of the cores that the load generator kept busy."""
        return median(t.load.client for t in self.turns)

    @property
    def errors(self) -> int:
        """Answers that failed, in all turns."""
        return sum(t.load.errors for t in self.turns)

    def over(self, other: "Measured") -> float | None:
        """Median of the ratios to another server's rate, round by round."""
        pairs = zip(self.turns, other.turns, strict=False)
        return median(a.load.rate / b.load.rate for a, b in pairs if b.load.rate)

    def told(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "series": self.series.label, "kind": self.series.kind, "stored": self.series.stored,
            "decoded": self.series.decoded, "sharded": self.series.sharded, "server": self.server,
            "workers": self.workers, "first_pass": self.once, "requests_per_second": self.rate,
            "bytes_per_second": self.bandwidth, "cpu_seconds_per_request": self.cpu, "p99": self.p99,
            "client_cores": self.client, "errors": self.errors,
            "rounds": [asdict(t.load) | {"cpu": t.cpu} for t in self.turns],
        }  # fmt: skip


def measure(series: Series, entrants: list[Entrant], shape: Shape, rounds: int) -> Iterator[Measured]:
    """Let servers take turns."""
    turns: list[list[Turn]] = [[] for _ in entrants]
    for n in range(rounds):
        for entrant, its in zip(entrants, turns, strict=True):
            server = entrant.server
            wait_until_idle([e.server.process.group for e in entrants])
            before = cpu_seconds(server.process.group)
            if entrant.once:
                checked = set(series.sample())
                fresh = [target for k, target in enumerate(entrant.targets) if k not in checked]
                done = load_once(server.port, fresh[n * len(fresh) // rounds : (n + 1) * len(fresh) // rounds], shape)
            else:
                done = load(server.port, entrant.targets, shape)
            its.append(Turn(done, cpu_seconds(server.process.group) - before))
    for entrant, its in zip(entrants, turns, strict=True):
        yield Measured(series, entrant.server.name, entrant.server.workers, entrant.once, its)
