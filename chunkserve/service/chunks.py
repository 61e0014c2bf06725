"""The bytes of a chunk, by the cheapest honest way its array's plan allows; decoding is always the way out."""

import math
from collections.abc import Callable

from chunkserve.codecs import encode
from chunkserve.codecs.frame import CannotReframe
from chunkserve.errors import MissingSource
from chunkserve.grid import Shape, chunk_box, grid_shape, number, whole
from chunkserve.metadata.present import Plan
from chunkserve.service.blob import Blob, Piece, Stored, blob_of
from chunkserve.service.mapped import MappedChunks
from chunkserve.service.passed import PassedChunks
from chunkserve.service.shards import Shards
from chunkserve.service.zarrarray import ZarrArray
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import combined


class Chunks:
    """The chunks of one array."""

    def __init__(self, array: ZarrArray) -> None:
        """Serve the chunks of ``array``."""
        self.array = array
        self.elements = array.elements
        self.presentation = p = array.presentation
        self.padded = p.shape[: len(array.elements.shape)] != array.elements.shape
        encoding = p.encoding
        own = array.elements.dataset.layout == "chunked" and encoding != "text"
        self.passed = (
            PassedChunks(array.elements, encoding) if own and p.plan in _OWN_CHUNKS and encoding != "text" else None
        )
        self.mapped: MappedChunks | None = None
        if p.plan is Plan.MAPPED:
            context = array.context
            self.mapped = MappedChunks(array.elements, array.served, p, context.limits, context.sources)
        self.shards = Shards(self.passed, p, self.decode) if self.passed and p.plan is Plan.SHARDED else None

    def get(self, position: Shape, *, wait: bool) -> Blob | None:
        """A chunk's body; ``None`` if it is not stored and readers know what to put in its place.

        Args:
            position: In the presentation's grid.
            wait: Whether to wait for disks and decoders.

        Raises:
            WouldBlock: Not ``wait``, and something is not at hand.
            Corrupt, MissingSource, TryAgain, Unsupported: As it says.
        """
        blob = _PLANS[self.presentation.plan](self, position, wait)
        if blob is None and not self.array.implied_fill:
            return self._kept("fill", self._filled, wait=wait)
        return blob

    def etag(self, position: Shape, *, wait: bool) -> str:
        """The ETag of a chunk from versions alone; empty where only the content tells, which is so while a file grows.

        Raises:
            WouldBlock: Not ``wait``, and a file the chunk draws from is not open.
        """
        if self.array.live:
            return ""
        tag = f"{self.array.tag}-{number(position, self.presentation.grid):x}"
        if self.elements.dataset.layout not in ("virtual", "external"):
            return tag
        sources = self._sources(position, wait=wait)
        return f"{tag}-{sources}" if sources else ""

    def _sources(self, position: Shape, *, wait: bool) -> str:
        """The version of the other files a chunk draws from, empty if one of them is growing."""
        if self.mapped is not None:
            found = self.mapped.find(position, self.array.format, wait=wait)
            if not isinstance(found, str):
                return found[0].elements.file.version
        if not wait:
            raise WouldBlock
        rank = len(self.elements.shape)
        box = chunk_box(position[:rank], self.presentation.chunk[:rank]).clip(whole(self.elements.shape))
        files = self.elements.files(box) if box is not None else {self.elements.file}
        return "" if any(file.live for file in files) else combined(file.version for file in files)

    def sticks_out(self, position: Shape) -> bool:
        """Whether a stored chunk holds elements beyond the dataset's extent that a padded array would show."""
        if not self.padded:
            return False
        stop = chunk_box(position, self.elements.dataset.chunks).stop
        extents = zip(stop, self.elements.shape, self.presentation.shape, strict=False)
        return any(b > n and n < m for b, n, m in extents)

    def computed(self, position: Shape, *, wait: bool) -> Blob:
        """A chunk that is decoded, put together and encoded again; kept under its ETag."""
        tag = self.etag(position, wait=wait)

        def make() -> bytes:
            return self.decode(position, self.presentation.chunk)

        return self._kept(tag, make, wait=wait) if tag else self._fresh(make, wait=wait)

    def decode(self, position: Shape, chunk: Shape) -> bytes:
        """The chunk at a position of a grid of chunks of shape ``chunk``, decoded and encoded again."""
        values = self.array.values.chunk(position, chunk)
        match self.presentation.encoding:
            case "raw":
                return values.tobytes()
            case "blosc":
                return encode.blosc_zstd(values)
            case "text":
                return encode.text(values.reshape(-1).tolist())

    def built_shard(self, position: Shape, *, wait: bool) -> Blob:
        """A shard whose layout depends on its content; kept."""
        assert self.shards is not None
        shards = self.shards
        tag = self.etag(position, wait=wait)

        def make() -> bytes:
            return shards.build(position)

        return self._kept(tag, make, wait=wait) if tag else self._fresh(make, wait=wait)

    def _filled(self) -> bytes:
        p = self.presentation
        values = self.array.values.filled(p.inner or p.chunk)
        return values.tobytes() if p.encoding == "raw" else encode.blosc_zstd(values)

    def _fresh(self, make: Callable[[], bytes], *, wait: bool) -> Blob:
        """Computed bytes that are not kept, since what they are made of is changing."""
        if not wait:
            raise WouldBlock
        return blob_of(make())

    def _kept(self, name: str, make: Callable[[], bytes], *, wait: bool) -> Blob:
        """Computed bytes: from memory, from disk, or made now by one thread of one worker."""
        context = self.array.context
        key = f"{self.array.tag}/{name}"
        found = context.memory.get(key)
        if found is None:
            if not wait:
                raise WouldBlock
            tools = context.tools
            found = tools.flight.run(key, lambda: bytes(tools.disk.get_or_make("chunk", key, make)))
            context.memory.put(key, found, len(found))
        return blob_of(found)


