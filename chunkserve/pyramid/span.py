"""What is known of the values under a block: how many count, and between which extremes they lie."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Number = float | int


def least_of(*values: Number | None) -> Number | None:
    """The least of those there are."""
    return min((value for value in values if value is not None), default=None)


def greatest_of(*values: Number | None) -> Number | None:
    """The greatest of those there are."""
    return max((value for value in values if value is not None), default=None)


@dataclass(frozen=True)
class Span:
    """What some source voxels are like.

    Attributes:
        total: Voxels.
        valid: Those that count.
        least, greatest: Of the valid ones; ``None`` without any, NaN if one that counts is.
    """

    total: int
    valid: int
    least: Number | None
    greatest: Number | None

    def merge(self, other: "Span") -> "Span":
        """Both together."""
        return Span(
            self.total + other.total,
            self.valid + other.valid,
            least_of(self.least, other.least),
            greatest_of(self.greatest, other.greatest),
        )

    def may_hold(self, value: Any) -> bool:
        """Whether a value may be among them: not if it lies beyond the extremes. NaN may if one of these is."""
        if self.least is None or self.greatest is None:
            return False
        if value != value:  # noqa: PLR0124 - NaN
            return self.least != self.least
        return not (value < self.least or value > self.greatest)

    def may_exceed(self, limit: float) -> bool:
        """Whether one of them may be greater."""
        return self.greatest is not None and not self.greatest <= limit

    def may_fall_below(self, limit: float) -> bool:
        """Whether one of them may be less."""
        return self.least is not None and not self.least >= limit


ANYTHING = Span(0, 0, math.nan, math.nan)
"""Of values nothing is known of."""


def merged_span(spans: Iterable[Span]) -> Span:
    """All of them together; there is at least one."""
    return functools.reduce(Span.merge, spans)


def span_of(values: np.ndarray, valid: np.ndarray | None = None) -> Span:
    """The span of real values.

    Args:
        values: Of any shape, not empty.
        valid: Which of them count; ``None`` if all do.
    """
    if valid is None:
        return Span(values.size, values.size, values.min().item(), values.max().item())
    count = int(np.count_nonzero(valid))
    if not count:
        return Span(values.size, 0, None, None)
    bottom, top = _bounds(values.dtype)
    least, greatest = filled(values, valid, top).min().item(), filled(values, valid, bottom).max().item()
    return Span(values.size, count, least, greatest)


def filled(values: np.ndarray, valid: np.ndarray, value: Any) -> np.ndarray:
    """Values with another in place of those that do not count. Four times as fast as ``np.where``."""
    out = values.copy()
    np.copyto(out, values.dtype.type(value), where=~valid)
    return out


def _bounds(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "f":
        return -np.inf, np.inf
    if dtype.kind == "b":
        return False, True
    limits = np.iinfo(dtype)
    return limits.min, limits.max
