"""What pyramids are built over: a tomogram, detector frames, a large image. Written once."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from rich.progress import Progress

SLAB = 64
TOMOGRAM, FRAMES, IMAGE = "tomogram", "frames", "image"


def write(path: Path, *, quick: bool, progress: Progress) -> None:
    """Write the file, if it is not there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    side, frames, edge = (128, 6, 2000) if quick else (512, 40, 20_000)
    rng = np.random.default_rng(0)
    with h5py.File(temporary, "w") as file:
        task = progress.add_task("writing data", total=side // 64 + frames + (edge // 1000) ** 2)
        write_tomogram(file, (side, side, side), rng, lambda: progress.advance(task))
        seen = rng.poisson(0.5, (4, 2162, 2068)).astype("u4")
        seen[:, :, 1028:1040] = seen[:, 512:550] = 2**32 - 1  # gaps between modules
        group = file.create_group("detector")
        group.attrs["NX_class"] = "NXdetector"
        packing = hdf5plugin.Bitshuffle()
        stack = group.create_dataset(FRAMES, (frames, *seen.shape[1:]), "u4", chunks=(1, *seen.shape[1:]), **packing)
        for i in range(frames):
            stack[i] = seen[i % 4]
            progress.advance(task)
        image = file.create_dataset(IMAGE, (edge, edge), "f4", chunks=(1000, 1000), compression=1, shuffle=True)
        wave = np.sin(np.arange(1000) / 40).astype("f4")
        for y in range(0, edge, 1000):
            for x in range(0, edge, 1000):
                image[y : y + 1000, x : x + 1000] = np.add.outer(wave * (1 + y), wave + x).round(1)
                progress.advance(task)
        progress.remove_task(task)
    os.replace(temporary, path)


def write_tomogram(
    file: h5py.File, shape: tuple[int, int, int], rng: np.random.Generator, written: Callable[[], None]
) -> None:
    """Write a volume of counts, gzip behind a byte shuffle; ``written`` is called after each 64 planes."""
    slab = rng.poisson(200, (SLAB, *shape[1:])).astype("u2")
    chunks = (SLAB, SLAB, SLAB)
    volume = file.create_dataset(TOMOGRAM, shape, "u2", chunks=chunks, compression="gzip", shuffle=True)
    for z in range(0, shape[0], SLAB):
        volume[z : z + SLAB] = np.roll(slab, z, axis=1) + z // SLAB
        written()
