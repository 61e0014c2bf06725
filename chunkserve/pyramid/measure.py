"""Numbers about one or more elements: extremes, sum, mean, deviation, distribution. Merged in any order."""

import math
from dataclasses import dataclass

import numpy as np

from chunkserve.pyramid.distribution import Distribution

Number = int | float


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """Of ``count`` elements, at least one, integers or floats. What float64 cannot hold is infinite or NaN."""

    count: int
    min: Number
    max: Number
    min_positive: Number | None
    sum: Number
    """Exact for integers."""
    mean: float
    squares: float
    """The sum of squared distances from the mean."""
    distribution: Distribution

    @classmethod
    def of(cls, values: np.ndarray) -> "Measure":
        """Measure integers or floats, finite, in native byte order, one-dimensional."""
        found = Distribution.of(values)
        positive = found.values[np.searchsorted(found.values, 0, side="right") :]
        wide = values.astype(np.float64)
        total: Number
        with np.errstate(over="ignore", invalid="ignore"):
            total = _integer_sum(found) if values.dtype.kind in "iu" else float(wide.sum())
            mean = total / values.size
            wide -= mean
            squares = float(np.square(wide, out=wide).sum())
        return cls(
            count=values.size,
            min=found.values[0].item(),
            max=found.values[-1].item(),
            min_positive=positive[0].item() if len(positive) else None,
            sum=total,
            mean=mean,
            squares=squares,
            distribution=found.bounded(),
        )

    def merge(self, other: "Measure") -> "Measure":
        """Both together; ``other`` is of the same dtype.

        Chan, Golub, LeVeque: Algorithms for computing the sample variance, The American Statistician 37 (1983) 242.
        """
        count, total = self.count + other.count, self.sum + other.sum
        part = other.count / count
        step = other.mean - self.mean
        positive = [x.min_positive for x in (self, other) if x.min_positive is not None]
        return Measure(
            count=count,
            min=min(self.min, other.min),
            max=max(self.max, other.max),
            min_positive=min(positive, default=None),
            sum=total,
            mean=total / count if isinstance(total, int) else self.mean + step * part,
            squares=self.squares + other.squares + step * step * (self.count * part),
            distribution=self.distribution.merge(other.distribution),
        )

    @property
    def std(self) -> float:
        """The population's standard deviation, as ``numpy.std``."""
        return math.sqrt(self.squares / self.count)

    def windows(self) -> dict[str, tuple[Number, Number] | None]:
        """Contrast windows by name; they may be without extent, and ``None`` where no element is positive.

        ``minmax`` all; ``robust`` the 1st to the 99th percentile; ``stddev3`` three standard deviations about the
        mean, within all; ``log`` the positive ones.
        """
        low, high = self.distribution.percentiles((1, 99))
        return {
            "minmax": (self.min, self.max),
            "robust": (low, high),
            "stddev3": (max(self.min, self.mean - 3 * self.std), min(self.max, self.mean + 3 * self.std)),
            "log": None if self.min_positive is None else (self.min_positive, self.max),
        }


def _integer_sum(found: Distribution) -> int:
    """The exact sum: 64-bit values in halves of 32 bits, so that neither half's sum overflows."""
    if found.values.dtype.itemsize < 8:
        return int(np.dot(found.values.astype(np.int64), found.weights))
    bits = found.values.dtype.type(32)
    upper = found.values >> bits
    lower = found.values - (upper << bits)
    high, low = (int(np.dot(half.astype(np.int64), found.weights)) for half in (upper, lower))
    return (high << 32) + low
