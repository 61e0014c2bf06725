"""Stored chunks passed on as they are or re-headed: looked up, checked once, never decoded."""

import itertools
import math
from typing import Literal

from chunkserve.cache.memory import MemoryCache
from chunkserve.chunkindex import ChunkRef
from chunkserve.codecs import blosc2chunk, rehead
from chunkserve.codecs.checksum import check_fletcher32
from chunkserve.codecs.filters import FLETCHER32, active
from chunkserve.codecs.frame import CannotReframe, Frame
from chunkserve.errors import Corrupt, SourceChanged
from chunkserve.grid import Shape, grid_shape, number, position_of
from chunkserve.metadata.present import pipeline_of
from chunkserve.service.blob import Piece, Stored
from chunkserve.service.elements import ALL_SKIPPED, Elements
from chunkserve.sources.localfile import WouldBlock

MAX_BITMAP = 2**22
"""Chunks of a grid up to which "checked" is remembered chunk by chunk; those of a larger one are checked every time."""

FRAME_MEMORY = 64 * 2**20
"""Bytes of block tables (bitshuffle, LZ4) remembered per worker."""

KEEP_BELOW = 2**20
"""Bytes of a chunk that are kept from checking it to sending it."""

_frames: MemoryCache[Frame] = MemoryCache(FRAME_MEMORY)
_serials = itertools.count()


