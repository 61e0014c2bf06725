"""Virtual shards: many small stored chunks under one key, with an index that the chunk index alone allows to write."""

from collections.abc import Callable

from chunkserve.cache.memory import MemoryCache
from chunkserve.chunkindex import ChunkRef
from chunkserve.codecs import shard
from chunkserve.codecs.frame import CannotReframe
from chunkserve.grid import Shape, chunk_box, covering, number
from chunkserve.metadata.present import Presentation
from chunkserve.service.blob import Blob, Piece
from chunkserve.service.passed import PassedChunks
from chunkserve.sources.localfile import WouldBlock

LAYOUT_MEMORY = 16 * 2**20
"""Bytes of shard layouts remembered per array."""

_PIECE_COST = 300  # bytes of memory a piece takes


class Shards:
    """The shards of one array."""

    def __init__(
        self, passed: PassedChunks, presentation: Presentation, decode: Callable[[Shape, Shape], bytes]
    ) -> None:
        """Lay out shards.

        Args:
            passed: The stored chunks, which are the inner chunks.
            presentation: With ``inner`` set.
            decode: Decodes and encodes the chunk at a position of a grid, where it cannot be passed on.
        """
        assert presentation.inner is not None
        self.passed = passed
        self.presentation = presentation
        self.inner: Shape = presentation.inner
        self.decode = decode
        self._known: MemoryCache[Blob] = MemoryCache(LAYOUT_MEMORY)

    def any_stored(self, position: Shape, *, wait: bool) -> bool:
        """Whether a shard has any chunk."""
        return any(ref is not None for _, ref in self._refs(position, wait=wait))

    def lay_out(self, position: Shape, *, wait: bool) -> Blob:
        """A shard whose parts are read when they are sent."""
        nth = number(position, self.presentation.grid)
        known = self._known.get(nth)
        if known is None:
            parts = [
                (where, ref, ref and self._lazy(where, ref, wait=wait))
                for where, ref in self._refs(position, wait=wait)
            ]
            known = _assemble([pieces for _, _, pieces in parts])
            self._known.put(nth, known, _PIECE_COST * len(known.pieces))
        return known

    def build(self, position: Shape) -> bytes:
        """A whole shard, every chunk read now."""
        parts = [ref and self._now(where, ref) for where, ref in self._refs(position, wait=True)]
        return bytes(_assemble(parts).read())

    def _refs(self, position: Shape, *, wait: bool) -> list[tuple[Shape, ChunkRef | None]]:
        """The inner chunks in C order, with where they are stored."""
        grid = self.passed.grid
        rank = len(grid)
        found: list[tuple[Shape, ChunkRef | None]] = []
        for where in covering(chunk_box(position, self.presentation.chunk), self.inner):
            inside = all(p < n for p, n in zip(where[:rank], grid, strict=True))
            found.append((where, self.passed.ref(where[:rank], wait=wait) if inside else None))
        return found

    def _lazy(self, where: Shape, ref: ChunkRef, *, wait: bool) -> tuple[Piece, ...]:
        length = self.passed.frame_length(ref)
        if length is not None:
            try:
                return self.passed.lazy_pieces(where[: len(self.passed.grid)], ref, length)
            except CannotReframe:
                pass
        if not wait:
            raise WouldBlock
        return self._now(where, ref)

    def _now(self, where: Shape, ref: ChunkRef) -> tuple[Piece, ...]:
        try:
            return self.passed.pieces(where[: len(self.passed.grid)], ref, wait=True)
        except CannotReframe:
            return (self.decode(where, self.inner),)


def _assemble(parts: "list[tuple[Piece, ...] | None]") -> Blob:
    """Inner chunks end to end, ``None`` for missing ones, and the index behind them."""
    pieces: list[Piece] = []
    lengths: list[int | None] = []
    for part in parts:
        lengths.append(None if part is None else sum(_size(piece) for piece in part))
        pieces += part or ()
    pieces.append(shard.pack_index(lengths))
    starts, at = [], 0
    for piece in pieces:
        starts.append(at)
        at += _size(piece)
    return Blob(tuple(pieces), at, starts)


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length
