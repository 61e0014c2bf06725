"""Requests and bytes per second by stored chunk size, beside nginx with the same bytes and other HDF5 servers.

All servers of a run are up at the same time and take turns: every round measures each of them once, and what is told is
the median over the rounds. Before and after that, chunks of every server are decoded and compared with the data.
"""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.common import ours
from benchmarks.common.datafile import Hashes, data_file, read_through, wait_until_settled
from benchmarks.common.errors import Missing, NotStarted, Unserved, Wrong
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.load import WRK
from benchmarks.common.load import Shape as LoadShape
from benchmarks.common.nginx import NAME as NGINX
from benchmarks.common.nginx import Copies, Nginx
from benchmarks.common.peers import PEERS
from benchmarks.common.report import Report, finish
from benchmarks.common.rounds import Entrant, Measured, measure
from benchmarks.common.series import KIB, QUICK_SIZES, SIZES, Series, other_series, plain_series, sharded
from benchmarks.common.server import Server, check
from benchmarks.common.venvs import base_python
from benchmarks.passthrough_tables import tables, target_rows
from chunkserve.progress import bars

HELP = "requests and bytes per second by chunk size, beside nginx and other servers"
NAMES = (NGINX, *(peer.name for peer in PEERS))
MIB = KIB * KIB
DEFAULT_SHARD_BELOW = 128 * KIB
"""Stored bytes below which chunkserve's default is a shard."""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        series: Rows.
        names: Servers beside chunkserve.
        workers: Process counts to measure with.
        rounds: Of taking turns.
        seconds: Of each measurement.
        connections: Of the load.
    """

    series: list[Series]
    names: tuple[str, ...]
    workers: tuple[int, ...]
    rounds: int
    seconds: int
    connections: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--peers", nargs="*", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)} [all]")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement [%(default)s]")
    parser.add_argument("--connections", type=int, default=16, help="of the load [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="of taking turns [%(default)s]")
    parser.add_argument("--volume", type=int, default=256, help="MiB of each dataset [%(default)s]")
    parser.add_argument("--workers", type=int, nargs="+", help="process counts [1 and all cores]")
    parser.add_argument("--peer-python", help="to make the peers' environments with [python3.12 if there, else this]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    plan = _plan(options)
    if not WRK:
        console.print("wrk is not installed: load comes from threads of Python, which are slower than the servers")
    report = Report(
        "passthrough",
        "Chunks passed through",
        f"{plan.connections} connections, each asking for the next chunk as soon as it has one; "
        f"median of {plan.rounds} rounds of {plan.seconds} s in which the servers take turns.",
    )
    with scratch() as folder, bars(console) as progress:
        store = options.cache / ("quick" if options.quick else f"passthrough-{options.volume}")
        file, hashes = data_file(store, [s for s in plan.series if not s.sharded], progress)
        wait_until_settled(file)
        read_through(file)
        found: list[Measured] = []
        wrong: list[str] = []
        for workers in plan.workers:
            with contextlib.ExitStack() as stack:
                fleet = _Fleet(stack, options, plan, report.notes)
                fleet.start(file, folder / str(workers), store / "copies", workers, progress)
                found += _measure_all(fleet, plan, hashes, progress, wrong)
    report.notes += wrong
    report.tables = tables(found)
    report.facts = {"plan": _told(plan), "measured": [m.told() for m in found], "targets": target_rows(found)}
    results = results_folder(options.results, quick=options.quick)
    finish(report, console, results, options.cores)
    if results is not None:
        _plot(found, results, console)
    failed = [m for m in found if m.server == ours.NAME and m.errors]
    for m in failed:
        console.print(f"[bold red]errors under load:[/] {m.series.label}, {m.workers} workers: {m.errors}")
    return 1 if failed or any(line.startswith((ours.NAME, NGINX)) for line in wrong) else 0


def _plan(options: argparse.Namespace) -> Plan:
    if options.quick:
        series = plain_series(QUICK_SIZES, 4 * MIB) + other_series(4 * MIB, quick=True)
        names, workers, rounds, seconds = (NGINX,), (1,), 1, 1
    else:
        series = plain_series(SIZES, options.volume * MIB) + other_series(options.volume * MIB)
        names, workers = NAMES, tuple(sorted({1, options.cores}))
        rounds, seconds = options.rounds, options.seconds
    series += [sharded(s) for s in series if s.kind == "gzip" and s.stored < DEFAULT_SHARD_BELOW]
    if options.peers is not None:
        names = tuple(options.peers)
    if options.workers:
        workers = tuple(options.workers)
    return Plan(series, names, workers, rounds, seconds, options.connections)


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "rounds": plan.rounds, "seconds": plan.seconds, "connections": plan.connections, "workers": plan.workers,
        "generator": "wrk" if WRK else "threads",
    }  # fmt: skip


class _Fleet:
    """The servers of one run, all up at once."""

    def __init__(self, stack: contextlib.ExitStack, options: argparse.Namespace, plan: Plan, notes: list[str]) -> None:
        self._stack, self._options, self._plan, self._notes = stack, options, plan, notes
        self.servers: list[Server] = []
        self._once: set[str] = set()

    def start(self, file: Path, folder: Path, copies: Path, workers: int, progress: Progress) -> None:
        """Start them all; what cannot be started is noted."""
        task = progress.add_task("starting servers", total=None)
        command = self._options.chunkserve
        plain = self._stack.enter_context(ours.Chunks(command, file, folder / "plain", workers))
        shards = self._stack.enter_context(ours.Shards(command, file, folder / "shards", workers))
        self.servers += [plain, shards]
        if NGINX in self._plan.names:
            with self._noting(NGINX):
                static = Copies(copies)
                server = self._stack.enter_context(Nginx(static, (plain, shards), folder / NGINX, workers))
                for series in self._plan.series:
                    with self._noting(series.label):
                        static.make(shards if series.sharded else plain, series, progress)
                read_through(copies)
                self.servers.append(server)
        python = self._options.peer_python or (base_python() if set(self._plan.names) - {NGINX} else "")
        for peer in PEERS:
            if peer.name in self._plan.names and not (peer.alone and workers > 1):
                with self._noting(peer.name):
                    up = peer.start(file, self._options.cache, python, folder / peer.name, workers)
                    self.servers.append(self._stack.enter_context(up))
                    if peer.once:
                        self._once.add(peer.name)
            elif peer.name in self._plan.names:
                self._note(f"{peer.name}: runs in one process only")
        progress.remove_task(task)

    def entrants(self, series: Series, hashes: list[str], wrong: list[str]) -> Iterator[Entrant]:
        """Those that answer rightly for a series."""
        for server in self.servers:
            try:
                targets = server.targets(series)
                check(server, series, targets, hashes)
            except Unserved as reason:
                if server.name != ours.NAME and not series.sharded:
                    self._note(f"{server.name}: {series.label}: {reason}")
            except (Wrong, OSError, HTTPException) as reason:
                wrong.append(f"{server.name}: {series.label}: {reason}")
            else:
                yield Entrant(server, targets, once=server.name in self._once)

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (Missing, NotStarted, Unserved) as reason:
            self._note(f"{what} left out: {reason}")

    def _note(self, line: str) -> None:
        if line not in self._notes:
            self._notes.append(line)


def _measure_all(
    fleet: _Fleet, plan: Plan, hashes: Hashes, progress: Progress, wrong: list[str]
) -> Iterator[Measured]:  # fmt: skip
    """Every series, on every server that can; chunkserve's answers are checked again afterwards."""
    with scratch() as folder:
        task = progress.add_task("measuring", total=len(plan.series))
        for series in plan.series:
            progress.update(task, description=f"measuring {series.label}")
            entrants = list(fleet.entrants(series, hashes[series.dataset], wrong))
            shape = LoadShape(plan.connections, plan.seconds, folder)
            found = list(measure(series, entrants, shape, plan.rounds))
            for entrant in entrants:
                if entrant.server.name == ours.NAME:
                    try:
                        check(entrant.server, series, entrant.targets, hashes[series.dataset])
                    except Wrong as reason:
                        wrong.append(f"{ours.NAME}: {series.label}, after the load: {reason}")
            yield from found
            progress.advance(task)
        progress.remove_task(task)


def _plot(found: list[Measured], folder: Path, console: Console) -> None:
    try:
        from benchmarks import passthrough_plot  # noqa: PLC0415 - matplotlib is optional
    except ModuleNotFoundError as error:
        console.print(f"no plot: {error} (it comes with the extra 'bench')")
        return
    for path in passthrough_plot.plot(found, folder):
        console.print(f"wrote {path}", markup=False)