_OWN_CHUNKS = (Plan.STORED, Plan.REHEADED, Plan.BLOCKS, Plan.SHARDED)


def _passed(chunks: Chunks, position: Shape, wait: bool) -> Blob | None:
    passed = chunks.passed
    if passed is None:
        return chunks.computed(position, wait=wait)
    where = position[: len(passed.grid)]
    if chunks.padded and any(p >= n for p, n in zip(where, passed.grid, strict=True)):
        return None  # beyond the dataset
    ref = passed.ref(where, wait=wait)
    if ref is None:
        return None
    if chunks.sticks_out(where):
        return chunks.computed(position, wait=wait)
    try:
        return blob_of(*passed.pieces(where, ref, wait=wait))
    except CannotReframe:
        return chunks.computed(position, wait=wait)


def _ranges(chunks: Chunks, position: Shape, wait: bool) -> Blob | None:
    """A run of row-major data; what lies beyond the array's edge is zero."""
    e, p = chunks.elements, chunks.presentation
    inside = chunk_box(position, p.chunk).clip(whole(p.shape)) if position else chunk_box((), ())
    if inside is None or (e.dataset.layout == "contiguous" and e.dataset.offset is None):
        return None
    if chunks.padded:
        return chunks.computed(position, wait=wait)
    itemsize = e.dtype.itemsize
    first, length = number(inside.start, p.shape) * itemsize, inside.size * itemsize
    padding = math.prod(p.chunk) * itemsize - length
    if e.dataset.layout == "external":
        pieces = _external(chunks, first, length, wait=wait)
    else:
        pieces = [Stored(e.file, (e.dataset.offset or 0) + first, length)]
    return blob_of(*pieces, bytes(padding)) if padding else blob_of(*pieces)


def _external(chunks: Chunks, first: int, length: int, *, wait: bool) -> list[Piece]:
    """Where a run of an external-storage dataset lies in its files."""
    if not wait:
        raise WouldBlock
    e = chunks.elements
    pieces: list[Piece] = []
    at = 0
    for segment in e.sources.segments(e.file, e.dataset):
        low, high = max(first, at), min(first + length, at + segment.size)
        if low < high:
            pieces.append(Stored(segment.file, segment.offset + low - at, high - low))
        at += segment.size
    if at < first + length:
        raise MissingSource(f"{e.path}: external files are too short")
    return pieces


def _blocks(chunks: Chunks, position: Shape, wait: bool) -> Blob | None:
    """One block of an n-dimensional Blosc2 chunk."""
    passed = chunks.passed
    assert passed is not None
    dataset = chunks.elements.dataset
    per_chunk = grid_shape(dataset.chunks, dataset.blocks)
    outer = tuple(p // n for p, n in zip(position, per_chunk, strict=True))
    inner = tuple(p % n for p, n in zip(position, per_chunk, strict=True))
    if any(p >= n for p, n in zip(outer, passed.grid, strict=True)):
        return None
    ref = passed.ref(outer, wait=wait)
    if ref is None:
        return None
    if chunks.sticks_out(outer):
        return chunks.computed(position, wait=wait)
    try:
        return blob_of(*passed.block(outer, ref, number(inner, per_chunk), wait=wait))
    except CannotReframe:
        return chunks.computed(position, wait=wait)


def _shards(chunks: Chunks, position: Shape, wait: bool) -> Blob | None:
    shards = chunks.shards
    assert shards is not None
    if not shards.any_stored(position, wait=wait):
        return None
    if chunks.presentation.built or chunks.array.live or chunks.padded:
        return chunks.built_shard(position, wait=wait)
    return shards.lay_out(position, wait=wait)


def _mapped(chunks: Chunks, position: Shape, wait: bool) -> Blob | None:
    mapped = chunks.mapped
    assert mapped is not None
    found = mapped.find(position, chunks.array.format, wait=wait)
    if found == "empty":
        return None
    if isinstance(found, str):
        return chunks.computed(position, wait=wait)
    passed, where = found
    ref = passed.ref(where, wait=wait)
    if ref is None:
        return None
    try:
        return blob_of(*passed.pieces(where, ref, wait=wait))
    except CannotReframe:
        return chunks.computed(position, wait=wait)


_PLANS: dict[Plan, Callable[[Chunks, Shape, bool], Blob | None]] = {
    Plan.STORED: _passed,
    Plan.REHEADED: _passed,
    Plan.BLOCKS: _blocks,
    Plan.RANGES: _ranges,
    Plan.SHARDED: _shards,
    Plan.MAPPED: _mapped,
    Plan.DECODED: lambda chunks, position, wait: chunks.computed(position, wait=wait),
}
