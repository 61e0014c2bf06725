"""Where libhdf5 says a chunk lies is where its bytes are."""

from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.chunkindex import ChunkIndex
from chunkserve.hdf5.index import chunk_table, locate
from chunkserve.wire import Index, Lookup

EXTENTS = [
    ((9, 14), (None, 20), (2, 3)),
    ((9, 14), (9, None), (2, 3)),
    ((9, 14), (20, None), (2, 3)),
    ((9, 14), (None, None), (2, 3)),
    ((4, 6, 5), (4, None, 7), (2, 3, 2)),
    ((4, 6, 5), (9, 9, None), (2, 3, 2)),
    ((3, 4, 6, 5), (3, 9, None, 8), (2, 3, 2, 1)),
]


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(("shape", "maxshape", "chunks"), EXTENTS, ids=str)
def test_every_chunk_is_found_where_it_is(
    tmp_path: Path,
    libver: str,
    *,
    filtered: bool,
    shape: tuple[int, ...],
    maxshape: tuple[int | None, ...],
    chunks: tuple[int, ...],
) -> None:
    grid = [-(-n // c) for n, c in zip(shape, chunks, strict=True)]
    places = [place for number, place in enumerate(product(*map(range, grid))) if number % 3]
    origins = [tuple(at * c for at, c in zip(place, chunks, strict=True)) for place in places]
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        dataset = file.create_dataset("x", shape, "i8", maxshape=maxshape, chunks=chunks, fletcher32=filtered or None)
        for number, origin in enumerate(origins):
            dataset[origin] = number + 1
    data = (tmp_path / "a.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        table = ChunkIndex(memoryview(chunk_table(file.id, Index((b"x",)))), tuple(grid))
        located = locate(file.id, Lookup((b"x",), tuple(origins))).chunks
    assert len(located) == len(origins)
    for number, (place, found) in enumerate(zip(places, located, strict=True)):
        assert found is not None
        offset, length, _ = found
        assert np.frombuffer(data, "<i8", 1, offset) == number + 1
        entry = table.get(int(np.ravel_multi_index(place, grid)))
        assert entry is not None
        assert (entry.offset, entry.length) == (offset, length)
