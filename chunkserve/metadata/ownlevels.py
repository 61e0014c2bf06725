"""Pyramids that files hold already: what Imaris and BigDataViewer claim of their levels, and whether it holds.

- Imaris: ``ResolutionLevel {r}/TimePoint {t}/Channel {c}/Data``, extents in ``DataSetInfo/Image``
  (https://imaris.oxinst.com/support/imaris-file-format)
- BigDataViewer: ``t{t}/s{s}/{level}/cells``, factors in ``s{s}/resolutions`` (https://imagej.net/plugins/bdv)

Groups with OME-Zarr's attributes are in :mod:`chunkserve.metadata.multiscales`.
"""

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkserve.grid import Shape
from chunkserve.metadata.axes import Axis, axis_unit
from chunkserve.metadata.dimensions import find
from chunkserve.metadata.ome import Place
from chunkserve.metadata.values import Json, attribute_json
from chunkserve.model import Attribute

Path = tuple[str, ...]
"""Node names from the root of a file."""

MOST_LEVELS = 32

_FINEST = "ResolutionLevel 0"
_RESOLUTION = re.compile(r"ResolutionLevel (0|[1-9][0-9]{0,3})\Z")
_BDV = (re.compile(r"t[0-9]{5,9}\Z"), re.compile(r"s[0-9]{2,9}\Z"), re.compile(r"0\Z"), re.compile(r"cells\Z"))
_VOLUME = ("z", "y", "x")


@dataclass(frozen=True)
class Claim:
    """The levels of one image, as a file claims them.

    Attributes:
        name: Of the image, shown to people.
        paths: The levels' datasets, the finest first.
        axes: One per dimension; scale and translation are those of level 0.
        places: Where voxels are, by level; ``None`` if it follows from the levels' sizes.
    """

    name: str
    paths: tuple[Path, ...]
    axes: tuple[Axis, ...]
    places: tuple[Place, ...] | None = None


# ----------------------------------------------------------------------- Imaris


def imaris_place(path: Path) -> int | None:
    """Where ``ResolutionLevel 0`` stands in the path of a finest dataset; ``None`` if it is no such path."""
    return path.index(_FINEST) if path[-1:] == ("Data",) and _FINEST in path[:-1] else None


def imaris_claim(path: Path, siblings: Iterable[str], image: tuple[Attribute, ...], size: Shape) -> Claim:
    """The levels beside a finest dataset.

    Args:
        path: Of the dataset.
        siblings: Names beside ``ResolutionLevel 0``.
        image: Attributes of ``DataSetInfo/Image``, empty if there is none.
        size: Extent of the dataset.

    Raises:
        ValueError: A level is missing.
    """
    at = path.index(_FINEST)
    numbers = sorted(int(found[1]) for found in map(_RESOLUTION.match, siblings) if found)
    if numbers != list(range(len(numbers))):
        raise ValueError(f"of the resolution levels only {numbers} are there")
    paths = tuple((*path[:at], f"ResolutionLevel {r}", *path[at + 1 :]) for r in numbers)
    unit = axis_unit(str(_told(image, b"Unit")), "space")
    axes = []
    for name, number, n in zip(_VOLUME, (2, 1, 0), size, strict=True):
        low, high = _number(image, b"ExtMin%d" % number), _number(image, b"ExtMax%d" % number)
        if low is None or high is None or not 0 < high - low < math.inf:
            axes.append(Axis(name, "space"))
        else:
            axes.append(Axis(name, "space", unit, (high - low) / n, low + (high - low) / n / 2))
    return Claim(" ".join(path[at + 1 : -1]) or path[-1], paths, tuple(axes))


def imaris_extent(channel: tuple[Attribute, ...], shape: Shape) -> Shape | None:
    """The extent of what was measured, without the padding to whole chunks; ``None`` if it is not told.

    Args:
        channel: Attributes of the group that holds the dataset.
        shape: The dataset's.
    """
    told = [_number(channel, b"ImageSize" + letter) for letter in (b"Z", b"Y", b"X")]
    if len(shape) != 3 or not all(size in range(1, n + 1) for size, n in zip(told, shape, strict=True)):
        return None
    return tuple(int(size) for size in told if size is not None)


