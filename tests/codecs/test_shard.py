"""Shard indices, as zarr-python reads them."""

import asyncio
import struct

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.codecs.shard import MISSING, index_size, pack_index

LENGTHS = st.lists(st.none() | st.integers(0, 2**40), max_size=40)


@given(LENGTHS)
def test_chunks_lie_end_to_end_and_missing_ones_nowhere(lengths: list[int | None]) -> None:
    index = pack_index(lengths)
    assert len(index) == index_size(len(lengths))
    end = 0
    for length, (offset, size) in zip(lengths, struct.iter_unpack("<QQ", index[:-4]), strict=True):
        assert (offset, size) == ((MISSING, MISSING) if length is None else (end, length))
        end += length or 0


@given(LENGTHS)
def test_the_index_ends_with_its_crc32c(lengths: list[int | None]) -> None:
    index = pack_index(lengths)
    assert google_crc32c.value(index[:-4]) == int.from_bytes(index[-4:], "little")


@pytest.mark.parametrize("missing", [{0}, {3}, {1, 2}, set(), {0, 1, 2, 3}], ids=str)
def test_zarr_reads_a_shard_made_of_chunks_and_index(missing) -> None:
    store = zarr.storage.MemoryStore()
    array = zarr.create_array(
        store, shape=(8,), shards=(8,), chunks=(2,), dtype="<i4", fill_value=-1, compressors=None, filters=None
    )
    expected = np.arange(8, dtype="<i4")
    chunks = [None if i in missing else expected[2 * i : 2 * i + 2].tobytes() for i in range(4)]
    index = pack_index([None if chunk is None else len(chunk) for chunk in chunks])
    shard = b"".join(chunk or b"" for chunk in chunks) + index
    asyncio.run(store.set("c/0", zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(shard)))
    for i in missing:
        expected[2 * i : 2 * i + 2] = -1
    assert np.array_equal(array[:], expected)
