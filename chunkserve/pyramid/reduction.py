"""Reductions of an array along some of its axes, block by block and merged in order: sums, extremes, histograms.

Sums of integers are kept in two halves of 32 bits, so that none is lost however many there are; all other sums are of
float64. What numpy makes of NaN and infinity, this does.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.errors import BadRequest
from chunkserve.grid import Shape

OPERATIONS = ("count", "sum", "mean", "std", "min", "max", "histogram")

HALF = np.int64(32)
MASK = np.int64(0xFFFFFFFF)


@dataclass(frozen=True)
class Task:
    """What is computed.

    Attributes:
        operations: Some of :data:`OPERATIONS`.
        dtype: Of the elements; native byte order.
        shape: Of the array.
        axes: Along which it is reduced.
        bins: Of the histogram.
        range: Its first and last edge.
    """

    operations: tuple[str, ...]
    dtype: np.dtype[Any]
    shape: Shape
    axes: tuple[int, ...]
    bins: int = 0
    range: tuple[Any, Any] | None = None

    @cached_property
    def result(self) -> Shape:
        """The shape of a result, reduced axes kept with an extent of 1."""
        return tuple(1 if axis in self.axes else n for axis, n in enumerate(self.shape))

    def wants(self, *operations: str) -> bool:
        """Whether one of these is computed."""
        return any(name in self.operations for name in operations)


@dataclass
class Total:
    """Sums that lose nothing: integers as ``high * 2**32 + low``, others in ``high`` alone."""

    high: np.ndarray
    low: np.ndarray | None

    @classmethod
    def of(cls, values: np.ndarray, axes: tuple[int, ...]) -> "Total":
        """Sums along axes, which stay with an extent of 1."""
        if values.dtype.kind in "fc":
            wide = np.complex128 if values.dtype.kind == "c" else np.float64
            return cls(values.sum(axes, dtype=wide, keepdims=True), None)
        if values.dtype.itemsize < 8:
            return cls._carried(np.int64(0), values.sum(axes, dtype=np.int64, keepdims=True))
        upper = (values >> values.dtype.type(32)).sum(axes, dtype=np.int64, keepdims=True)
        lower = (values & values.dtype.type(0xFFFFFFFF)).sum(axes, dtype=np.int64, keepdims=True)
        return cls._carried(upper, lower)

    @classmethod
    def _carried(cls, high: Any, low: Any) -> "Total":
        return cls(high + (low >> HALF), low & MASK)

    def add(self, other: "Total", where: tuple[slice, ...]) -> None:
        """Add sums of a part."""
        self.high[where] += other.high
        if self.low is not None:
            low = self.low[where] + other.low
            self.high[where] += low >> HALF
            self.low[where] = low & MASK

    def wide(self) -> np.ndarray:
        """As float64 or complex128."""
        return self.high if self.low is None else self.high * 2.0**32 + self.low

    def exact(self, kind: str) -> np.ndarray:
        """As numpy would give it for elements of a kind.

        Raises:
            BadRequest: It does not fit into 64 bits.
        """
        if self.low is None:
            return self.high
        low, high = (0, 2**32) if kind == "u" else (-(2**31), 2**31)
        if ((self.high < low) | (self.high >= high)).any():
            raise BadRequest("op=sum: a sum does not fit into 64 bits; ask for mean, or for parts with sel=")
        if kind == "u":
            return np.asarray((self.high.astype(np.uint64) << np.uint64(32)) | self.low.astype(np.uint64))
        return np.asarray((self.high << HALF) | self.low)


@dataclass
class Partial:
    """What is known of a block: arrays of its shape, reduced axes with an extent of 1; the histogram's counts."""

    count: np.ndarray
    total: Total | None = None
    squares: np.ndarray | None = None
    least: np.ndarray | None = None
    greatest: np.ndarray | None = None
    counts: np.ndarray | None = None

    @property
    def mean(self) -> np.ndarray:
        """Of each sum; NaN of nothing."""
        assert self.total is not None
        with np.errstate(all="ignore"):
            return np.asarray(self.total.wide() / self.count)


