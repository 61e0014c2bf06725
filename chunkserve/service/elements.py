"""Decoded elements of a box of a dataset, whatever its layout: the way for everything that cannot be passed on.

The unit is the dataset's own element: ``numpy_dtype(type)`` (packed as in the file), or plain Python objects where
numpy has only pointers. Boxes are in the dataset's dimensions; an array type's dimensions follow.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from chunkserve import wire
from chunkserve.chunkindex import ChunkRef
from chunkserve.codecs.decode import decode, decodes
from chunkserve.codecs.rehead import Pipeline
from chunkserve.datatypes import has_objects, is_exact, numpy_dtype, opaque
from chunkserve.errors import (
    ChunkserveError,
    Corrupt,
    Hidden,
    MissingSource,
    NotFound,
    Quarantined,
    SourceChanged,
    TooLarge,
    Unreadable,
    Unsupported,
)
from chunkserve.grid import Box, Shape, chunk_box, covering, grid_shape, number, whole
from chunkserve.metadata.mappings import Layout, Piece, cut
from chunkserve.metadata.present import missing_filter, pipeline_of
from chunkserve.model import Dataset
from chunkserve.service.decodedchunks import DecodedChunks
from chunkserve.service.hdffile import HdfFile
from chunkserve.sources.localfile import WouldBlock

ALL_SKIPPED = 0xFFFFFFFF
"""The filter mask of a chunk that is stored as it is."""


@dataclass(frozen=True)
class Segment:
    """A run of bytes of an external-storage dataset, in an open file."""

    file: HdfFile
    offset: int
    size: int


class Sources(Protocol):
    """How a dataset reaches data in other files (see :mod:`chunkserve.service.virtual`)."""

    def segments(self, file: HdfFile, dataset: Dataset) -> tuple[Segment, ...]:
        """The runs of bytes of an external-storage dataset."""

    def layout(self, file: HdfFile, dataset: Dataset) -> Layout:
        """The mappings of a virtual dataset, resolved."""

    def open(self, near: HdfFile, file: str, dataset: str) -> "Elements":
        """A source dataset, by file and path as written in ``near``.

        Raises:
            NotFound: It is not there, or may not be reached.
        """


class Elements:
    """Reads boxes of one dataset."""

    def __init__(self, file: HdfFile, number: int, dataset: Dataset, sources: Sources) -> None:
        """Read dataset ``number`` of ``file``.

        Args:
            file: The open file.
            number: The dataset's identifier.
            dataset: Its header.
            sources: How to reach other datasets, for virtual ones.
        """
        self.file = file
        self.number = number
        self.dataset = dataset
        self.sources = sources
        self.shape: Shape = dataset.shape if dataset.shape is not None else (0,)
        base = numpy_dtype(dataset.type)
        self.dtype, self.dims = base.subdtype or (base, ())
        self.objects = has_objects(dataset.type)

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The elements of a box.

        Returns:
            Shape ``box.shape`` followed by the dimensions of an array type.

        Raises:
            WouldBlock: Not ``wait``, and they are not in the page cache, or another process has to read them.
            Corrupt: Stored bytes are damaged; the message names the chunk.
            MissingSource: A source of a virtual dataset is not there.
            Unsupported, TooLarge, TryAgain: As it says.
        """
        size = box.size * max(1, math.prod(self.dims)) * self.dtype.itemsize
        limit = self.file.tools.settings.max_chunk
        if size > limit:
            raise TooLarge(f"{self.path}: a region", size, limit, "max_chunk")
        if not box.size:
            return np.zeros(box.shape + self.dims, self.dtype)
        if self._missing:
            raise Unsupported(f"{self.path}: {self._missing}")
        if not wait and not self.at_hand:
            raise WouldBlock
        values = _LAYOUTS[self.dataset.layout](self, box, wait)
        if not self.file.swmr:
            self.file.local.check_unchanged()
        return values

    @property
    def path(self) -> str:
        """For messages."""
        inside = b"/".join(self.file.structure().path_of(self.number)).decode("utf-8", "backslashreplace")
        return f"{self.file.name}:/{inside}"

    @cached_property
    def at_hand(self) -> bool:
        """Whether elements are decoded here, from this file alone, so that they can be had without waiting."""
        dataset = self.dataset
        if self.file.live or self.objects or not is_exact(dataset.type):
            return False
        return dataset.layout == "contiguous" or (dataset.layout == "chunked" and decodes(dataset.filters))

    @cached_property
    def _missing(self) -> str:
        """The filter that nobody here has, if there is one."""
        return missing_filter(self.dataset)

    @cached_property
    def layout(self) -> Layout:
        """The mappings of a virtual dataset."""
        return self.sources.layout(self.file, self.dataset)

    def fill(self) -> np.ndarray:
        """The fill value, as a scalar with the dimensions of an array type."""
        if self.objects:
            empty = np.empty((), dtype=object)
            empty[()] = ""
            return empty
        value = self.dataset.fill.value
        if value is None:
            return np.zeros(self.dims, self.dtype)
        return np.frombuffer(value, self.dtype).reshape(self.dims)

    def empty(self, shape: Shape) -> np.ndarray:
        """An array of fill values."""
        out = np.empty(shape + self.dims, self.dtype)
        opaque(out)[...] = opaque(self.fill())
        return out

    def files(self, box: Box) -> set[HdfFile]:
        """All files that the elements of a box are read from, this dataset's own included.

        Raises:
            MissingSource: One of them is not there.
        """
        found = {self.file}
        if self.dataset.layout == "external":
            found |= {segment.file for segment in self.sources.segments(self.file, self.dataset)}
        if self.dataset.layout == "virtual":
            for piece in self.pieces(box):
                found |= self.source(piece).files(piece.box)
        return found

    def pieces(self, box: Box) -> Iterator[Piece]:
        """The parts of a virtual dataset's box that its mappings fill, in the order to be written."""
        for axes in self.layout.touching(box):
            fitted = axes
            if axes.assumed:
                with contextlib.suppress(NotFound):  # that is said when the piece is read
                    fitted = axes.fit(self.sources.open(self.file, axes.file, axes.dataset).shape)
            piece = cut(fitted, box)
            if piece is not None:
                yield piece

    def source(self, piece: Piece) -> "Elements":
        """The dataset a piece of a virtual dataset comes from.

        Raises:
            MissingSource: It is not there, or smaller than the mapping says.
        """
        name = f"{piece.file}:{piece.dataset}"
        try:
            found = self.sources.open(self.file, piece.file, piece.dataset)
        except Hidden:
            raise
        except NotFound as error:
            hint = "if it lies elsewhere, see the settings link_roots and path_map"
            raise MissingSource(f"{self.path} draws from {name}, which cannot be read; {hint}") from error
        if len(found.shape) != len(piece.box.start) or piece.box.clip(whole(found.shape)) != piece.box:
            raise MissingSource(f"{self.path} draws from beyond the extent of {name}")
        return found

    def by_reader(self, box: Box) -> np.ndarray:
        """Elements converted (and decoded) by libhdf5 in a reader process."""
        path = self.file.structure().path_of(self.number)
        twice = bool(self.dataset.filters) and (self.objects or not decodes(self.dataset.filters) or self._snappy())
        task = wire.Task(read=wire.Read(path, box.start, box.shape, twice))
        try:
            values = self.file.ask(task, wire.Values, self.path.split(":/", 1)[1])
        except Quarantined:
            raise
        except (Corrupt, Unreadable) as error:
            raise self._damage(box, error) from error
        shape = box.shape + self.dims
        if values.items is not None:
            out = np.empty(box.size, dtype=object)
            if len(values.items) != box.size:
                raise Corrupt(f"{self.path}: {len(values.items)} elements read, expected {box.size}")
            for i, item in enumerate(values.items):
                out[i] = item
            return out.reshape(box.shape)
        if len(values.data) != math.prod(shape) * self.dtype.itemsize:
            raise Corrupt(f"{self.path}: {len(values.data)} bytes read, expected {math.prod(shape)} elements")
        return np.frombuffer(values.data, self.dtype).reshape(shape)

    def _damage(self, box: Box, error: ChunkserveError) -> ChunkserveError:
        """What to say about a box that libhdf5 could not read: the chunk that is to blame, if one is."""
        if self.file.live:
            return SourceChanged(f"{error} (it is being written)")
        if self.dataset.layout != "chunked":
            return Corrupt(str(error))
        positions = list(covering(box, self.dataset.chunks))
        if len(positions) == 1:
            return Corrupt(f"chunk {positions[0]} of {error}")
        for position in positions:
            part = chunk_box(position, self.dataset.chunks).clip(box)
            assert part is not None
            self.by_reader(part)
        return Corrupt(str(error))

    def _snappy(self) -> bool:
        from_blosc = [stage for stage in self.dataset.filters if stage.id == 32001]
        return any(stage.values[6:7] == (3,) for stage in from_blosc)

    def chunk_ref(self, position: Shape, *, wait: bool = True) -> ChunkRef | None:
        """Where a chunk is stored."""
        if self.file.live:
            return self.file.locate(self.number, self.dataset, position)
        index = self.file.index(self.number, self.dataset, wait=wait)
        return index.get(number(position, grid_shape(self.shape, self.dataset.chunks)))

    def mask_of(self, position: Shape, ref: ChunkRef) -> int:
        """A chunk's filter mask, partial edge chunks that are stored plain taken into account."""
        if self.dataset.plain_edges:
            stop = chunk_box(position, self.dataset.chunks).stop
            if any(b > n for b, n in zip(stop, self.shape, strict=True)):
                return ALL_SKIPPED
        return ref.mask

    def raw_chunk(self, position: Shape) -> tuple[memoryview, int] | None:
        """A chunk's stored bytes and its filter mask, ``None`` if it is not stored.

        Of a SWMR file, the chunk is looked up again until it has not moved while it was read.
        """
        while True:
            ref = self.chunk_ref(position)
            if ref is None:
                return None
            data = self.file.local.read(ref.offset, ref.length)
            if not self.file.swmr:
                self.file.local.check_unchanged()
            if not self.file.swmr or self.chunk_ref(position) == ref:
                return memoryview(data), self.mask_of(position, ref)

    def raw_chunks(
        self, positions: Iterable[Shape], *, wait: bool = True
    ) -> Iterator[tuple[Shape, tuple[memoryview, int] | None]]:
        """Chunks as :meth:`raw_chunk` gives them, in the order of the file.

        Neighbours in the file are read together, which for chunks of a few bytes is what counts.
        """
        if self.file.live:
            yield from ((position, self.raw_chunk(position)) for position in positions)
            return
        found: list[tuple[ChunkRef, Shape]] = []
        for position in positions:
            ref = self.chunk_ref(position, wait=wait)
            if ref is None:
                yield position, None
            else:
                found.append((ref, position))
        found.sort()
        for run in _runs(found):
            start = run[0][0].offset
            length = run[-1][0].offset + run[-1][0].length - start
            data = memoryview(self.file.local.read(start, length, wait=wait))
            for ref, position in run:
                yield position, (data[ref.offset - start :][: ref.length], self.mask_of(position, ref))

    @contextlib.contextmanager
    def naming(self, position: Shape) -> Iterator[None]:
        """Have an error about a chunk name it."""
        try:
            yield
        except Corrupt as error:
            kind = SourceChanged if self.file.live else Corrupt
            raise kind(f"{self.path}: chunk {position}: {error}") from None


