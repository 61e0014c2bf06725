"""Coordinates of an axis as a spacing: where voxels are, if they are regularly spaced."""

from dataclasses import dataclass
from typing import Any

import numpy as np

TOLERANCE = 1e-4
"""By how much of a step a coordinate may be off the straight line."""

_ROUNDED = 1e-2
"""The same for coordinates that cannot be closer to it in their own precision, as float32 far from zero."""

_RANGE = 1e-100, 1e100
"""Steps between which a pyramid's scales can be computed with and no physics is lost."""


@dataclass(frozen=True)
class Spacing:
    """Voxel ``i`` has its centre at ``translation + i * scale``; ``scale`` is positive, both are finite."""

    scale: float
    translation: float


def spacing(values: np.ndarray[Any, Any], size: int) -> Spacing | None:
    """The spacing of an axis, ``None`` if it is not regular.

    Descending coordinates keep their spacing but not their origin (translation 0): scales must be positive, and the
    first value with a positive scale would put every other voxel on its wrong side.

    Args:
        values: One coordinate per voxel, or, as NXdata has it for histograms, the ``size + 1`` edges between them. 1-D,
            any real dtype, at least two.
        size: Extent of the axis.
    """
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not 2 <= len(values) <= size + 1 or len(values) < size:
        return None
    found = values.astype(np.float64)
    if not np.isfinite(found).all():
        return None
    first, last = float(found[0]), float(found[-1])
    step = (last - first) / (len(found) - 1)
    if not _RANGE[0] <= abs(step) <= _RANGE[1] or abs(first) > _RANGE[1] or not _straight(values, found, step):
        return None
    if step < 0:
        return Spacing(-step, 0.0)
    edges = len(found) == size + 1
    return Spacing(step, first + step / 2 if edges else first)


def _straight(values: np.ndarray[Any, Any], found: np.ndarray[Any, Any], step: float) -> bool:
    resolution = float(np.finfo(values.dtype).eps) * float(np.abs(found).max()) if values.dtype.kind == "f" else 0.0
    slack = max(TOLERANCE * abs(step), min(resolution, _ROUNDED * abs(step)))
    return bool((np.abs(found - (found[0] + step * np.arange(len(found)))) <= slack).all())
