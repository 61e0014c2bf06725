"""Rulers along axes: the coordinates of a dataset's elements as viewers label ticks with them."""

from typing import Any, NotRequired, TypedDict

import numpy as np

from chunkserve.metadata.spacing import spacing
from chunkserve.service.coordinates import coordinates_of
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids

MOST_VALUES = 10_000
"""Coordinates that are told one by one."""


class RulerDocument(TypedDict):
    """Where the elements along an axis are: ``start + i * step``, or at ``values`` if those are not regular."""

    unit: str
    start: NotRequired[float]
    step: NotRequired[float]
    values: NotRequired[list[float | None]]


def rulers(pyramids: Pyramids, pyramid: Pyramid) -> list[RulerDocument | None]:
    """A ruler for each axis of a pyramid's source; ``None`` where there are no coordinates, or too many."""
    array, shape = pyramid.array, pyramid.plan.shape
    found = coordinates_of(array.node, pyramids.context.nodes, shape, array.dimensions)
    return [
        _ruler(found.values[axis], extent, found.units.get(axis, "")) if axis in found.values else None
        for axis, extent in enumerate(shape)
    ]


def _ruler(values: np.ndarray[Any, Any], extent: int, unit: str) -> RulerDocument | None:
    descending = len(values) > 1 and values[-1] < values[0]
    regular = spacing(values[::-1] if descending else values, extent)
    if regular is not None and descending:
        last = regular.translation + regular.scale * (extent - 1)
        return {"unit": unit, "start": last, "step": -regular.scale}
    if regular is not None:
        return {"unit": unit, "start": regular.translation, "step": regular.scale}
    if len(values) != extent or extent > MOST_VALUES:
        return None
    return {"unit": unit, "values": [float(value) if np.isfinite(value) else None for value in values]}
