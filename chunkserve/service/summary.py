"""Extremes, mean and standard deviation of numbers that come in blocks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from chunkserve.pyramid.span import greatest_of, least_of


@dataclass(frozen=True)
class Summary:
    """Of finite numbers; all but ``count`` are ``None`` if there is none.

    ``positive_min`` is the least of those that are at least zero, ``strict_positive_min`` of those above it.
    """

    count: int = 0
    min: float | int | None = None
    max: float | int | None = None
    positive_min: float | int | None = None
    strict_positive_min: float | int | None = None
    mean: float | None = None
    std: float | None = None


def summarise(blocks: Iterable[np.ndarray]) -> Summary:
    """Summarise blocks of one real or boolean dtype.

    NaN and infinities are left out.
    """
    total = Summary()
    with np.errstate(over="ignore", invalid="ignore"):
        for values in blocks:
            finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.reshape(-1)
            if finite.size:
                total = _merged(total, _of(finite))
    return total


def _of(values: np.ndarray) -> Summary:
    number = float if values.dtype.kind == "f" else int
    wide = values.astype(np.float64, copy=False)
    positive, strict = values[values >= 0], values[values > 0]
    return Summary(
        values.size,
        number(values.min()),
        number(values.max()),
        number(positive.min()) if positive.size else None,
        number(strict.min()) if strict.size else None,
        float(wide.mean()),
        float(wide.std()),
    )


def _merged(a: Summary, b: Summary) -> Summary:
    """Of both together (Chan, Golub, LeVeque 1979)."""
    if not a.count:
        return b
    assert a.mean is not None
    assert a.std is not None
    assert b.mean is not None
    assert b.std is not None
    count = a.count + b.count
    step = b.mean - a.mean
    squares = a.std**2 * a.count + b.std**2 * b.count + step**2 * a.count * b.count / count
    return Summary(
        count,
        least_of(a.min, b.min),
        greatest_of(a.max, b.max),
        least_of(a.positive_min, b.positive_min),
        least_of(a.strict_positive_min, b.strict_positive_min),
        a.mean + step * b.count / count,
        math.sqrt(squares / count),
    )