def _told(attributes: tuple[Attribute, ...], name: bytes) -> Json:
    """An attribute's value; Imaris writes texts, and numbers too, as arrays of single characters."""
    attribute = find(attributes, name)
    if attribute is None:
        return ""
    try:
        value = attribute_json(attribute)
    except ValueError:
        return ""
    return "".join(map(str, value)) if isinstance(value, list) else value


def _number(attributes: tuple[Attribute, ...], name: bytes) -> float | None:
    try:
        found = float(str(_told(attributes, name)))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


# ---------------------------------------------------------------- BigDataViewer


def bdv_setup(path: Path) -> Path | None:
    """The group of the setup that a finest dataset belongs to; ``None`` if it is no such path."""
    tail = path[-4:]
    if len(tail) < 4 or not all(pattern.match(name) for pattern, name in zip(_BDV, tail, strict=True)):
        return None
    return (*path[:-4], tail[1])


def bdv_claim(path: Path, resolutions: np.ndarray[Any, Any]) -> Claim:
    """The levels of a setup at a time.

    Args:
        path: Of the finest dataset.
        resolutions: Voxels of level 0 that make one, real, shape (levels, 3), in the order x, y, z.

    Raises:
        ValueError: These are no factors.
    """
    factors = resolutions.astype(np.float64)
    usable = factors.ndim == 2 and factors.shape[1] == 3 and len(factors) <= MOST_LEVELS
    if not usable or not (np.isfinite(factors) & (factors > 0)).all():
        raise ValueError("resolutions are no factors")
    paths = tuple((*path[:-2], str(level), path[-1]) for level in range(len(factors)))
    places = tuple(Place(tuple(row), tuple((f - 1) / 2 for f in row)) for row in factors[:, ::-1].tolist())
    return Claim(" ".join(path[-4:-2]), paths, tuple(Axis(name, "space") for name in _VOLUME), places)


# ----------------------------------------------------------------------- levels


def placed(claim: Claim, shapes: tuple[Shape, ...], dtypes: tuple[np.dtype[Any], ...]) -> tuple[Place, ...]:
    """Where the voxels of every level are, if its datasets bear the claim out.

    If only sizes are known, all levels reach from the same edge to the same edge.

    Args:
        claim: What the file says.
        shapes: Extents of the levels.
        dtypes: Of the levels.

    Raises:
        ValueError: They do not; the message says why.
    """
    rank = len(claim.axes)
    if len({dtype.newbyteorder("=") for dtype in dtypes}) > 1:
        raise ValueError(f"levels have the dtypes {dtypes}")
    if not 2 <= len(shapes) <= MOST_LEVELS:
        raise ValueError(f"there is no pyramid of {len(shapes)} levels")
    if any(len(shape) != rank or 0 in shape for shape in shapes):
        raise ValueError(f"not every level has {rank} axes")
    for fine, coarse in itertools.pairwise(shapes):
        if coarse == fine or any(b > a for a, b in zip(fine, coarse, strict=True)):
            raise ValueError(f"a level of {coarse} is not coarser than one of {fine}")
    places = claim.places if claim.places is not None else tuple(_by_size(claim, shapes[0], n) for n in shapes)
    for shape, place in zip(shapes, places, strict=True):
        _check(shapes[0], places[0], shape, place)
    return places


def _by_size(claim: Claim, finest: Shape, shape: Shape) -> Place:
    scale = tuple(axis.scale * n / m for axis, n, m in zip(claim.axes, finest, shape, strict=True))
    moved = zip(claim.axes, scale, strict=True)
    return Place(scale, tuple(axis.translation + (s - axis.scale) / 2 for axis, s in moved))


def _check(finest: Shape, first: Place, shape: Shape, place: Place) -> None:
    """Whether a level has as many voxels as its scale lets expect: halving five voxels makes two or three."""
    if not all(map(math.isfinite, (*place.scale, *place.translation))) or min(place.scale) <= 0:
        raise ValueError(f"scale {place.scale}, translation {place.translation} place nothing")
    for n, s, m, t in zip(finest, first.scale, shape, place.scale, strict=True):
        if abs(n * (s / t) - m) >= 2:
            raise ValueError(f"a level of {shape} is not one of {finest} at the scale {place.scale}")
