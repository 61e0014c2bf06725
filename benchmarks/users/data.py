"""The file that everybody looks at: made once, all datasets in one so that every server serves the same.

Besides the series of chunks (``benchmarks.common.series``), whose every chunk has a known hash: a tomography stack, a
series of maps, and a tree of NeXus groups. Values have structure and noise, so that they compress as measured data do.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from rich.progress import Progress

from benchmarks import h5web
from benchmarks.common.datafile import LEVEL, SEED, Also, Hashes, data_file
from benchmarks.common.series import KIB, Series, plain_series

STACK, SERIES, GROUPS_PATH = "stack", "maps", "/many"
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Facts:
    """What traces have to know of the file.

    Attributes:
        planes: Of the stack.
        edge: Rows, and columns, of a plane.
        times: Of the maps.
        groups: NeXus groups in one group.
        stack_chunk: Shape of a chunk of the stack.
        maps_chunk: Shape of a chunk of the maps.
    """

    planes: int
    edge: int
    times: int
    groups: int
    stack_chunk: Shape = (16, 256, 256)
    maps_chunk: Shape = (64, 64, 64)

    @property
    def top(self) -> int:
        """The coarsest level: 512 rows and columns."""
        return max(0, (self.edge - 1).bit_length() - 9)

    def shape(self, dataset: str) -> Shape:
        """Of a dataset."""
        return {STACK: (self.planes, self.edge, self.edge), SERIES: (self.times, 128, 256)}[dataset]

    def chunk(self, dataset: str) -> Shape:
        """The shape of its chunks, which fill it without remainder."""
        return {STACK: self.stack_chunk, SERIES: self.maps_chunk}[dataset]

    def grid(self, dataset: str) -> Shape:
        """How many chunks it has along each axis."""
        z, y, x = (n // c for n, c in zip(self.shape(dataset), self.chunk(dataset), strict=True))
        return z, y, x


FULL = Facts(planes=128, edge=2048, times=1024, groups=1000)
QUICK = Facts(planes=16, edge=1024, times=128, groups=50)
SIZES = (32 * KIB, 256 * KIB, 1024 * KIB)
"""Stored bytes of the chunks whose throughput is compared with nginx: a class each of the targets."""


def limits(*, quick: bool) -> list[Series]:
    """The series of chunks."""
    return plain_series(SIZES, (4 if quick else 64) * KIB * KIB)


def make(cache: Path, progress: Progress, *, quick: bool) -> tuple[Path, Hashes, Facts]:
    """The file below a folder, the hashes of the series' chunks, and what else is in it."""
    facts = QUICK if quick else FULL

    def more(file: h5py.File) -> None:
        h5web.write_tree(file, facts.groups)
        _write(file, STACK, facts, _rock, progress)
        _write(file, SERIES, facts, _weather, progress)

    folder = cache / ("users-quick" if quick else "users")
    return *data_file(folder, limits(quick=quick), progress, also=Also(repr(facts), more)), facts


def _write(
    file: h5py.File, name: str, facts: Facts, plane: Callable[[int, Shape], np.ndarray], progress: Progress
) -> None:
    """Slab by slab; chunks are compressed by all cores and written as they are."""
    shape, chunk = facts.shape(name), facts.chunk(name)
    sample = plane(0, shape)
    dataset = file.create_dataset(name, shape, sample.dtype, chunks=chunk, shuffle=True, compression="gzip")
    task = progress.add_task(f"writing {name}", total=facts.grid(name)[0])

    def stored(part: np.ndarray) -> bytes:
        shuffled = np.ascontiguousarray(part).view(np.uint8).reshape(-1, part.itemsize).T.tobytes()
        return zlib.compress(shuffled, LEVEL)

    with ThreadPoolExecutor() as pool:
        for z in range(0, shape[0], chunk[0]):
            slab = np.stack(list(pool.map(lambda k: plane(k, shape), range(z, z + chunk[0]))))
            corners = [(y, x) for y in range(0, shape[1], chunk[1]) for x in range(0, shape[2], chunk[2])]
            parts = [slab[:, y : y + chunk[1], x : x + chunk[2]] for y, x in corners]
            for (y, x), body in zip(corners, pool.map(stored, parts), strict=True):
                dataset.id.write_direct_chunk((z, y, x), body)
            progress.advance(task)
    progress.remove_task(task)


def _axes(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.arange(n, dtype=np.float32) for n in shape[1:])
    return y[:, None], x


def _rock(z: int, shape: Shape) -> np.ndarray:
    """A plane of a tomogram: grains in a cylinder, and noise."""
    y, x = _axes(shape)
    rng = np.random.default_rng([SEED, z])
    grains = 400 * (np.sin(x / 37 + z / 31) * np.cos(y / 41 - z / 53) > 0.2)
    half = shape[1] / 2
    inside = (y - half) ** 2 + (x - half) ** 2 < (0.95 * half) ** 2
    noise = np.frombuffer(rng.bytes(shape[1] * shape[2]), np.uint8).reshape(shape[1:]) & 63
    return ((800 + grains) * inside + noise).astype("<u2")


def _weather(t: int, shape: Shape) -> np.ndarray:
    """Temperatures of a day, in hundredths of a kelvin."""
    y, x = _axes(shape)
    rng = np.random.default_rng([SEED, 1, t])
    mean = 288 - 40 * np.abs(y / shape[1] - 0.5) + 8 * np.sin(x / 40 + t / 9) * np.cos(y / 30 - t / 17)
    return (mean + rng.normal(0, 0.5, shape[1:])).round(2).astype("<f4")
