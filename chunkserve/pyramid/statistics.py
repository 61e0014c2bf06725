"""What many elements have in common, gathered block by block and merged in any order."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from chunkserve.errors import Unsupported
from chunkserve.pyramid.measure import Measure, Number

PERCENTILES = (0.05, 0.1, 1, 2, 5, 25, 50, 75, 95, 98, 99, 99.9, 99.95)

BINS = 1024
"""Of a histogram, at most."""


class HistogramDocument(TypedDict):
    """``counts[i]`` elements are at least ``edges[i]`` and below ``edges[i + 1]``; floats may equal the last edge."""

    edges: list[Number]
    counts: list[int]


class MeasureDocument(TypedDict):
    """Numbers about the valid elements; ``null`` is what float64 cannot hold."""

    min: Number
    max: Number
    min_positive: Number | None  # null also if none is positive
    sum: Number | None  # exact for integers
    mean: float | None
    std: float | None  # of the population, as numpy.std
    percentiles: dict[str, float | None]  # by their percents, as text
    histogram: HistogramDocument
    exact: bool  # whether percentiles and histogram are; all else always is
    windows: dict[str, list[Number | None] | None]  # suggestions for vmin and vmax; see Measure.windows


class StatisticsDocument(TypedDict):
    """Each element is counted once: ``count`` = ``valid`` + ``masked`` + ``nan`` + ``infinite`` + ``saturated``."""

    count: int
    valid: int
    invalid: int  # nan + infinite
    nan: int
    infinite: int
    masked: int
    saturated: int
    values: MeasureDocument | None  # null if none is valid


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Counts of elements, and what is known of the valid ones. ``Statistics()`` is that of no elements."""

    count: int = 0
    masked: int = 0
    nan: int = 0
    infinite: int = 0
    saturated: int = 0
    values: Measure | None = None
    """Of those that are finite, neither masked nor saturated; ``None`` if there are none."""

    @classmethod
    def from_block(
        cls, values: np.ndarray, valid: np.ndarray | None = None, saturation: float | None = None
    ) -> "Statistics":
        """Statistics of one block.

        Args:
            values: Booleans, integers or floats of any size, byte order and shape.
            valid: bool of the same shape, False where elements are masked.
            saturation: Elements of this value or more are counted but not measured.

        Raises:
            Unsupported: The values are not real numbers.
        """
        if values.dtype.kind not in "buif":
            raise Unsupported(f"values of type {values.dtype} have no statistics")
        unmasked = _plain(values.reshape(-1) if valid is None else values[valid])
        nan = int(np.count_nonzero(np.isnan(unmasked))) if unmasked.dtype.kind == "f" else 0
        finite = unmasked[np.isfinite(unmasked)] if unmasked.dtype.kind == "f" else unmasked
        kept = finite if saturation is None else finite[_below(finite, saturation)]
        return cls(
            count=values.size,
            masked=values.size - unmasked.size,
            nan=nan,
            infinite=unmasked.size - finite.size - nan,
            saturated=finite.size - kept.size,
            values=Measure.of(kept) if kept.size else None,
        )

    def merge(self, other: "Statistics") -> "Statistics":
        """Both together; blocks are of the same dtype."""
        return Statistics(
            count=self.count + other.count,
            masked=self.masked + other.masked,
            nan=self.nan + other.nan,
            infinite=self.infinite + other.infinite,
            saturated=self.saturated + other.saturated,
            values=self.values.merge(other.values) if self.values and other.values else self.values or other.values,
        )

    def to_json(self) -> StatisticsDocument:
        """As a document."""
        return {
            "count": self.count,
            "valid": self.values.count if self.values else 0,
            "invalid": self.nan + self.infinite,
            "nan": self.nan,
            "infinite": self.infinite,
            "masked": self.masked,
            "saturated": self.saturated,
            "values": _document(self.values) if self.values else None,
        }


def merged(blocks: Iterable[Statistics]) -> Statistics:
    """Statistics of all blocks together."""
    total = Statistics()
    for block in blocks:
        total = total.merge(block)
    return total


def _plain(values: np.ndarray) -> np.ndarray:
    """One-dimensional values as integers or floats of native byte order, no wider than 64 bits."""
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    if values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # beyond float64 is infinite
            return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _below(values: np.ndarray, saturation: float) -> np.ndarray:
    """Where values are below; compared as float64 where they are floats, which may be narrower."""
    limit = np.float64(saturation) if values.dtype.kind == "f" else saturation
    return np.asarray(values < limit)


def _document(measure: Measure) -> MeasureDocument:
    percentiles = measure.distribution.percentiles(PERCENTILES)
    edges, counts = measure.distribution.histogram(measure.min, measure.max, BINS)
    return {
        "min": measure.min,
        "max": measure.max,
        "min_positive": measure.min_positive,
        "sum": _finite(measure.sum),
        "mean": _finite(measure.mean),
        "std": _finite(measure.std),
        "percentiles": {f"{p:g}": _finite(v) for p, v in zip(PERCENTILES, percentiles, strict=True)},
        "histogram": {"edges": edges, "counts": counts},
        "exact": measure.distribution.exact,
        "windows": {name: w and [_finite(v) for v in w] for name, w in measure.windows().items()},
    }


def _finite(value: Number) -> Number | None:
    # Python's integers may be larger than any float
    return value if isinstance(value, int) or math.isfinite(value) else None
