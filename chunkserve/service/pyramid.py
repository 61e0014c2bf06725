"""The levels of one dataset: chunks from memory, from disk, or made now, block by block.

A block (:class:`chunkserve.pyramid.plan.Plan`) is made once, in one worker, from a box of the source or from the blocks
below it; it yields its chunks, and a partial for the level above. Chunks and partials are kept.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

import numcodecs.blosc
import numpy as np

from chunkserve.cache.levels import LevelCache
from chunkserve.codecs import encode
from chunkserve.errors import SourceChanged
from chunkserve.grid import Box, Shape, chunk_box, covering, whole
from chunkserve.metadata.axes import Axis
from chunkserve.metadata.ome import Window
from chunkserve.metadata.rulers import RulerDocument
from chunkserve.pyramid.cascade import Cascade
from chunkserve.pyramid.partial import Partial, finish, halve, join
from chunkserve.pyramid.span import Span, merged_span, span_of
from chunkserve.service.blockfile import Block
from chunkserve.service.kept import Chunks, Kept
from chunkserve.service.levels import Levels, View
from chunkserve.service.validity import Validity
from chunkserve.service.zarrarray import ZarrArray

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Pyramid(Levels):
    """The levels of one version of one dataset in one view, made when they are asked for. Thread-safe.

    Attributes:
        kept: What was made.
        spare: Threads that help with a block that somebody waits for.
        known_window: The contrast window, once it was asked for: a tuple of it, or of ``None`` if there is none.
        known_axes: The axes as OME-Zarr names them, once they were asked for.
        known_rulers: A ruler for each axis, once they were asked for.
    """

    def __init__(
        self,
        array: ZarrArray,
        view: View,
        halved: tuple[bool, ...],
        validity: Validity,
        cache: LevelCache,
        spare: Executor,
    ) -> None:
        """Plan the levels of an array; errors as those of :class:`Levels`."""
        super().__init__(array, view, halved, validity)
        self.kept = Kept(self, cache)
        self.spare = spare
        self.known_window: tuple[Window | None] | None = None
        self.known_axes: tuple[Axis, ...] = ()
        self.known_rulers: list[RulerDocument | None] = []
        self._whole_span: Span | None = None
        self._tools = array.context.tools

    # ----------------------------------------------------------------- chunks

    def chunk(self, level: int, position: Shape) -> bytes:
        """A chunk of a level as a Blosc frame; made now if need be.

        Raises:
            SourceChanged: The source is not what it was.
            ChunkserveError: The source cannot be read.
        """
        found = self.kept.chunk(level, position)
        if found is not None:
            return found
        if level == 0:
            return self._cast(position)
        at = self.plan.block_level(level)
        where = self.plan.block_of(level, position)
        return self._chunks_of(at, where, self.spare)[level, position]

    def _cast(self, position: Shape) -> bytes:
        """A chunk of level 0 in another dtype than the source's."""
        box = chunk_box(position, self.plan.chunk)
        inside = box.clip(whole(self.plan.shape))
        assert inside is not None
        with np.errstate(invalid="ignore"):
            values = self.source(inside).astype(self.dtype, copy=False)
        data = encode.blosc_lz4(self.padded(values))
        self.kept.remember(0, position, data)
        return data

    def region(self, level: int, box: Box) -> np.ndarray:
        """Voxels of a box of a level.

        Raises:
            ChunkserveError: As :meth:`chunk`.
        """
        if level == 0:
            return self.source(box)
        out = np.empty(box.shape, self.dtype)
        for position in covering(box, self.plan.chunk):
            here = chunk_box(position, self.plan.chunk)
            part = here.clip(box)
            assert part is not None
            values = np.frombuffer(numcodecs.blosc.decompress(self.chunk(level, position)), self.dtype)
            out[part.slices(box.start)] = values.reshape(self.plan.chunk)[part.slices(here.start)]
        return out

    def missing(self, level: int, position: Shape, limit: int = 2**62) -> int:
        """Bytes of source that would have to be read for a chunk; counted up to ``limit``."""
        if level == 0 or self.kept.chunk(level, position) is not None:
            return 0
        at = self.plan.block_level(level)
        return self._missing(at, self.plan.block_of(level, position), limit)

    def _missing(self, level: int, position: Shape, limit: int) -> int:
        if self.kept.has_block(level, position):
            return 0
        if level == self.plan.first:
            return self.plan.source_box(level, position).size * self.source_dtype.itemsize
        total = 0
        for below in self.plan.below(level, position):
            total += self._missing(level - 1, below, limit - total)
            if total >= limit:
                break
        return total

    def missing_blocks(self, level: int, position: Shape) -> Iterator[Shape]:
        """Positions of the blocks of the first kind that a block still needs."""
        if self.kept.has_block(level, position):
            return
        if level == self.plan.first:
            yield position
            return
        for below in self.plan.below(level, position):
            yield from self.missing_blocks(level - 1, below)

    # ----------------------------------------------------------------- blocks

    def block(self, level: int, position: Shape, spare: Executor | None = None) -> Block:
        """A block's partial, made now if need be, with the help of some threads; its chunks are then kept."""
        found = self.kept.block(level, position)
        if found is None and not self.live:
            self._chunks_of(level, position, spare)
            found = self.kept.block(level, position)
        if found is None:  # neither memory nor disk had room
            found = self._make(level, position, spare)[0]
        return found

    def _chunks_of(self, level: int, position: Shape, spare: Executor | None = None) -> Chunks:
        """Make a block, unless somebody else has meanwhile; the chunks it yields."""
        if self.live:
            return self._make(level, position, spare)[1]
        key = (self.tag, level, position)
        return self._tools.flight.run(("block", *key), lambda: self._make_alone(level, position, spare))

    def _make_alone(self, level: int, position: Shape, spare: Executor | None) -> Chunks:
        name = f"{self.tag}/{level}/{position}"
        with self._tools.disk.making(f"block{level}", name):
            found = self.kept.chunks_of(level, position) if self.kept.has_block(level, position) else None
            if found is not None:
                return found
            block, chunks = self._make(level, position, spare)
            self.kept.put(level, position, block, chunks)
        self.kept.publish(level)
        return chunks

    def _make(self, level: int, position: Shape, spare: Executor | None) -> tuple[Block, Chunks]:
        if level == self.plan.first:
            cascade = self._cascade(position, spare)
            block, made = Block(cascade.partial, cascade.span), dict(enumerate(cascade.levels, 1))
        else:
            partial, span = self._joined(level, position, spare)
            block = Block(halve(partial), span)
            made = {level: finish(block.partial, self.dtype, self.validity.mark)}
        boxes = [(at, *chunk) for at in made for chunk in self.plan.chunks_in(at, level, position)]

        def encoded(at: int, _: Shape, box: Box) -> bytes:
            origin = self.plan.block_start(at, level, position)
            return encode.blosc_lz4(self.padded(made[at][box.slices(origin)]))

        data = _each(spare, encoded, boxes)
        if not self.live and not self.is_current():
            raise SourceChanged(f"{self.array.node.path} changed while a level was made")
        return block, {(at, where): chunk for (at, where, _), chunk in zip(boxes, data, strict=True)}

    def _cascade(self, position: Shape, spare: Executor | None) -> Cascade:
        """All levels of a block of the first kind, from the source."""
        box = self.plan.source_box(self.plan.first, position)
        cascade = Cascade(box, self.plan.halved, self.method, (self.dtype, self.validity.mark), self.plan.first)

        def add(at: Shape) -> None:
            piece = chunk_box(at, self.piece).clip(box)
            assert piece is not None
            values = self.source(piece)
            for slab in cascade.slabs(piece, values.itemsize):
                part = values[slab.slices(piece.start)]
                span = span_of(part)
                valid = self.validity.valid(part, slab, span)
                cascade.add(slab, part, valid, span if valid is None else span_of(part, valid))

        _each(spare, add, [(at,) for at in covering(box, self.piece)])
        return cascade

    def _joined(self, level: int, position: Shape, spare: Executor | None) -> tuple[Partial, Span]:
        finer = level - 1
        blocks = {below: self.block(finer, below, spare) for below in self.plan.below(level, position)}
        boxes = {below: self.plan.block_box(finer, below) for below in blocks}
        origin = next(iter(boxes.values())).start
        stop = tuple(max(box.stop[axis] for box in boxes.values()) for axis in range(len(origin)))
        parts = {
            tuple(a - o for a, o in zip(boxes[below].start, origin, strict=True)): block.partial
            for below, block in blocks.items()
        }
        shape = tuple(b - a for a, b in zip(origin, stop, strict=True))
        span = merged_span(block.span for block in blocks.values())
        return join(parts, shape, self.plan.source_box(level, position).shape), span

    def whole_span(self) -> Span | None:
        """The span of all of the source, if all of it was looked at."""
        level = self.plan.block_level(max(self.plan.count, 1))
        if self._whole_span is None:
            spans = []
            for position in np.ndindex(*self.plan.block_grid(level)):
                block = self.kept.block(level, position)
                if block is None:
                    return None
                spans.append(block.span)
            self._whole_span = merged_span(spans)
        return self._whole_span

    def build(self, threads: Executor, done: Callable[[int], None], levels: int = 0) -> None:
        """Make all levels, or the finest few of them.

        Args:
            threads: Where blocks are made, several at a time.
            done: Told the bytes of source that were dealt with, block by block.
            levels: How many; 0 for all.

        Raises:
            ChunkserveError: The source cannot be read. What was made is kept, and not made again.
        """
        first, last = self.plan.first, min(levels or self.plan.count, self.plan.count)
        if not last:
            return

        def one(position: Shape) -> None:
            if not self.kept.has_block(first, position):
                self._chunks_of(first, position)
            done(self.plan.source_box(first, position).size * self.source_dtype.itemsize)

        jobs = [threads.submit(one, position) for position in np.ndindex(*self.plan.block_grid(first))]
        try:
            for job in jobs:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
        for level in range(first, max(first, last) + 1):
            for position in np.ndindex(*self.plan.block_grid(level)):
                if not self.kept.has_block(level, position):
                    self._chunks_of(level, position)
            self.kept.publish(level)


def _each(spare: Executor | None, function: Callable[[*Args], T], calls: list[tuple[*Args]]) -> list[T]:
    """Results of a function for several arguments; in several threads, if there are some and it is worth it."""
    if spare is None or len(calls) == 1:
        return [function(*call) for call in calls]
    jobs = [spare.submit(function, *call) for call in calls]
    try:
        return [job.result() for job in jobs]
    finally:
        for job in jobs:
            job.cancel()
