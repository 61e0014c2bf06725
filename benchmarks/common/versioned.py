"""Files in several versions, whose every value tells which version it belongs to, and ways to change one into another.

A value is the version in the upper 16 bits and fixed noise in the lower. All versions have the same datasets; where
these lie in the file differs.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

VERSIONS = 8
SHAPE = (16, 128, 256)
CHUNK = (1, 128, 256)
DATASETS: dict[str, dict[str, object]] = {
    "plain": {"chunks": CHUNK},
    "gzip": {"chunks": CHUNK, "shuffle": True, "compression": "gzip", "compression_opts": 1},
    "lzf": {"chunks": CHUNK, "compression": "lzf"},
    "flat": {},
}
"""Names, and how they are stored: as they are, re-headed, decoded by the server, without chunks."""

PIECE = 2**16
"""Bytes that a copying writer writes at once."""

NOISE = np.random.Generator(np.random.PCG64(7)).integers(0, 1 << 12, SHAPE, dtype=np.uint32)
DIFFER = 3
"""Kinds of layout among the versions."""


def make_templates(folder: Path) -> list[Path]:
    """A file for each version."""
    paths = [folder / f"version{v}.h5" for v in range(VERSIONS)]
    for v, path in enumerate(paths):
        names = list(DATASETS)[v % DIFFER :] + list(DATASETS)[: v % DIFFER]
        with h5py.File(path, "w") as file:
            if v % DIFFER:
                file.create_dataset("padding", data=np.zeros(v * 5000, "u1"))
            for name in names:
                file.create_dataset(name, data=NOISE | np.uint32(v << 16), **DATASETS[name])
    return paths


def version_of(values: np.ndarray, start: tuple[int, ...]) -> int | None:
    """The version that a region starting at ``start`` belongs to, ``None`` if it is not of one version."""
    v = int(values.flat[0]) >> 16
    region = tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))
    expected = NOISE[region] | np.uint32(v << 16)
    return v if v < VERSIONS and np.array_equal(values, expected) else None


def described(values: np.ndarray) -> str:
    """What values are that are not what they should be."""
    versions = sorted({int(v) >> 16 for v in np.unique(values)})
    noise = values & np.uint32(0xFFFF)
    for k in range(SHAPE[0]):
        if noise.shape[0] == 1 and np.array_equal(noise[0], NOISE[k]):
            return f"the data of chunk {k}, versions {versions[:10]}"
    return f"values of versions {versions[:10]}, {np.count_nonzero(values)} of {values.size} not zero"


def by_rename(path: Path, template: Path, v: int) -> None:
    """Another file takes the name."""
    del v
    temporary = path.with_name(f".{path.name}.new")
    shutil.copyfile(template, temporary)
    os.replace(temporary, path)


def by_hdf5(path: Path, template: Path, v: int) -> None:
    """The values of the file are written anew, where they are."""
    del template
    with h5py.File(path, "r+", locking=False) as file:
        for name in DATASETS:
            file[name][...] = NOISE | np.uint32(v << 16)


def by_copying(path: Path, template: Path, v: int) -> None:
    """The file is emptied and filled again, as ``cp`` does."""
    del v
    with template.open("rb") as source, path.open("r+b", buffering=0) as target:
        target.truncate(0)
        while piece := source.read(PIECE):
            target.write(piece)


Change = Callable[[Path, Path, int], None]
