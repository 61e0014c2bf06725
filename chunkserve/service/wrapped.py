"""Sources in front of other sources."""

import math

import numpy as np

from chunkserve.datatypes import number_type
from chunkserve.grid import Box, Shape
from chunkserve.service.source import OBJECT_BYTES, Source


class Unfolded:
    """A source of lists, as elements of an array type are read where numpy can only point at them, taken apart."""

    def __init__(self, source: Source, dims: Shape) -> None:
        """Read the items of ``source`` as elements of dimensions ``dims``."""
        self._source = source
        self.path, self.type, self.shape = source.path, source.type, source.shape
        self.dtype, self.dims = source.dtype, dims
        self.weights = OBJECT_BYTES * math.prod(dims), source.weights[1]

    @property
    def unit(self) -> Shape:
        """The shape in which it is stored."""
        return self._source.unit

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The elements of a box."""
        values = self._source.read(box, wait=wait)
        out = np.empty((values.size, math.prod(self.dims)), dtype=object)
        for row, items in zip(out, values.reshape(-1), strict=True):
            for i, item in enumerate(items):
                row[i] = item
        return out.reshape(values.shape + self.dims)

    def prepare(self, box: Box) -> None:
        """Nothing to prepare."""


class Thinned:
    """Coordinates, of one dimension, for every ``factor`` elements."""

    def __init__(self, source: Source, factor: int, *, averaged: bool, edges: bool) -> None:
        """Thin a source.

        Args:
            source: Coordinates.
            factor: Elements in one.
            averaged: Give the middle of those that exist, else the first.
            edges: They are those of edges; the last edge stays.
        """
        self._source, self._factor, self._n = source, factor, source.shape[0]
        self._averaged = averaged and not source.dims and source.dtype.kind in "iuf"
        self.path, self.dims = source.path, source.dims
        self.shape = (-(-(self._n - 1) // factor) + 1 if edges else -(-self._n // factor),)
        keeps = not self._averaged or source.dtype.kind == "f"
        self.dtype = source.dtype if keeps else np.dtype("<f8")
        self.type = source.type if keeps else number_type(self.dtype)
        own = source.weights[0] if keeps else self.dtype.itemsize
        self.weights = own, source.weights[1] * factor

    @property
    def unit(self) -> Shape:
        """The shape in which it is stored."""
        return (-(-self._source.unit[0] // self._factor),)

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The coordinates of a box."""
        factor, n = self._factor, self._n
        firsts = np.minimum(np.arange(box.start[0], box.stop[0]) * factor, n - 1)
        start, stop = int(firsts[0]), int(firsts[-1]) + 1
        if not self._averaged:
            return self._source.read(Box((start,), (stop,)), wait=wait).take(firsts - start, 0)
        stop = min(stop - 1 + factor, n)
        values = self._source.read(Box((start,), (stop,)), wait=wait).astype(np.float64)
        means: np.ndarray = np.add.reduceat(values, firsts - start) / np.diff(np.append(firsts, stop))
        return means.astype(self.dtype)

    def prepare(self, box: Box) -> None:
        """Nothing to prepare."""
