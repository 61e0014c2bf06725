"""The data of the passthrough benchmark: one HDF5 file, made once, and the SHA-256 of every decoded chunk.

Compressible by a known factor: the low byte of each uint16 is random, the high byte zero, so that gzip behind a byte
shuffle stores about one byte per element. The hashes are those of the values, taken before anything is compressed.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from rich.progress import Progress

from benchmarks.common.series import FRAME, Series

RECIPE = 1
"""Raised when the values change, so that old files are made anew."""

SEED = 20240607
SETTLED = 3.0
"""Seconds after which chunkserve (default: 2) takes a file to be no longer written."""

LEVEL = 4
"""Of gzip."""

DEAD = 2**32 - 1
"""What the gaps between detector modules hold."""

Hashes = dict[str, list[str]]


@dataclass(frozen=True)
class Also:
    """What else is in the file: ``write`` writes it, and ``about`` differs when it does."""

    about: str
    write: Callable[[h5py.File], None]


def data_file(folder: Path, series: list[Series], progress: Progress, also: Also | None = None) -> tuple[Path, Hashes]:
    """The file with these series below ``folder``, and the hashes of its chunks by dataset."""
    path, notes = folder / "data" / "bench.h5", folder / "bench.json"  # alone in its folder: tiled demands it
    wanted: dict[str, Any] = {
        "recipe": RECIPE,
        "series": {s.dataset: [s.kind, list(s.shape), s.stored] for s in series},
    }
    if also is not None:
        wanted["also"] = also.about
    if path.exists() and notes.exists():
        known = json.loads(notes.read_text())
        if {name: known.get(name) for name in wanted} == wanted:
            return path, known["sha256"]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    hashes = {}
    with h5py.File(temporary, "w") as file:
        for s in series:
            task = progress.add_task(f"writing {s.dataset}", total=s.count)
            hashes[s.dataset] = [_advance(progress, task, digest) for digest in _write(file, s)]
            progress.remove_task(task)
        if also is not None:
            also.write(file)
    os.replace(temporary, path)
    notes.write_text(json.dumps(wanted | {"sha256": hashes}))
    return path, hashes


def _advance(progress: Progress, task: int, digest: str) -> str:
    progress.advance(task)  # type: ignore[arg-type]
    return digest


def _write(file: h5py.File, series: Series) -> Iterator[str]:
    """Write a dataset; yields the hash of each chunk."""
    number = int.from_bytes(hashlib.blake2b(series.dataset.encode(), digest_size=4).digest(), "little")

    def make(k: int) -> np.ndarray:
        return MAKERS[series.kind](np.random.Generator(np.random.PCG64([SEED, number, k])), series)

    chunks = series.chunk
    if series.kind == "contiguous":
        dataset = file.create_dataset(series.dataset, series.shape, series.dtype)
    elif series.kind == "bslz4":
        filters = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")
        dataset = file.create_dataset(series.dataset, series.shape, series.dtype, chunks=chunks, **filters)
    else:
        dataset = file.create_dataset(
            series.dataset, series.shape, series.dtype, chunks=chunks, shuffle=True, compression="gzip",
            compression_opts=LEVEL,
        )  # fmt: skip
    dataset.attrs["units"] = "counts"
    with ThreadPoolExecutor() as pool:
        for k, (values, stored) in enumerate(pool.map(lambda k: _encoded(make(k), series), range(series.count))):
            if stored is None:
                dataset[k] = values
            else:
                dataset.id.write_direct_chunk((k,) + (0,) * len(series.frame), stored)
            yield hashlib.sha256(values).hexdigest()


def _encoded(values: np.ndarray, series: Series) -> tuple[np.ndarray, bytes | None]:
    """A chunk, and what the file is to hold; ``None`` where libhdf5 is to find out."""
    if series.kind != "gzip":
        return values, None
    shuffled = values.view(np.uint8).reshape(-1, values.itemsize).T.tobytes()
    return values, zlib.compress(shuffled, LEVEL)


def _half_random(rng: np.random.Generator, series: Series) -> np.ndarray:
    """Random low bytes."""
    return np.frombuffer(rng.bytes(series.frame[0]), np.uint8).astype("<u2")


def _detector(rng: np.random.Generator, series: Series) -> np.ndarray:
    """Photons around a beam, a powder ring, gaps between modules."""
    rows, columns = series.frame
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    radius = np.hypot(y - rows / 2, x - columns / 2)
    rate = 0.4 + 20 * np.exp(-radius / 250) + 6 * np.exp(-(((radius - 500) / 8) ** 2))
    frame = rng.poisson(rate).astype("<u4")
    if series.frame == FRAME:
        for row in range(514, rows, 551):
            frame[row : row + 37] = DEAD
        frame[:, 1030:1040] = DEAD
    return frame


MAKERS: dict[str, Callable[[np.random.Generator, Series], np.ndarray]] = {
    "gzip": _half_random,
    "contiguous": _half_random,
    "bslz4": _detector,
}
"""How the values of a chunk are made."""


def read_through(path: Path) -> None:
    """Read a file, or all files of a folder, so that they lie in the page cache."""
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            with each.open("rb", buffering=0) as file:
                while file.read(2**24):
                    pass


def drop_pages(path: Path) -> None:
    """Have the kernel forget the pages of a file, or of all files of a folder."""
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            with each.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def wait_until_settled(path: Path) -> None:
    """Return when a file is old enough to be taken for finished."""
    time.sleep(max(0.0, path.stat().st_mtime + SETTLED - time.time()))
