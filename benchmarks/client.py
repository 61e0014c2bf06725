"""The Python client against a local file and other ways over HTTP: whole arrays, and small slices at random places.

All ways take turns, and every answer is compared with what h5py reads from the file. The server, with one worker, and
the client share the machine's cores, as they would not in use.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import h5py
import numpy as np
import zarr
from rich.console import Console

from benchmarks.common import ours
from benchmarks.common.datafile import Also, data_file, read_through, wait_until_settled
from benchmarks.common.errors import BenchmarkError, Wrong
from benchmarks.common.floor import decoding_seconds
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.loopback import carried
from benchmarks.common.peers import APPS, PEERS, Peer
from benchmarks.common.processes import HOST
from benchmarks.common.report import NOTHING, Report, Table, finish, mebibytes, number, seconds
from benchmarks.common.series import KIB, Series, other_series, plain_series
from benchmarks.common.venvs import base_python, environment
from benchmarks.pyramid_data import TOMOGRAM, write_tomogram
from chunkserve.progress import bars
from chunkserve_client import connect

HELP = "the Python client: whole arrays and small slices, against local h5py and other clients"
VOLUME = 128 << 20
"""Stored bytes of a dataset."""

QUICK_VOLUME = 8 << 20
ROUNDS = 5
SLICES = 300
WIDTH = 16
"""Elements of a small slice, per axis."""

CLIENTS = {"tiled": "tiled's client", "hsds": "h5pyd on HSDS"}
"""Peers with clients of their own."""

READ_SECONDS = 600
OURS, LOCAL = "chunkserve-client", "h5py, local file"
CARRIED = "sendfile to recv_into, nothing else"
DECODED = "decoding from the file by all cores, nothing else"

Read = Callable[[Any], np.ndarray]


@dataclass
class Way:
    """A way to the data.

    Attributes:
        name: For tables.
        open: Gives a function that reads selections of a dataset.
    """

    name: str
    open: Callable[[str], Read]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--no-peers", action="store_true", help="do not install and measure tiled, HSDS and their clients"
    )


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    volume = QUICK_VOLUME if options.quick else VOLUME
    compressed = replace(plain_series((1024 * KIB,), volume)[0], label="gzip+shuffle, half noise")
    planes, side = (64, 128) if options.quick else (256, 512)
    tomogram = Series("gzip+shuffle tomogram", TOMOGRAM, "gzip", "u2", (side, side), planes, 0)
    series = [tomogram, compressed, *other_series(volume, quick=options.quick)]
    also = Also(f"tomogram {tomogram.shape}", lambda file: _write_tomogram(file, tomogram))
    report = Report(
        "client", "The Python client",
        f"One worker; the best of {ROUNDS} whole reads that take turns, the median of {SLICES} small slices of "
        f"{WIDTH} elements per axis.",
    )  # fmt: skip
    with ExitStack() as stack:
        progress, folder = stack.enter_context(bars(console)), stack.enter_context(scratch())
        place = options.cache / ("quick-client" if options.quick else "client")
        file, _ = data_file(place, series[1:], progress, also)
        wait_until_settled(file)
        read_through(file)
        ways, ping = stack.enter_context(_ways(options, file, folder))
        rounds, slices = (1, 20) if options.quick else (ROUNDS, SLICES)
        whole = {s.label: _whole(file, s, ways, rounds) for s in series}
        small = {s.label: _small(file, s, ways, slices) for s in series}
        latency = statistics.median(ping() for _ in range(slices))
        raw = series[-1]
        whole[raw.label][CARRIED] = min(carried(file, raw.count * raw.decoded) for _ in range(rounds))
        for s in series[:-1]:
            found = (decoding_seconds(file, s.dataset, options.cores, folder / "floor") for _ in range(rounds))
            whole[s.label][DECODED] = min(found)
        for peer in () if options.no_peers else PEERS:
            if peer.name in CLIENTS:
                _add_peer(options, peer, (file, folder), series, (rounds, slices), (whole, small), report)
    names = list(dict.fromkeys(name for found in whole.values() for name in found))
    report.tables.append(_whole_table(series, names, whole))
    report.tables.append(_small_table(series, names, small, latency))
    report.facts = {"whole": whole, "small": small, "ping": latency}
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 0


@contextmanager
def _ways(options: argparse.Namespace, file: Path, folder: Path) -> Iterator[tuple[list[Way], Callable[[], float]]]:
    """All ways that work in this process, and one to ping the server."""
    port, process = ours.start(options.chunkserve, file.parent, folder)
    try:
        process.wait_for_port(port)
        base = f"http://{HOST}:{port}"
        with h5py.File(file) as local, connect(base, token="", cache_memory=0) as server:
            remote = server[file.name]
            ranges = h5py.File(_remote_file(f"{base}/files/{file.name}"))
            group = zarr.open_group(f"{base}/zarr/{file.name}", mode="r")

            def ping() -> float:
                start = time.perf_counter()
                server.ping()
                return time.perf_counter() - start

            yield (
                [
                    Way(LOCAL, lambda name: local[name].__getitem__),
                    Way(OURS, lambda name: remote[name].__getitem__),
                    Way("zarr-python over /zarr", lambda name: group[name].__getitem__),
                    Way("fsspec and h5py over /files", lambda name: ranges[name].__getitem__),
                ],
                ping,
            )
            ranges.close()
    finally:
        process.stop()


def _remote_file(url: str) -> Any:
    """A remote file as fsspec has it by default."""
    return fsspec.open(url).open()


def _whole(file: Path, series: Series, ways: list[Way], rounds: int) -> dict[str, float]:
    """Seconds of each way to read all of a dataset."""
    with h5py.File(file) as local:
        want = local[series.dataset][...]
    reads = [(way.name, way.open(series.dataset)) for way in ways]
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, read in reads:
            start = time.perf_counter()
            got = read(...)
            spent = time.perf_counter() - start
            if not np.array_equal(got, want):
                raise Wrong(f"{name}: {series.dataset} differs")
            del got
            best[name] = min(best.get(name, spent), spent)
    return best


def places(series: Series, count: int) -> list[tuple[Any, ...]]:
    """Small slices at random places."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(count):
        starts = [int(rng.integers(0, n - WIDTH)) for n in series.frame]
        found.append((int(rng.integers(0, series.count)), *(slice(a, a + WIDTH) for a in starts)))
    return found


