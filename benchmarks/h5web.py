"""What H5Web asks for when a tree is opened: h5grove and chunkserve in one run, answers compared.

*First* is the first time after the server's start, *again* the same requests once more.
"""

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import h5py
import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.common import ours
from benchmarks.common.client import Client
from benchmarks.common.datafile import wait_until_settled
from benchmarks.common.errors import Missing, Wrong
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.peers import PEERS
from benchmarks.common.report import Report, Table, finish, number
from benchmarks.common.venvs import base_python
from chunkserve.progress import bars

HELP = "what H5Web asks for when a tree of many NeXus groups is opened, from h5grove and from chunkserve"
FILE = "bench.h5"
PARALLEL = 6
"""Connections that a browser opens to a server."""

Answers = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """Requests that belong together.

    Attributes:
        name: For tables.
        paths: Endpoint and path in the file.
        parallel: Connections.
    """

    name: str
    paths: tuple[tuple[str, str], ...]
    parallel: int = 1


@dataclass(frozen=True)
class Timed:
    """What a step took."""

    server: str
    step: str
    when: str
    seconds: float
    requests: int
    bytes: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--groups", type=int, help="NeXus groups in one group [1,000; 100 with --quick]")


def steps(groups: int) -> tuple[Step, ...]:
    """What H5Web 17 sends, in its order: it is one after the other unless said otherwise."""
    names = [f"/many/g{k:04d}" for k in range(groups)]
    return (
        Step("the file is opened", (("meta", "/"), ("meta", "/many"), ("attr", "/"), ("attr", "/many"))),
        Step(f"/meta of a group with {groups:,} groups", (("meta", "/many"),)),
        Step(f"/attr of each of {groups:,} groups, in turn", tuple(("attr", name) for name in names)),
        Step(f"/meta of each, {PARALLEL} at a time", tuple(("meta", name) for name in names), PARALLEL),
        Step(f"/meta of a group with {2 * groups:,} datasets", (("meta", "/datasets"),)),
        Step("the search: /paths", (("paths", "/"),)),
    )


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    groups = options.groups or (100 if options.quick else 1000)
    report = Report(
        "h5web",
        "A tree in H5Web",
        f"A file with {groups:,} NeXus groups in one group, each with a dataset, and {2 * groups:,} datasets in "
        "another. One worker each. First: after its start, with an empty cache folder. Again: the same once more.",
    )
    wrong: list[str] = []
    found: list[Timed] = []
    answers: dict[str, Answers] = {}
    with scratch() as folder, bars(console) as progress:
        file = _data(options.cache / "h5web" / str(groups) / FILE, groups, progress)
        wait_until_settled(file)
        for name, prefix, server in _servers(options, file, folder, report):
            task = progress.add_task(name, total=None)
            with server as port:
                answers[name] = {}
                for when in ("first", "again"):
                    found += [_take(name, port, prefix, step, when, answers[name]) for step in steps(groups)]
            progress.remove_task(task)
    if len(answers) == 2:
        theirs, mine = answers["h5grove"], answers[ours.NAME]
        wrong += [f"{path} differs" for path in theirs if theirs[path] != mine[path]]
    report.facts = {"groups": groups, "steps": [vars(t) for t in found], "wrong": wrong}
    report.notes += wrong[:20]
    report.tables = [_table(found)]
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 1 if wrong else 0


Serving = contextlib.AbstractContextManager[int]


def _servers(
    options: argparse.Namespace, file: Path, folder: Path, report: Report
) -> Iterator[tuple[str, str, Serving]]:
    """Names, prefixes of URLs, and the servers, which give their port."""
    peer = next(peer for peer in PEERS if peer.name == "h5grove")
    try:
        running = peer.start(file, options.cache, base_python(), folder, 1)
    except Missing as reason:
        report.notes.append(f"h5grove: left out: {reason}")
    else:
        yield "h5grove", "", _serving(running.port, running.process)
    port, process = ours.start(options.chunkserve, file.parent, folder)
    process.wait_for_port(port)
    yield ours.NAME, "/h5grove", _serving(port, process)


@contextlib.contextmanager
def _serving(port: int, process: Any) -> Iterator[int]:
    try:
        yield port
    finally:
        process.stop()


def _take(name: str, port: int, prefix: str, step: Step, when: str, answers: Answers) -> Timed:
    """Send the requests of a step.

    Raises:
        Wrong: One has no answer.
    """
    urls = [f"{prefix}/{endpoint}?{urlencode({'file': FILE, 'path': path})}" for endpoint, path in step.paths]

    def ask(part: list[str]) -> list[bytes]:
        with Client(port) as client:
            return [client.body(url) for url in part]

    parts = [urls[k :: step.parallel] for k in range(step.parallel)]
    start = time.perf_counter()
    with ThreadPoolExecutor(step.parallel) as threads:
        bodies = list(threads.map(ask, parts))
    elapsed = time.perf_counter() - start
    for part, got in zip(parts, bodies, strict=True):
        for url, body in zip(part, got, strict=True):
            value = json.loads(body)
            if answers.setdefault(url.removeprefix(prefix), value) != value:
                raise Wrong(f"{name}: {url} is another answer now")
    size = sum(len(body) for got in bodies for body in got)
    return Timed(name, step.name, when, elapsed, len(urls), size)


def _table(found: list[Timed]) -> Table:
    table = Table(
        "Seconds", ["", "requests", "h5grove first", "again", f"{ours.NAME} first", "again", "ratio first", "again"]
    )
    for step in dict.fromkeys(t.step for t in found):
        times = {(t.server, t.when): t for t in found if t.step == step}
        row = [step, str(next(iter(times.values())).requests)]
        for server in ("h5grove", ours.NAME):
            row += [_cell(times.get((server, when))) for when in ("first", "again")]
        for when in ("first", "again"):
            theirs, mine = times.get(("h5grove", when)), times[ours.NAME, when]
            row.append(number(theirs.seconds / mine.seconds) if theirs else "–")  # noqa: RUF001 - a dash
        table.rows.append(row)
    return table


def _cell(timed: Timed | None) -> str:
    return number(timed.seconds) if timed else "–"  # noqa: RUF001 - a dash


def _data(path: Path, groups: int, progress: Progress) -> Path:
    """The file, made once."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    task = progress.add_task("writing the file", total=None)
    with h5py.File(temporary, "w") as file:
        write_tree(file, groups)
    progress.remove_task(task)
    temporary.replace(path)
    return path


def write_tree(file: h5py.File, groups: int) -> None:
    """NeXus groups in one group, twice as many datasets in another."""
    file.attrs["NX_class"] = "NXroot"
    many, datasets = file.create_group("many"), file.create_group("datasets")
    many.attrs["NX_class"] = "NXentry"
    for k in range(groups):
        group = many.create_group(f"g{k:04d}")
        group.attrs["NX_class"] = "NXcollection"
        group["value"] = np.arange(10.0) + k
    for k in range(2 * groups):
        datasets.create_dataset(f"d{k:04d}", data=np.arange(4.0)).attrs["units"] = "K"
