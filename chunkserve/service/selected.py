"""Selections of sources: read as a whole, part by part, or as bytes in C order, in the memory of a part."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.grid import Shape
from chunkserve.selection import Part, Parts, Selection, bounding, rows, split
from chunkserve.service.picked import TOUCHED_BYTES, pick, touched_bytes
from chunkserve.service.source import Source
from chunkserve.sources.localfile import WouldBlock

PART_BYTES = 2 * 2**20
"""Bytes of a part, about; more where one stored chunk gives more."""

ROW_BYTES = 8 * 2**20
"""Bytes of a part that has to be in C order, about."""

MOST_ROW_BYTES = 32 * 2**20
"""Bytes to which such a part may grow, so that chunks are decoded once; or to those of a chunk."""

MOST_LONE_BYTES = 64 * 2**20
"""The same where there is one of them at a time."""


@dataclass(frozen=True)
class Selected:
    """A selection of a source."""

    source: Source
    selection: Selection

    @property
    def shape(self) -> Shape:
        """Of the answer, dimensions of an array type included."""
        return self.selection.shape + self.source.dims

    @property
    def nbytes(self) -> int:
        """Bytes of the answer, decoded; of objects, an estimate."""
        return self.selection.size * self.source.weights[0]

    def prepare(self) -> None:
        """Make sure that all of it can be read.

        Raises:
            Building: It is of a level that is being made.
        """
        if self.selection.size:
            self.source.prepare(bounding(self.selection.indices))

    # ------------------------------------------------------------------- parts

    @cached_property
    def parts(self) -> Parts:
        """It in parts along borders of chunks, in no order of the elements."""
        return split(self.selection, self.source.unit, self.source.weights, (PART_BYTES, TOUCHED_BYTES))

    def rows(self, most: int = MOST_ROW_BYTES) -> Parts:
        """It in parts of ``most`` bytes that, one after the other, have the elements in C order."""
        return rows(self.selection, self.source.unit, self.source.weights[0], (ROW_BYTES, most))

    def kept(self, along: Shape) -> Shape:
        """Of one number per axis of the source, those of the axes that the answer has."""
        return tuple(along[axis] for axis in self.selection.axes)

    def bytes_of(self, part: Part) -> int:
        """Bytes of a part, decoded."""
        return math.prod(part.shape) * self.source.weights[0]

    def touched(self, part: Part) -> int:
        """Bytes of chunks that are decoded for a part."""
        return touched_bytes(self.source, part.indices)

    # ---------------------------------------------------------------- elements

    def values(self, part: Part, *, wait: bool = True) -> np.ndarray:
        """A part in the shape of the answer; reads it.

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
            ChunkserveError: It cannot be read.
        """
        found = pick(self.source, part.indices, wait=wait)
        return found.reshape(self.kept(part.shape) + self.source.dims)

    def all(self) -> np.ndarray:
        """All of it, in one piece."""
        indices = self.selection.indices
        return self.values(Part((0,) * len(indices), indices))

    def blocks(self) -> Iterator[np.ndarray]:
        """Its elements in C order, part by part."""
        return (self.values(part) for part in self.rows(MOST_LONE_BYTES))


def converted(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Elements as those of a dtype, C-contiguous; between the fields of records that had to be converted is nothing."""
    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    out = np.zeros(values.shape, dtype)
    out[...] = values
    return out


class SelectedBytes:
    """C-order bytes of a selection, computed when they are read: a piece of a blob.

    The part that was read last is kept, so that reading on does not decode it again.
    """

    def __init__(self, selected: Selected, dtype: np.dtype[Any]) -> None:
        """Convert elements to ``dtype``."""
        self.selected = selected
        self.dtype = dtype
        self._parts = tuple(selected.rows(MOST_LONE_BYTES))
        each = dtype.itemsize * math.prod(selected.source.dims)
        self.starts = [0, *itertools.accumulate(math.prod(part.shape) * each for part in self._parts)]
        self.length = self.starts[-1]
        self._kept: tuple[int, memoryview] = (-1, memoryview(b""))

    def read_into(self, view: memoryview, start: int, *, wait: bool) -> None:
        """Fill ``view`` with the bytes from ``start`` on.

        Raises:
            WouldBlock: Not ``wait``, and they are not those of the last part.
            ChunkserveError: They cannot be read.
        """
        at, end = start, start + len(view)
        while at < end:
            nth = bisect_right(self.starts, at) - 1
            low, high = self.starts[nth], min(end, self.starts[nth + 1])
            view[at - start : high - start] = self._part(nth, wait=wait)[at - low : high - low]
            at = high

    def _part(self, nth: int, *, wait: bool) -> memoryview:
        number, data = self._kept
        if number != nth:
            if not wait:
                raise WouldBlock
            self._kept = (-1, memoryview(b""))
            values = self.selected.values(self._parts[nth])
            data = converted(values, self.dtype).reshape(-1).view(np.uint8).data
            self._kept = nth, data
        return data
