"""A cell of the results: one workload, on one server, by so many users."""

from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter

from benchmarks.common import ours
from benchmarks.common.client import Client
from benchmarks.common.datafile import Hashes, drop_pages, read_through
from benchmarks.common.errors import Unserved
from benchmarks.common.load import Shape, load, load_once
from benchmarks.common.nginx import NAME as NGINX
from benchmarks.common.nginx import Copies
from benchmarks.common.peers import PEERS
from benchmarks.common.procfs import wait_until_idle
from benchmarks.common.server import Target, check
from benchmarks.common.storage import build, variables
from benchmarks.users.crowd import Found, Summary, Watch, drive
from benchmarks.users.dialects import Dialect, StaticDialect
from benchmarks.users.generator import Plan
from benchmarks.users.stage import Stage
from benchmarks.users.trace import KINDS, Chunks, Session, sessions
from benchmarks.users.workloads import LOAD, Workload

SEED = 1
GRACE = 5.0
"""Seconds that answers may still take when the time is up."""

ONCE_SECONDS = 60.0
"""At most, for workloads that everybody does once."""

READS = "reads"
"""The file in which slow reads are counted."""

CONVERTING = frozenset(peer.name for peer in PEERS if peer.converts)
REMEMBERING = frozenset(peer.name for peer in PEERS if peer.once)


@dataclass(frozen=True)
class Cells:
    """Measures.

    Attributes:
        stage: The servers.
        hashes: Of the series' chunks.
        seconds: Of each measurement.
        generators: Processes that make load.
    """

    stage: Stage
    hashes: Hashes
    seconds: float
    generators: int

    def measure(self, workload: Workload, spoken: Dialect, users: int, closed: Summary | None) -> Summary:
        """One cell; an open loop needs what the ``closed`` one found.

        Raises:
            Unserved: The server has no such question.
            Wrong: It answers otherwise than the file.
        """
        if workload.way == "limit":
            return self._limit(workload, spoken, users)
        if workload.way == "once":
            return self._once(workload, spoken, users)
        return self._loop(workload, spoken, users, closed)

    # -------------------------------------------------------------------------- loops

    def _loop(self, workload: Workload, spoken: Dialect, users: int, closed: Summary | None) -> Summary:
        """Users with warm caches."""
        assert workload.person is not None
        every = sessions(workload.person, self.stage.facts, SEED)
        indexed, targets = resolved(spoken, every)
        self.stage.prepare(spoken, every)
        rate = 0.0
        if workload.way == "open":
            assert closed is not None
            rate = LOAD * closed["operations"] / closed["seconds"] / users
        lengths = self.stage.lengths
        known = [(*target, lengths.get((spoken.server.name, target), -1)) for target in targets]
        plan = Plan(
            spoken.server.port, list(range(users)), indexed, known, self.seconds, GRACE, rate, seed=SEED,
            headers=dict(spoken.server.headers),
        )  # fmt: skip
        return self._driven(spoken, plan) | {"offered_operations_per_s": rate * users or None}

    def _driven(self, spoken: Dialect, plan: Plan) -> Summary:
        group = spoken.server.process.group
        wait_until_idle([group])
        watch = Watch(group)
        return watch.told(self._drive(plan).summary())

    def _drive(self, plan: Plan) -> Found:
        return drive(plan, self.generators, self.stage.folder)

    # ------------------------------------------------------------------------- limits

    def _limit(self, workload: Workload, spoken: Dialect, users: int) -> Summary:
        """Chunks by wrk; servers that remember answers are asked for each only once."""
        series = next(s for s in self.stage.series if workload.concerns(s))
        server = spoken.server
        if isinstance(spoken, StaticDialect):
            assert isinstance(spoken.like.server, ours.Chunks)
            Copies(self.stage.copies).make(spoken.like.server, series, self.stage.progress)
            read_through(self.stage.copies / "chunks")
        targets: list[Target] = server.targets(series)  # type: ignore[attr-defined]
        check(server, series, targets, self.hashes[series.dataset])  # type: ignore[arg-type]
        shape = Shape(users, max(1, round(self.seconds)), self.stage.folder, server.headers)
        once = server.name in REMEMBERING
        wait_until_idle([server.process.group])
        watch = Watch(server.process.group)
        found = (load_once if once else load)(server.port, targets, shape)
        good = found.requests - found.refused
        summary: Summary = {
            "users": users, "seconds": found.seconds, "requests": good, "errors": found.errors,
            "failures": {"status": found.refused, "connection": found.broken} if found.errors else {},
            "unfinished": 0, "requests_per_s": good / found.seconds, "bytes": found.bytes,
            "bytes_per_s": found.bytes / found.seconds, "p50_ms": found.p50 * 1e3, "p95_ms": found.p95 * 1e3,
            "p99_ms": found.p99 * 1e3, "p999_ms": found.p999 * 1e3, "fairness": None,
            "generator_cpu": found.client, "first_pass": once,
        }  # fmt: skip
        told = watch.told(summary)
        if server.name == NGINX:
            told["by_generator"] = self._limit_by_generator(spoken, targets, users)
        return told

    def _limit_by_generator(self, spoken: Dialect, targets: list[Target], users: int) -> Summary:
        """The same by the generator of the other workloads, to show that it keeps up."""
        kind = KINDS.index(Chunks)
        session = [[kind, n] for n in range(len(targets))]
        known = [(*target, -1) for target in targets]
        plan = Plan(spoken.server.port, list(range(users)), [session], known, self.seconds, GRACE, seed=SEED)
        found = self._driven(spoken, plan)
        names = (
            "requests_per_s",
            "errors",
            "unfinished",
            "p50_ms",
            "p99_ms",
            "fairness",
            "generator_cpu",
            "server_cores",
        )
        return {name: found[name] for name in names}

    # --------------------------------------------------------------------------- once

    def _once(self, workload: Workload, spoken: Dialect, users: int) -> Summary:
        """A server of its own, new to the file."""
        assert workload.person is not None
        every = sessions(workload.person, self.stage.facts, SEED)
        if spoken.server.name in CONVERTING:
            raise Unserved("it serves a copy that was made before")
        indexed, targets = resolved(spoken, every, lenient=True)
        if isinstance(spoken, StaticDialect):
            spoken.copy([Target(path) for path in _asked(spoken, every)], lambda: None)
        if workload.cold:
            drop_pages(self.stage.copies if isinstance(spoken, StaticDialect) else self.stage.file)
        known = [(*target, -1) for target in targets]
        begin = perf_counter()
        with self.stage.serving(spoken.server.name, self._slowed(workload, spoken)) as fresh:
            started = perf_counter() - begin
            plan = Plan(
                fresh.server.port, list(range(users)), indexed, known, ONCE_SECONDS, GRACE, once=True, seed=SEED,
                headers=dict(spoken.server.headers),
            )  # fmt: skip
            watch = Watch(fresh.server.process.group)
            found = self._drive(plan)
            summary = watch.told(found.summary()) | found.milestones() | {"start_s": started}
            if workload.slow:
                summary["reads"] = (self.stage.folder / READS).stat().st_size
            if fresh.server.name == ours.NAME:
                summary["computations"] = _computations(fresh.server.port)
            return summary

    def _slowed(self, workload: Workload, spoken: Dialect) -> dict[str, str]:
        """Variables under which reads are slow."""
        if not workload.slow:
            return {}
        folder = self.stage.folder
        switch = folder / "slow"
        switch.touch()
        root = self.stage.copies if isinstance(spoken, StaticDialect) else self.stage.file.parent
        (folder / READS).write_bytes(b"")
        found = variables(build(folder), root, switch, folder / READS)
        return found | {"FAULTS_DELAY_MS": str(workload.slow)}


