"""How often which value occurs, in bounded memory: exact as long as there are few distinct values, else thinned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST = 65536
"""Distinct values that are kept exactly: all that 16 bits can spell."""

KEPT = 16384
"""Values that stand for all when there are more. One thinning moves a percentile past 1/16384 of the elements."""


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Distinct values, ascending, and how many elements each stands for (int64); one-dimensional, of equal length."""

    values: np.ndarray
    weights: np.ndarray
    exact: bool = True

    @classmethod
    def of(cls, values: np.ndarray) -> "Distribution":
        """Count integers or floats, finite, in native byte order, one-dimensional. Not yet bounded."""
        if values.dtype.kind in "iu" and values.size:
            low = values.min()
            if int(values.max()) - int(low) < MOST:
                return cls._of_near(values, low)
        found, weights = np.unique(values, return_counts=True)
        return cls(found, weights.astype(np.int64))

    @classmethod
    def _of_near(cls, values: np.ndarray, low: np.integer) -> "Distribution":
        # modulo 2**bits, where differences cannot overflow
        unsigned = np.dtype(f"u{values.dtype.itemsize}")
        counts = np.bincount((values.view(unsigned) - np.array(low).view(unsigned)).astype(np.intp))
        steps = np.flatnonzero(counts)
        found = (steps.astype(unsigned) + np.array(low).view(unsigned)).view(values.dtype)
        return cls(found, counts[steps].astype(np.int64))

    @property
    def count(self) -> int:
        """Elements."""
        return int(self.weights.sum())

    def merge(self, other: "Distribution") -> "Distribution":
        """Both together, bounded. ``other`` is of the same dtype."""
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")  # two runs in order: merely merged
        values = values[order]
        first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        weights = np.add.reduceat(np.concatenate([self.weights, other.weights])[order], first)
        return Distribution(values[first], weights, self.exact and other.exact).bounded()

    def bounded(self) -> "Distribution":
        """At most ``MOST`` values; if there were more, ``KEPT`` or fewer.

        The elements in ascending order are divided evenly, and the middle one of each part stands for it.
        """
        if len(self.values) <= MOST:
            return self
        after = np.cumsum(self.weights)
        edges = np.linspace(0, after[-1], KEPT + 1).astype(np.int64)
        middle = np.searchsorted(after, (edges[:-1] + edges[1:]) // 2, side="right")
        first = np.flatnonzero(np.diff(middle, prepend=-1))  # what occurs often stands for several parts
        return Distribution(self.values[middle[first]], np.add.reduceat(np.diff(edges), first), exact=False)

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Values below which so many percent of the elements lie, between elements as ``numpy.percentile`` does."""
        after = np.cumsum(self.weights)
        rank = np.asarray(percents) / 100 * (after[-1] - 1)
        below = np.floor(rank)
        low, high = (
            self.values[np.searchsorted(after, np.minimum(r, after[-1] - 1), side="right")].astype(np.float64)
            for r in (below, below + 1)
        )
        part = rank - below
        mixed: list[float] = np.where(low == high, low, low * (1 - part) + high * part).tolist()
        return mixed

    def histogram(self, low: float, high: float, bins: int) -> tuple[list[float], list[int]]:
        """Edges, one more than counts, and counts; from ``low`` to ``high``, which are no narrower than the values.

        Integers: each bin has as many of them as the next, one where ``bins`` suffice, and the last edge is excluded.
        Floats: ``bins`` of equal width, of which the last has its end.
        """
        if self.values.dtype.kind in "iu":
            start, width = int(low), -(-(int(high) - int(low) + 1) // bins)
            number = (int(high) - start) // width + 1
            edges: list[float] = [start + i * width for i in range(number + 1)]
            at = np.searchsorted(np.array(edges[1:-1], dtype=self.values.dtype), self.values, side="right")
        else:
            number = bins if low < high else 1
            part = np.arange(number + 1) / number
            # not low + part * (high - low), which may overflow; clipped, because rounding may lead beyond either end
            edges = np.maximum.accumulate(np.clip(low * (1 - part) + high * part, low, high)).tolist()
            at = np.searchsorted(np.array(edges[1:-1]), self.values, side="right")
        counts = np.zeros(number, np.int64)
        np.add.at(counts, at, self.weights)
        return edges, counts.tolist()
