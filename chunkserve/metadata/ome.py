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
class Image:
    """What a document says of an image and its levels.

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


def multiscales_v05(image: Image) -> Document:
    """Attributes of a Zarr v3 group. ``omero`` is there twice: Neuroglancer releases look for it at the root only."""
    omero = _omero(image)
    ome: Document = {"version": "0.5", "multiscales": [_multiscale(image)], **omero}
    return {"ome": ome, **omero}


def multiscales_v04(image: Image) -> Document:
    """Attributes (``.zattrs``) of a Zarr v2 group."""
    return {"multiscales": [{"version": "0.4", **_multiscale(image)}], **_omero(image)}


def _multiscale(image: Image) -> Document:
    return {
        "name": image.name,
        "axes": [_axis(axis) for axis in image.axes],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transformations(image, factor)}
            for level, factor in enumerate(image.factors)
        ],
        "type": image.method,
        "metadata": {
            "description": f"A voxel is {_DESCRIPTIONS[image.method]}.",
            "method": "chunkserve",
            "kwargs": {"method": image.method, "factors": [list(factor) for factor in image.factors]},
        },
    }


def _axis(axis: Axis) -> Document:
    unit: Document = {} if axis.unit is None else {"unit": axis.unit}
    return {"name": axis.name, "type": axis.type or _OTHER, **unit}


def _transformations(image: Image, factors: Shape) -> Json:
    """Scale, then translation, of a level: positions of voxel centres.

    The first block of ``f`` voxels has its centre (f - 1) / 2 voxels behind that of the first voxel, which keeps the
    outer edge where it was. A voxel that was only picked stays where it is.
    """
    pairs = list(zip(image.axes, factors, strict=True))
    behind = 0.0 if image.method == "stride" else 0.5
    scale: Json = [axis.scale * factor for axis, factor in pairs]
    translation: Json = [axis.translation + axis.scale * (factor - 1) * behind for axis, factor in pairs]
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]


def _omero(image: Image) -> Document:
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


def _extent(image: Image, kind: str) -> int:
    return next((n for axis, n in zip(image.axes, image.shape, strict=True) if axis.type == kind), 0)


def _default_z(image: Image) -> int:
    """The middle section, or the nearest to it that the coarsest level has too: Viv asks all levels for the same."""
    for i, axis in enumerate(image.axes):
        if axis.name == "z":
            size, factor = image.shape[i], image.factors[-1][i]
            return max(0, min(size // 2, -(-size // factor) - 1))
    return 0
