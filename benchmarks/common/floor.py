"""How fast a machine can decode a dataset, if it does nothing else."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from chunkserve.codecs.decode import decode
from chunkserve.grid import grid_shape
from chunkserve.metadata.present import pipeline_of
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import Settings


def open_store(file: Path, cache: Path) -> Store:
    """A store over the folder of a file."""
    settings = Settings(cache_dir=str(cache))
    return Store(settings, open_roots(settings, (str(file.parent),)))


def decoding_seconds(file: Path, name: str, threads: int, cache: Path) -> float:
    """Seconds to read and decode every chunk of a dataset, by the fastest decoder there is, and to copy it once."""
    store = open_store(file, cache)
    elements = store.pyramids.find(store.node((file.name, *name.split("/"))), Wish()).array.elements
    dataset = elements.dataset
    pipeline = pipeline_of(dataset)
    local = threading.local()

    def one(position: tuple[int, ...]) -> None:
        stored = elements.raw_chunk(position)
        assert stored is not None
        values = np.frombuffer(decode(pipeline, *stored), np.uint8)
        if not hasattr(local, "out"):
            local.out = np.empty(values.size, np.uint8)
        np.copyto(local.out, values)

    positions = list(np.ndindex(*grid_shape(elements.shape, dataset.chunks)))
    with ThreadPoolExecutor(threads) as pool:
        one(positions[0])
        start = time.perf_counter()
        for _ in pool.map(one, positions):
            pass
        spent = time.perf_counter() - start
    store.close()
    return spent