RUN = 2**21
"""Bytes of neighbouring chunks read at once."""

GAP = 4096
"""Bytes between chunks that are read along with them."""


NEAR = 16 * 2**10
"""Bytes between rows of contiguous data that are read along with them: less than another read costs."""


def _runs(found: list[tuple[ChunkRef, Shape]]) -> Iterator[list[tuple[ChunkRef, Shape]]]:
    """Chunks in file order, cut where they are far apart or become many bytes."""
    run: list[tuple[ChunkRef, Shape]] = []
    for ref, position in found:
        if run:
            last = run[-1][0]
            end = last.offset + last.length
            if not 0 <= ref.offset - end <= GAP or ref.offset + ref.length - run[0][0].offset > RUN:
                yield run
                run = []
        run.append((ref, position))
    if run:
        yield run


def _chunked(e: Elements, box: Box, wait: bool) -> np.ndarray:
    pipeline = pipeline_of(e.dataset)
    if not decodes(e.dataset.filters) or e.objects:  # objects have another size in the file than in memory
        return e.by_reader(box)
    if not is_exact(e.dataset.type):
        _verify(e, box, pipeline)
        return e.by_reader(box)
    try:
        return _decoded(e, box, pipeline, wait)
    except Unsupported:  # an option of a filter that only libhdf5 knows
        if not wait:
            raise WouldBlock from None
        return e.by_reader(box)


