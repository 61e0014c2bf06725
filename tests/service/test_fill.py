"""Chunks that were never written read as HDF5's fill value, in both formats, for every reader."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.service.store import AbsentChunk, ForeignChunk

FILLS = [
    ("i4", None), ("i4", 7), ("u1", 255), ("f4", np.nan), ("f8", -np.inf), ("f4", 1e20), (">i2", -3),
    ("c8", 1 - 2j), ("?", True), ("S4", b"ab"), ("u8", 2**64 - 1),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "fill"), FILLS, ids=str)
@pytest.mark.parametrize("chunks", [(10,), (5000,), (40000,)], ids=["merged", "sharded", "chunk by chunk"])
def test_unwritten_chunks_read_as_fill(tmp_path: Path, same_as_h5py, dtype, fill, chunks) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (100_000,), dtype, chunks=chunks, fillvalue=fill, compression="gzip")
        dataset[: chunks[0]] = np.ones((), dtype)
    same_as_h5py(path, "x")


@pytest.mark.parametrize("fill", [None, 3])
def test_contiguous_data_never_written_read_as_fill(tmp_path: Path, same_as_h5py, fill) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (30, 40), "i4", fillvalue=fill)
    same_as_h5py(path, "x")


@pytest.mark.parametrize(
    ("mask", "fill", "absent_in_v2"), [(None, 0, True), (None, 9, False), (9, 9, True), (9, 0, False)]
)
def test_a_missing_chunk_is_absent_only_where_readers_put_the_right_fill(
    tmp_path: Path, open_store, mask, fill, absent_in_v2
) -> None:
    """Format 2 readers take ``_FillValue``, or 0 where there is none; format 3 readers are told HDF5's."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", (100,), "i4", chunks=(50,), fillvalue=fill)
        if mask is not None:
            dataset.attrs["_FillValue"] = np.int32(mask)
    store = open_store(tmp_path, merge_below=0, shard_below=0)
    with pytest.raises(AbsentChunk):
        store.key(3, ("a.h5", "x", "c", "0"), wait=True)
    if absent_in_v2:
        with pytest.raises(AbsentChunk):
            store.key(2, ("a.h5", "x", "0"), wait=True)
    else:
        body = bytes(store.key(2, ("a.h5", "x", "0"), wait=True).blob.read())
        assert np.array_equal(np.frombuffer(body, "<i4"), np.full(50, fill))


def test_a_chunk_beyond_the_grid_is_no_chunk(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (100,), "i4", chunks=(50,))
    store = open_store(tmp_path, merge_below=0, shard_below=0)
    for key in (("c", "2"), ("c", "0", "0"), ("c",)):
        with pytest.raises(ForeignChunk):
            store.key(3, ("a.h5", "x", *key), wait=True)
