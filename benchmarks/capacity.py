"""How many users a server carries: a model on paper, fed with measured service times, and checked by simulation.

The model: requests of many users arrive at random (Poisson) at workers that share them, M/G/c; waiting by Erlang's C
formula with the correction of Allen and Cunneen for service times that vary. Caches: popularity by Zipf's law, the
least recently used entry goes, hit ratio by Che's approximation.
"""

import argparse
import heapq
import json
import math
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.common import ours
from benchmarks.common.errors import Missing
from benchmarks.common.folders import RESULTS, results_folder
from benchmarks.common.report import Report, Table, finish, number
from chunkserve.progress import bars

HELP = "a model of users per core, cache sizes and what 10,000 users need, checked by simulation"
LIMIT = 0.7
"""Share of its time a core may be busy: beyond it, waiting grows faster than users."""

MEASURED = "users.json"
"""Results of ``run``."""


# ------------------------------------------------------------------------------ waiting


def erlang_c(workers: int, load: float) -> float:
    """The chance that an arrival has to wait, M/M/c.

    Args:
        workers: c.
        load: Arrivals per second times seconds of service; less than ``workers``.
    """
    blocked = 1.0
    for n in range(1, workers + 1):  # Erlang's B, by its recursion
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1 - load / workers * (1 - blocked))


def waiting(workers: int, rate: float, service: float, variation: float) -> float:
    """Mean seconds that a request waits, M/G/c (Allen and Cunneen).

    Args:
        workers: That share the requests.
        rate: Requests per second.
        service: Mean seconds of service.
        variation: Squared coefficient of variation of the service time.
    """
    load = rate * service
    if load >= workers:
        return math.inf
    return erlang_c(workers, load) * service / (workers - load) * (1 + variation) / 2


def simulated_waiting(workers: int, rate: float, services: Sequence[float], count: int, seed: int = 1) -> float:
    """The same, of ``count`` arrivals one by one: each is taken by the worker that is free first."""
    dice = random.Random(seed)
    free = [0.0] * workers
    now = waited = 0.0
    for _ in range(count):
        now += dice.expovariate(rate)
        start = max(now, heapq.heappop(free))
        waited += start - now
        heapq.heappush(free, start + dice.choice(services))
    return waited / count


# ------------------------------------------------------------------------------- caches


def zipf(items: int, exponent: float) -> np.ndarray:
    """How likely each of ``items`` is asked for, the most popular first."""
    weights = np.arange(1, items + 1, dtype=float) ** -exponent
    return weights / weights.sum()


def hit_ratio(chances: np.ndarray, slots: int) -> float:
    """Che's approximation for a cache of ``slots`` equal entries: an entry stays for the *characteristic time*."""
    if slots >= chances.size:
        return 1.0

    def held(time: float) -> float:
        return float(-np.expm1(-chances * time).sum())

    low, high = 0.0, 1.0
    while held(high) < slots:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if held(middle) < slots else (low, middle)
    return float((chances * -np.expm1(-chances * high)).sum())


