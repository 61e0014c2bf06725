"""What a voxel of a level is: a method over all the source voxels in it, rounded once.

Levels are not made from levels, which would round again and again (a recursive integer mean turns counts of 0.1 into 0
and 5.5 into 6), but from *partials*: wide sums and counts for the mean, values and counts for the other methods. A
partial is halved level by level in one fixed order, aligned to the source, so that a voxel is the same whatever the
request it was computed for.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chunkserve.grid import Shape
from chunkserve.pyramid.span import Span
from chunkserve.pyramid.sums import accumulator, added, cells, divided, shifted

Method = Literal["mean", "max", "min", "mode", "stride"]
METHODS: tuple[Method, ...] = ("mean", "max", "min", "mode", "stride")

_LOW = np.uint64(0xFFFFFFFF)
_32 = 32


@dataclass(frozen=True)
class Partial:
    """A box of voxels of one level, before rounding.

    Attributes:
        method: What is computed.
        level: How often the halved axes were halved.
        halved: Per axis.
        extent: Source voxels under it along each axis.
        values: Sums (of float64, int64 or uint64) for ``mean``; of 64-bit integers the sums of their high and low
            halves; values for the other methods. Each of the box's shape.
        counts: Valid source voxels in each voxel, unsigned; ``None`` where all that exist are valid.
    """

    method: Method
    level: int
    halved: tuple[bool, ...]
    extent: Shape
    values: tuple[np.ndarray, ...]
    counts: np.ndarray | None = None

    @property
    def shape(self) -> Shape:
        """Voxels along each axis."""
        return self.values[0].shape

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(a.nbytes for a in (*self.values, *(() if self.counts is None else (self.counts,))))


def begin(
    values: np.ndarray, valid: np.ndarray | None, method: Method, halved: tuple[bool, ...], span: Span | None = None
) -> Partial:
    """The partial of level 0.

    Args:
        values: Source voxels, of a real dtype in native byte order.
        valid: Those that count, or ``None`` if all do.
        method: What to compute.
        halved: Axes that levels halve.
        span: Of the values, where it is known: small numbers in a wide dtype are added as narrow ones.
    """
    counts = None
    if valid is not None and not valid.all():
        counts = valid.view(np.uint8)
    if method == "mean":
        return Partial(method, 0, halved, values.shape, _terms(values, span), counts)
    return Partial(method, 0, halved, values.shape, (values,), counts)


def _terms(values: np.ndarray, span: Span | None) -> tuple[np.ndarray, ...]:
    """Terms of sums that cannot overflow: of 64-bit integers the high and the low halves."""
    if values.dtype == np.bool_:
        return (values.view(np.uint8),)
    if span is not None and values.dtype.kind in "iu" and values.dtype.itemsize == 4:
        narrow = _narrowest(values.dtype.kind, span)
        return (values.astype(narrow) if narrow.itemsize < 4 else values,)  # what does not count may wrap
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        low = (values.view(np.uint64) & _LOW).astype(np.uint64, copy=False)
        return (values >> values.dtype.type(_32), low)
    return (values,)


def _narrowest(kind: str, span: Span) -> np.dtype[Any]:
    """The narrowest dtype of a kind of integer that holds all that counts."""
    least, greatest = span.least or 0, span.greatest or 0
    holds = np.promote_types(np.min_scalar_type(int(least)), np.min_scalar_type(int(greatest)))
    return np.promote_types(holds, np.int8) if kind == "i" else holds


def halve(partial: Partial) -> Partial:
    """The partial of the next level. The box must begin at a multiple of two in the array, along halved axes."""
    values, counts = partial.values, partial.counts
    wide = _count_dtype(partial.level + 1, partial.halved)
    if partial.method == "mean":
        valid = None if counts is None or partial.level else counts.view(np.bool_)  # later, invalid ones are sums of 0
        values = tuple(added(part, partial.halved, accumulator(part.dtype, partial.halved), valid) for part in values)
        counts = None if counts is None else added(counts, partial.halved, wide)
    elif partial.method == "stride":
        step = tuple(slice(None, None, 2 if h else 1) for h in partial.halved)
        values = (np.ascontiguousarray(values[0][step]),)
        counts = None if counts is None else np.ascontiguousarray(counts[step])
    elif partial.method == "mode":
        values = (_mode(values[0], counts, partial.halved),)
        counts = None if counts is None else added(counts, partial.halved, wide)
    else:
        values = (_extremes(values[0], counts, partial.halved, partial.method),)
        counts = None if counts is None else added(counts, partial.halved, wide)
    return Partial(partial.method, partial.level + 1, partial.halved, partial.extent, values, counts)


def _pairs(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, tuple[slice, ...]]:
    """Even and odd voxels along an axis, and where in the result those are that have no partner."""
    at: list[slice] = [slice(None)] * array.ndim
    n = array.shape[axis]
    at[axis] = slice(0, n, 2)
    even = array[tuple(at)]
    at[axis] = slice(1, n, 2)
    odd = array[tuple(at)]
    at[axis] = slice(n // 2, None)
    return even, odd, tuple(at)


def _count_dtype(level: int, halved: tuple[bool, ...]) -> np.dtype[Any]:
    """The narrowest dtype that holds the voxels of a cell."""
    return np.min_scalar_type(2 ** (level * sum(halved)))


def _extremes(values: np.ndarray, counts: np.ndarray | None, halved: tuple[bool, ...], method: str) -> np.ndarray:
    """The greatest or least valid value of each cell; a cell without any holds the first."""
    better = np.maximum if method == "max" else np.minimum
    for axis in [axis for axis, h in enumerate(halved) if h]:
        even, odd, _ = _pairs(values, axis)
        paired = tuple(slice(0, n) for n in odd.shape)
        out = even.copy()
        found = better(even[paired], odd)
        if counts is not None:
            there, odd_there, _ = _pairs(counts, axis)
            found = np.where(odd_there == 0, even[paired], np.where(there[paired] == 0, odd, found))
            counts = there > 0
            counts[paired] |= odd_there > 0
        out[paired] = found
        values = out
    return values


def _mode(values: np.ndarray, counts: np.ndarray | None, halved: tuple[bool, ...]) -> np.ndarray:
    """The most frequent valid value of each cell, the least of several."""
    children, present = _children(values, counts, halved)
    best = np.full(children[0].shape, -1, np.int8)
    out = children[0].copy()
    for mine, here in zip(children, present, strict=True):
        votes = np.zeros(mine.shape, np.int8)
        for other, there in zip(children, present, strict=True):
            votes += (other == mine) & there
        wins = here & ((votes > best) | ((votes == best) & (mine < out)))
        out[wins] = mine[wins]
        best[wins] = votes[wins]
    return out


def _children(
    values: np.ndarray, counts: np.ndarray | None, halved: tuple[bool, ...]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The voxels of each cell as arrays of the cells' shape, and where they exist and are valid."""
    cells = tuple(-(-n // 2) if h else n for n, h in zip(values.shape, halved, strict=True))
    found: list[np.ndarray] = []
    present: list[np.ndarray] = []
    for corner in np.ndindex(*(2 if h else 1 for h in halved)):
        at = tuple(slice(c, None, 2 if h else 1) for c, h in zip(corner, halved, strict=True))
        part = values[at]
        inside = tuple(slice(0, n) for n in part.shape)
        value, there = np.zeros(cells, values.dtype), np.zeros(cells, np.bool_)
        value[inside] = part
        there[inside] = True if counts is None else counts[at] > 0
        found.append(value)
        present.append(there)
    return found, present


def join(parts: dict[Shape, Partial], shape: Shape, extent: Shape) -> Partial:
    """Put neighbouring partials of one level together.

    Args:
        parts: By the place of their first voxel in the whole.
        shape: Of the whole.
        extent: Source voxels under it.
    """
    some = next(iter(parts.values()))
    if len(parts) == 1 and some.shape == shape:
        return some
    widest = [np.result_type(*(part.values[i].dtype for part in parts.values())) for i in range(len(some.values))]
    values = tuple(np.empty(shape, dtype) for dtype in widest)
    wide = _count_dtype(some.level, some.halved)
    counts = None if all(part.counts is None for part in parts.values()) else np.empty(shape, wide)
    for start, part in parts.items():
        at = tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))
        for whole_part, piece in zip(values, part.values, strict=True):
            whole_part[at] = piece
        if counts is not None:
            counts[at] = cell_sizes(part) if part.counts is None else part.counts
    return Partial(some.method, some.level, some.halved, extent, values, counts)


