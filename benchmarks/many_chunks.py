"""A dataset of a million chunks: how long the first one takes, and what knowing all of them costs.

*Cold* is a new server with an empty cache folder and the file dropped from the page cache; *warm* is a new server with
the cache folder of the one before.
"""

import argparse
import os
import random
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.common import ours, zarrkeys
from benchmarks.common.client import Client
from benchmarks.common.datafile import drop_pages, wait_until_settled
from benchmarks.common.errors import Missing, Wrong
from benchmarks.common.folders import results_folder, scratch
from benchmarks.common.local import Local
from benchmarks.common.procfs import cpu_seconds, peak_memory, roles
from benchmarks.common.report import Report, Table, finish, mebibytes, number, seconds
from chunkserve.progress import bars

HELP = "a dataset of a million chunks: time to the first, memory, size of the index"
DATASET = "x"
SIDE = 256
SHAPE = (1, SIDE, SIDE)
ITEM = 2
FRONT = 32
"""Values of a chunk that tell which it is; the rest are zero."""

LIMIT = 1800.0
"""Seconds that another way may take."""

MODULUS = 65521
"""Of Adler-32."""

WAYS = (
    Local("h5py: locate one chunk and read it", "coord"),
    Local("h5py: locate all (chunk_iter)", "iteration"),
    Local("kerchunk: references to all", "kerchunk"),
    Local("VirtualiZarr: manifest of all", "virtualizarr", virtual=True),
)


@dataclass(frozen=True)
class Start:
    """What one server did.

    Attributes:
        label: For tables.
        listening: Seconds from its start until it accepts connections.
        metadata: Seconds for the array's metadata.
        chunk: Seconds for the first chunk.
        later: Median seconds of a chunk afterwards, one connection.
        cpu: CPU seconds until then.
        peaks: Most bytes in memory, by role, of the largest process of that role.
        disk: Bytes in the cache folder, by kind.
    """

    label: str
    listening: float
    metadata: float
    chunk: float
    later: float
    cpu: float
    peaks: dict[str, int]
    disk: dict[str, int]

    @property
    def total(self) -> float:
        """Seconds from nothing to the first chunk."""
        return self.listening + self.metadata + self.chunk


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--chunks", type=int, help="of the dataset [1,000,000; 20,000 with --quick]")
    parser.add_argument("--asked", type=int, help="chunks asked for after the first [2000; 200 with --quick]")


