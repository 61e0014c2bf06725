"""A file of ten thousand datasets: requests and seconds until zarr and xarray have it open over HTTP.

*Cold* is a new server with an empty cache folder, *warm* the same once more with a new client, *restarted* a new server
with that cache folder.
"""

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import h5netcdf  # noqa: F401 - imported before clocks start
import h5py
import numpy as np
import xarray as xr
import zarr
from rich.console import Console
from rich.progress import Progress

from benchmarks.common import ours
from benchmarks.common.datafile import wait_until_settled
from benchmarks.common.errors import Missing, Wrong
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.local import Local
from benchmarks.common.processes import HOST
from benchmarks.common.procfs import cpu_seconds
from benchmarks.common.report import Report, Table, finish, mebibytes, number, seconds
from chunkserve.progress import bars

HELP = "a file of 10,000 datasets opened by zarr and xarray: requests and seconds"
LENGTH = 100
COMPARED = 500
"""Arrays whose values are compared with the file."""

LIMIT = 600.0
"""Seconds that another way may take."""

WAYS = (
    Local("xarray, h5netcdf", "h5netcdf"),
    Local("h5py: shape, type, attributes of each", "h5py"),
    Local("VirtualiZarr: manifest", "virtualizarr", virtual=True),
    Local("VirtualiZarr: virtual dataset", "virtual-dataset", virtual=True),
)


@dataclass(frozen=True)
class Opened:
    """What opening took.

    Attributes:
        client: Which.
        when: ``cold``, ``warm`` or ``restarted``.
        seconds: Until every array was known.
        requests: Sent until then.
        cpu: CPU seconds of the server until then, its start included if it was just started.
    """

    client: str
    when: str
    seconds: float
    requests: int
    cpu: float


class Counter:
    """Counts the requests of an fsspec HTTP file system."""

    def __init__(self) -> None:
        """Start at zero."""
        self.requests = 0
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._count)
        self.options = {"client_kwargs": {"trace_configs": [trace]}}

    async def _count(self, *_: object) -> None:
        self.requests += 1


def _zarr(url: str, options: dict[str, Any]) -> int:
    """Every member of the group with its metadata."""
    return sum(1 for _ in zarr.open_group(url, mode="r", storage_options=options).members())


def _xarray(url: str, options: dict[str, Any]) -> int:
    """Every variable of the dataset."""
    with xr.open_zarr(url, storage_options=options) as found:
        return len(found.variables)


CLIENTS: dict[str, tuple[str, Callable[[str, dict[str, Any]], int]]] = {
    "zarr-python, v3": ("zarr", _zarr),
    "zarr-python, v2": ("zarr2", _zarr),
    "xarray, v3": ("zarr", _xarray),
    "xarray, v2": ("zarr2", _xarray),
}
"""Face of the server, and how to open."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--arrays", type=int, help="in the file [10,000; 500 with --quick]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    count = options.arrays or (500 if options.quick else 10_000)
    report = Report(
        "many-arrays",
        f"A file of {count:,} datasets",
        f"In one group, {LENGTH} float64 and two attributes each. Cold: an empty cache folder. Warm: once more, by a "
        f"new client. Restarted: a new server with that cache folder. {options.cores} workers.",
    )
    wrong: list[str] = []
    found: list[Opened] = []
    others: dict[str, dict[str, Any]] = {}
    with scratch() as folder, bars(console) as progress:
        file = _data(options.cache / "many-arrays" / f"{count}.h5", count, progress)
        wait_until_settled(file)
        for client in CLIENTS:
            task = progress.add_task(client, total=None)
            try:
                found += _open_with(client, options, file, folder / client.replace(" ", ""), count)
            except Wrong as reason:
                wrong.append(f"{client}: {reason}")
            progress.remove_task(task)
        task = progress.add_task("comparing values", total=None)
        try:
            _compare(options, file, folder, count)
        except Wrong as reason:
            wrong.append(str(reason))
        progress.remove_task(task)
        for way in WAYS:
            task = progress.add_task(way.label, total=None)
            try:
                others[way.label] = way.run(file, "-", 0, options.cache, LIMIT)
            except Missing as reason:
                report.notes.append(f"{way.label}: left out: {reason}")
            progress.remove_task(task)
    report.notes += wrong
    report.facts = {"arrays": count, "opened": [vars(o) for o in found], "others": others, "wrong": wrong}
    report.tables = _tables(found, others)
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 1 if wrong else 0


def _tables(found: list[Opened], others: dict[str, dict[str, Any]]) -> list[Table]:
    remote = Table("Over HTTP", ["client", "server", "seconds", "requests", "the server's CPU"])
    remote.rows = [[o.client, o.when, seconds(o.seconds), str(o.requests), seconds(o.cpu)] for o in found]
    local = Table("The local file, in a process of its own", ["way", "seconds", "peak memory"])
    local.rows = [[label, number(o["seconds"]), mebibytes(o["peak"])] for label, o in others.items()]
    return [remote, local]


@contextlib.contextmanager
def _server(options: argparse.Namespace, file: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """A server of the file; its port and process group."""
    folder.mkdir(parents=True, exist_ok=True)
    port, process = ours.start(options.chunkserve, file.parent, folder, workers=options.cores)
    try:
        process.wait_for_port(port)
        yield port, process.group
    finally:
        process.stop()


def _open_with(client: str, options: argparse.Namespace, file: Path, folder: Path, count: int) -> Iterator[Opened]:
    """Open the file cold, warm, and after a restart.

    Raises:
        Wrong: Arrays are missing, or it cannot be opened.
    """
    face, opener = CLIENTS[client]
    for turns in (("cold", "warm"), ("restarted",)):
        with _server(options, file, folder) as (port, group):
            for when in turns:
                counter = Counter()
                before = 0.0 if when != "warm" else cpu_seconds(group)
                start = time.perf_counter()
                try:
                    known = opener(f"http://{HOST}:{port}/{face}/{file.name}", counter.options)
                except Exception as error:
                    raise Wrong(f"{when}: {type(error).__name__}: {error}") from error
                elapsed = time.perf_counter() - start
                if known != count:
                    raise Wrong(f"{when}: {known} arrays of {count}")
                yield Opened(client, when, elapsed, counter.requests, cpu_seconds(group) - before)


def _compare(options: argparse.Namespace, file: Path, folder: Path, count: int) -> None:
    """Compare some variables, with their attributes, with what xarray reads from the file itself.

    Raises:
        Wrong: They differ.
    """
    names = [_name(k) for k in range(0, count, max(1, count // COMPARED))]
    with (
        _server(options, file, folder / "compare") as (port, _),
        xr.open_zarr(f"http://{HOST}:{port}/zarr/{file.name}") as remote,
        xr.open_dataset(file, engine="h5netcdf", phony_dims="sort") as local,
    ):
        try:
            xr.testing.assert_identical(remote[names].load(), local[names].load())
        except (AssertionError, KeyError) as error:
            raise Wrong(f"xarray's view differs from the file: {str(error)[:500]}") from error


def _data(path: Path, count: int, progress: Progress) -> Path:
    """The file, made once."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    task = progress.add_task(f"writing {count:,} datasets", total=count)
    with h5py.File(temporary, "w") as file:
        for k in range(count):
            dataset = file.create_dataset(_name(k), data=np.arange(LENGTH, dtype="<f8") + k)
            dataset.attrs["units"] = "K"
            dataset.attrs["long_name"] = f"temperature of sensor {k}"
            progress.advance(task)
    progress.remove_task(task)
    os.replace(temporary, path)
    return path


def _name(k: int) -> str:
    return f"sensor_{k:05d}"
