"""Pyramids: building all levels against decoding alone, one block against other ways, a large image at first sight.

The *floor* is what nobody can go below: every chunk read and decoded once, by the fastest decoder there is, and passed
over once in memory, in as many threads.
"""

import argparse
import contextlib
import io
import math
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numcodecs.blosc
import numpy as np
import zarr
from rich.console import Console

from benchmarks import pyramid_data
from benchmarks.common import ours
from benchmarks.common.client import Client
from benchmarks.common.datafile import read_through, wait_until_settled
from benchmarks.common.errors import Missing, NotStarted, Wrong
from benchmarks.common.floor import decoding_seconds, open_store
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.load import Shape as LoadShape
from benchmarks.common.load import load
from benchmarks.common.nginx import CONFIGURATION, PROGRAM
from benchmarks.common.peers import APPS, CHUNKMIRAGE, START_SECONDS
from benchmarks.common.processes import HOST, Process, free_port
from benchmarks.common.procfs import peak_memory, roles
from benchmarks.common.report import Report, Table, finish, mebibytes, number, seconds
from benchmarks.common.server import Target
from benchmarks.common.venvs import base_python, environment
from chunkserve.allocator import reuse_large_blocks
from chunkserve.progress import bars
from chunkserve.service.pyramids import Wish

HELP = "building pyramids against decoding alone, tensorstore, chunkmirage, neuroglancer; a large image at first sight"
ROUNDS = 3
OURS = "chunkserve, chunks by HTTP"
STACKS = (("gzip+shuffle uint16 volume", "tomogram"), ("bitshuffle-LZ4 uint32 frames", "detector/frames"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--threads", type=int, help="that decode and build [all cores]")
    parser.add_argument("--peer-python", help="to make chunkmirage's environment with [python3.12 if there, else this]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    reuse_large_blocks()
    threads = options.threads or options.cores
    report = Report("pyramid", "Pyramids", f"{threads} threads; the best of {ROUNDS} runs that take turns.")
    with scratch() as folder, bars(console) as progress:
        file = options.cache / ("quick" if options.quick else "pyramid") / "pyramid.h5"
        pyramid_data.write(file, quick=options.quick, progress=progress)
        wait_until_settled(file)
        read_through(file)
        built = [_built(file, name, label, threads, folder) for label, name in STACKS]
        report.tables.append(_build_table(built))
        block = _blocks(options, file, folder)
        report.tables.append(_block_table(block))
        sight, notes = _first_sight(options, file, folder)
        report.tables.append(sight)
        report.notes += notes
    report.facts = {"built": built, "block": block}
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 0


# ---------------------------------------------------------------------------- building


def _built(file: Path, name: str, label: str, threads: int, folder: Path) -> dict[str, Any]:
    floors, builds = [], []
    for n in range(ROUNDS):
        floors.append(decoding_seconds(file, name, threads, folder / "floor"))
        cache = folder / f"build-{n}"
        builds.append(_build(file, name, threads, cache))
        shutil.rmtree(cache)
    with h5py.File(file) as source:
        size = source[name].size * source[name].dtype.itemsize
    return {"label": label, "bytes": size, "floor": min(floors), "build": min(builds)}


def _build(file: Path, name: str, threads: int, cache: Path) -> float:
    """Seconds to make all levels, and to have them on disk."""
    store = open_store(file, cache)
    pyramid = store.pyramids.find(store.node((file.name, *name.split("/"))), Wish())
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        pyramid.build(pool, lambda _: None)
        spent = time.perf_counter() - start
    store.close()
    return spent


def _build_table(built: list[dict[str, Any]]) -> Table:
    rows = [
        [
            b["label"], mebibytes(b["bytes"]), seconds(b["floor"]), seconds(b["build"]),
            number(b["bytes"] / b["build"] / 1e6), number(b["build"] / b["floor"]),
        ]
        for b in built
    ]  # fmt: skip
    return Table("All levels", ["source", "decoded", "floor", "all levels", "MB/s", "times the floor"], rows)


# --------------------------------------------------------------------------- one block


def _blocks(options: argparse.Namespace, file: Path, folder: Path) -> dict[str, Any]:
    """Level 1 of a block of the volume by several ways: cold and once more."""
    name = pyramid_data.TOMOGRAM
    with h5py.File(file) as source:
        side = min(256, source[name].shape[0])
        block = source[name][:side, :side, :side]
    want = np.rint(block.reshape(side // 2, 2, side // 2, 2, side // 2, 2).mean((1, 3, 5))).astype("u2")
    found: dict[str, Any] = {"side": side, "ways": {}}
    port, process = ours.start(options.chunkserve, file.parent, folder, flags=("--cache-dir", str(folder / "block")))
    try:
        process.wait_for_port(port)
        base = f"http://{HOST}:{port}"
        level = zarr.open_group(f"{base}/ome/{file.name}/{name}", mode="r")["1"]
        zarr.open_array(f"{base}/zarr/{file.name}/{name}", mode="r")[0, 0, 0]  # everything is open, no level is made
        with Client(port) as client:
            found["ways"][OURS] = _twice(
                _chunks(client, f"/ome/{file.name}/{name}/1", level.chunks[0], side // 2), want
            )
        half = slice(0, side // 2)
        found["ways"]["the same by zarr-python, known"] = _twice(lambda: level[half, half, half], want)
        with contextlib.suppress(ImportError):
            found["ways"]["tensorstore downsample over /zarr"] = _twice(_tensorstore(base, file, side), want)
    finally:
        process.stop()
    with contextlib.suppress(Missing, NotStarted):
        found["ways"]["chunkmirage downsample, over HTTP"] = _chunkmirage(options, file, folder, side, want)
    with contextlib.suppress(ImportError):
        found["ways"]["neuroglancer LocalVolume on h5py"] = _twice(_neuroglancer(file, side), None)
    return found


def _chunks(client: Client, path: str, edge: int, side: int) -> Callable[[], np.ndarray]:
    """A block as a browser reads it: chunk by chunk on one connection, decoded here."""
    out = np.empty((side,) * 3, "u2")

    def read() -> np.ndarray:
        for z, y, x in np.ndindex(*(-(-side // edge),) * 3):
            frame = client.body(f"{path}/c/{z}/{y}/{x}")
            chunk = np.frombuffer(numcodecs.blosc.decompress(frame), "u2").reshape((edge,) * 3)
            part = out[z * edge : (z + 1) * edge, y * edge : (y + 1) * edge, x * edge : (x + 1) * edge]
            part[...] = chunk[: part.shape[0], : part.shape[1], : part.shape[2]]
        return out

    return read


def _twice(read: Callable[[], np.ndarray], want: np.ndarray | None) -> tuple[float, float]:
    times = []
    for _ in range(2):
        start = time.perf_counter()
        got = read()
        times.append(time.perf_counter() - start)
        if want is not None and not np.array_equal(got, want):
            raise Wrong("a level is not the mean of its source")
    return times[0], times[1]


def _tensorstore(base: str, file: Path, side: int) -> Callable[[], np.ndarray]:
    import tensorstore  # noqa: PLC0415 - optional

    kvstore = f"{base}/zarr/{file.name}/{pyramid_data.TOMOGRAM}/"
    spec = {
        "driver": "downsample", "downsample_factors": [2, 2, 2], "downsample_method": "mean",
        "base": {"driver": "zarr3", "kvstore": kvstore},
    }  # fmt: skip
    array = tensorstore.open(spec).result()
    return lambda: np.asarray(array[: side // 2, : side // 2, : side // 2].read().result())


def _chunkmirage(
    options: argparse.Namespace, file: Path, folder: Path, side: int, want: np.ndarray
) -> tuple[float, float]:
    python = environment(options.cache / "peers" / "chunkmirage", CHUNKMIRAGE, options.peer_python or base_python())
    port, app = free_port(), APPS / "chunkmirage_downsample_app.py"
    words = [str(python), str(app), str(file), str(port), pyramid_data.TOMOGRAM]
    process = Process(words, folder / "chunkmirage.log", {"HOME": str(folder)})
    try:
        process.wait_for_port(port, START_SECONDS)
        level = zarr.open_array(f"http://{HOST}:{port}/{pyramid_data.TOMOGRAM}/zarr3/s0", mode="r")
        half = side // 2
        return _twice(lambda: np.asarray(level[:half, :half, :half]), want)
    finally:
        process.stop()


def _neuroglancer(file: Path, side: int) -> Callable[[], np.ndarray]:
    """What its LocalVolume does for a chunk; its own encoder fails with numpy 2.5."""
    from neuroglancer.downsample import downsample_with_averaging  # noqa: PLC0415 - optional

    source = h5py.File(file)[pyramid_data.TOMOGRAM]
    step = 128

    def read() -> np.ndarray:
        for z, y, x in np.ndindex(*(-(-side // step),) * 3):
            part = source[z * step : (z + 1) * step, y * step : (y + 1) * step, x * step : (x + 1) * step]
            downsample_with_averaging(part, (2, 2, 2)).tobytes("C")
        return np.zeros(0)

    return read


def _block_table(found: dict[str, Any]) -> Table:
    ways = found["ways"]
    mine = ways[OURS]
    rows = [
        [way, seconds(cold), seconds(again), number(cold / mine[0]), number(again / mine[1])]
        for way, (cold, again) in ways.items()
    ]
    title = f"Level 1 of a block of {found['side']}^3 voxels"
    return Table(title, ["way", "cold", "once more", "times chunkserve, cold", "once more"], rows)


# ------------------------------------------------------------------------- first sight


def _first_sight(options: argparse.Namespace, file: Path, folder: Path) -> tuple[Table, list[str]]:
    """A large image: an overview at once, the exact one later, and how fast a tile is when it is known."""
    name = pyramid_data.IMAGE
    rows: list[list[str]] = []
    notes: list[str] = []
    port, process = ours.start(options.chunkserve, file.parent, folder, flags=("--cache-dir", str(folder / "sight")))
    try:
        process.wait_for_port(port)
        with Client(port, timeout=600) as client:
            start = time.perf_counter()
            info = client.json(f"/tiles/{file.name}/{name}/info.json")
            top = info["levels"][-1]
            path = f"/tiles/{file.name}/{name}/{top['level']}/0/0.png?tile=512"
            first = client.get(path)
            rows.append(["first overview", seconds(time.perf_counter() - start), _kind(first.headers)])
            while "x-chunkserve-approximate" in client.get(path).headers:
                time.sleep(0.05)
            rows.append(["exact overview", seconds(time.perf_counter() - start), "exact"])
            _check(client, file, name, top)
            workers = [pid for pid, role in roles(process.group).items() if role == "worker"]
            rows.append(["peak memory of the worker", mebibytes(max(map(peak_memory, workers))), ""])
            body = client.get(path).body
        shape = LoadShape(16, 1 if options.quick else 5, folder)
        mine = load(port, [Target(path, "")], shape)
        if PROGRAM is None:
            notes.append("nginx is not installed: no reference for warm tiles")
        else:
            limit = _nginx(body, folder, shape)
            ratio = number(mine.rate / limit)
            rows.append(["a known tile", f"{number(mine.rate)} per second", f"{ratio} of nginx with the same PNG"])
    finally:
        process.stop()
    edge = info["levels"][0]["width"]
    return Table(f"An image of {edge} x {edge} float32 at first sight", ["what", "figure", ""], rows), notes


def _kind(headers: dict[str, str]) -> str:
    return "from a sample" if "x-chunkserve-approximate" in headers else "exact"


def _check(client: Client, file: Path, name: str, top: dict[str, int]) -> None:
    """The overview is the mean of the source."""
    tile = np.load(io.BytesIO(client.body(f"/tiles/{file.name}/{name}/{top['level']}/0/0.npy?tile=512")))
    step = top["factor"]
    with h5py.File(file) as source:
        part = source[name][: 4 * step, : 4 * step].astype("f8")
    want = part.reshape(4, step, 4, step).mean((1, 3))
    if not np.allclose(tile[:4, :4], want, rtol=1e-6) or not math.isfinite(float(tile.sum())):
        raise Wrong("the overview is not the mean of its source")


def _nginx(body: bytes, folder: Path, shape: LoadShape) -> float:
    """Requests per second of nginx for the same picture."""
    root = folder / "static"
    root.mkdir()
    (root / "tile.png").write_bytes(body)
    port = free_port()
    configuration = folder / "tile.conf"
    configuration.write_text(
        CONFIGURATION.format(user="user root; ", workers=1, run=folder, host=HOST, port=port, root=root, reuseport="")
    )
    process = Process([str(PROGRAM), "-c", str(configuration), "-p", str(folder)], folder / "nginx.log")
    try:
        process.wait_for_port(port)
        return load(port, [Target("/tile.png", "")], shape).rate
    finally:
        process.stop()