def run(options: argparse.Namespace, console: Console) -> int:
    """Run it; the exit status."""
    count = options.chunks or (20_000 if options.quick else 1_000_000)
    asked = options.asked or (200 if options.quick else 2000)
    report = Report(
        "many-chunks",
        f"A dataset of {count:,} chunks",
        f"{SIDE} x {SIDE} uint16 each, gzip. Cold: an empty cache folder, the file dropped from the page cache. "
        f"Warm: started again with that cache folder. {options.cores} workers, {' '.join(ours.PLAIN)}: "
        "chunks this small would be joined.",
    )
    wrong: list[str] = []
    starts: list[Start] = []
    with scratch() as folder, bars(console) as progress:
        file = _data(options.cache / "many-chunks" / f"{count}.h5", count, progress)
        wait_until_settled(file)
        for label in ("cold start", "warm restart"):
            task = progress.add_task(label, total=None)
            if label == "cold start":
                drop_pages(file)
            try:
                starts.append(_start(options, file, folder, label, asked))
            except Wrong as reason:
                wrong.append(f"{label}: {reason}")
            progress.remove_task(task)
        others = {}
        for way in WAYS:
            task = progress.add_task(way.label, total=None)
            drop_pages(file)
            try:
                others[way.label] = way.run(file, DATASET, count // 2, options.cache, LIMIT)
            except Missing as reason:
                report.notes.append(f"{way.label}: left out: {reason}")
            progress.remove_task(task)
        report.facts = {
            "chunks": count, "file_bytes": file.stat().st_size, "chunkserve": [vars(s) for s in starts],
            "others": others, "wrong": wrong,
        }  # fmt: skip
    report.notes += wrong
    report.tables = _tables(starts, others)
    finish(report, console, results_folder(options.results, quick=options.quick), options.cores)
    return 1 if wrong else 0


def _tables(starts: list[Start], others: dict[str, dict[str, Any]]) -> list[Table]:
    columns = [
        "chunkserve",
        "to the first chunk",
        "of it: start",
        "metadata",
        "chunk",
        "a chunk later",
        "CPU until then",
    ]
    times = Table("Seconds", columns)
    memory = Table("Peak memory of the largest process, and disk", ["chunkserve"])
    names = list(dict.fromkeys(role for s in starts for role in s.peaks))
    kinds = list(dict.fromkeys(kind for s in starts for kind in s.disk))
    memory.columns = ["chunkserve", *names, *(f"cache folder: {kind}" for kind in kinds)]
    for s in starts:
        found = (s.total, s.listening, s.metadata, s.chunk, s.later, s.cpu)
        times.rows.append([s.label, *map(seconds, found)])
        cells = [mebibytes(s.peaks.get(name)) for name in names] + [mebibytes(s.disk.get(kind)) for kind in kinds]
        memory.rows.append([s.label, *cells])
    rest = Table(
        "Other ways, in a process of their own, the file dropped from the page cache", ["way", "seconds", "peak memory"]
    )
    for label, found in others.items():
        rest.rows.append([label, number(found["seconds"]), mebibytes(found["peak"])])
    return [times, memory, rest]


def _start(options: argparse.Namespace, file: Path, folder: Path, label: str, asked: int) -> Start:
    """Start a server and ask for a chunk in the middle, then for others.

    Raises:
        Wrong: An answer is not the data.
    """
    begin = time.perf_counter()
    port, process = ours.start(options.chunkserve, file.parent, folder, workers=options.cores, flags=ours.PLAIN)
    try:
        process.wait_for_port(port)
        listening = time.perf_counter()
        base = f"/zarr/{file.name}/{DATASET}/"
        with Client(port, 600.0) as client:
            document = client.json(f"{base}zarr.json")
            metadata = time.perf_counter()
            count = document["shape"][0]
            zarrkeys.demand_chunks(document, SHAPE)
            body = client.body(base + zarrkeys.key(document, (count // 2, 0, 0)))
            chunk = time.perf_counter()
            _check(document, count // 2, body)
        later = _ask_more(port, base, document, asked)
        found = roles(process.group)
        peaks: dict[str, int] = {}
        for pid, role in found.items():
            peaks[role] = max(peaks.get(role, 0), peak_memory(pid))
        cpu = cpu_seconds(process.group)
    finally:
        process.stop()
    times = (listening - begin, metadata - listening, chunk - metadata, later, cpu)
    return Start(label, *times, peaks, _disk(folder / "cache"))


def _ask_more(port: int, base: str, document: zarrkeys.Document, asked: int) -> float:
    """Ask for chunks here and there, over new connections now and then so that every worker is met; the median time."""
    rng = random.Random(1)
    count = document["shape"][0]
    times: list[float] = []
    for _ in range(20):
        with Client(port, 600.0) as client:
            for _ in range(max(1, asked // 20)):
                k = rng.randrange(count)
                start = time.perf_counter()
                body = client.body(base + zarrkeys.key(document, (k, 0, 0)))
                times.append(time.perf_counter() - start)
                _check(document, k, body)
    return sorted(times)[len(times) // 2]


def _check(document: zarrkeys.Document, k: int, body: bytes) -> None:
    values = zarrkeys.decode(document, (k, 0, 0), body)
    expected = np.zeros(SHAPE, "<u2")
    expected.reshape(-1)[:FRONT] = _front(k)
    if not np.array_equal(values, expected):
        raise Wrong(f"chunk {k} decodes to other values")


def _disk(cache: Path) -> dict[str, int]:
    """Bytes of the entries by kind: the first folder below ``entries``."""
    found: dict[str, int] = {}
    for path in cache.rglob("*"):
        parts = path.relative_to(cache).parts
        if path.is_file() and len(parts) > 2 and parts[1] != "locks":
            found[parts[1]] = found.get(parts[1], 0) + path.stat().st_size
    return found


def _data(path: Path, count: int, progress: Progress) -> Path:
    """The file, made once."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    task = progress.add_task(f"writing {count:,} chunks", total=count)
    with h5py.File(temporary, "w") as file:
        x = file.create_dataset(DATASET, (count, SIDE, SIDE), "<u2", chunks=SHAPE, compression="gzip")
        packed = _Packer()
        for k in range(count):
            x.id.write_direct_chunk((k, 0, 0), packed(k))
            if not k % 1000:
                progress.update(task, completed=k)
    progress.remove_task(task)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())  # what is dirty cannot be dropped from the page cache
    os.replace(temporary, path)
    return path


def _front(k: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(k)).integers(0, 65536, FRONT, dtype=np.uint16).astype("<u2")


class _Packer:
    """Chunks as zlib streams: a stored block with what differs, and one of zeros that is compressed only once."""

    def __init__(self) -> None:
        self._zeros = SIDE * SIDE * ITEM - FRONT * ITEM
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._tail = deflate.compress(bytes(self._zeros)) + deflate.flush()

    def __call__(self, k: int) -> bytes:
        front = _front(k).tobytes()
        length = len(front)
        block = b"\0" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + front
        checksum = zlib.adler32(front)
        low, high = checksum & 0xFFFF, checksum >> 16
        high = (high + self._zeros * low) % MODULUS  # what appending zeros does to it
        return b"\x78\x9c" + block + self._tail + (high << 16 | low).to_bytes(4, "big")
