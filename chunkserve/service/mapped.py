"""Virtual datasets whose chunks are whole chunks of their sources: how they are presented, and which chunk that is."""

import math
from dataclasses import replace

from chunkserve.cache.recent import Recent
from chunkserve.errors import Hidden, MissingSource, NotFound
from chunkserve.grid import Shape, chunk_box, grid_shape, grow, row_chunk, whole
from chunkserve.metadata.keys import Format
from chunkserve.metadata.mappings import Axes, Indices, cut
from chunkserve.metadata.present import Plan, Presentation, Thresholds, decoded, greatest, item_bytes, present
from chunkserve.metadata.served import Served
from chunkserve.service.elements import Elements
from chunkserve.service.passed import PassedChunks
from chunkserve.sources.localfile import WouldBlock

PROBED_SOURCES = 8
"""Sources looked at for one that shows how chunks lie."""

PASSED = (Plan.STORED, Plan.REHEADED)


def present_virtual(
    elements: Elements, served: Served, shape: Shape, zarr_format: Format, limits: Thresholds
) -> Presentation:
    """Present a virtual dataset with its sources' chunks, if the first readable source shows that they line up."""
    exact = replace(served, exact=served.why != "field of a compound")
    why = "no source is readable"
    room = greatest(elements.dataset, shape)
    for axes in elements.layout.axes[:PROBED_SOURCES]:
        try:
            source = elements.sources.open(elements.file, axes.file, axes.dataset)
        except Hidden:
            raise
        except NotFound:
            continue
        chunk = _lined_up(axes.fit(source.shape), source, shape)
        if chunk is None:
            why = "chunks of the sources do not line up"
            break
        nbytes = math.prod(chunk) * item_bytes(served)
        if nbytes < limits.merge_below and math.prod(grid_shape(room, chunk)) > 1:
            joined = grow(room, chunk, item_bytes(served), limits.target_chunk)
            return decoded(shape, joined, served, f"chunks of {nbytes} bytes are merged")
        theirs = _passed_form(source, exact, zarr_format, limits)
        if exact.exact and source.dataset.type == elements.dataset.type and theirs.plan in PASSED:
            return replace(theirs, shape=shape, chunk=chunk, plan=Plan.MAPPED)
        return decoded(shape, chunk, served, theirs.why or "the sources' chunks cannot be passed on")
    return decoded(shape, row_chunk(room, item_bytes(served), limits.target_chunk), served, why)


def _passed_form(source: Elements, served: Served, zarr_format: Format, limits: Thresholds) -> Presentation:
    """How a source would be presented chunk by chunk, whatever their size."""
    alone = replace(limits, merge_below=0, shard_below=0)
    return present(source.dataset, served, source.shape + served.dims, zarr_format, alone)


def _lined_up(axes: Axes, source: Elements, shape: Shape) -> Shape | None:
    """The chunk shape in which this mapping's source chunks are whole chunks of the target, if there is one.

    Along an axis with chunks of one element the mapping may take any indices, along others a run from a chunk's start.
    """
    chunks = source.dataset.chunks
    if not chunks or len(axes.source) != len(chunks):
        return None
    for indices, pair in zip(axes.target, axes.pairs, strict=True):
        step = 1 if pair is None else chunks[pair]
        run = axes.source[pair] if pair is not None else range(1)
        if step > 1 and not (_starts_at(indices, step) and _starts_at(run, step)):
            return None
    alone = set(range(len(chunks))) - {pair for pair in axes.pairs if pair is not None}
    if any(chunks[axis] != 1 for axis in alone):
        return None
    chunk = tuple(1 if pair is None else chunks[pair] for pair in axes.pairs)
    return chunk + shape[len(chunk) :]


def _starts_at(indices: Indices, step: int) -> bool:
    """Whether indices are a run without gaps from a multiple of ``step``."""
    return isinstance(indices, range) and indices.step == 1 and indices.start % step == 0


class MappedChunks:
    """Finds the source chunk behind a chunk of a virtual dataset. Remembers sources as long as they stay the same."""

    def __init__(
        self,
        elements: Elements,
        served: Served,
        presentation: Presentation,
        limits: Thresholds,
        sources: Recent[PassedChunks],
    ) -> None:
        """Find chunks for a presentation with the plan ``MAPPED``, remembering sources in ``sources``."""
        self.elements = elements
        self.served = served
        self.presentation = presentation
        self.limits = limits
        self._sources = sources

    def find(self, position: Shape, zarr_format: Format, *, wait: bool) -> "tuple[PassedChunks, Shape] | str":
        """The source's chunks and the position among them, or ``empty`` (nothing is mapped here) or ``compose``.

        Raises:
            MissingSource: The source is not there.
            WouldBlock: Not ``wait``, and the source is not open.
        """
        e = self.elements
        rank = len(e.shape)
        box = chunk_box(position[:rank], self.presentation.chunk[:rank]).clip(whole(e.shape))
        touching = list(e.layout.touching(box)) if box is not None else []
        if box is None or not touching:
            return "empty"
        found = [(axes, piece) for axes in touching if (piece := cut(axes, box)) is not None]
        if len(found) != 1:
            return "compose" if found else "empty"
        axes, piece = found[0]
        passed = self._source(axes, zarr_format, wait=wait)
        if passed is None:
            return "compose"
        if axes.assumed:
            axes = axes.fit(passed.elements.shape)
            piece = cut(axes, box) or piece
        if _lined_up(axes, passed.elements, self.presentation.chunk) != self.presentation.chunk:
            return "compose"
        if piece.box.size != box.size or piece.box.clip(whole(passed.elements.shape)) != piece.box:
            return "compose"  # only a part is mapped; or part of the source is missing, which is said there
        chunks = passed.elements.dataset.chunks
        return passed, tuple(a // c for a, c in zip(piece.box.start, chunks, strict=True))

    def _source(self, axes: Axes, zarr_format: Format, *, wait: bool) -> PassedChunks | None:
        """A source's chunks, if they have the form the presentation promises."""
        name = axes.file, axes.dataset
        key = (self.elements.file.serial, self.elements.number, zarr_format, *name)
        known = self._sources.get(key)
        if known is not None and known.elements.file.is_current() and not known.elements.file.live:
            return known
        if not wait:
            raise WouldBlock
        try:
            source = self.elements.sources.open(self.elements.file, *name)
        except Hidden:
            raise
        except NotFound as error:
            raise MissingSource(f"{self.elements.path} draws from {':'.join(name)}, which cannot be read") from error
        form = _passed_form(source, replace(self.served, exact=True), zarr_format, self.limits)
        fits = (
            source.dataset.type == self.elements.dataset.type
            and form.plan in PASSED
            and form.encoding == self.presentation.encoding
            and self.elements.fill().tobytes() == source.fill().tobytes()
        )
        if not fits or form.encoding == "text":
            return None
        passed = PassedChunks(source, form.encoding)
        self._sources.put(key, passed)
        return passed
