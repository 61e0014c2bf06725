"""Chunks that were decoded for a part of them, kept for the next one; and chunks decoded in part."""

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from chunkserve.codecs.decode import decode, decode_part
from chunkserve.codecs.rehead import Pipeline
from chunkserve.grid import Box, Shape, chunk_box, number

if TYPE_CHECKING:
    from chunkserve.service.elements import Elements

FEW = 4
"""What is no more than this part of a chunk is decoded by itself, where a chunk has blocks."""


class DecodedChunks:
    """Chunks of a dataset as arrays. Those of which only a part was wanted are kept: the next part is wanted soon."""

    def __init__(self, elements: "Elements", pipeline: Pipeline) -> None:
        """Decode chunks of ``elements``."""
        self._elements = e = elements
        self._pipeline = pipeline
        self._shape = e.dataset.chunks + e.dims
        self._kept = None if e.file.live else e.file.tools.decoded

    def get(self, position: Shape) -> np.ndarray | None:
        """A chunk that is kept."""
        if self._kept is None or not self._kept.used:
            return None
        data = self._kept.get(self._key(position))
        return None if data is None else self._array(data)

    def decode(self, position: Shape, stored: memoryview, mask: int, part: Box, *, wait: bool) -> np.ndarray:
        """A chunk, of which only ``part`` need be right.

        Args:
            position: In the grid of chunks.
            stored: Its bytes.
            mask: Its filter mask.
            part: The box of the dataset, within the chunk, that is wanted.
            wait: Whether to wait for another thread that decodes it.

        Raises:
            Corrupt: The stored bytes are damaged; the message names the chunk.
            Unsupported: A filter is unknown.
        """
        e = self._elements
        with e.naming(position):
            if part.shape == e.dataset.chunks:
                return self._array(decode(self._pipeline, stored, mask))
            span = self._span(position, part)
            if len(span) <= self._pipeline.nbytes // FEW:
                found = decode_part(self._pipeline, stored, mask, span)
                if found is not None:
                    first, data = found
                    room = np.empty(self._pipeline.nbytes, np.uint8)
                    room[first : first + len(data)] = np.frombuffer(data, np.uint8)
                    return self._array(room)
            return self._array(self._keep(position, stored, mask, wait=wait))

    def _keep(self, position: Shape, stored: memoryview, mask: int, *, wait: bool) -> bytes:
        """Decode a chunk, once for all who want some of it now or soon."""
        if self._kept is None:
            return decode(self._pipeline, stored, mask)
        key = self._key(position)

        def make() -> bytes:
            return decode(self._pipeline, stored, mask)

        data = self._elements.file.tools.flight.run(key, make) if wait else make()
        self._kept.put(key, data, len(data))
        return data

    def _array(self, data: bytes | np.ndarray) -> np.ndarray:
        return np.frombuffer(data, self._elements.dtype).reshape(self._shape)

    def _key(self, position: Shape) -> Hashable:
        return self._elements.file.serial, self._elements.number, position

    def _span(self, position: Shape, part: Box) -> range:
        """The bytes of a chunk from the first to the last element of a part."""
        chunk = self._elements.dataset.chunks
        origin = chunk_box(position, chunk).start
        first = number(tuple(a - o for a, o in zip(part.start, origin, strict=True)), chunk)
        last = number(tuple(b - 1 - o for b, o in zip(part.stop, origin, strict=True)), chunk)
        size = self._elements.dtype.itemsize * max(1, math.prod(self._elements.dims))
        return range(first * size, (last + 1) * size)