def reduce_block(task: Task, values: np.ndarray, valid: np.ndarray | None) -> Partial:
    """Reduce a block.

    Args:
        task: What is computed.
        values: In the task's dtype, with all axes of the array; not empty.
        valid: Which elements count; ``None`` if all do.
    """
    shape = tuple(1 if axis in task.axes else n for axis, n in enumerate(values.shape))
    if valid is None:
        found = Partial(np.full(shape, values.size // max(1, _size(shape)), np.int64))
    else:
        found = Partial(valid.sum(task.axes, dtype=np.int64, keepdims=True))
    with np.errstate(all="ignore"):
        if task.wants("sum", "mean", "std"):
            found.total = Total.of(_kept(values, valid, 0), task.axes)
        if task.wants("std"):
            found.squares = _squares(values, valid, found.mean, task.axes)
        if task.wants("min"):
            found.least = np.minimum.reduce(_kept(values, valid, top(task.dtype)), axis=task.axes, keepdims=True)
        if task.wants("max"):
            found.greatest = np.maximum.reduce(_kept(values, valid, bottom(task.dtype)), axis=task.axes, keepdims=True)
        if task.wants("histogram"):
            found.counts = _histogram(task, values.reshape(-1) if valid is None else values[valid])[0]
    return found


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _kept(values: np.ndarray, valid: np.ndarray | None, other: Any) -> np.ndarray:
    return values if valid is None else np.where(valid, values, values.dtype.type(other))


def _squares(values: np.ndarray, valid: np.ndarray | None, mean: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Sums of squared distances from the mean."""
    away = np.asarray(np.subtract(values, mean, dtype=mean.dtype))
    if valid is not None:
        away[~valid] = 0
    squared = (away * away.conj()).real if away.dtype.kind == "c" else np.square(away, out=away)
    found: np.ndarray = squared.sum(axes, keepdims=True)
    return found


def _histogram(task: Task, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    plain = values.view(np.uint8) if values.dtype.kind == "b" else values
    return np.histogram(plain, bins=task.bins, range=task.range)


def top(dtype: np.dtype[Any]) -> Any:
    """What no element is greater than."""
    return True if dtype.kind == "b" else np.inf if dtype.kind == "f" else np.iinfo(dtype).max


def bottom(dtype: np.dtype[Any]) -> Any:
    """What no element is less than."""
    return False if dtype.kind == "b" else -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


class Reduction:
    """Partials of blocks, merged."""

    def __init__(self, task: Task) -> None:
        """Begin with nothing."""
        self.task = task
        shape, dtype = task.result, task.dtype
        found = self._found = Partial(np.zeros(shape, np.int64))
        if task.wants("sum", "mean", "std"):
            if dtype.kind in "fc":
                found.total = Total(np.zeros(shape, np.complex128 if dtype.kind == "c" else np.float64), None)
            else:
                found.total = Total(np.zeros(shape, np.int64), np.zeros(shape, np.int64))
        if task.wants("std"):
            found.squares = np.zeros(shape, np.float64)
        if task.wants("min"):
            found.least = np.full(shape, top(dtype), dtype)
        if task.wants("max"):
            found.greatest = np.full(shape, bottom(dtype), dtype)
        if task.wants("histogram"):
            found.counts = np.zeros(task.bins, np.int64)

    def merge(self, part: Partial, at: Shape) -> None:
        """Add what is known of a block that begins ``at`` an index of the array.

        Deviations as by Chan, Golub, LeVeque: Algorithms for computing the sample variance, The American Statistician
        37 (1983) 242.
        """
        starts = (0 if axis in self.task.axes else a for axis, a in enumerate(at))
        where = tuple(slice(a, a + n) for a, n in zip(starts, part.count.shape, strict=True))
        known = self._found
        with np.errstate(all="ignore"):
            if known.squares is not None and part.squares is not None:
                n, m = known.count[where], part.count
                step = np.abs(part.mean - known.mean[where]) ** 2 * (n * (m / (n + m)))
                known.squares[where] += part.squares + np.where((n > 0) & (m > 0), step, 0)
            if known.total is not None and part.total is not None:
                known.total.add(part.total, where)
            if known.least is not None and part.least is not None:
                known.least[where] = np.minimum(known.least[where], part.least)
            if known.greatest is not None and part.greatest is not None:
                known.greatest[where] = np.maximum(known.greatest[where], part.greatest)
        if known.counts is not None and part.counts is not None:
            known.counts += part.counts
        known.count[where] += part.count

    def results(self) -> dict[str, Any]:
        """By operation, in the order asked for: an array without the reduced axes; of a histogram, counts and edges.

        Raises:
            BadRequest: A sum that does not fit into 64 bits.
        """
        return {name: self._result(name) for name in self.task.operations}

    def _result(self, name: str) -> Any:
        found, task = self._found, self.task
        if name == "histogram":
            return found.counts, _histogram(task, np.empty(0, task.dtype))[1]
        if name == "count":
            values = found.count
        elif name == "sum":
            assert found.total is not None
            values = found.total.exact(task.dtype.kind)
        elif name == "mean":
            values = found.mean
        elif name == "std":
            assert found.squares is not None
            with np.errstate(all="ignore"):
                values = np.sqrt(found.squares / found.count)
        else:
            extreme = found.least if name == "min" else found.greatest
            assert extreme is not None
            values = _or_nan(extreme, found.count)
        return values.squeeze(task.axes)


def _or_nan(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Extremes, NaN where nothing counted; integers become float64 for it."""
    if count.all():
        return values
    return np.where(count > 0, values.astype(values.dtype if values.dtype.kind == "f" else np.float64), np.nan)
