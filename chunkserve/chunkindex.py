"""Where a dataset's chunks lie: a table on disk, mapped into memory and shared by all workers.

Layout (little-endian): 8 magic bytes, u64 rank, u64 number of chunks n, u64 dense flag, then arrays of n entries:
u64 number of the chunk in C order of the grid (absent when dense: entry i is chunk i), u64 file offset, u64 stored
length, u32 filter mask. Sorted by number. An entry of length 0 is not stored. 20 or 28 bytes a chunk.
"""

import math
import struct
from array import array
from bisect import bisect_left
from typing import NamedTuple, Union

import numpy as np

from chunkserve.errors import Corrupt

Column = Union["array[int]", np.ndarray]

MAGIC = b"CSINDEX1"
_HEADER = struct.Struct("<8sQQQ")


class ChunkRef(NamedTuple):
    """One stored chunk: byte offset in the file, stored length in bytes, HDF5 filter mask (bit i: stage i skipped)."""

    offset: int
    length: int
    mask: int


class ChunkIndex:
    """Read access to a chunk table. Lookups cost a slice of a memory map, or a bisection where the grid is sparse."""

    def __init__(self, data: memoryview, shape: tuple[int, ...]) -> None:
        """Wrap a table.

        Args:
            data: The table; kept, not copied.
            shape: Chunks along each axis of the grid the table was written for.

        Raises:
            Corrupt: The table is malformed.
        """
        if len(data) < _HEADER.size:
            raise Corrupt("chunk index is shorter than its header")
        magic, rank, count, dense = _HEADER.unpack_from(data)
        width = 20 if dense else 28
        if magic != MAGIC or rank != len(shape) or len(data) != _HEADER.size + width * count:
            raise Corrupt("chunk index is malformed")
        if dense and count != math.prod(shape):
            raise Corrupt("chunk index does not match the grid")
        at = _HEADER.size
        self.count: int = count
        self.data = data
        self._numbers: memoryview | None = None
        if not dense:
            self._numbers = data[at : at + 8 * count].cast("Q")
            at += 8 * count
        self._offsets = data[at : at + 8 * count].cast("Q")
        self._lengths = data[at + 8 * count : at + 16 * count].cast("Q")
        self._masks = data[at + 16 * count : at + 20 * count].cast("I")

    def get(self, number: int) -> ChunkRef | None:
        """The chunk with this C-order number in the grid, ``None`` if the file does not store it."""
        entry = number
        if self._numbers is not None:
            entry = bisect_left(self._numbers, number)
            if entry == self.count or self._numbers[entry] != number:
                return None
        length = self._lengths[entry]
        return ChunkRef(self._offsets[entry], length, self._masks[entry]) if length else None

    def stored(self) -> tuple[int, int]:
        """How many chunks are stored, and their bytes together."""
        return sum(1 for length in self._lengths if length), sum(self._lengths)

    def any_mask(self) -> bool:
        """Whether any chunk skipped a filter."""
        return any(self._masks)


def pack(grid: tuple[int, ...], numbers: Column, offsets: Column, lengths: Column, masks: Column) -> bytes:
    """Write a table.

    Args:
        grid: Chunks along each axis.
        numbers: C-order chunk number of each entry, in any order.
        offsets: Byte offset of each.
        lengths: Stored bytes of each.
        masks: Filter mask of each.
    """
    order = np.argsort(numbers, kind="stable")
    dense = len(order) == math.prod(grid)
    columns = ([] if dense else [(numbers, "<u8")]) + [(offsets, "<u8"), (lengths, "<u8"), (masks, "<u4")]
    parts = [_HEADER.pack(MAGIC, len(grid), len(order), dense)]
    parts += [np.asarray(column, dtype)[order].tobytes() for column, dtype in columns]
    return b"".join(parts)
