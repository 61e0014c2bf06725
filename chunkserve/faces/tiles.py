"""Image tiles: ``/tiles/{file}/{dataset}/{level}/{row}/{col}.png``, ``.../xyz/{z}/{x}/{y}.png``, ``/dzi/...``.

What is drawn, and how, stands in the query or in matrix parameters of the first segment. A tile without ``vmin`` and
``vmax`` has the dataset's window, never its own.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from chunkserve.cache.recent import Recent
from chunkserve.errors import BadRequest, NotFound
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.grid import Box, chunk_box, whole
from chunkserve.render.colour import shade
from chunkserve.render.deepzoom import DeepZoom
from chunkserve.render.image import MEDIA, encode
from chunkserve.render.npy import npy
from chunkserve.render.palette import palette
from chunkserve.render.style import PARAMETERS as STYLE
from chunkserve.render.style import Style, parse_style
from chunkserve.service.blob import blob_of
from chunkserve.service.rulers import rulers
from chunkserve.service.store import Answer, Store
from chunkserve.service.tiles import Pixels, Plane
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({*STYLE, "axes", "dtype", "index", "method", "tile", "v"})
"""Names of parameters that are known."""

PLANES = 1024
"""Planes remembered, per worker."""

DRAWN = 16384
"""Tiles remembered by URL, per worker; their bytes are in the memory cache."""

SIZES = (256, 512)
"""Edges of tiles, in pixels."""

_TILE = re.compile(r"(0|[1-9][0-9]{0,8})\.(png|webp|jpg|npy)\Z")
_DEEP = re.compile(r"(0|[1-9][0-9]{0,8})_(0|[1-9][0-9]{0,8})\.(png|webp|jpg)\Z")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")


class _Tile(NamedTuple):
    """A tile that is asked for."""

    dataset: tuple[str, ...]
    level: int
    row: int
    column: int
    form: str
    zoom: bool = False


class _Drawn(NamedTuple):
    """What a URL led to."""

    plane: Plane
    tag: str
    form: str
    pinned: str


class TileFace:
    """Tiles by level, row and column, level 0 at full resolution; or by zoom, x and y, zoom 0 the coarsest."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve planes of the datasets of ``store``."""
        self.store = store
        self.respond = respond
        self._planes: Recent[Plane] = Recent(PLANES)
        self._drawn: Recent[_Drawn] = Recent(DRAWN)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        again = self.again(request, wait=wait)
        if again is not None:
            return again
        path = parse_path(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        if path.parts[-1:] == ("info.json",):
            return self._info(request, path.parts[:-1], parameters, wait=wait)
        tile = _tile(path.parts)
        plane = self.plane(tile.dataset, parameters, wait=wait)
        level = plane.pyramid.plan.count - tile.level if tile.zoom else tile.level
        size = _size(parameters)
        part = chunk_box((tile.row, tile.column), (size, size)).clip(whole(plane.extent(level)))
        if part is None:
            raise NotFound("/".join(path.parts))
        cut = _Part(level, 0, part, size if tile.zoom else None)
        return self.tile(request, plane, cut, tile.form, parameters, wait=wait)

    def again(self, request: Request, *, wait: bool) -> Reply | None:
        """A tile that is in memory and was answered under this very URL: that is found five times as fast."""
        drawn = self._drawn.get((request.path, request.query))
        if drawn is None or not drawn.plane.pyramid.is_current():
            return None
        data = self.store.memory.get(drawn.tag)
        if data is None:
            return None
        self.store.check_pin(drawn.plane.pyramid.array.node.files[0], drawn.pinned, wait=wait)
        answer = Answer(blob_of(data), drawn.tag, media=MEDIA[drawn.form])
        return self.respond.answer(request, answer, wait=wait, pinned=bool(drawn.pinned))

    def plane(self, dataset: tuple[str, ...], p: Mapping[str, str], *, wait: bool) -> Plane:
        """The plane that the parameters name.

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
        """
        axes, index, method = (p.get(word, "") for word in ("axes", "index", "method"))
        name = (dataset, axes, index, method)
        known = self._planes.get(name)
        if known is not None and known.pyramid.is_current():
            return known
        if not wait:
            raise WouldBlock
        found = self.store.tiles.plane(self.store.node(dataset), axes, index, method)
        self._planes.put(name, found)
        return found

    def tile(
        self, request: Request, plane: Plane, part: "_Part", form: str, parameters: Mapping[str, str], *, wait: bool
    ) -> Reply:
        """A tile, from memory or made now."""
        style = None if form == "npy" else self._style(plane, parameters, wait=wait)
        as_floats = _as_floats(parameters)
        tag = digest("tile-2", plane.key, part, form, style.key if style else as_floats)
        pinned = parameters.get("v", "")
        self.store.check_pin(plane.pyramid.array.node.files[0], pinned, wait=wait)
        data = None if plane.pyramid.live else self.store.memory.get(tag)
        if data is None:
            if request.known() == tag and not plane.pyramid.live:
                return self.respond.answer(request, Answer(blob_of(), tag), wait=wait, pinned=bool(pinned))
            if not wait:
                raise WouldBlock
            pixels = self.store.tiles.pixels(plane, part.level, part.box, part.halvings)
            data = npy(_valued(pixels, as_floats)) if style is None else _drawn(pixels, form, style, part.edge)
            media = MEDIA[form].encode()
            if not pixels.exact or plane.pyramid.live:
                return self.respond.fleeting(request, data, media, approximate=not pixels.exact)
            self.store.memory.put(tag, data, len(data))
        self._drawn.put((request.path, request.query), _Drawn(plane, tag, form, pinned))
        return self.respond.answer(
            request, Answer(blob_of(data), tag, media=MEDIA[form]), wait=wait, pinned=bool(pinned)
        )

    def _style(self, plane: Plane, parameters: Mapping[str, str], *, wait: bool) -> Style:
        if "vmin" in parameters and "vmax" in parameters:
            return parse_style(parameters, (0.0, 1.0))
        if not wait and plane.pyramid.known_window is None:
            raise WouldBlock
        window = self.store.pyramids.window(plane.pyramid)
        return parse_style(parameters, (window.start, window.end) if window is not None else (0.0, 1.0))

    def _info(self, request: Request, dataset: tuple[str, ...], parameters: Mapping[str, str], *, wait: bool) -> Reply:
        """What a viewer needs to know before it asks for tiles."""
        if not wait:
            raise WouldBlock
        plane = self.plane(dataset, parameters, wait=wait)
        pyramid, size = plane.pyramid, _size(parameters)
        window = self.store.pyramids.window(pyramid)
        names = pyramid.array.dimensions
        levels = []
        for level in range(pyramid.plan.count + 1):
            height, width = plane.extent(level)
            exact = level == 0 or self.store.pyramids.is_cheap(pyramid, level, plane.box(whole((height, width))))
            levels.append(
                {
                    "level": level, "height": height, "width": width, "rows": -(-height // size),
                    "columns": -(-width // size), "factor": 2**level, "exact": exact,
                }
            )  # fmt: skip
        document = {
            "dataset": pyramid.array.node.path,
            "shape": list(pyramid.plan.shape),
            "dtype": pyramid.dtype.name,
            "method": pyramid.method,
            "tile": size,
            "axes": {
                "rows": plane.rows,
                "columns": plane.columns,
                "names": list(names),
                "rulers": rulers(self.store.pyramids, pyramid),
            },
            "index": list(plane.index),
            "levels": levels,
            "window": None
            if window is None
            else {"start": window.start, "end": window.end, "min": window.min, "max": window.max},
            "version": self.store.pin(dataset, wait=True),
            "formats": sorted(MEDIA),
        }
        return self.respond.text(request, json.dumps(document).encode(), "application/json")


class _Part(NamedTuple):
    """A box of a level of a plane, to be halved some more times; pictures of it are filled up to squares of ``edge``.

    Who asks for zoom, x and y takes every tile for a whole one, and stretches those that are not.
    """

    level: int
    halvings: int
    box: Box
    edge: int | None = None


class DeepZoomFace:
    """Deep Zoom for OpenSeadragon: ``/dzi/{file}/{dataset}.dzi`` and ``{dataset}_files/{level}/{x}_{y}.png``."""

    def __init__(self, tiles: TileFace) -> None:
        """Cut tiles as ``tiles`` does."""
        self.tiles = tiles

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        again = self.tiles.again(request, wait=wait)
        if again is not None:
            return again
        path = parse_path(request.path)
        parameters = parameters_of(request.query, path.parameters, PARAMETERS)
        parts = path.parts
        if parts and parts[-1].endswith(".dzi"):
            if not wait:
                raise WouldBlock
            dataset = (*parts[:-1], parts[-1].removesuffix(".dzi"))
            image = _deep(self.tiles.plane(dataset, parameters, wait=wait), parameters)
            return self.tiles.respond.text(request, image.descriptor("png").encode(), "application/xml")
        found = _DEEP.match(parts[-1]) if len(parts) > 3 else None
        if found is None or not parts[-3].endswith("_files") or not _NUMBER.match(parts[-2]):
            raise NotFound("/".join(parts))
        plane = self.tiles.plane((*parts[:-3], parts[-3].removesuffix("_files")), parameters, wait=wait)
        piece = _deep(plane, parameters).piece(int(parts[-2]), int(found[2]), int(found[1]))
        part = _Part(piece.level, piece.halvings, piece.box)
        return self.tiles.tile(request, plane, part, found[3], parameters, wait=wait)


def _deep(plane: Plane, parameters: Mapping[str, str]) -> DeepZoom:
    height, width = plane.extent(0)
    return DeepZoom(height, width, _size(parameters), plane.pyramid.plan.count + 1)


def _tile(parts: tuple[str, ...]) -> _Tile:
    """The tile a path names: ``.../{level}/{row}/{col}.png``, or ``.../xyz/{z}/{x}/{y}.png``."""
    found = _TILE.match(parts[-1]) if len(parts) > 3 else None
    if found is None or not _NUMBER.match(parts[-2]) or not _NUMBER.match(parts[-3]):
        raise NotFound("/".join(parts))
    first, second, last = int(parts[-3]), int(parts[-2]), int(found[1])
    if parts[-4] == "xyz" and len(parts) > 4:
        return _Tile(parts[:-4], first, last, second, found[2], zoom=True)
    return _Tile(parts[:-3], first, second, last, found[2])


def _size(parameters: Mapping[str, str]) -> int:
    text = parameters.get("tile", str(SIZES[0]))
    if text not in map(str, SIZES):
        raise BadRequest(f"tile={text} must be one of {', '.join(map(str, SIZES))}")
    return int(text)


def _as_floats(parameters: Mapping[str, str]) -> bool:
    text = parameters.get("dtype", "")
    if text not in ("", "f4"):
        raise BadRequest(f"dtype={text} must be f4, or left out for the dataset's own")
    return bool(text)


def _valued(pixels: Pixels, as_floats: bool) -> np.ndarray:
    """The values as they are; or as float32, NaN where there is no measurement, infinite where it was saturated."""
    if not as_floats:
        return pixels.values
    with np.errstate(over="ignore"):
        found = pixels.values.astype(np.float32)
    if pixels.valid is not None:
        found[~pixels.valid] = np.nan
    if pixels.saturated is not None:
        found[pixels.saturated] = np.inf
    return found


def _drawn(pixels: Pixels, form: str, style: Style, edge: int | None) -> bytes:
    indices, bad = shade(pixels.values, pixels.valid, style)
    size = None if edge is None else (edge, edge)
    return encode(indices, bad, palette(style.cmap, style.invert), style.bad, form, size)