def cell_sizes(partial: Partial) -> np.ndarray:
    """Source voxels that exist under each voxel, unsigned; fewer than a full cell at the array's far edges."""
    return cells(partial.shape, partial.extent, _edges(partial))


def _edges(partial: Partial) -> Shape:
    return tuple(2**partial.level if h else 1 for h in partial.halved)


def finish(partial: Partial, dtype: np.dtype[Any], invalid: object) -> np.ndarray:
    """The voxels, rounded once: half to even.

    Args:
        partial: The level's partial.
        dtype: Of the level.
        invalid: What a voxel without any valid source voxel is.

    Returns:
        The partial's shape, ``dtype``.
    """
    if partial.method != "mean":
        out = partial.values[0].astype(dtype)
    elif partial.values[0].dtype.kind == "f" or dtype.kind == "f":
        out = _float_mean(partial).astype(dtype)
    else:
        out = _integer_mean(partial).astype(dtype)
    if partial.counts is not None:
        out[partial.counts == 0] = invalid
    return out


def _float_mean(partial: Partial) -> np.ndarray:
    total = partial.values[0].astype(np.float64, copy=False)
    if len(partial.values) == 2:
        total = total * 2.0**_32 + partial.values[1]
    mean: np.ndarray = total / np.maximum(cell_sizes(partial) if partial.counts is None else partial.counts, 1)
    return mean


def _integer_mean(partial: Partial) -> np.ndarray:
    """Full cells by shifting, the others, which are few, by dividing."""
    sums, counts = partial.values, partial.counts
    if len(sums) == 2:
        return divided(sums, np.maximum(cell_sizes(partial) if counts is None else counts, 1))
    power = partial.level * sum(partial.halved)
    out = shifted(sums[0], power)
    if counts is not None:
        others = counts != counts.dtype.type(2**power)
        out[others] = divided((sums[0][others],), np.maximum(counts[others], 1))
        return out
    edges = _edges(partial)
    for axis, (n, extent, edge) in enumerate(zip(partial.shape, partial.extent, edges, strict=True)):
        if extent % edge:
            at = tuple(slice(n - 1, n) if a == axis else slice(None) for a in range(len(edges)))
            out[at] = divided((sums[0][at],), cell_sizes(partial)[at])
    return out
