"""The levels of one dataset: chunks from memory, from disk, or made now, block by block.

A block (:class:`chunkserve.pyramid.plan.Plan`) is made once, by one thread of one worker, from a box of the source or
from the blocks below it; it yields its chunks, and a partial for the level above. Chunks and partials are kept on disk.
"""

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, TypeVarTuple

import numcodecs.blosc
import numpy as np

from chunkserve.cache.levels import LevelCache
from chunkserve.codecs import encode
from chunkserve.errors import BadRequest, SourceChanged, Unsupported
from chunkserve.grid import Box, Shape, chunk_box, covering, grow, whole
from chunkserve.metadata.axes import Axis
from chunkserve.metadata.documents import ArrayView, Document, array_v2, array_v3
from chunkserve.metadata.keys import Format
from chunkserve.metadata.ome import Window
from chunkserve.metadata.present import Blosc, Plan, Presentation
from chunkserve.metadata.served import Served
from chunkserve.pyramid.cascade import SLAB, Cascade
from chunkserve.pyramid.partial import METHODS, Method, Partial, finish, halve, join
from chunkserve.pyramid.plan import plan
from chunkserve.pyramid.span import Span, merged_span, span_of
from chunkserve.service.blockfile import Block, dump, load
from chunkserve.service.validity import Validity
from chunkserve.service.zarrarray import ZarrArray
from chunkserve.versions import combined, digest

T = TypeVar("T")
Args = TypeVarTuple("Args")

KIND = "pyramid-2"
"""Part of every name on disk; the number changes with what levels are."""

DTYPES = ("f4", "f8", "u1", "u2", "u4", "i1", "i2", "i4")
"""Dtypes that a view may ask for."""

REAL = ("number", "bool", "complex")


@dataclass(frozen=True)
class View:
    """How a pyramid is wished.

    Attributes:
        axes: Which axes are halved, per axis; ``None`` for the default.
        method: Empty for the default.
        dtype: Empty for the source's.
    """

    axes: tuple[bool, ...] | None = None
    method: str = ""
    dtype: str = ""


