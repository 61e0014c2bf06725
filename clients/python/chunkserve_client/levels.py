"""Pyramids: coarser levels of a dataset, pictures and statistics of it."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkserve_client.arrays import Array
from chunkserve_client.errors import NotFound, NotSupported
from chunkserve_client.place import Place
from chunkserve_client.stored import Stored, stored
from chunkserve_client.types import HdfType

TILE = 512
"""Pixels of the largest thumbnail that is asked for as one tile."""


@dataclass(frozen=True)
class LevelInfo:
    """A level of a pyramid.

    Attributes:
        level: Its number; 0 is the dataset.
        shape: Of the level.
        factors: Elements of the dataset per element of the level, along each axis.
    """

    level: int
    shape: tuple[int, ...]
    factors: tuple[float, ...]


@dataclass(frozen=True, repr=False)
class Picture:
    """An encoded picture, which notebooks show.

    Attributes:
        data: Bytes of a file.
        media: Its media type.
    """

    data: bytes
    media: str = "image/png"

    def __repr__(self) -> str:
        return f"<picture, {self.media}, {len(self.data)} bytes>"

    def _repr_png_(self) -> bytes | None:
        return self.data if self.media == "image/png" else None

    def save(self, path: str) -> None:
        """Write the file."""
        with open(path, "wb") as out:
            out.write(self.data)


class Level(Array):
    """A coarser copy of a dataset, which reads like it."""

    def __init__(self, place: Place, found: Stored) -> None:
        """The level at ``place``, as its Zarr document describes it."""
        message = {"class": _class(found.dtype), "dtype": found.dtype.str}
        super().__init__(place, found.shape, HdfType(message), found.names)
        self.chunks = found.key
        self._known = found

    async def _stored(self) -> Stored:
        return self._known


def _class(dtype: np.dtype[Any]) -> str:
    return {"f": "float", "b": "bool", "c": "complex"}.get(dtype.kind, "integer")


async def group_document(place: Place) -> dict[str, Any]:
    """What OME-Zarr says of a dataset: the ``multiscales`` block.

    Raises:
        NotSupported: It has no pyramid.
    """
    url = place.url("ome", "zarr.json") if not place.view else f"{_group(place)}/zarr.json"
    try:
        document = await place.transport.json(url)
    except (NotFound, NotSupported) as error:
        raise NotSupported(
            f"{place.path} has no pyramid: only numbers of two to five axes have one", error.url
        ) from None
    found: dict[str, Any] = document["attributes"]["ome"]["multiscales"][0]
    return found


def _group(place: Place) -> str:
    return replace(place, level=1).chunks().removesuffix("/1")


async def open_level(place: Place) -> Level:
    """A level by its place.

    Raises:
        NotFound: There is none of that number.
    """
    try:
        document = await place.transport.json(f"{place.chunks()}/zarr.json")
    except NotFound as error:
        raise NotFound(f"there is no level {place.level}; .levels says which there are", error.url) from None
    return Level(place, stored(document))


async def level_infos(place: Place, shape: tuple[int, ...]) -> list[LevelInfo]:
    """All levels of a dataset, the finest first."""
    document = await group_document(place)
    scales = [
        next(t["scale"] for t in dataset["coordinateTransformations"] if t["type"] == "scale")
        for dataset in document["datasets"]
    ]
    found = []
    for number, scale in enumerate(scales):
        extent = shape
        if number:
            extent = (await open_level(replace(place, level=number))).shape
        factors = tuple(float(s) / float(base) for s, base in zip(scale, scales[0], strict=True))
        found.append(LevelInfo(number, extent, factors))
    return found


async def thumbnail(place: Place, size: int, options: dict[str, Any]) -> Picture:
    """A picture of a plane whose sides are at most ``size`` pixels: the Deep Zoom level of that size."""
    if not 1 <= size <= TILE:
        raise ValueError(f"a thumbnail has up to {TILE} pixels, not {size}; larger planes are read by level()")
    query = {name: str(value) for name, value in options.items()}
    finest = (await plane_info(place, query))["levels"][0]
    side = max(finest["width"], finest["height"])
    halvings = max(0, math.ceil(math.log2(side / size)))
    level = math.ceil(math.log2(side)) - halvings
    url = place.url("dzi", **(query | {"tile": str(TILE)}))
    path, _, asked = url.partition("?")
    return Picture(bytes((await place.transport.get(f"{path}_files/{level}/0_0.png?{asked}")).body))


async def plane_info(place: Place, query: dict[str, str]) -> dict[str, Any]:
    """What the server says of the planes of a dataset: levels, the finest first, and the window of contrast."""
    shown = {name: query[name] for name in ("axes", "method", "index") if name in query}
    found: dict[str, Any] = await place.transport.json(place.url("tiles", "info.json", **shown))
    return found | {"levels": sorted(found["levels"], key=lambda level: int(level["level"]))}