def _asked(spoken: StaticDialect, every: list[Session]) -> list[str]:
    """Paths of ours that sessions ask for."""
    return list(dict.fromkeys(t.path for session in every for op in session for t in spoken.like.targets(op)))


def _computations(port: int) -> float | None:
    """How many things ours has computed since its start."""
    with Client(port) as client:
        text = client.body("/metrics").decode()
    lines = (line for line in text.splitlines() if line.startswith("chunkserve_computations_total"))
    return next((float(line.split()[-1]) for line in lines), None)


def resolved(
    spoken: Dialect, every: Iterable[Session], *, lenient: bool = False
) -> tuple[list[list[list[int]]], list[Target]]:
    """Sessions as numbers: of operations the kind and their targets; and the targets.

    Raises:
        Unserved: The server cannot be asked for one of the operations; if ``lenient``, for any.
    """
    numbers: dict[Target, int] = {}
    found = []
    reason = Unserved("nothing was asked")
    for session in every:
        steps = []
        for op in session:
            try:
                targets = spoken.targets(op)
            except Unserved as lack:
                if not lenient:
                    raise
                reason = lack
                continue
            steps.append([KINDS.index(type(op)), *(numbers.setdefault(t, len(numbers)) for t in targets)])
        found.append(steps)
    if not any(found):
        raise reason
    return found, list(numbers)