def _decoded(e: Elements, box: Box, pipeline: Pipeline, wait: bool) -> np.ndarray:
    out = np.empty(box.shape + e.dims, e.dtype)
    shape = e.dataset.chunks
    chunks = DecodedChunks(e, pipeline)
    missing = []
    for position in covering(box, shape):
        known = chunks.get(position)
        if known is None:
            missing.append(position)
        else:
            _put(out, box, chunk_box(position, shape), known)
    for position, stored in e.raw_chunks(missing, wait=wait):
        here = chunk_box(position, shape)
        part = here.clip(box)
        assert part is not None
        if stored is None:
            opaque(out)[part.slices(box.start)] = opaque(e.fill())
            continue
        values = chunks.decode(position, *stored, part, wait=wait)
        if part == box == here:
            return values  # it is the whole chunk
        _put(out, box, here, values)
    return out


def _put(out: np.ndarray, box: Box, chunk: Box, values: np.ndarray) -> None:
    """Copy what a box has of a chunk."""
    part = chunk.clip(box)
    assert part is not None
    opaque(out)[part.slices(box.start)] = opaque(values)[part.slices(chunk.start)]


def _verify(e: Elements, box: Box, pipeline: Pipeline) -> None:
    """Decode the chunks that libhdf5 is about to read, since it would not notice short ones."""
    for position, stored in e.raw_chunks(covering(box, e.dataset.chunks)):
        if stored is not None:
            with contextlib.suppress(Unsupported), e.naming(position):
                decode(pipeline, *stored)