def _small(file: Path, series: Series, ways: list[Way], count: int) -> dict[str, float]:
    """Median seconds of each way to read a small slice."""
    found = {}
    with h5py.File(file) as local:
        for way in ways:
            read, times = way.open(series.dataset), []
            for key in places(series, count):
                start = time.perf_counter()
                got = read(key)
                times.append(time.perf_counter() - start)
                if not np.array_equal(got, local[series.dataset][key]):
                    raise Wrong(f"{way.name}: {series.dataset}{key} differs")
            found[way.name] = statistics.median(times)
    return found


def _write_tomogram(file: h5py.File, series: Series) -> None:
    write_tomogram(file, (series.count, *series.frame[:2]), np.random.default_rng(0), lambda: None)  # type: ignore[arg-type]


def _add_peer(
    options: argparse.Namespace, peer: Peer, places_of: tuple[Path, Path], series: list[Series],
    counts: tuple[int, int], found: tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]], report: Report,
) -> None:  # fmt: skip
    """Measure a peer's client over its server, in their own environment; say so if that cannot be done."""
    file, folder = places_of
    try:
        python = base_python()
        interpreter = environment(options.cache / "peers" / peer.name, peer.requirements, python)
        server = peer.start(file, options.cache, python, folder / peer.name, 1)
    except BenchmarkError as error:
        report.notes.append(f"{peer.name}: {error}")
        return
    try:
        for s in series:
            keys = [[key[0], *([part.start, part.stop] for part in key[1:])] for key in places(s, counts[1])]
            asked = json.dumps({"dataset": s.dataset, "rounds": counts[0], "keys": keys, "file": str(file)})
            words = [str(interpreter), str(APPS / "remote_reads.py"), peer.name, f"http://{HOST}:{server.port}", asked]
            done = subprocess.run(words, capture_output=True, text=True, timeout=READ_SECONDS, check=False)
            if done.returncode:
                lines = done.stderr.strip().splitlines()
                report.notes.append(f"{peer.name}, {s.label}: {lines[-1] if lines else done.returncode}")
                continue
            times = json.loads(done.stdout.splitlines()[-1])
            name = CLIENTS[peer.name]
            found[0][s.label][name], found[1][s.label][name] = times["whole"], times["small"]
    except subprocess.TimeoutExpired:
        report.notes.append(f"{peer.name}: not done after {READ_SECONDS} s")
    finally:
        server.process.stop()


def _whole_table(series: list[Series], names: list[str], found: dict[str, dict[str, float]]) -> Table:
    rows = []
    for name in names:
        cells = [name]
        for s in series:
            spent, local = found[s.label].get(name), found[s.label][LOCAL]
            size = s.count * s.decoded
            cells.append(NOTHING if spent is None else f"{number(size / spent / 1e6)} ({number(local / spent, 2)})")
        rows.append(cells)
    heads = [f"{s.label}, {mebibytes(s.count * s.decoded)}" for s in series]
    return Table("Whole arrays, decoded MB/s (times local h5py)", ["way", *heads], rows)


def _small_table(series: list[Series], names: list[str], found: dict[str, dict[str, float]], ping: float) -> Table:
    rows = [
        [name, *(seconds(found[s.label].get(name)) for s in series)]
        for name in names
        if any(name in found[s.label] for s in series)
    ]
    rows.append(["an empty request, for comparison", *(seconds(ping) for _ in series)])
    return Table("Small slices, median", ["way", *(s.label for s in series)], rows)