def simulated_hit_ratio(chances: np.ndarray, slots: int, count: int, seed: int = 1) -> float:
    """The same, by a cache that is asked; the first half of ``count`` requests fill it."""
    asked = np.random.default_rng(seed).choice(chances.size, count, p=chances)
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for n, item in enumerate(asked.tolist()):
        if item in kept:
            kept.move_to_end(item)
            hits += n >= count // 2
        else:
            kept[item] = None
            if len(kept) > slots:
                kept.popitem(last=False)
    return hits / (count - count // 2)


# ------------------------------------------------------------------------------- people


@dataclass(frozen=True)
class Person:
    """What somebody at work asks for; the rates are assumptions, the costs are measured.

    Attributes:
        name: For tables.
        workload: Whose cost per request is taken.
        share: Of all who are active.
        operations: That begin per minute.
    """

    name: str
    workload: str
    share: float
    operations: float


PEOPLE = (
    Person("viewer", "viewers", 0.60, 30),
    Person("H5Web", "h5web", 0.15, 20),
    Person("analyst", "analysts", 0.10, 6),
    Person("scan by dask", "zarr-scan", 0.10, 600),
    Person("time series", "zarr-series", 0.05, 20),
)
ACTIVE = 0.1
"""Of a facility's users, those who are at it at noon."""


@dataclass(frozen=True)
class Cost:
    """What a workload costs the server, measured.

    Attributes:
        cpu: Seconds per request.
        requests: Per operation.
        bytes: Per request.
        variation: Of the time of a request with one user, squared coefficient.
    """

    cpu: float
    requests: float
    bytes: float
    variation: float


Row = dict[str, Any]


def costs(rows: list[Row]) -> dict[str, Cost]:
    """Those of chunkserve, from the row with the most users up to 100, where a server is busy."""
    found: dict[str, Cost] = {}
    for row in sorted((r for r in rows if r["server"] == ours.NAME and r["users"] <= 100), key=lambda r: r["users"]):
        if row.get("operations") and row["cpu_s_per_1000"]:
            found[row["name"]] = Cost(
                row["cpu_s_per_1000"] / 1000,
                row["requests"] / row["operations"],
                row["bytes"] / row["requests"],
                _variation(row),
            )
    return found


def _variation(row: Row) -> float:
    """That of a lognormal with the row's p50 and p95."""
    sigma = math.log(max(1.0, row["p95_ms"] / row["p50_ms"])) / 1.645
    return math.expm1(min(sigma, 2.0) ** 2)


# ------------------------------------------------------------------------------- tables


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--measured", type=Path, help=f"results of 'run' [{RESULTS / MEASURED}]")
    parser.add_argument("--people", type=int, default=10_000, help="of a facility [%(default)s]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    path = options.measured or (options.results or RESULTS) / MEASURED
    if not path.exists():
        raise Missing(f"{path} is not there: python -m benchmarks run makes it")
    measured = json.loads(path.read_text())
    found = costs(measured["workloads"])
    report = Report("capacity", "Capacity", f"Service times from {path.name} of {measured['machine']['date']}.")
    with bars(console) as progress:
        report.tables = [
            *_people(found, options.people),
            _waiting(progress, options.quick),
            _caches(progress, options.quick),
        ]
        beside = _beside(measured["workloads"])
        if beside.rows:
            report.tables.append(beside)
    report.facts = {"tables": {t.title: {"columns": list(t.columns), "rows": t.rows} for t in report.tables}}
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 0


def _people(found: dict[str, Cost], people: int) -> list[Table]:
    """Users per core by kind, and what a facility needs."""
    each = Table(
        "Active users per core",
        ["who", "operations a minute", "requests a second", "CPU ms a request", "Mbit/s", f"users at {LIMIT:.0%} busy"],
    )
    cores = traffic = rate = 0.0
    active = people * ACTIVE
    for person in PEOPLE:
        cost = found.get(person.workload)
        if cost is None:
            continue
        requests = person.operations / 60 * cost.requests
        cells = (
            person.operations,
            requests,
            cost.cpu * 1e3,
            requests * cost.bytes * 8e-6,
            LIMIT / (requests * cost.cpu),
        )
        each.rows.append([person.name, *map(number, cells)])
        rate += active * person.share * requests
        cores += active * person.share * requests * cost.cpu
        traffic += active * person.share * requests * cost.bytes
    whole = Table(
        f"{people:,} users, of whom {ACTIVE:.0%} are at it",
        ["active", "requests a second", "busy cores", f"cores at {LIMIT:.0%} busy", "Gbit/s"],
        [[number(active), number(rate), number(cores), str(math.ceil(cores / LIMIT)), number(traffic * 8e-9)]],
    )
    return [each, whole]


def _waiting(progress: Progress, quick: bool) -> Table:
    """The formula beside a simulation, for service times that vary."""
    table = Table(
        "Waiting, as a multiple of the mean service time", ["workers", "busy", "variation", "formula", "simulated"]
    )
    cases = [(c, busy, spread) for c in (1, 4, 16) for busy in (0.5, 0.7, 0.9) for spread in (0.5, 1.5)]
    task = progress.add_task("simulating queues", total=len(cases))
    for workers, busy, spread in cases:
        dice = random.Random(7)
        services = [dice.lognormvariate(-spread * spread / 2, spread) for _ in range(20_000)]
        mean = sum(services) / len(services)
        variation = sum((s - mean) ** 2 for s in services) / len(services) / mean**2
        rate = busy * workers / mean
        paper = waiting(workers, rate, mean, variation) / mean
        simulated = simulated_waiting(workers, rate, services, 20_000 if quick else 400_000) / mean
        table.rows.append([str(workers), number(busy), number(variation), number(paper), number(simulated)])
        progress.advance(task)
    progress.remove_task(task)
    return table


def _caches(progress: Progress, quick: bool) -> Table:
    """Hit ratios by Che beside those of a cache."""
    items, count = (5_000, 40_000) if quick else (100_000, 1_000_000)
    table = Table(f"Hit ratio of a cache, of {items:,} tiles", ["holds", "exponent", "Che", "simulated"])
    cases = [(share, exponent) for exponent in (0.8, 1.0, 1.2) for share in (0.001, 0.01, 0.1, 0.3)]
    task = progress.add_task("simulating caches", total=len(cases))
    for share, exponent in cases:
        chances, slots = zipf(items, exponent), max(1, int(items * share))
        pair: tuple[Callable[[], float], ...] = (
            lambda chances=chances, slots=slots: hit_ratio(chances, slots),
            lambda chances=chances, slots=slots: simulated_hit_ratio(chances, slots, count),
        )
        table.rows.append([f"{share:.1%}", number(exponent), *(number(value()) for value in pair)])
        progress.advance(task)
    progress.remove_task(task)
    return table


def _beside(rows: list[Row]) -> Table:
    """Open loops as they were measured, and what the formula says of one worker."""
    table = Table(
        "Open loops: mean time of an operation, ms",
        ["workload", "users", "operations/s offered", "busy cores", "one user, p50", "formula", "measured p50"],
    )
    single = {r["name"]: r for r in rows if r["server"] == ours.NAME and r["users"] == 1}
    for row in (r for r in rows if r["server"] == ours.NAME and r.get("offered_operations_per_s")):
        alone = single.get(row["name"])
        if alone is None or row["users"] == 1 or not row["operations"]:
            continue
        service = row["cpu_s"] / row["operations"]
        rate = row["operations"] / row["seconds"]
        waits = waiting(1, rate, service, _variation(alone)) * 1e3
        cells = (rate, row["server_cores"], alone["operation_p50_ms"], alone["operation_p50_ms"] + waits)
        table.rows.append([row["name"], f"{row['users']:,}", *map(number, cells), number(row["operation_p50_ms"])])
    return table
