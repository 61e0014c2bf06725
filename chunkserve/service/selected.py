"""Selected elements in C order, block by block, so that answers of any size need the memory of a block."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.datatypes import DataType
from chunkserve.errors import Unsupported
from chunkserve.grid import Box, Shape
from chunkserve.metadata.present import missing_filter
from chunkserve.selection import Indices, Selection, bounding, relative, runs
from chunkserve.service.elements import Elements
from chunkserve.sources.localfile import WouldBlock

BLOCK_BYTES = 8 * 2**20
"""Bytes of a block, about."""

MOST_BLOCK_BYTES = 64 * 2**20
"""Bytes to which a block may grow, so that chunks are decoded once."""


OBJECT_BYTES = 64
"""What a text or sequence is taken to need."""


@dataclass(frozen=True)
class Source:
    """An array that boxes can be read from.

    Attributes:
        path: For messages.
        type: Datatype of an element.
        shape: Extents.
        chunk: What is stored together.
        dtype: Of the elements.
        dims: Dimensions of an array type, which follow the others.
        objects: numpy can only point at elements.
        read: The elements of a box.
    """

    path: str
    type: DataType
    shape: Shape
    chunk: Shape
    dtype: np.dtype[Any]
    dims: Shape
    objects: bool
    read: Callable[[Box], np.ndarray]

    @property
    def itemsize(self) -> int:
        """Bytes of an element; about, where numpy only points at it."""
        return (OBJECT_BYTES if self.objects else self.dtype.itemsize) * math.prod(self.dims)


def source_of(elements: Elements) -> Source:
    """A dataset."""
    dataset = elements.dataset
    missing = missing_filter(dataset)

    def read(box: Box) -> np.ndarray:
        if missing:
            raise Unsupported(f"{elements.path}: {missing}")
        found = elements.read(box)
        return _unfolded(found, elements.dims) if elements.objects and elements.dims else found

    chunk = dataset.chunks or (1,) * len(elements.shape)
    dtype = np.dtype(object) if elements.objects else elements.dtype
    return Source(elements.path, dataset.type, elements.shape, chunk, dtype, elements.dims, elements.objects, read)


def source_of_values(source: Source, t: DataType, values: np.ndarray) -> Source:
    """An array in memory, in the place of a source."""
    return Source(
        source.path, t, values.shape, values.shape, values.dtype, (), objects=False,
        read=lambda box: values[box.slices()],
    )  # fmt: skip


def _unfolded(values: np.ndarray, dims: Shape) -> np.ndarray:
    """Elements of an array type, given as lists, with its dimensions."""
    out = np.empty((values.size, math.prod(dims)), dtype=object)
    for row, items in zip(out, values.reshape(-1), strict=True):
        for i, item in enumerate(items):
            row[i] = item
    return out.reshape(values.shape + dims)


@dataclass(frozen=True)
class Selected:
    """A selection of an array."""

    source: Source
    selection: Selection

    @property
    def shape(self) -> Shape:
        """Of the answer."""
        return self.selection.shape + self.source.dims

    @property
    def nbytes(self) -> int:
        """Bytes of the answer."""
        return self.selection.size * self.source.itemsize

    def all(self) -> np.ndarray:
        """Everything that is selected."""
        out = np.empty((self.selection.size, *self.source.dims), self.source.dtype)
        at = 0
        for block in self.blocks():
            out[at : at + len(block)] = block
            at += len(block)
        return out.reshape(self.shape)

    def blocks(self) -> Iterator[np.ndarray]:
        """The elements in C order, in runs: shape (elements, dimensions of an array type)."""
        for indices in self.cuts:
            yield self.block(indices)

    def block(self, indices: tuple[Indices, ...]) -> np.ndarray:
        """Elements at all combinations of indices."""
        found = pick(self.source, indices)
        return found.reshape(-1, *self.source.dims)

    @cached_property
    def cuts(self) -> tuple[tuple[Indices, ...], ...]:
        """The selection in parts that follow each other in C order."""
        if not self.selection.size:
            return ()
        indices = self.selection.indices
        axis, rows = self._cut()
        leading = itertools.product(*((each[i : i + 1] for i in range(len(each))) for each in indices[:axis]))
        if axis == len(indices):
            return tuple(leading)
        runs_ = [indices[axis][at : at + rows] for at in range(0, len(indices[axis]), rows)]
        return tuple((*lead, run, *indices[axis + 1 :]) for lead in leading for run in runs_)

    def _cut(self) -> tuple[int, int]:
        """The axis that is cut, those before it being single elements, and how much of it is a block."""
        indices, chunk = self.selection.indices, self.source.chunk
        spans = [_span(picked, c) for picked, c in zip(indices, chunk, strict=True)]
        for axis, (picked, c) in enumerate(zip(indices, chunk, strict=True)):
            row = math.prod(spans[axis + 1 :]) * self.source.itemsize * -(-spans[axis] // len(picked))
            together = max(1, min(c // picked.step if isinstance(picked, range) else 1, len(picked)))
            if together * row <= MOST_BLOCK_BYTES:
                return axis, max(1, BLOCK_BYTES // max(1, row) // together) * together
            if row <= BLOCK_BYTES:
                return axis, MOST_BLOCK_BYTES // row
        return len(indices), 1


def _span(picked: Indices, chunk: int) -> int:
    """Elements along an axis that are read for those that are picked."""
    return sum(run[-1] + 1 - run[0] for _, run in runs(picked, chunk))


def pick(source: Source, indices: tuple[Indices, ...]) -> np.ndarray:
    """Elements at all combinations of indices: their numbers along each axis, then the dimensions of an array type."""
    if not indices:
        return source.read(Box((), ()))
    parts = [runs(picked, c) for picked, c in zip(indices, source.chunk, strict=True)]
    if all(len(each) == 1 for each in parts):
        return _picked(source, indices)
    out = np.empty((*map(len, indices), *source.dims), source.dtype)
    for combination in itertools.product(*parts):
        inner = tuple(run for _, run in combination)
        out[tuple(slice(at, at + len(run)) for at, run in combination)] = _picked(source, inner)
    return out


def _picked(source: Source, indices: tuple[Indices, ...]) -> np.ndarray:
    box = bounding(indices)
    found = source.read(box)
    for axis, (picked, origin) in enumerate(zip(indices, box.start, strict=True)):
        if len(picked) != found.shape[axis]:
            found = found[(slice(None),) * axis + (relative(picked, origin),)]
    return found


class SelectedBytes:
    """C-order bytes of a selection, computed when they are read: a piece of a blob.

    The block that was read last is kept, so that reading on does not decode it again.
    """

    def __init__(self, selected: Selected, dtype: np.dtype[Any]) -> None:
        """Convert elements to ``dtype``."""
        self.selected = selected
        self.dtype = dtype
        each = dtype.itemsize * math.prod(selected.source.dims)
        sizes = [math.prod(map(len, indices)) * each for indices in selected.cuts]
        self.starts = [0, *itertools.accumulate(sizes)]
        self.length = self.starts[-1]
        self._kept: tuple[int, memoryview] = (-1, memoryview(b""))

    def read_into(self, view: memoryview, start: int, *, wait: bool) -> None:
        """Fill ``view`` with the bytes from ``start`` on.

        Raises:
            WouldBlock: Not ``wait``, and they are not those of the last block.
            ChunkserveError: They cannot be read.
        """
        at, end = start, start + len(view)
        while at < end:
            nth = bisect_right(self.starts, at) - 1
            low, high = self.starts[nth], min(end, self.starts[nth + 1])
            view[at - start : high - start] = self._block(nth, wait=wait)[at - low : high - low]
            at = high

    def _block(self, nth: int, *, wait: bool) -> memoryview:
        number, data = self._kept
        if number != nth:
            if not wait:
                raise WouldBlock
            self._kept = (-1, memoryview(b""))
            values = self.selected.block(self.selected.cuts[nth])
            data = np.ascontiguousarray(values, self.dtype).reshape(-1).view(np.uint8).data
            self._kept = nth, data
        return data
