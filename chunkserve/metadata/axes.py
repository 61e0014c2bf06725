"""Axes of a dataset as OME-Zarr 0.4 and 0.5 want them: two to five, in the order time, channel, space.

https://ngff.openmicroscopy.org/0.5/#multiscale-md. Arrays are served as they lie, never transposed; so it is the types
that give way where an array's order is another. Its dimension names say what an axis really is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chunkserve.errors import Unsupported
from chunkserve.grid import Shape
from chunkserve.metadata.halving import CHANNEL_NAMES, TIME_NAMES
from chunkserve.metadata.spacing import spacing
from chunkserve.metadata.units import SPACE_UNITS, TIME_UNITS, measures_time, unit_name

AxisType = Literal["space", "time", "channel"]

LEAST, MOST = 2, 5
"""Axes that an OME-Zarr document can describe."""

MOST_CHANNELS = 16
"""With more, an axis called channel is an analyser's, not a microscope's: viewers would open a layer for each."""

_SPACE_NAMES = frozenset({"x", "y", "z", "depth"})
_FOREIGN = re.compile(r"[^A-Za-z0-9_]+")
_UNITS = {"space": SPACE_UNITS, "time": TIME_UNITS, "channel": frozenset[str](), None: SPACE_UNITS | TIME_UNITS}


@dataclass(frozen=True)
class Axis:
    """One axis of an image.

    Attributes:
        name: Unique in the image, a letter followed by letters, digits and underscores (what Neuroglancer takes).
        type: ``None`` is anything else, such as the frames of a scan.
        unit: One of ``chunkserve.metadata.units``, or none.
        scale: Distance of voxels of level 0 in ``unit``; positive and finite.
        translation: Centre of the first one.
    """

    name: str
    type: AxisType | None
    unit: str | None = None
    scale: float = 1.0
    translation: float = 0.0


def image_axes(
    shape: Shape,
    names: tuple[str, ...],
    halved: tuple[bool, ...],
    coordinates: Mapping[int, np.ndarray[Any, Any]],
    units: Mapping[int, str],
) -> tuple[Axis, ...]:
    """Axes of a dataset.

    The last two are of type ``space``. A third is if it is halved, is called ``z``, has a length for its unit, or has
    nowhere else to go: of what precedes space there may be one axis of time and one other, in this order.

    Args:
        shape: Extents.
        names: Names of the dimensions.
        halved: Which of them the pyramid halves.
        coordinates: Values along a dimension, by its number; see :func:`chunkserve.metadata.spacing.spacing`.
        units: Their units, as written in the file.

    Raises:
        Unsupported: OME-Zarr has no documents for arrays of this rank.
    """
    rank = len(shape)
    if not LEAST <= rank <= MOST:
        raise Unsupported(f"OME-Zarr describes images of {LEAST} to {MOST} axes, this has {rank}")
    told = tuple(_told(names[i], units.get(i, ""), shape[i]) for i in range(rank))
    types = _types(told, halved)
    found = _names(shape, names, halved, told, types)
    return tuple(_axis(found[i], types[i], coordinates.get(i), units.get(i, ""), shape[i]) for i in range(rank))


def _told(name: str, unit: str, size: int) -> AxisType | None:
    """What name and unit of a dimension say that it is."""
    if name.lower() in TIME_NAMES or measures_time(unit):
        return "time"
    if name.lower() in CHANNEL_NAMES and size <= MOST_CHANNELS:
        return "channel"
    return "space" if name.lower() in _SPACE_NAMES or unit_name(unit) in SPACE_UNITS else None


def _types(told: tuple[AxisType | None, ...], halved: tuple[bool, ...]) -> tuple[AxisType | None, ...]:
    rank = len(told)
    third = rank - 3
    spatial = third >= 0 and (told[third] == "space" or (told[third] is None and halved[third]))
    nowhere_else = rank == MOST or (rank == 4 and told[0] != "time")
    count = 3 if spatial or nowhere_else else 2
    space: list[AxisType] = ["space"] * count
    before = rank - count
    if before == 2:
        return ("time", "channel" if told[1] == "channel" else None, *space)
    return (*(None if kind == "space" else kind for kind in told[:before]), *space)


def _names(
    shape: Shape,
    names: tuple[str, ...],
    halved: tuple[bool, ...],
    told: tuple[AxisType | None, ...],
    types: tuple[AxisType | None, ...],
) -> list[str]:
    """Letters for what viewers look for by letter, the dimensions' own names for the rest."""
    space = [i for i, kind in enumerate(types) if kind == "space"]
    image = [i for i in space if halved[i] or shape[i] <= 1]
    if len(image) < 2:
        image = space[-2:]
    letters = dict(zip(image, "zyx"[-len(image) :], strict=True))
    letters |= {i: kind[0] for i, kind in enumerate(types) if kind in ("time", "channel") and told[i] == kind}
    taken = set(letters.values())
    found = []
    for i, name in enumerate(names):
        chosen = letters.get(i) or _free(_FOREIGN.sub("_", name).lstrip("_0123456789") or f"dim_{i}", taken)
        taken.add(chosen)
        found.append(chosen)
    return found


def _free(name: str, taken: set[str]) -> str:
    candidate, n = name, 0
    while candidate in taken:
        n += 1
        candidate = f"{name}_{n}"
    return candidate


def _axis(name: str, kind: AxisType | None, values: np.ndarray[Any, Any] | None, unit: str, size: int) -> Axis:
    regular = spacing(values, size) if values is not None else None
    if regular is None:
        return Axis(name, kind)
    return Axis(name, kind, axis_unit(unit, kind), regular.scale, regular.translation)


def axis_unit(text: str, kind: AxisType | None) -> str | None:
    """A unit by its name, if it is one that an axis of this type may have."""
    known = unit_name(text)
    return known if known in _UNITS[kind] else None
