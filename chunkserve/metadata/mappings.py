"""Virtual datasets: which elements of which source fill which elements of the target.

A mapping pairs two selections with equally many elements, in C order (HDF5 Virtual Dataset RFC, 2014). A regular
selection is the product of one set of indices per axis; where the sets longer than one agree in length on both sides,
in order, axis maps to axis.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from chunkserve.errors import MissingSource, Unsupported
from chunkserve.grid import Box, Shape
from chunkserve.model import Mapping, Selection

Indices = range | np.ndarray
Index = tuple[slice | np.ndarray, ...]

MAX_BLOCKS = 100_000
"""Sources that one printf-style mapping may number."""


@dataclass(frozen=True)
class Axes:
    """A resolved mapping: index sets per axis on both sides, and which source axis each target axis pairs with.

    ``pairs[d]`` is the source axis of target axis d, ``None`` where both have length one. ``assumed``: the file says
    "all of the source" without its extent, and the target's is taken for it until :meth:`fit` knows better.
    """

    file: str
    dataset: str
    target: tuple[Indices, ...]
    source: tuple[Indices, ...]
    pairs: tuple[int | None, ...]
    assumed: bool = False

    def fit(self, shape: Shape) -> "Axes":
        """The mapping for a source of this extent.

        Raises:
            MissingSource: It has not as many elements as the target.
        """
        if not self.assumed:
            return self
        try:
            return _paired(self.file, self.dataset, self.target, tuple(range(n) for n in shape))
        except Unsupported:
            raise MissingSource(f"{self.file}:{self.dataset} has another extent than the mapping takes") from None

    @property
    def bounds(self) -> Box:
        """The box around all target elements."""
        if any(len(axis) == 0 for axis in self.target):
            return Box((0,) * len(self.target), (0,) * len(self.target))
        return Box(tuple(int(axis[0]) for axis in self.target), tuple(int(axis[-1]) + 1 for axis in self.target))


@dataclass(frozen=True)
class Piece:
    """A part of a requested box that one mapping fills.

    Attributes:
        file, dataset: The source, as written in the mapping.
        box: What to read of the source.
        source: Index into what was read.
        target: Index into the requested box.
    """

    file: str
    dataset: str
    box: Box
    source: Index
    target: Index


@dataclass(frozen=True)
class Layout:
    """A virtual dataset resolved: its extent, its mappings, and the bounds of each for quick search."""

    shape: Shape
    axes: tuple[Axes, ...]
    starts: np.ndarray
    stops: np.ndarray

    def touching(self, box: Box) -> Iterable[Axes]:
        """Mappings that may fill something of a box, in the order of the file: later ones win."""
        hit = (self.starts < np.array(box.stop)).all(axis=1) & (self.stops > np.array(box.start)).all(axis=1)
        return (self.axes[i] for i in np.flatnonzero(hit))


def resolve(extent: Shape, axes: Sequence[Axes], free: tuple[bool, ...] | None) -> Layout:
    """A layout from resolved mappings; along ``free`` axes the extent is what the mappings reach."""
    bounds = [a.bounds for a in axes]
    rank = len(extent)
    starts = np.array([b.start for b in bounds], dtype=np.int64).reshape(-1, rank)
    stops = np.array([b.stop for b in bounds], dtype=np.int64).reshape(-1, rank)
    if free is not None:
        reach = stops.max(axis=0, initial=0)
        extent = tuple(int(r) if f else n for n, r, f in zip(extent, reach, free, strict=True))
    return Layout(extent, tuple(axes), starts, stops)


SourceShape = Callable[[str, str], Shape | None]
"""The extent of a source dataset (file and dataset as written), ``None`` if it is not there."""


def is_unlimited(mapping: Mapping) -> bool:
    """Whether what a mapping covers depends on its source."""
    return None in mapping.target.count or None in mapping.target.block


def expand(mapping: Mapping, extent: Shape, source_shape: SourceShape) -> list[Axes]:
    """Resolve a mapping; a printf-style one into one per source that is there.

    Args:
        mapping: As in the file.
        extent: Of the virtual dataset as stored; counts only for selections of everything.
        source_shape: Looks at sources, for unlimited mappings only.

    Raises:
        Unsupported: The selections pair in a way that is not understood.
    """
    if not is_unlimited(mapping):
        return _fixed(mapping, extent)
    if "%" in mapping.file + mapping.dataset and numbered(mapping, 0) != numbered(mapping, 1):
        return _blocks(mapping, extent, source_shape)
    shape = source_shape(mapping.file, mapping.dataset)
    if shape is None:
        return []
    source = tuple(_axis(mapping.source, axis, shape[axis], shape[axis]) for axis in range(len(shape)))
    free = next(a for a, pair in enumerate(_limits(mapping.target)) if None in pair)
    grown = [axis for axis, pair in enumerate(_limits(mapping.source)) if None in pair]
    count = len(source[grown[0]]) if grown else math.prod(map(len, source))
    target = tuple(
        _take(mapping.target, axis, count) if axis == free else _axis(mapping.target, axis, extent[axis], None)
        for axis in range(len(extent))
    )
    return [_paired(mapping.file, mapping.dataset, target, source)]


def _limits(selection: Selection) -> list[tuple[int | None, int | None]]:
    return list(zip(selection.count, selection.block, strict=True))


def numbered(mapping: Mapping, block: int) -> tuple[str, str]:
    """File and dataset name of a block: ``%b`` is its number, ``%%`` a per cent sign."""

    def spell(text: str) -> str:
        return "%".join(part.replace("%b", str(block)) for part in text.split("%%"))

    return spell(mapping.file), spell(mapping.dataset)


def _blocks(mapping: Mapping, extent: Shape, source_shape: SourceShape) -> list[Axes]:
    found = []
    for block in range(MAX_BLOCKS):
        names = numbered(mapping, block)
        shape = source_shape(*names)
        if shape is None:
            break
        target = mapping.target
        start = tuple(
            a + block * s if None in (n, b) else a
            for a, s, n, b in zip(target.start, target.stride, target.count, target.block, strict=True)
        )
        count = tuple(1 if n is None else n for n in target.count)
        one = replace(mapping, file=names[0], dataset=names[1], target=replace(target, start=start, count=count))
        if None in one.target.block:
            raise Unsupported("printf-style mapping of blocks without end")
        found += _fixed(replace(one, source_extent=shape), extent)
    return found


def next_block(mapping: Mapping, found: int) -> tuple[str, str] | None:
    """The source whose appearance would extend a printf-style mapping; ``None`` for other mappings."""
    if is_unlimited(mapping) and numbered(mapping, 0) != numbered(mapping, 1):
        return numbered(mapping, found)
    return None


def _fixed(mapping: Mapping, extent: Shape) -> list[Axes]:
    targets = _regular(mapping.target, extent)
    file, dataset = (name.replace("%%", "%") for name in (mapping.file, mapping.dataset))
    if not mapping.source_extent and not mapping.source.start and not mapping.source.boxes and len(targets) == 1:
        like = tuple(range(len(indices)) for indices in targets[0])
        return [replace(_paired(file, dataset, targets[0], like), assumed=True)]
    sources = _regular(mapping.source, mapping.source_extent)
    if len(targets) != len(sources):
        raise Unsupported("virtual mapping between selections of different form")
    if len(targets) > 1 and not (_in_rows(targets) and _in_rows(sources)):
        raise Unsupported("virtual mapping between interleaved boxes")
    return [_paired(file, dataset, target, source) for target, source in zip(targets, sources, strict=True)]


def _regular(selection: Selection, extent: Shape) -> list[tuple[Indices, ...]]:
    """A selection as products of index sets: one, or one per box."""
    if selection.boxes:
        return [tuple(range(a, b) for a, b in zip(*box, strict=True)) for box in selection.boxes]
    return [tuple(_axis(selection, axis, n, None) for axis, n in enumerate(extent))]


def _in_rows(boxes: Sequence[tuple[Indices, ...]]) -> bool:
    """Whether boxes follow one another along the first axis, so that C order takes one after the other."""
    return all(a[0][-1] < b[0][0] for a, b in pairwise(boxes))


def _axis(selection: Selection, axis: int, extent: int, end: int | None) -> Indices:
    """The indices a selection takes along an axis; unlimited ones up to ``end``."""
    if not selection.start:
        return range(extent)
    start, stride = selection.start[axis], selection.stride[axis]
    count, block = selection.count[axis], selection.block[axis]
    if count is None or block is None:
        if end is None:
            raise Unsupported("unlimited selection where a limited one is needed")
        found = _take(selection, axis, max(0, end))
        return found[: int(np.searchsorted(np.asarray(found), end))]
    return _strided(start, stride, count, block)


def _take(selection: Selection, axis: int, count: int) -> Indices:
    """The first ``count`` indices along an unlimited axis."""
    start, stride, block = selection.start[axis], selection.stride[axis], selection.block[axis]
    if block is None:
        return range(start, start + count)
    return _strided(start, stride, -(-count // block), block)[:count]


def _strided(start: int, stride: int, count: int, block: int) -> Indices:
    if count == 1 or stride == block:
        return range(start, start + count * block)
    if block == 1:
        return range(start, start + count * stride, stride)
    return (start + np.arange(count)[:, None] * stride + np.arange(block)).reshape(-1)


def _paired(file: str, dataset: str, target: tuple[Indices, ...], source: tuple[Indices, ...]) -> Axes:
    longer = [axis for axis, indices in enumerate(source) if len(indices) != 1]
    wanted = [axis for axis, indices in enumerate(target) if len(indices) != 1]
    if [len(target[a]) for a in wanted] != [len(source[a]) for a in longer]:
        raise Unsupported("virtual mapping between selections of different shapes")
    pairs: list[int | None] = [None] * len(target)
    for a, b in zip(wanted, longer, strict=True):
        pairs[a] = b
    return Axes(file, dataset, target, source, tuple(pairs))


def cut(axes: Axes, box: Box) -> Piece | None:
    """The part of a box that a mapping fills, ``None`` if it fills nothing of it."""
    read: list[Indices] = [indices[:1] for indices in axes.source]
    write: list[Indices] = []
    for axis, indices in enumerate(axes.target):
        low, high = _between(indices, box.start[axis], box.stop[axis])
        if low >= high:
            return None
        write.append(indices[low:high])
        pair = axes.pairs[axis]
        if pair is not None:
            read[pair] = axes.source[pair][low:high]
    bounds = Box(tuple(int(i[0]) for i in read), tuple(int(i[-1]) + 1 for i in read))
    return Piece(axes.file, axes.dataset, bounds, _index(read, bounds.start), _index(write, box.start))


def _between(indices: Indices, start: int, stop: int) -> tuple[int, int]:
    """Positions of the indices in [start, stop)."""
    if isinstance(indices, range):
        first, step = indices.start, indices.step
        return (
            min(len(indices), max(0, -(-(start - first) // step))),
            min(len(indices), max(0, -(-(stop - first) // step))),
        )
    low, high = np.searchsorted(indices, (start, stop))
    return int(low), int(high)


def _index(indices: list[Indices], origin: Shape) -> Index:
    """Index sets relative to an origin: slices if possible, else arrays that broadcast to their product."""
    if all(isinstance(axis, range) for axis in indices):
        return tuple(
            slice(axis[0] - o, axis[-1] - o + 1, axis.step if isinstance(axis, range) else 1)
            for axis, o in zip(indices, origin, strict=True)
        )
    return np.ix_(*(np.asarray(axis) - o for axis, o in zip(indices, origin, strict=True)))
