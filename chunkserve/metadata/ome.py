"""OME-Zarr documents of an image: the attributes of its group, in versions 0.5 (Zarr v3) and 0.4 (Zarr v2).

https://ngff.openmicroscopy.org/0.5/ and https://ngff.openmicroscopy.org/0.4/
"""

import math
from dataclasses import dataclass

from chunkserve.grid import Shape
from chunkserve.metadata.axes import Axis
from chunkserve.metadata.documents import Document
from chunkserve.metadata.values import Json
from chunkserve.pyramid.partial import Method

_DESCRIPTIONS: dict[Method, str] = {
    "mean": "the mean of a block of voxels",
    "max": "the greatest of a block of voxels",
    "min": "the least of a block of voxels",
    "mode": "the most frequent of a block of voxels",
    "stride": "the first of a block of voxels",
}

_OTHER = "other"
"""The type of an axis that is neither space, time nor channel. With none at all the published schemas count it as
space (their ``contains`` demands nothing), and four axes would be one too many."""


@dataclass(frozen=True)
class Window:
    """Contrast: values from ``start`` (black) to ``end`` (white), adjustable between ``min`` and ``max``."""

    start: float
    end: float
    min: float
    max: float

    def is_usable(self) -> bool:
        """Whether a viewer can map values by it."""
        return all(map(math.isfinite, (self.start, self.end, self.min, self.max))) and self.start < self.end


@dataclass(frozen=True)
class Place:
    """Where the voxels of a level are: their distance, positive, and the centre of the first, along every axis."""

    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Image:
    """What a document says of an image and its computed levels.

    Attributes:
        name: Shown to people.
        axes: One per dimension.
        shape: Extent of level 0.
        factors: By level, voxels of level 0 along each axis that make one; level 0 is all ones, its array called ``0``.
        method: How a block of voxels becomes one.
        window: Contrast, if it is known.
    """

    name: str
    axes: tuple[Axis, ...]
    shape: Shape
    factors: tuple[Shape, ...]
    method: Method
    window: Window | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """By level.

        The first block of ``f`` voxels has its centre (f - 1) / 2 voxels behind that of the first voxel, which keeps
        the outer edge where it was. A voxel that was only picked stays where it is.
        """
        behind = 0.0 if self.method == "stride" else 0.5
        found = []
        for factors in self.factors:
            pairs = list(zip(self.axes, factors, strict=True))
            centres = tuple(axis.translation + axis.scale * (f - 1) * behind for axis, f in pairs)
            found.append(Place(tuple(axis.scale * f for axis, f in pairs), centres))
        return tuple(found)

    @property
    def coarsest(self) -> Shape:
        """Extent of the last level."""
        return tuple(-(-n // f) for n, f in zip(self.shape, self.factors[-1], strict=True))

    @property
    def origin(self) -> Document:
        """Where levels come from."""
        return {
            "type": self.method,
            "metadata": {
                "description": f"A voxel is {_DESCRIPTIONS[self.method]}.",
                "method": "chunkserve",
                "kwargs": {"method": self.method, "factors": [list(factor) for factor in self.factors]},
            },
        }


@dataclass(frozen=True)
class StoredImage:
    """What a document says of an image whose levels are in the file.

    Attributes:
        name: Shown to people.
        axes: One per dimension.
        shapes: Extents of the levels, the array of each called by its number.
        places: Where their voxels are.
        window: Contrast, if it is known.
    """

    name: str
    axes: tuple[Axis, ...]
    shapes: tuple[Shape, ...]
    places: tuple[Place, ...]
    window: Window | None = None

    @property
    def shape(self) -> Shape:
        """Extent of level 0."""
        return self.shapes[0]

    @property
    def coarsest(self) -> Shape:
        """Extent of the last level."""
        return self.shapes[-1]

    @property
    def origin(self) -> Document:
        """Where levels come from."""
        return {"type": "stored", "metadata": {"description": "The file holds all levels.", "method": "stored"}}


AnyImage = Image | StoredImage


def multiscales_v05(image: AnyImage) -> Document:
    """Attributes of a Zarr v3 group. ``omero`` is there twice: Neuroglancer releases look for it at the root only."""
    omero = _omero(image)
    ome: Document = {"version": "0.5", "multiscales": [_multiscale(image)], **omero}
    return {"ome": ome, **omero}


def multiscales_v04(image: AnyImage) -> Document:
    """Attributes (``.zattrs``) of a Zarr v2 group."""
    return {"multiscales": [{"version": "0.4", **_multiscale(image)}], **_omero(image)}


def _multiscale(image: AnyImage) -> Document:
    return {
        "name": image.name,
        "axes": [_axis(axis) for axis in image.axes],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": list(place.scale)},
                    {"type": "translation", "translation": list(place.translation)},
                ],
            }
            for level, place in enumerate(image.places)
        ],
        **image.origin,
    }


def _axis(axis: Axis) -> Document:
    unit: Document = {} if axis.unit is None else {"unit": axis.unit}
    return {"name": axis.name, "type": axis.type or _OTHER, **unit}


def _omero(image: AnyImage) -> Document:
    """The ``omero`` block, if contrast is known: vizarr needs a window, one channel per element of its axis.

    Channels are white, and only the first is shown: nothing in a file says which colours to mix.
    """
    if image.window is None or not image.window.is_usable():
        return {}
    w = image.window
    window: Document = {"start": w.start, "end": w.end, "min": min(w.min, w.start), "max": max(w.max, w.end)}
    count = max(1, _extent(image, "channel"))
    channels: list[Json] = [
        {
            "active": i == 0,
            "color": "FFFFFF",
            "label": image.name if count == 1 else str(i),
            "window": dict(window),
        }
        for i in range(count)
    ]
    model = "greyscale" if count == 1 else "color"
    rdefs: Document = {"defaultT": 0, "defaultZ": _default_z(image), "model": model}
    return {"omero": {"name": image.name, "channels": channels, "rdefs": rdefs}}


def _extent(image: AnyImage, kind: str) -> int:
    return next((n for axis, n in zip(image.axes, image.shape, strict=True) if axis.type == kind), 0)


def _default_z(image: AnyImage) -> int:
    """The middle section, or the nearest to it that the coarsest level has too: Viv asks all levels for the same."""
    for i, axis in enumerate(image.axes):
        if axis.name == "z":
            return max(0, min(image.shape[i] // 2, image.coarsest[i] - 1))
    return 0
