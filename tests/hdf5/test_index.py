"""The chunk index is what libhdf5 says chunk by chunk, whatever the geometry and the kind of index in the file."""

import itertools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve import wire
from chunkserve.chunkindex import ChunkIndex
from chunkserve.grid import chunk_box, grid_shape, number
from chunkserve.hdf5.pool import ReaderRefused


@pytest.fixture
def index_of(readers, open_file) -> Callable[..., tuple[ChunkIndex, tuple[int, ...]]]:
    """The index of a dataset by a reader process, and the grid."""

    def index(path: Path, *below: bytes) -> tuple[ChunkIndex, tuple[int, ...]]:
        table = readers.call(open_file(path), wire.Task(index=wire.Index(below)), bytes)
        with h5py.File(path) as file:
            dataset = file[b"/".join(below)]
            grid = grid_shape(dataset.shape, dataset.chunks)
        return ChunkIndex(memoryview(table), grid), grid

    return index


def by_libhdf5(dataset: h5py.Dataset) -> dict[tuple[int, ...], tuple[int, int, int]]:
    """Stored chunks by grid position."""
    found = {}
    for position in itertools.product(*map(range, grid_shape(dataset.shape, dataset.chunks))):
        info = dataset.id.get_chunk_info_by_coord(chunk_box(position, dataset.chunks).start)
        if info.byte_offset is not None:
            found[position] = (info.byte_offset, info.size, info.filter_mask)
    return found


def whole(file: h5py.File, shape, chunks, **how: object) -> None:
    file.create_dataset("x", data=np.arange(np.prod(shape), dtype="i4").reshape(shape), chunks=chunks, **how)


def holes(file: h5py.File, shape, chunks, **how: object) -> None:
    dataset = file.create_dataset("x", shape, "i4", chunks=chunks, **how)
    for i, position in enumerate(itertools.product(*map(range, grid_shape(shape, chunks)))):
        if i % 3 == 1:
            dataset[tuple(p * c for p, c in zip(position, chunks, strict=True))] = i


def nothing(file: h5py.File, shape, chunks, **how: object) -> None:
    file.create_dataset("x", shape, "i4", chunks=chunks, **how)


def masked(file: h5py.File, shape, chunks, **how: object) -> None:
    dataset = file.create_dataset("x", shape, "i4", chunks=chunks, **how)
    for i, position in enumerate(itertools.product(*map(range, grid_shape(shape, chunks)))):
        origin = tuple(p * c for p, c in zip(position, chunks, strict=True))
        dataset.id.write_direct_chunk(origin, bytes(4 * np.prod(chunks)), filter_mask=i % 4)


def shrunk(file: h5py.File, shape, chunks, **how: object) -> None:
    larger = tuple(n + 3 * c for n, c in zip(shape, chunks, strict=True))
    whole(file, larger, chunks, **how | {"maxshape": (None,) * len(shape)})
    file["x"].resize(shape)


@pytest.mark.parametrize("write", [whole, holes, nothing, masked, shrunk], ids=lambda f: f.__name__)
@pytest.mark.parametrize("filters", [{}, {"compression": 1, "shuffle": True}], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("shape", "chunks", "how"),
    [
        ((50,), (7,), {}),
        ((9, 8), (4, 3), {}),
        ((9, 8), (4, 3), {"maxshape": (None, 8)}),
        ((9, 8), (4, 3), {"maxshape": (None, None)}),
        ((5, 4, 3), (5, 4, 3), {}),
        ((300, 2), (1, 2), {"maxshape": (None, 2)}),
    ],
    ids=str,
)
def test_an_index_is_what_libhdf5_says(tmp_path: Path, index_of, write, filters, shape, chunks, how) -> None:
    for libver, userblock in (("earliest", 0), ("latest", 1024)):
        path = tmp_path / f"{libver}.h5"
        with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
            write(file, shape, chunks, **how, **filters)
        index, grid = index_of(path, b"x")
        with h5py.File(path) as file:
            theirs = by_libhdf5(file["x"])
            positions = itertools.product(*map(range, grid))
            mine = {p: index.get(number(p, grid)) for p in positions}
            assert {p: tuple(ref) for p, ref in mine.items() if ref is not None} == theirs
            raw = path.read_bytes()
            for position, (offset, length, mask) in list(theirs.items())[:5]:
                stored = file["x"].id.read_direct_chunk(chunk_box(position, chunks).start)
                assert (mask, raw[offset : offset + length]) == stored


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0)])
def test_an_array_without_elements_has_an_empty_index(tmp_path: Path, index_of, shape) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("x", shape, "f4", chunks=(2,) * len(shape), maxshape=(None,) * len(shape))
    index, _ = index_of(tmp_path / "f.h5", b"x")
    assert index.count == 0


@pytest.mark.parametrize(
    ("below", "kind"), [((b"contiguous",), "unreadable"), ((b"group",), "unreadable"), ((b"none",), "missing")]
)
def test_what_has_no_chunks_has_no_index(tmp_path: Path, readers, open_file, below, kind) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["contiguous"] = [1, 2]
        file.create_group("group")
    with pytest.raises(ReaderRefused) as caught:
        readers.call(open_file(tmp_path / "f.h5"), wire.Task(index=wire.Index(below)), bytes)
    assert caught.value.kind == kind


def test_a_growing_dataset_is_looked_up_as_it_is_now(tmp_path: Path, readers, open_file) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset("x", (2, 3), "i4", chunks=(1, 3), maxshape=(None, 3))
        dataset[0] = 7
        file.swmr_mode = True
        reader = open_file(path, swmr=True)
        task = wire.Task(lookup=wire.Lookup((b"x",), ((0, 0), (1, 0), (2, 0), (99, 0))))

        def look() -> wire.Located:
            dataset.flush()
            return readers.call(reader, task, wire.Located)

        before = look()
        assert before.shape == (2, 3)
        assert [chunk is not None for chunk in before.chunks] == [True, False, False, False]
        dataset.resize((3, 3))
        dataset[2] = 9
        after = look()
        assert after.shape == (3, 3)
        assert [chunk is not None for chunk in after.chunks] == [True, False, True, False]
        offset, length, mask = after.chunks[2]
        assert (np.frombuffer(path.read_bytes()[offset : offset + length], "i4") == 9).all()
        assert (after.chunks[0], mask) == (before.chunks[0], 0)