def _contiguous(e: Elements, box: Box, wait: bool) -> np.ndarray:
    if e.dataset.offset is None:
        return e.empty(box.shape)
    if not is_exact(e.dataset.type):
        _check_extent(e)
        return e.by_reader(box)
    base = e.dataset.offset

    def read(start: int, length: int) -> bytearray:
        return e.file.local.read(base + start, length, wait=wait)

    return _from_rows(e, box, read)


def _check_extent(e: Elements) -> None:
    end = (e.dataset.offset or 0) + math.prod(e.shape) * e.dataset.type.size
    if end > e.file.local.identity.size:
        raise Corrupt(f"{e.path} ends at byte {end}, beyond the end of the file")


def _from_rows(e: Elements, box: Box, read: Callable[[int, int], bytes | bytearray]) -> np.ndarray:
    """A box of row-major data, read as the runs of whole trailing axes it consists of; near ones together."""
    itemsize = e.dtype.itemsize * max(1, math.prod(e.dims))
    split = len(e.shape)
    while split and box.start[split - 1] == 0 and box.stop[split - 1] == e.shape[split - 1]:
        split -= 1
    split = max(split, 1) if e.shape else 0
    strides = [math.prod(e.shape[axis + 1 :]) * itemsize for axis in range(len(e.shape))]
    first = sum(a * s for a, s in zip(box.start, strides, strict=True))
    run = math.prod(box.shape[split - 1 :]) * itemsize if e.shape else itemsize
    if split <= 1:
        return np.frombuffer(read(first, run), e.dtype).reshape(box.shape + e.dims)
    count, stride = box.shape[split - 2], strides[split - 2]
    together = max(1, RUN // stride) if stride - run <= NEAR else 1
    out = np.empty((math.prod(box.shape[: split - 2]), count, run), np.uint8)
    for nth, lead in enumerate(np.ndindex(box.shape[: split - 2])):
        start = first + sum(i * s for i, s in zip(lead, strides, strict=False))
        for row in range(0, count, together):
            n = min(together, count - row)
            data = np.frombuffer(read(start + row * stride, (n - 1) * stride + run), np.uint8)
            out[nth, row : row + n] = np.lib.stride_tricks.as_strided(data, (n, run), (stride, 1), writeable=False)
    return out.reshape(-1).view(e.dtype).reshape(box.shape + e.dims)


def _external(e: Elements, box: Box, _: bool) -> np.ndarray:
    if not is_exact(e.dataset.type):
        raise Unsupported(f"{e.path}: external storage of a type that needs conversion")
    segments = e.sources.segments(e.file, e.dataset)

    def read(start: int, length: int) -> bytes:
        parts, end, at = [], start + length, 0
        for segment in segments:
            low, high = max(start, at), min(end, at + segment.size)
            if low < high:
                parts.append(bytes(segment.file.local.read(segment.offset + low - at, high - low)))
            at += segment.size
        if at < end:
            raise Corrupt(f"{e.path}: external files are too short")
        return b"".join(parts)

    return _from_rows(e, box, read)


def _compact(e: Elements, box: Box, _: bool) -> np.ndarray:
    return e.by_reader(box)


def _virtual(e: Elements, box: Box, _: bool) -> np.ndarray:
    out = e.empty(box.shape)
    for piece in e.pieces(box):
        part = out[piece.target]
        values = e.source(piece).read(piece.box)[piece.source].reshape(part.shape)
        if values.dtype == e.dtype:
            opaque(out)[piece.target] = opaque(values)
        else:
            out[piece.target] = values
    return out


_LAYOUTS = {
    "chunked": _chunked,
    "contiguous": _contiguous,
    "compact": _compact,
    "external": _external,
    "virtual": _virtual,
}
