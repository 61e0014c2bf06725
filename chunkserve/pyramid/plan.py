"""The levels of a pyramid and the blocks they are computed in: shapes and positions, from the header alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from chunkserve.grid import Box, Shape, chunk_box, covering, grid_shape, whole

BLOCK_BYTES = 64 * 2**20
"""Bytes of source that one block is computed from, about."""

CHUNK_BYTES = 2**20
"""Bytes of a chunk of a level, about."""

EDGES = {1: 2**18, 2: 512, 3: 64}
"""The edge of a level's chunk along halved axes, by their number. Square and a power of two: viewers cut tiles so."""


@dataclass(frozen=True)
class Plan:
    """A pyramid over an array.

    Level ``k`` halves the axes in ``halved`` ``k`` times, rounding extents up; level 0 is the source. Levels are
    computed in *blocks*: a block of level ``first`` is made from a box of the source, which is read once, and yields
    the chunks of all levels up to ``first``; a block of a higher level is made from the blocks of the level below.

    Attributes:
        shape: Of the source.
        halved: Per axis.
        chunk: Chunk shape of every level but the source.
        count: Levels beside the source.
        first: The level of the blocks that are made from the source.
        tiles: Chunks in one block, along each axis.
    """

    shape: Shape
    halved: tuple[bool, ...]
    chunk: Shape
    count: int
    first: int
    tiles: Shape

    def factors(self, level: int) -> Shape:
        """Source voxels along each axis in one voxel of a level."""
        return factors(self.halved, level)

    def extent(self, level: int) -> Shape:
        """The shape of a level."""
        return grid_shape(self.shape, self.factors(level))

    def grid(self, level: int) -> Shape:
        """Chunks of a level along each axis."""
        return grid_shape(self.extent(level), self.chunk)

    @cached_property
    def block(self) -> Shape:
        """The shape of a whole block, in voxels of its own level."""
        return tuple(c * t for c, t in zip(self.chunk, self.tiles, strict=True))

    def block_level(self, level: int) -> int:
        """The level of the blocks that chunks of a level come from."""
        return max(level, self.first)

    def yields(self, level: int) -> range:
        """Levels whose chunks come with blocks of a level."""
        return range(1, level + 1) if level == self.first else range(level, level + 1)

    def block_of(self, level: int, position: Shape) -> Shape:
        """The position of the block (of level :meth:`block_level`) that yields a chunk."""
        up = self.factors(self.block_level(level) - level)
        return tuple(p // (t * f) for p, t, f in zip(position, self.tiles, up, strict=True))

    def block_grid(self, level: int) -> Shape:
        """Blocks of a level along each axis."""
        return grid_shape(self.extent(level), self.block)

    def block_box(self, level: int, position: Shape) -> Box:
        """The box of a block in voxels of its level, cut at the array's edge."""
        found = chunk_box(position, self.block).clip(whole(self.extent(level)))
        assert found is not None
        return found

    def source_box(self, level: int, position: Shape) -> Box:
        """The box of the source under a block."""
        outer = chunk_box(position, self.block)
        up = self.factors(level)
        stop = (min(b * f, n) for b, f, n in zip(outer.stop, up, self.shape, strict=True))
        return Box(tuple(a * f for a, f in zip(outer.start, up, strict=True)), tuple(stop))

    def below(self, level: int, position: Shape) -> Iterator[Shape]:
        """Positions of the blocks of the level below that a block is made from."""
        finer = Box(*(tuple(s) for s in zip(*self._finer(level, position), strict=True)))
        return covering(finer, self.block)

    def _finer(self, level: int, position: Shape) -> Iterator[tuple[int, int]]:
        outer = chunk_box(position, self.block)
        extent = self.extent(level - 1)
        for a, b, h, n in zip(outer.start, outer.stop, self.halved, extent, strict=True):
            yield (2 * a, min(2 * b, n)) if h else (a, min(b, n))

    def shard(self, level: int) -> Shape:
        """Chunks of a level in one block, whole or not, along each axis."""
        up = self.factors(self.block_level(level) - level)
        return tuple(t * f for t, f in zip(self.tiles, up, strict=True))

    def block_start(self, level: int, block_level: int, position: Shape) -> Shape:
        """The first voxel of a level in a block of ``block_level``."""
        up = self.factors(block_level - level)
        return tuple(p * b * f for p, b, f in zip(position, self.block, up, strict=True))

    def chunks_in(self, level: int, block_level: int, position: Shape) -> Iterator[tuple[Shape, Box]]:
        """Chunks of a level that a block of ``block_level`` yields: position, and box in voxels of ``level``, cut."""
        up = self.factors(block_level - level)
        outer = chunk_box(position, self.block)
        box = Box(
            tuple(a * f for a, f in zip(outer.start, up, strict=True)),
            tuple(b * f for b, f in zip(outer.stop, up, strict=True)),
        ).clip(whole(self.extent(level)))
        assert box is not None
        for at in covering(box, self.chunk):
            part = chunk_box(at, self.chunk).clip(whole(self.extent(level)))
            assert part is not None
            yield at, part


def factors(halved: tuple[bool, ...], level: int) -> Shape:
    """Source voxels along each axis in one voxel of a level."""
    return tuple(2**level if h else 1 for h in halved)


def plan(shape: Shape, halved: tuple[bool, ...], source_chunk: Shape, itemsize: int) -> Plan:
    """The pyramid over an array.

    Args:
        shape: Of the array.
        halved: Axes that every level halves; those of extent 1 are left alone.
        source_chunk: The shape in which the array is stored, or 1 along axes where it does not matter.
        itemsize: Bytes of an element.
    """
    halved = tuple(h and n > 1 for h, n in zip(halved, shape, strict=True))
    chunk = _level_chunk(shape, halved, itemsize)
    count = 0
    while any(h and -(-n // 2**count) > c for h, n, c in zip(halved, shape, chunk, strict=True)):
        count += 1
    fitted = tuple(min(s, n) for s, n in zip(source_chunk, shape, strict=True))
    first, tiles = 1, _tiles(shape, halved, chunk, fitted, 1)
    while first < count:
        wider = _tiles(shape, halved, chunk, fitted, first + 1)
        if _source_bytes(shape, halved, chunk, wider, first + 1) * itemsize > BLOCK_BYTES:
            break
        first, tiles = first + 1, wider
    return Plan(shape, halved, chunk, count, first, tiles)


def _level_chunk(shape: Shape, halved: tuple[bool, ...], itemsize: int) -> Shape:
    """Whole power-of-two squares or cubes along halved axes, some of what follows them, one of what comes before."""
    axes = [axis for axis, h in enumerate(halved) if h]
    if not axes:
        return (1,) * len(shape)
    after = len(shape) - 1 - axes[-1]
    edge = EDGES.get(len(axes) + after, 32)
    while edge > 16 and edge ** len(axes) * itemsize > 2 * CHUNK_BYTES:
        edge //= 2
    chunk = [edge if h else 1 for h in halved]
    room = max(1, CHUNK_BYTES // (math.prod(chunk) * itemsize))
    for axis in reversed(range(axes[-1] + 1, len(shape))):
        chunk[axis] = min(max(1, shape[axis]), room)
        room //= chunk[axis]
    return tuple(chunk)


def _tiles(shape: Shape, halved: tuple[bool, ...], chunk: Shape, source_chunk: Shape, level: int) -> Shape:
    """Chunks in a block, such that it covers a stored chunk of the source where that is larger."""
    found = []
    for n, h, c, s in zip(shape, halved, chunk, source_chunk, strict=True):
        footprint = c * 2**level if h else c
        found.append(max(1, min(-(-s // footprint), -(-n // footprint))))
    return tuple(found)


def _source_bytes(shape: Shape, halved: tuple[bool, ...], chunk: Shape, tiles: Shape, level: int) -> int:
    footprint = (c * t * (2**level if h else 1) for c, t, h in zip(chunk, tiles, halved, strict=True))
    return math.prod(min(f, n) for f, n in zip(footprint, shape, strict=True))
