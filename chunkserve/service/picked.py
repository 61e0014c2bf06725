"""Picked elements of sources, read in bounded memory: only chunks of which something is picked, and each once."""

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from chunkserve.datatypes import opaque
from chunkserve.selection import Indices, Part, Selection, bounding, relative, runs, split, touched
from chunkserve.service.source import Source

TOUCHED_BYTES = 32 * 2**20
"""Bytes of chunks that are decoded at a time, about; one chunk there is always."""


def touched_bytes(source: Source, indices: tuple[Indices, ...]) -> int:
    """Bytes of all chunks that hold something that is picked, decoded."""
    counts = (touched(picked, c) * c for picked, c in zip(indices, source.unit, strict=True))
    return math.prod(counts) * source.weights[1]


def pick(source: Source, indices: tuple[Indices, ...], *, wait: bool = True) -> np.ndarray:
    """Elements at the crossings of indices.

    Returns:
        One axis per axis of the source, then the dimensions of array types.

    Raises:
        WouldBlock: Not ``wait``, and they are not at hand.
        ChunkserveError: They cannot be read.
    """
    if not all(indices):
        return np.empty((*map(len, indices), *source.dims), source.dtype)
    boxes = _boxes(source, indices)
    first, second = next(boxes), next(boxes, None)
    if second is None:
        return _of_one_box(source, indices, wait=wait)
    out = np.empty((*map(len, indices), *source.dims), source.dtype)
    for box in itertools.chain((first, second), boxes):
        found = _of_one_box(source, box.indices, wait=wait)
        opaque(out)[tuple(slice(at, at + n) for at, n in zip(box.at, box.shape, strict=True))] = opaque(found)
    return out


def _boxes(source: Source, indices: tuple[Indices, ...]) -> Iterator[Part]:
    """Picked indices in parts whose bounding boxes are small and hold no chunk of which nothing is picked."""
    parts: Iterable[Part] = (Part((0,) * len(indices), indices),)
    if touched_bytes(source, indices) > TOUCHED_BYTES:
        parts = split(Selection(indices), source.unit, source.weights, (TOUCHED_BYTES, TOUCHED_BYTES))
    for part in parts:
        for cut in itertools.product(*(runs(picked, c) for picked, c in zip(part.indices, source.unit, strict=True))):
            at = tuple(a + b for a, (b, _) in zip(part.at, cut, strict=True))
            yield Part(at, tuple(picked for _, picked in cut))


def _of_one_box(source: Source, indices: tuple[Indices, ...], *, wait: bool) -> np.ndarray:
    box = bounding(indices)
    values = source.read(box, wait=wait)
    if box.shape == tuple(map(len, indices)):
        return values
    found = opaque(values)
    for axis, picked in enumerate(indices):
        if len(picked) != found.shape[axis]:
            found = found[(slice(None),) * axis + (relative(picked, box.start[axis]),)]
    return found if values.dtype.names is None else np.ascontiguousarray(found).view(values.dtype)
