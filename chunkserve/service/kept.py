"""What was made of a pyramid: chunks and blocks in memory and on disk."""

import math

import numpy as np

from chunkserve.cache.levels import LevelCache
from chunkserve.grid import Shape
from chunkserve.service.blockfile import Block, dump, load
from chunkserve.service.levels import Levels

Chunks = dict[tuple[int, Shape], bytes]
"""Chunks of one block as Blosc frames, by level and position."""


class Kept:
    """Chunks and blocks of one pyramid, of nothing that is being written. Thread-safe."""

    def __init__(self, levels: Levels, cache: LevelCache) -> None:
        """Keep them in the memory that all arrays share, and in a cache folder."""
        self.levels = levels
        self.cache = cache
        self._memory = levels.array.context.memory
        self._made: dict[int, int] = {}  # per level, how many of its first blocks were seen on disk

    # ----------------------------------------------------------------- chunks

    def at_hand(self, level: int, position: Shape) -> bytes | None:
        """A chunk that is in memory."""
        return None if self.levels.live else self._memory.get((self.levels.tag, level, position))

    def chunk(self, level: int, position: Shape) -> bytes | None:
        """A chunk that is in memory or on disk."""
        found = self.at_hand(level, position)
        if found is None and not self.levels.live:
            found = self.cache.get(self.levels.tag, level, position, self.levels.plan.shard(level))
            if found is not None:
                self.remember(level, position, found)
        return found

    def remember(self, level: int, position: Shape, data: bytes) -> None:
        """Keep a chunk in memory."""
        if not self.levels.live:
            self._memory.put((self.levels.tag, level, position), data, len(data))

    def chunks_of(self, level: int, position: Shape) -> Chunks | None:
        """All chunks that a block yields, if they are there."""
        plan = self.levels.plan
        found: Chunks = {}
        for at in plan.yields(level):
            for where, _ in plan.chunks_in(at, level, position):
                data = self.chunk(at, where)
                if data is None:
                    return None
                found[at, where] = data
        return found

    # ----------------------------------------------------------------- blocks

    def has_block(self, level: int, position: Shape) -> bool:
        """Whether a block was made."""
        if self.levels.live:
            return False
        in_memory = self._memory.get((self.levels.tag, "block", level, position)) is not None
        return in_memory or self.cache.has_block(self.levels.tag, level, position)

    def block(self, level: int, position: Shape) -> Block | None:
        """A block that was made."""
        if self.levels.live:
            return None
        data = self._memory.get((self.levels.tag, "block", level, position))
        if data is None:
            data = self.cache.block(self.levels.tag, level, position)
        return load(data) if data is not None else None

    def put(self, level: int, position: Shape, block: Block, chunks: Chunks) -> None:
        """Keep a block and the chunks it yields; the block last, which says that the chunks are there."""
        tag, plan = self.levels.tag, self.levels.plan
        for (at, where), data in chunks.items():
            self.remember(at, where, data)
        for at in plan.yields(level):
            shard = {where: data for (of, where), data in chunks.items() if of == at}
            self.cache.put(tag, at, plan.shard(at), shard)
        packed = dump(block)
        self.cache.put_block(tag, level, position, packed)
        self._memory.put((tag, "block", level, position), packed, len(packed))

    def publish(self, level: int) -> None:
        """Tell other readers of the cache folder about levels of which every chunk is there.

        Called after each block, by whichever process made it: the last to look sees all. Only when no block is known to
        be missing are the shards counted.
        """
        tag, grid = self.levels.tag, self.levels.plan.block_grid(level)
        unpublished = [at for at in self.levels.plan.yields(level) if not self.cache.is_published(tag, at)]
        if not unpublished or not self._seem_made(level, grid):
            return
        for at in unpublished:
            if self.cache.shards(tag, at) == math.prod(grid):
                self.cache.publish(tag, at, self.levels.kept_document(at), self.levels.kept_group())
            else:
                self._made[level] = 0  # some were removed after they were seen

    def _seem_made(self, level: int, grid: Shape) -> bool:
        """Whether every block of a level was seen on disk; each is looked for once, up to the first missing one."""
        at, count = self._made.get(level, 0), math.prod(grid)
        while at < count and self.cache.has_block(self.levels.tag, level, tuple(map(int, np.unravel_index(at, grid)))):
            at += 1
        self._made[level] = at
        return at == count
