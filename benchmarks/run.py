"""Many users at once: viewers, Zarr readers, analysts, H5Web, all together; on chunkserve, nginx and other servers.

All servers of a run are up at the same time; a workload with so many users is measured on one after the other, so that
what is compared was measured within a minute. nginx has the very bytes of chunkserve's answers in files: it is the
limit. A run that was interrupted goes on where it was when it is started again in the same way.
"""

import argparse
import contextlib
import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.common import ours
from benchmarks.common.datafile import read_through, wait_until_settled
from benchmarks.common.errors import BenchmarkError, Missing, Unserved, Wrong
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.machine import commit
from benchmarks.common.nginx import NAME as NGINX
from benchmarks.common.peers import PEERS
from benchmarks.common.report import Report, finish
from benchmarks.users import data, tables
from benchmarks.users.cells import Cells
from benchmarks.users.crowd import Summary
from benchmarks.users.stage import SERVERS, Stage
from benchmarks.users.workloads import NAMES, WORKLOADS, Workload, closed_of
from chunkserve.progress import bars

HELP = "many users at once: behaviour and limits of chunkserve, nginx and other servers"
PARTIAL = "users.partial.jsonl"
QUICK_USERS = (10,)
USERS = (1, 10, 100, 1000)

Key = tuple[str, int, str]
"""Workload, users, server."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--peers", nargs="*", choices=SERVERS[1:], metavar="NAME",
        help=f"servers beside chunkserve, of {', '.join(SERVERS[1:])} [all; nginx with --quick]",
    )  # fmt: skip
    parser.add_argument("--users", type=_numbers, help="how many at once [1,10,100,1000; 10 with --quick]")
    parser.add_argument("--workloads", nargs="+", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)} [all]")
    parser.add_argument("--seconds", type=float, help="of each measurement [5; 1 with --quick]")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server [%(default)s]")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--generators", type=int, default=max(1, cores // 4), help="that make load [%(default)s]")
    parser.add_argument("--peer-python", help="to make the peers' environments with [python3.12 if there, else this]")
    parser.add_argument("--fresh", action="store_true", help="begin anew, do not go on with an interrupted run")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


@dataclass
class Journal:
    """What was measured so far, a line each in a file, so that a run can go on after an interrupt.

    Attributes:
        path: Of the file; none for a run that keeps nothing.
        plan: What a run has to have in common with an interrupted one to go on with it.
        rows: By workload, users and server.
    """

    path: Path | None
    plan: dict[str, Any]
    rows: dict[Key, Summary] = field(default_factory=dict)

    def open(self, *, fresh: bool) -> None:
        """Take up what is there, if it is of the same plan."""
        if self.path is None:
            return
        lines = self.path.read_text().splitlines() if self.path.exists() and not fresh else []
        if lines and json.loads(lines[0]) == self.plan:
            for line in lines[1:]:
                row = json.loads(line)
                self.rows[row["name"], row["users"], row["server"]] = row
        else:
            self.path.write_text(json.dumps(self.plan) + "\n")

    def add(self, key: Key, row: Summary) -> None:
        """A cell was measured."""
        self.rows[key] = {"name": key[0], "server": key[2], **row, "users": key[1]}
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(self.rows[key]) + "\n")

    def close(self) -> None:
        """The run is complete."""
        if self.path is not None:
            self.path.unlink()


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    options.seconds = options.seconds or (1.0 if options.quick else 5.0)
    users = options.users or (QUICK_USERS if options.quick else USERS)
    peers = options.peers if options.peers is not None else [NGINX] if options.quick else list(SERVERS[1:])
    names = [ours.NAME, *peers]
    chosen = _chosen(options.workloads)
    results = results_folder(options.results, quick=options.quick)
    plan = {
        "seconds": options.seconds, "workers": options.workers, "generators": options.generators,
        "quick": options.quick, "commit": commit(),
    }  # fmt: skip
    journal = Journal(results / PARTIAL if results else None, plan)
    journal.open(fresh=options.fresh)
    report = _report(options)
    wrong: list[str] = []
    load_before = os.getloadavg()
    with scratch() as folder, bars(console) as progress:
        file, hashes, facts = data.make(options.cache, progress, quick=options.quick)
        wait_until_settled(file)
        read_through(file)
        copies = file.parents[1] / "copies"
        series = data.limits(quick=options.quick)
        stage = Stage(options, file, facts, series, folder, copies, progress, report.notes)
        with contextlib.ExitStack() as stack:
            servers = stage.all_serving(stack, names)
            cells = Cells(stage, hashes, options.seconds, options.generators)
            try:
                _measure(_Round(cells, journal, servers, wrong, report.notes), chosen, users, console)
            except (KeyboardInterrupt, SystemExit):
                if journal.path is not None:
                    console.print(f"interrupted after {len(journal.rows)} measurements: the same command goes on")
                raise
    rows = list(journal.rows.values())
    report.notes += wrong
    report.tables = tables.tables(rows)
    report.facts = {
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]), "plan": plan,
        "servers": {peer.name: peer.requirements for peer in PEERS if peer.name in servers},
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "workloads": rows, "targets": tables.targets(rows),
    }  # fmt: skip
    finish(report, console, results, options.cores)
    if results is not None:
        _plot(rows, results, console)
        journal.close()
    return _status(rows, wrong, chosen, console)


def _chosen(names: list[str] | None) -> list[Workload]:
    """Workloads in the order of the table; an open loop needs its closed one."""
    wanted = set(names or NAMES)
    wanted |= {closed.name for w in WORKLOADS if w.name in wanted and (closed := closed_of(w)) is not None}
    return [w for w in WORKLOADS if w.name in wanted]


def _report(options: argparse.Namespace) -> Report:
    return Report(
        "users",
        "Many users",
        f"{options.seconds:g} s per measurement, {options.workers} worker process(es) per server, "
        f"{options.generators} load generator(s) on the same machine. A user is a connection. Times are those to a "
        "whole answer; percentiles of open loops include what a request waited for its user's last.",
    )


@dataclass(frozen=True)
class _Round:
    """What measuring needs."""

    cells: Cells
    journal: Journal
    servers: dict[str, Any]
    wrong: list[str]
    notes: list[str]

    def cell(self, workload: Workload, users: int, name: str) -> None:
        """Measure one, unless it is known."""
        key = (workload.name, users, name)
        closed = closed_of(workload)
        basis = self.journal.rows.get((closed.name, users, name)) if closed else None
        if key in self.journal.rows or (closed and not basis):
            return
        try:
            row = self.cells.measure(workload, self.servers[name], users, basis)
        except Unserved as reason:
            line = f"{name}: {workload.name} left out: {reason}"
        except Missing as reason:
            line = f"{workload.name} left out: {reason}"
        except (Wrong, BenchmarkError, OSError, HTTPException) as reason:
            line = f"{name}: {workload.name}, {users} users: {reason}"
            self.wrong.append(line)
            return
        else:
            self.journal.add(key, row)
            return
        if line not in self.notes:
            self.notes.append(line)


def _measure(turn: _Round, chosen: list[Workload], users: tuple[int, ...], console: Console) -> None:
    plan = [
        (workload, n, name)
        for workload in chosen
        for n in ((workload.users,) if workload.users else users)
        for name in turn.servers
    ]
    progress = turn.cells.stage.progress
    task = progress.add_task("measuring", total=len(plan))
    for workload, n, name in plan:
        progress.update(task, description=f"{workload.name}, {n:,} users, {name}")
        turn.cell(workload, n, name)
        row = turn.journal.rows.get((workload.name, n, name))
        if row and not console.is_terminal:
            console.print(tables.line(row), markup=False)
        progress.advance(task)
    progress.remove_task(task)


def _status(rows: list[Summary], wrong: list[str], chosen: list[Workload], console: Console) -> int:
    """Whether ours and nginx answered everything; how fast is nobody's failure."""
    own = [row for row in rows if row["server"] in (ours.NAME, NGINX)]
    bad = [f"{r['name']}, {r['users']} users, {r['server']}: {r['failures']}" for r in own if r["errors"]]
    bad += [f"{r['name']}, {r['users']} users, {r['server']}: no answer" for r in own if not r["requests"]]
    bad += [line for line in wrong if line.startswith((ours.NAME, NGINX))]
    missing = {w.name for w in chosen} - {r["name"] for r in rows if r["server"] == ours.NAME}
    bad += [f"{name} was not measured" for name in sorted(missing)]
    for line in bad:
        console.print(f"[bold red]failed:[/] {line}")
    return 1 if bad else 0


def _plot(rows: list[Summary], folder: Path, console: Console) -> None:
    try:
        from benchmarks.users import plots  # noqa: PLC0415 - matplotlib is optional
    except ModuleNotFoundError as error:
        console.print(f"no plots: {error} (they come with the extra 'bench')")
        return
    for path in plots.plot(rows, folder):
        console.print(f"wrote {path}", markup=False)