class Pyramid:
    """The levels of one version of one dataset in one view. Thread-safe.

    Attributes:
        array: The source, in format 3.
        method: How voxels are put together.
        dtype: Of all levels.
        tag: Names it in caches and ETags.
        live: A file it draws from is being written: nothing is kept.
        known_window: The contrast window, once it was asked for: a tuple of it, or of ``None`` if there is none.
        known_axes: The axes as OME-Zarr names them, once they were asked for.
        spare: Threads that help with a block that somebody waits for.
        same: Level 0 is the array as it is served, chunk by chunk.
    """

    def __init__(
        self,
        array: ZarrArray,
        view: View,
        halved: tuple[bool, ...],
        validity: Validity,
        levels: LevelCache,
        spare: Executor,
    ) -> None:
        """Plan the levels of an array.

        Raises:
            Unsupported: It is not numeric.
            BadRequest: The view asks for what there is not.
        """
        served, shape = array.served, array.presentation.shape
        if served.kind not in REAL or array.values.dims or len(shape) < 2 or 0 in shape:
            raise Unsupported(f"{array.node.path} has no pyramid: it holds no numbers in two or more dimensions")
        self.array = array
        self.levels = levels
        self.spare = spare
        self.validity = validity
        self.method: Method = _method(view.method, served)
        self.source_dtype = source_dtype(served)
        self.dtype = _dtype(view.dtype, self.source_dtype)
        self.same = self.dtype == self.source_dtype and served.kind != "complex"
        self.plan = plan(shape, view.axes or halved, array.elements.dataset.chunks or _rows(array), self.dtype.itemsize)
        elements = array.elements
        outside = elements.dataset.layout in ("virtual", "external")
        files = elements.files(whole(elements.shape)) if outside else set(array.files)
        self._others = tuple(files - set(array.files))
        self.live = array.live or any(file.live for file in files)
        sources = combined(sorted(file.version for file in files))
        self.tag = digest(
            KIND, array.version, sources, array.node.path, self.plan, self.method, self.dtype.str, validity.key
        )
        self.known_window: tuple[Window | None] | None = None
        self.known_axes: tuple[Axis, ...] = ()
        self._made: dict[int, int] = {}  # per level, how many of its first blocks were seen on disk
        self._memory = array.context.memory
        self._tools = array.context.tools

    def is_current(self) -> bool:
        """Whether the source is still what it was. One that is being written never is."""
        return not self.live and self.array.is_current() and all(file.is_current() for file in self._others)

    # ----------------------------------------------------------------- levels

    def presentation(self, level: int) -> Presentation:
        """Grid and codec of a level."""
        size = self.dtype.itemsize
        blosc = Blosc("lz4", "bitshuffle", typesize=size)
        return Presentation(self.plan.extent(level), self.plan.chunk, "blosc", Plan.DECODED, "level", blosc=blosc)

    def document(self, level: int, zarr_format: Format) -> Document:
        """The metadata document of a level."""
        view = self.view(level)
        return array_v3(view) if zarr_format == 3 else array_v2(view)

    def view(self, level: int) -> ArrayView:
        """What a level's document says."""
        fill = np.zeros((), self.dtype)
        served = Served("bool" if self.dtype == np.bool_ else "number", self.dtype)
        return ArrayView(served, self.presentation(level), {}, self.array.dimensions, fill)

    def stored_document(self, level: int) -> bytes:
        """The document of a level in the cache folder, where chunks have checksums and lie in shards."""
        view, chunk = self.view(level), self.plan.chunk
        shard = tuple(c * t for c, t in zip(chunk, self.plan.shard(level), strict=True))
        view = replace(view, presentation=replace(view.presentation, chunk=shard, inner=chunk))
        keys = {"name": "default", "configuration": {"separator": "."}}  # no folder for every shard
        return json.dumps({**array_v3(view, checked=True), "chunk_key_encoding": keys}).encode()

    def stored_group(self) -> bytes:
        """The document of the group of levels in the cache folder."""
        about = {
            "source": self.array.node.path, "version": self.array.version, "method": self.method,
            "halved": list(self.plan.halved), "levels": self.plan.count,
        }  # fmt: skip
        return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"chunkserve": about}}).encode()

    # ----------------------------------------------------------------- chunks

    def known(self, level: int, position: Shape) -> bytes | None:
        """A chunk that is in memory."""
        return None if self.live else self._memory.get((self.tag, level, position))

    def kept(self, level: int, position: Shape) -> bytes | None:
        """A chunk that is in memory or on disk."""
        found = self.known(level, position)
        if found is None and not self.live:
            found = self.levels.get(self.tag, level, position, self.plan.shard(level))
            if found is not None:
                self._memory.put((self.tag, level, position), found, len(found))
        return found

    def chunk(self, level: int, position: Shape) -> bytes:
        """A chunk of a level as a Blosc frame; made now if need be.

        Raises:
            SourceChanged: The source is not what it was.
            ChunkserveError: The source cannot be read.
        """
        found = self.kept(level, position)
        if found is not None:
            return found
        if level == 0:
            return self._cast(position)
        at = self.plan.block_level(level)
        where = self.plan.block_of(level, position)
        return self._chunks_of(at, where, self.spare)[level, position]

    def missing(self, level: int, position: Shape, limit: int = 2**62) -> int:
        """Bytes of source that would have to be read for a chunk; counted up to ``limit``."""
        if level == 0 or self.kept(level, position) is not None:
            return 0
        at = self.plan.block_level(level)
        return self._missing(at, self.plan.block_of(level, position), limit)

    def _missing(self, level: int, position: Shape, limit: int) -> int:
        if self._has_block(level, position):
            return 0
        if level == self.plan.first:
            return self.plan.source_box(level, position).size * self.source_dtype.itemsize
        total = 0
        for below in self.plan.below(level, position):
            total += self._missing(level - 1, below, limit - total)
            if total >= limit:
                break
        return total

    def _has_block(self, level: int, position: Shape) -> bool:
        if self.live:
            return False
        in_memory = self._memory.get((self.tag, "block", level, position)) is not None
        return in_memory or self.levels.has_block(self.tag, level, position)

    def missing_blocks(self, level: int, position: Shape) -> Iterator[Shape]:
        """Positions of the blocks of the first kind that a block still needs."""
        if self._has_block(level, position):
            return
        if level == self.plan.first:
            yield position
            return
        for below in self.plan.below(level, position):
            yield from self.missing_blocks(level - 1, below)

    # ----------------------------------------------------------------- blocks

    def block(self, level: int, position: Shape, spare: Executor | None = None) -> Block:
        """A block's partial, made now if need be, with the help of some threads; its chunks are then kept."""
        found = self._kept_block(level, position)
        if found is None and not self.live:
            self._chunks_of(level, position, spare)
            found = self._kept_block(level, position)
        if found is None:  # neither memory nor disk had room
            found = self._make(level, position, spare)[0]
        return found

    def _kept_block(self, level: int, position: Shape) -> Block | None:
        if self.live:
            return None
        data = self._memory.get((self.tag, "block", level, position))
        if data is None:
            data = self.levels.block(self.tag, level, position)
        return load(data) if data is not None else None

    def _chunks_of(self, level: int, position: Shape, spare: Executor | None = None) -> dict[tuple[int, Shape], bytes]:
        """Make a block, unless somebody else has meanwhile; the chunks it yields."""
        if self.live:
            return self._make(level, position, spare)[1]
        key = (self.tag, level, position)
        return self._tools.flight.run(("block", *key), lambda: self._make_alone(level, position, spare))

    def _make_alone(self, level: int, position: Shape, spare: Executor | None) -> dict[tuple[int, Shape], bytes]:
        name = f"{self.tag}/{level}/{position}"
        with self._tools.disk.making(f"block{level}", name):
            if self.levels.has_block(self.tag, level, position):
                found = self._kept_chunks(level, position)
                if found is not None:
                    return found
            block, chunks = self._make(level, position, spare)
            for (at, where), data in chunks.items():
                self._memory.put((self.tag, at, where), data, len(data))
            for at in self._yields(level):
                shard = {where: data for (of, where), data in chunks.items() if of == at}
                self.levels.put(self.tag, at, self.plan.shard(at), shard)
            packed = dump(block)
            self.levels.put_block(self.tag, level, position, packed)
            self._memory.put((self.tag, "block", level, position), packed, len(packed))
        self._publish(level)
        return chunks

    def _kept_chunks(self, level: int, position: Shape) -> dict[tuple[int, Shape], bytes] | None:
        found = {}
        for at in self._yields(level):
            for where, _ in self.plan.chunks_in(at, level, position):
                data = self.kept(at, where)
                if data is None:
                    return None
                found[at, where] = data
        return found

    def _yields(self, level: int) -> range:
        """Levels whose chunks come with blocks of a level."""
        return range(1, level + 1) if level == self.plan.first else range(level, level + 1)

    def _make(
        self, level: int, position: Shape, spare: Executor | None
    ) -> tuple[Block, dict[tuple[int, Shape], bytes]]:
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
            piece = chunk_box(at, self._piece).clip(box)
            assert piece is not None
            values = self.source(piece)
            for slab in cascade.slabs(piece, values.itemsize):
                part = values[slab.slices(piece.start)]
                span = span_of(part)
                valid = self.validity.valid(part, slab, span)
                cascade.add(slab, part, valid, span if valid is None else span_of(part, valid))

        _each(spare, add, [(at,) for at in covering(box, self._piece)])
        return cascade

    @cached_property
    def _piece(self) -> Shape:
        """What is read of the source at a time: no stored chunk is read twice, and voxels of all levels are whole."""
        elements, shape = self.array.elements, self.plan.shape
        steps = self.plan.factors(self.plan.first)
        if elements.dataset.layout not in ("chunked", "contiguous"):
            return tuple(b * t for b, t in zip(self.plan.block, steps, strict=True))
        stored = elements.dataset.chunks or _rows(self.array)
        least = tuple(min(math.lcm(c, s), -(-n // s) * s) for c, s, n in zip(stored, steps, shape, strict=True))
        return grow(shape, least, self.source_dtype.itemsize, SLAB // 2)

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

    def padded(self, values: np.ndarray) -> np.ndarray:
        """A whole chunk of a level, from the part of it that is within the level."""
        if values.shape == self.plan.chunk:
            return values
        out = np.zeros(self.plan.chunk, self.dtype)
        out[tuple(slice(0, n) for n in values.shape)] = values
        return out

    def _publish(self, level: int) -> None:
        """Tell other readers of the cache folder about levels of which every chunk is there.

        Called after each block, by whichever process made it: the last to look sees all. Only when no block is known to
        be missing are they counted.
        """
        grid = self.plan.block_grid(level)
        unpublished = [at for at in self._yields(level) if not self.levels.is_published(self.tag, at)]
        if not unpublished or not self._seem_made(level, grid):
            return
        if self.levels.blocks(self.tag, level) < math.prod(grid):
            self._made[level] = 0  # some were removed after they were seen
            return
        for at in unpublished:
            self.levels.publish(self.tag, at, self.stored_document(at), self.stored_group())

    def _seem_made(self, level: int, grid: Shape) -> bool:
        """Whether every block of a level was seen on disk; each is looked for once, up to the first missing one."""
        at, count = self._made.get(level, 0), math.prod(grid)
        while at < count and self.levels.has_block(self.tag, level, tuple(map(int, np.unravel_index(at, grid)))):
            at += 1
        self._made[level] = at
        return at == count

    # ----------------------------------------------------------------- values

    def source(self, box: Box) -> np.ndarray:
        """Source elements of a box, in native byte order; of complex ones the magnitude."""
        values = self.array.values
        inside = box.clip(whole(self.array.elements.shape))
        if inside == box:
            found = values.region(box)
        else:  # beyond the dataset, where other variables lengthened a dimension
            found = values.filled(box.shape)
            if inside is not None:
                found[inside.slices(box.start)] = values.region(inside)
        if found.dtype.kind == "c":
            found = np.abs(found)
        return found.astype(self.source_dtype, copy=False)

    def _cast(self, position: Shape) -> bytes:
        """A chunk of level 0 in another dtype than the source's."""
        box = chunk_box(position, self.plan.chunk)
        inside = box.clip(whole(self.plan.shape))
        assert inside is not None
        with np.errstate(invalid="ignore"):
            values = self.source(inside).astype(self.dtype, copy=False)
        data = encode.blosc_lz4(self.padded(values))
        if not self.live:
            self._memory.put((self.tag, 0, position), data, len(data))
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

    def whole_span(self) -> Span | None:
        """The span of all of the source, if all of it was looked at."""
        level = self.plan.block_level(max(self.plan.count, 1))
        blocks = [self._kept_block(level, position) for position in np.ndindex(*self.plan.block_grid(level))]
        known = [block.span for block in blocks if block is not None]
        return merged_span(known) if len(known) == len(blocks) else None

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
            if not self._has_block(first, position):
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
                if not self._has_block(level, position):
                    self._chunks_of(level, position)
            self._publish(level)

    @property
    def source_bytes(self) -> int:
        """Bytes of the source, decoded."""
        return math.prod(self.plan.shape) * self.source_dtype.itemsize


def _rows(array: ZarrArray) -> Shape:
    """What is read together of data that are not chunked."""
    chunk = array.presentation.chunk
    return tuple(c if c == n else 1 for c, n in zip(chunk, array.presentation.shape, strict=True))


def source_dtype(served: Served) -> np.dtype[Any]:
    """The dtype of what levels are computed from: native byte order, magnitudes of complex numbers."""
    dtype = served.dtype.newbyteorder("=")
    if dtype.kind == "c":
        return np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    return dtype


def _method(wish: str, served: Served) -> Method:
    if not wish:
        return "mode" if served.members else "mean"
    for method in METHODS:
        if wish == method:
            return method
    raise BadRequest(f"method={wish} is none of {', '.join(METHODS)}")


def _dtype(wish: str, own: np.dtype[Any]) -> np.dtype[Any]:
    if not wish:
        return own
    if wish not in DTYPES:
        raise BadRequest(f"dtype={wish} is none of {', '.join(DTYPES)}")
    found = np.dtype(wish)
    if not np.can_cast(own, found, "same_kind") and not (own.kind in "iub" and found.kind == "f"):
        raise BadRequest(f"dtype={wish} does not hold what is {own.name} here")
    return found


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
