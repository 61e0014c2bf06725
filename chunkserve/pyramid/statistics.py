"""What many elements have in common, gathered block by block and merged in any order."""

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypedDict

import numpy as np

from chunkserve.errors import Unsupported
from chunkserve.pyramid.measure import Measure, Number

PERCENTILES = (0.05, 0.1, 1, 2, 5, 25, 50, 75, 95, 98, 99, 99.9, 99.95)

BINS = 1024
"""Of a histogram, at most."""


class Kind(IntEnum):
    """Why an element is no measurement, if not for being NaN or infinite."""

    MASKED = 1
    """Said to be none: by ``_FillValue``, ``missing_value``, ``pixel_mask``."""
    SENTINEL = 2
    """All ones, for dead or saturated pixels; which of both is not known."""
    SATURATED = 3
    UNDERLOAD = 4
    EMPTY = 5
    """A voxel of a coarser level without any measurement; why is not known."""


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
    """Each element is counted once, in ``valid``, ``nan``, ``infinite`` or the count of its :class:`Kind`.

    ``null`` is what cannot be known.
    """

    count: int
    valid: int
    invalid: int | None  # nan + infinite
    nan: int | None
    infinite: int
    masked: int | None
    sentinel: int | None
    saturated: int | None
    underload: int | None
    empty: int | None
    values: MeasureDocument | None  # null if none is valid


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Counts of elements, and what is known of the valid ones. ``Statistics()`` is that of no elements."""

    count: int = 0
    nan: int = 0
    infinite: int = 0
    kinds: tuple[int, ...] = (0,) * len(Kind)
    """How many elements are of each :class:`Kind`."""
    values: Measure | None = None
    """Of those that are finite and of no kind; ``None`` if there are none."""

    @classmethod
    def from_block(cls, values: np.ndarray, kinds: np.ndarray | None = None) -> "Statistics":
        """Statistics of one block.

        Args:
            values: Booleans, integers or floats of any size, byte order and shape.
            kinds: uint8 of the same shape: the :class:`Kind` of elements that are no measurements, 0 of the others.

        Raises:
            Unsupported: The values are not real numbers.
        """
        if values.dtype.kind not in "buif":
            raise Unsupported(f"values of type {values.dtype} have no statistics")
        left = _plain(values.reshape(-1) if kinds is None else values[kinds == 0])
        nan = int(np.count_nonzero(np.isnan(left))) if left.dtype.kind == "f" else 0
        finite = left[np.isfinite(left)] if left.dtype.kind == "f" else left
        return cls(
            count=values.size,
            nan=nan,
            infinite=left.size - finite.size - nan,
            kinds=tuple(0 if kinds is None else int(np.count_nonzero(kinds == kind)) for kind in Kind),
            values=Measure.of(finite) if finite.size else None,
        )

    def merge(self, other: "Statistics") -> "Statistics":
        """Both together; blocks are of the same dtype."""
        return Statistics(
            count=self.count + other.count,
            nan=self.nan + other.nan,
            infinite=self.infinite + other.infinite,
            kinds=tuple(a + b for a, b in zip(self.kinds, other.kinds, strict=True)),
            values=self.values.merge(other.values) if self.values and other.values else self.values or other.values,
        )

    def to_json(self, known: Container[Kind] = frozenset(Kind), *, nan_known: bool = True) -> StatisticsDocument:
        """As a document.

        Args:
            known: Kinds that elements were looked at for; the counts of others are ``null``.
            nan_known: Whether NaN would have been seen.
        """
        of = {kind: n if kind in known else None for kind, n in zip(Kind, self.kinds, strict=True)}
        return {
            "count": self.count,
            "valid": self.values.count if self.values else 0,
            "invalid": self.nan + self.infinite if nan_known else None,
            "nan": self.nan if nan_known else None,
            "infinite": self.infinite,
            "masked": of[Kind.MASKED],
            "sentinel": of[Kind.SENTINEL],
            "saturated": of[Kind.SATURATED],
            "underload": of[Kind.UNDERLOAD],
            "empty": of[Kind.EMPTY],
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