class PassedChunks:
    """The chunks of one chunked dataset, in the form its presentation promises.

    Chunk numbers and positions are those of the HDF5 grid.
    """

    def __init__(self, elements: Elements, encoding: Literal["raw", "blosc"]) -> None:
        """Pass on the chunks that ``elements`` would decode."""
        self.elements = elements
        self.encoding = encoding
        self.pipeline = pipeline_of(elements.dataset)
        self.grid = grid_shape(elements.shape, elements.dataset.chunks)
        self._serial = next(_serials)
        self._live = elements.file.live
        self._single = rehead.single_stream(self.pipeline) if encoding == "blosc" else None
        self._checked = bytearray()

    def ref(self, position: Shape, *, wait: bool) -> ChunkRef | None:
        """Where a chunk is stored, with its effective filter mask; ``None`` if it is not."""
        e = self.elements
        if self._live:
            if not wait:
                raise WouldBlock
            ref = e.chunk_ref(position)
        else:
            ref = e.file.index(e.number, e.dataset, wait=wait).get(number(position, self.grid))
        if ref is None or not e.dataset.plain_edges:
            return ref
        return ChunkRef(ref.offset, ref.length, e.mask_of(position, ref))

    def pieces(self, position: Shape, ref: ChunkRef, *, wait: bool) -> tuple[Piece, ...]:
        """A chunk that is stored at ``ref``.

        Raises:
            CannotReframe: It has to be decoded.
            Corrupt: It contradicts its metadata.
            WouldBlock: Not ``wait``, and it is not in memory.
        """
        if self._live:
            return self._live_pieces(position)
        nth = number(position, self.grid)
        checked = self._is_checked(nth)
        if checked and self._single is not None and not ref.mask:
            head = self._single.head(ref.length)
            if head is not None:
                e = self.elements
                return head, Stored(e.file, ref.offset, ref.length - self._single.trailer)
        if checked:
            frame = self._blind(ref) or _frames.get((self._serial, nth))
            if frame is not None:
                return self._from_frame(ref, frame)
        raw = self.elements.file.local.read(ref.offset, ref.length, wait=wait)
        self.elements.file.local.check_unchanged()
        frame = self.check(nth, ref, raw)
        if len(raw) > KEEP_BELOW:  # sent in parts, and read again for it, so that a slow reader holds no memory
            return self._from_frame(ref, frame)
        return (frame.assemble(raw),)

    def _live_pieces(self, position: Shape) -> tuple[Piece, ...]:
        stored = self.elements.raw_chunk(position)
        if stored is None:
            raise CannotReframe("the chunk is gone")
        raw, mask = stored
        try:
            return (self._frame(raw, mask).assemble(raw),)
        except Corrupt as error:
            raise SourceChanged(f"{self.elements.path}: chunk {position} is being written: {error}") from None

    def lazy_pieces(self, position: Shape, ref: ChunkRef, length: int) -> tuple[Piece, ...]:
        """A chunk whose frame has a known ``length``; checked when it is first read.

        Raises:
            CannotReframe: Its frame cannot be told without its content.
        """
        frame = self._blind(ref) or _frames.get((self._serial, number(position, self.grid)))
        if frame is None:
            raise CannotReframe("the frame depends on the content")
        nth = number(position, self.grid)
        if frame.size != length:
            raise Corrupt(f"{self.elements.path}: chunk {position}: frame of {frame.size} bytes, expected {length}")
        head, stored, *tail = self._from_frame(ref, frame)
        if isinstance(stored, Stored) and not self._is_checked(nth):
            stored.verify = lambda raw: self.check(nth, ref, raw)
        return (head, stored, *tail)

    def check(self, nth: int, ref: ChunkRef, raw: bytearray) -> Frame:
        """Check a chunk's bytes, remember that, and give its frame."""
        try:
            frame = self._frame(raw, ref.mask)
        except Corrupt as error:
            where = position_of(nth, self.grid)
            raise Corrupt(f"{self.elements.path}: chunk {where}: {error}") from None
        self._mark_checked(nth)
        if frame.swaps is not None:
            _frames.put((self._serial, nth), frame, len(frame.head) + frame.swaps.nbytes + len(frame.tail) + 256)
        return frame

    def frame_length(self, ref: ChunkRef) -> int | None:
        """The length of a chunk's frame, ``None`` if it depends on the content."""
        if self.encoding == "raw":
            return ref.length - self._trailer(ref.mask)
        more = rehead.growth(self.pipeline, ref.mask)
        return None if more is None else ref.length + more

    def block(self, position: Shape, ref: ChunkRef, nth_block: int, *, wait: bool) -> tuple[Piece, ...]:
        """One block of an n-dimensional Blosc2 chunk.

        Raises:
            CannotReframe: It has to be decoded.
        """
        e = self.elements
        if ref.mask:
            raise CannotReframe("the chunk is stored without Blosc2")
        raw = e.file.local.read(ref.offset, ref.length, wait=wait)
        e.file.local.check_unchanged()
        try:
            frame = blosc2chunk.block_frame(memoryview(raw), self.pipeline.nbytes, e.dataset.blocks, nth_block)
        except Corrupt as error:
            raise Corrupt(f"{e.path}: chunk {position}: {error}") from None
        return (frame.assemble(raw),)

    def _frame(self, raw: bytearray | memoryview, mask: int) -> Frame:
        if self.encoding == "blosc":
            return rehead.frame(self.pipeline, raw, mask)
        trailer = self._trailer(mask)
        if len(raw) - trailer != self.pipeline.nbytes:
            raise Corrupt(f"uncompressed chunk of {len(raw)} bytes, expected {self.pipeline.nbytes + trailer}")
        if trailer:
            check_fletcher32(memoryview(raw))
        return Frame(b"", 0, self.pipeline.nbytes)

    def _trailer(self, mask: int) -> int:
        if mask == ALL_SKIPPED:
            return 0
        return 4 * sum(stage.id == FLETCHER32 for stage in active(self.pipeline.filters, mask))

    def _blind(self, ref: ChunkRef) -> Frame | None:
        if self.encoding == "blosc":
            return rehead.blind_frame(self.pipeline, ref.length, ref.mask)
        return Frame(b"", 0, ref.length - self._trailer(ref.mask))

    def _from_frame(self, ref: ChunkRef, frame: Frame) -> tuple[Piece, ...]:
        kept = Stored(
            self.elements.file,
            ref.offset + frame.start,
            frame.stop - frame.start,
            frame if frame.swaps is not None or frame.patches else None,
            (ref.offset, ref.length),
        )
        return (frame.head, kept, frame.tail) if frame.tail else (frame.head, kept)

    def _mark_checked(self, nth: int) -> None:
        size = math.prod(self.grid)
        if not self._checked and size <= MAX_BITMAP:
            self._checked = bytearray((size + 7) // 8)
        if self._checked:
            self._checked[nth >> 3] |= 1 << (nth & 7)

    def _is_checked(self, nth: int) -> bool:
        return nth >> 3 < len(self._checked) and bool(self._checked[nth >> 3] >> (nth & 7) & 1)
