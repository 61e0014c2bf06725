"""The table of chunks finds what was put into it, dense or sparse, and refuses what is not one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.chunkindex import MAGIC, ChunkIndex, ChunkRef, pack
from chunkserve.errors import Corrupt

GRIDS = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
REFS = st.builds(ChunkRef, st.integers(0, 2**63), st.integers(1, 2**40), st.integers(0, 2**32 - 1))


def table(grid: tuple[int, ...], entries: dict[int, ChunkRef]) -> bytes:
    columns = [[ref[i] for ref in entries.values()] for i in range(3)]
    dtypes = (np.uint64, np.uint64, np.uint32)
    return pack(grid, np.array(list(entries), np.int64), *map(np.array, columns, dtypes))


@given(GRIDS, st.data())
def test_a_table_gives_back_what_was_put_into_it(grid: tuple[int, ...], data: st.DataObject) -> None:
    count = math.prod(grid)
    numbers = data.draw(st.permutations(range(count)))[: data.draw(st.integers(0, count))]
    entries = {n: data.draw(REFS) for n in numbers}
    packed = table(grid, entries)
    index = ChunkIndex(memoryview(packed), grid)
    assert [index.get(n) for n in range(count)] == [entries.get(n) for n in range(count)]
    assert index.stored() == (len(entries), sum(ref.length for ref in entries.values()))
    assert index.any_mask() == any(ref.mask for ref in entries.values())
    assert len(packed) == 32 + (20 if len(entries) == count else 28) * len(entries)


def test_an_entry_of_no_bytes_is_not_stored() -> None:
    index = ChunkIndex(memoryview(table((2,), {0: ChunkRef(100, 0, 0), 1: ChunkRef(200, 5, 0)})), (2,))
    assert index.get(0) is None
    assert index.get(1) == (200, 5, 0)
    assert index.stored() == (1, 5)


SPARSE = table((4, 4), {3: ChunkRef(8, 9, 1), 1: ChunkRef(5, 6, 0)})
DENSE = table((2,), {0: ChunkRef(8, 9, 1), 1: ChunkRef(5, 6, 0)})


@pytest.mark.parametrize(
    ("data", "grid"),
    [
        (b"", (4, 4)),
        (SPARSE[:20], (4, 4)),
        (SPARSE[:-1], (4, 4)),
        (SPARSE + b"\0", (4, 4)),
        (SPARSE.replace(MAGIC, b"CSINDEX0"), (4, 4)),
        (SPARSE, (16,)),  # written for another rank
        (DENSE, (3,)),  # written for another extent
        (SPARSE[:16] + b"\xff" * 8 + SPARSE[24:], (4, 4)),
    ],
)
def test_a_table_that_does_not_fit_is_corrupt(data, grid) -> None:
    with pytest.raises(Corrupt, match="chunk index"):
        ChunkIndex(memoryview(data), grid)
