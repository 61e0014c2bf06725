"""Virtual datasets: the chunks of their sources where they line up, composed where not, never a silent fill."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from chunkserve.errors import ChunkserveError, MissingSource, Unsupported

from .conftest import verdict

N, ROWS, COLUMNS = 4, 60, 90
MAPPED = "virtual, chunks of the sources"
RNG = np.random.default_rng(3)


def write_sources(folder: Path, count: int = 4) -> None:
    for i in range(count):
        with h5py.File(folder / f"s{i}.h5", "w") as file:
            stack = RNG.integers(0, 1000, (N, ROWS, COLUMNS), dtype="u2")
            file.create_dataset("stack", data=stack, chunks=(1, ROWS, COLUMNS), compression="gzip", shuffle=True)
            file.create_dataset("frame", data=stack[0], chunks=(ROWS, COLUMNS), compression="gzip")
            file.create_dataset("plain", data=stack, chunks=(1, ROWS, COLUMNS), maxshape=(None, ROWS, COLUMNS))


def source(i: int, name: str = "stack") -> h5py.VirtualSource:
    return h5py.VirtualSource(f"s{i}.h5", name, shape=(ROWS, COLUMNS) if name == "frame" else (N, ROWS, COLUMNS))


def stacked(layout: h5py.VirtualLayout) -> None:
    for i in range(4):
        layout[i * N : (i + 1) * N] = source(i)


def frames(layout: h5py.VirtualLayout) -> None:
    for i in range(4):
        layout[i] = source(i, "frame")


def interleaved(layout: h5py.VirtualLayout) -> None:
    for i in range(2):
        layout[i::2] = source(i)


def mosaic(layout: h5py.VirtualLayout) -> None:
    for i in range(4):
        row, column = divmod(i, 2)
        layout[row * ROWS : (row + 1) * ROWS, column * 100 : column * 100 + COLUMNS] = source(i, "frame")


def subsampled(layout: h5py.VirtualLayout) -> None:
    layout[...] = source(0)[:, ::2, ::3]


def transposed_rank(layout: h5py.VirtualLayout) -> None:
    for i in range(4):
        layout[i // 2, i % 2] = source(i, "frame")


def overlapping(layout: h5py.VirtualLayout) -> None:
    layout[0:N] = source(0)
    layout[2 : 2 + N] = source(1)


LAYOUTS = [
    (stacked, (4 * N, ROWS, COLUMNS), MAPPED),
    (frames, (4, ROWS, COLUMNS), MAPPED),
    (interleaved, (2 * N, ROWS, COLUMNS), MAPPED),
    (transposed_rank, (2, 2, ROWS, COLUMNS), MAPPED),
    (mosaic, (2 * ROWS, 100 + COLUMNS), MAPPED),
    (overlapping, (2 + N, ROWS, COLUMNS), MAPPED),
    (subsampled, (N, ROWS // 2, COLUMNS // 3), "decoded"),
]


@pytest.mark.parametrize(("build", "shape", "plan"), LAYOUTS, ids=lambda v: getattr(v, "__name__", None))
def test_virtual_datasets_equal_what_h5py_composes(tmp_path: Path, same_as_h5py, library, build, shape, plan) -> None:
    write_sources(tmp_path)
    path = tmp_path / "v.h5"
    with h5py.File(path, "w", libver="latest") as file:
        layout = h5py.VirtualLayout(shape, "u2")
        build(layout)
        file.create_virtual_dataset("x", layout, fillvalue=9)
    same_as_h5py(path, "x", merge_below=0)
    same_as_h5py(path, "x")
    assert verdict(library(path, merge_below=0), "x") == plan


def test_a_mapped_chunk_is_the_source_chunk_byte_for_byte(tmp_path: Path, open_store) -> None:
    write_sources(tmp_path)
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout((4 * N, ROWS, COLUMNS), "u2")
        stacked(layout)
        file.create_virtual_dataset("x", layout)
    store = open_store(tmp_path, merge_below=0, shard_below=0)
    for i in range(4 * N):
        mine = store.key(3, ("v.h5", "x", "c", str(i), "0", "0"), wait=True).blob.read()
        theirs = store.key(3, (f"s{i // N}.h5", "stack", "c", str(i % N), "0", "0"), wait=True).blob.read()
        assert bytes(mine) == bytes(theirs)


def test_sources_of_another_type_are_converted(tmp_path: Path, same_as_h5py) -> None:
    write_sources(tmp_path)
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout((4 * N, ROWS, COLUMNS), ">f4")
        stacked(layout)
        file.create_virtual_dataset("x", layout)
    same_as_h5py(tmp_path / "v.h5", "x")


def test_virtual_datasets_may_draw_from_virtual_datasets(tmp_path: Path, same_as_h5py) -> None:
    write_sources(tmp_path)
    for name, below in (("v.h5", None), ("w.h5", "v.h5")):
        with h5py.File(tmp_path / name, "w", libver="latest") as file:
            layout = h5py.VirtualLayout((4 * N, ROWS, COLUMNS), "u2")
            if below is None:
                stacked(layout)
            else:
                layout[...] = h5py.VirtualSource(below, "x", shape=layout.shape)
            file.create_virtual_dataset("x", layout)
    same_as_h5py(tmp_path / "w.h5", "x")


def test_a_virtual_dataset_over_itself_ends_with_an_error(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout((4,), "u2")
        layout[...] = h5py.VirtualSource(".", "x", shape=(4,))
        file.create_virtual_dataset("x", layout)
    with pytest.raises((Unsupported, MissingSource)):
        open_store(tmp_path).key(3, ("v.h5", "x", "c", "0"), wait=True)


def unlimited(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        layout = h5py.VirtualLayout((N, ROWS, COLUMNS), "u2", maxshape=(None, ROWS, COLUMNS))
        over = h5py.VirtualSource("s0.h5", "plain", shape=(N, ROWS, COLUMNS), maxshape=(None, ROWS, COLUMNS))
        layout[: h5py.h5s.UNLIMITED] = over[: h5py.h5s.UNLIMITED]
        file.create_virtual_dataset("x", layout)


def numbered(path: Path) -> None:
    """A printf-style mapping: s0.h5, s1.h5, ... as far as there are files."""
    with h5py.File(path, "w", libver="latest") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.VIRTUAL)
        space = h5py.h5s.create_simple((0, ROWS, COLUMNS), (h5py.h5s.UNLIMITED, ROWS, COLUMNS))
        target = space.copy()
        target.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), stride=(N, 1, 1), block=(N, ROWS, COLUMNS))
        block = h5py.h5s.create_simple((N, ROWS, COLUMNS))
        block.select_hyperslab((0, 0, 0), (1, 1, 1), block=(N, ROWS, COLUMNS))
        plist.set_virtual(target, b"s%b.h5", b"stack", block)
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_U16LE, space, plist)


@pytest.mark.parametrize("write", [unlimited, numbered], ids=lambda f: f.__name__)
def test_an_unlimited_virtual_dataset_is_as_long_as_its_sources(tmp_path: Path, same_as_h5py, library, write) -> None:
    write_sources(tmp_path, 2)
    path = tmp_path / "v.h5"
    write(path)
    before = same_as_h5py(path, "x").shape
    if write is unlimited:
        with h5py.File(tmp_path / "s0.h5", "a") as file:
            file["plain"].resize((N + 3, ROWS, COLUMNS))
            file["plain"][N:] = 7
    else:
        write_sources(tmp_path, 3)
    after = same_as_h5py(path, "x").shape
    assert after[0] > before[0]


def break_by_removal(folder: Path) -> None:
    (folder / "s1.h5").unlink()


def break_by_rubbish(folder: Path) -> None:
    (folder / "s1.h5").write_bytes(b"not HDF5 at all" * 100)


def break_by_shrinking(folder: Path) -> None:
    (folder / "s1.h5").unlink()
    with h5py.File(folder / "s1.h5", "w") as file:
        file["stack"] = np.zeros((N - 1, ROWS, COLUMNS), "u2")


@pytest.mark.parametrize("spoil", [break_by_removal, break_by_rubbish, break_by_shrinking], ids=lambda f: f.__name__)
def test_a_missing_source_fails_its_own_chunks_and_no_others(
    tmp_path: Path, open_store, spoil: Callable[[Path], None]
) -> None:
    write_sources(tmp_path)
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout((4 * N, ROWS, COLUMNS), "u2")
        stacked(layout)
        file.create_virtual_dataset("x", layout, fillvalue=5)
    spoil(tmp_path)
    store = open_store(tmp_path, merge_below=0, shard_below=0)
    store.key(3, ("v.h5", "x", "zarr.json"), wait=True)
    for i in range(4 * N):
        key = ("v.h5", "x", "c", str(i), "0", "0")
        if i // N == 1:
            with pytest.raises(ChunkserveError, match=r"s1\.h5"):
                store.key(3, key, wait=True).blob.read()
        else:
            assert store.key(3, key, wait=True).blob.size


def test_a_source_outside_the_roots_is_missing(tmp_path: Path, open_store) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    write_sources(outside, 1)
    with h5py.File(inside / "v.h5", "w", libver="latest") as file:
        for name, target in (("absolute", str(outside / "s0.h5")), ("relative", "../out/s0.h5")):
            layout = h5py.VirtualLayout((N, ROWS, COLUMNS), "u2")
            layout[...] = h5py.VirtualSource(target, "stack", shape=(N, ROWS, COLUMNS))
            file.create_virtual_dataset(name, layout)
    store = open_store(inside)
    for name in ("absolute", "relative"):
        with pytest.raises(MissingSource):
            store.key(3, ("v.h5", name, "c", "0", "0", "0"), wait=True).blob.read()


def test_etags_follow_the_source_a_chunk_draws_from(tmp_path: Path, open_store) -> None:
    write_sources(tmp_path)
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout((4 * N, ROWS, COLUMNS), "u2")
        stacked(layout)
        file.create_virtual_dataset("x", layout)
    store = open_store(tmp_path, merge_below=0, shard_below=0)

    def etags() -> list[str]:
        return [store.key(3, ("v.h5", "x", "c", str(i), "0", "0"), wait=True).etag for i in range(4 * N)]

    before = etags()
    assert len(set(before)) == 4 * N
    with h5py.File(tmp_path / "s2.h5", "a") as file:
        file["stack"][0] = 1
    after = etags()
    changed = [i for i in range(4 * N) if before[i] != after[i]]
    assert changed == [2 * N, 2 * N + 1, 2 * N + 2, 2 * N + 3]


def test_a_hole_between_mappings_reads_as_the_virtual_fill(tmp_path: Path, library, zarr_format) -> None:
    write_sources(tmp_path, 1)
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as file:
        layout = h5py.VirtualLayout((3 * N, ROWS, COLUMNS), "u2")
        layout[2 * N :] = source(0)
        file.create_virtual_dataset("x", layout, fillvalue=13)
    array = zarr.open_array(library(tmp_path / "v.h5"), path="x", mode="r", zarr_format=zarr_format)
    assert (array[: 2 * N] == 13).all()
    with h5py.File(tmp_path / "s0.h5") as file:
        np.testing.assert_array_equal(array[2 * N :], file["stack"][...])
