"""The OME-Zarr face: ``/ome/{file}/{dataset}/`` (0.5, Zarr v3) and ``/ome2/...`` (0.4, Zarr v2).

A dataset is a multiscale group. Level ``0`` is the dataset itself, passed through as in the Zarr face; so are the
others if the file holds them, else they are computed when first asked for. Matrix parameters on the first segment say
how, and have all of them computed: ``/ome;axes=yx;method=max/...``.
"""

import json
from typing import NamedTuple

from chunkserve.cache.recent import Recent
from chunkserve.codecs import encode
from chunkserve.errors import BadRequest, NotFound
from chunkserve.faces.paths import UrlPath, parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.grid import Shape, chunk_box, whole
from chunkserve.metadata.documents import DIMENSIONS, Document, array_v2, array_v3, group_v2, group_v3
from chunkserve.metadata.keys import Format, in_grid, level_key, split_chunk
from chunkserve.metadata.ome import multiscales_v04, multiscales_v05
from chunkserve.service.blob import blob_of
from chunkserve.service.images import Levels
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import Answer, ForeignChunk, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({"axes", "method", "dtype", "v", "preview"})
"""Matrix parameters that are known."""

KEYS = 8192
"""Paths remembered, per worker."""


class _Key(NamedTuple):
    """What a path names: a document of the group or of a level, or a chunk."""

    image: tuple[str, ...]
    level: int | None
    document: str
    position: Shape | None


class OmeFace:
    """Documents and chunks of pyramids in one Zarr format."""

    def __init__(self, store: Store, respond: Responder, zarr_format: Format) -> None:
        """Serve pyramids over the datasets of ``store``."""
        self.store = store
        self.respond = respond
        self.format: Format = zarr_format
        self._found: Recent[tuple[_Key, Levels]] = Recent(KEYS)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        if parameters_of(request.query, path.parameters, PARAMETERS) != path.parameters:
            raise BadRequest("a view is named on the first segment, where it holds for all keys: /ome;method=max/...")
        key, levels = self._find(request, path, wait=wait)
        pinned = path.parameters.get("v", "")
        self.store.check_pin(levels.pyramid.array.node.files[0], pinned, wait=wait)
        if key.position is not None:
            return self._chunk(request, path, key, levels, wait=wait)
        if not wait:
            raise WouldBlock
        return self._document(request, path, key, levels)

    def _find(self, request: Request, path: UrlPath, *, wait: bool) -> tuple[_Key, Levels]:
        """What a path names, and the levels it is about."""
        known = self._found.get(request.path)
        if known is not None and known[1].is_current():
            return known
        if not wait:
            raise WouldBlock
        try:
            key = self._key(path)
            found = key, self._levels(path, key.image)
        except NotFound as error:
            if split_chunk(request.path, self.format) is None:
                raise
            raise ForeignChunk(error.path) from error
        self._found.put(request.path, found)
        return found

    def _key(self, path: UrlPath) -> _Key:
        parts = path.parts
        if path.folder:
            parts = (*parts, "zarr.json" if self.format == 3 else ".zattrs")
        return _Key(*level_key(parts, self.format, self.store.images.rank))

    def _levels(self, path: UrlPath, image: tuple[str, ...]) -> Levels:
        p = path.parameters
        wish = Wish(p.get("axes", ""), p.get("method", ""), p.get("dtype", ""))
        return self.store.images.find(image, wish, self.format)

    # ----------------------------------------------------------------- chunks

    def _chunk(self, request: Request, path: UrlPath, key: _Key, levels: Levels, *, wait: bool) -> Reply:
        assert key.level is not None
        assert key.position is not None
        pinned = bool(path.parameters.get("v"))
        if key.level > levels.count or not in_grid(key.position, levels.grid(key.level), 3):
            raise ForeignChunk("/".join(path.parts))
        if key.level < len(levels.stored):
            array = levels.stored[key.level]
            answer = self.store.chunk(self.format, array, key.position, wait=wait, known=request.known())
            return self.respond.answer(request, answer, wait=wait, pinned=pinned)
        pyramid = levels.pyramid
        if "preview" in path.parameters:
            return self._preview(request, pyramid, key, wait=wait)
        if pyramid.live:
            if not wait:
                raise WouldBlock
            return self.respond.fleeting(
                request, self.store.pyramids.chunk(pyramid, key.level, key.position, wait=True)
            )
        tag = digest(pyramid.tag, key.level, key.position)
        if request.known() == tag:
            return self.respond.answer(request, Answer(blob_of(), tag), wait=wait, pinned=pinned)
        data = self.store.pyramids.chunk(pyramid, key.level, key.position, wait=wait)
        return self.respond.answer(request, Answer(blob_of(data), tag), wait=wait, pinned=pinned)

    def _preview(self, request: Request, pyramid: Pyramid, key: _Key, *, wait: bool) -> Reply:
        """A chunk from a sample of the source, not to be kept by anybody."""
        if not wait:
            raise WouldBlock
        assert key.level is not None
        assert key.position is not None
        box = chunk_box(key.position, pyramid.plan.chunk)
        inside = box.clip(whole(pyramid.plan.extent(key.level)))
        assert inside is not None
        values, _ = self.store.pyramids.preview(pyramid, key.level, inside)
        return self.respond.fleeting(request, encode.blosc_lz4(pyramid.padded(values)), approximate=True)

    # --------------------------------------------------------------- documents

    def _document(self, request: Request, path: UrlPath, key: _Key, levels: Levels) -> Reply:
        if key.level is not None and key.level > levels.count:
            raise NotFound("/".join(path.parts))
        found = self._v3(levels, key.level) if self.format == 3 else self._v2(levels, key.level, key.document)
        data = json.dumps(found, allow_nan=False).encode()
        if "preview" in path.parameters:
            return self.respond.fleeting(request, data, b"application/json", approximate=True)
        version = self.store.pin(key.image, wait=True)
        answer = Answer(blob_of(data), digest(levels.tag, data), version, json=True)
        return self.respond.answer(request, answer, wait=True, pinned=bool(path.parameters.get("v")))

    def _v3(self, levels: Levels, level: int | None) -> Document:
        if level is not None:
            return array_v3(levels.view(level))
        members = {str(at): array_v3(levels.view(at)) for at in range(levels.count + 1)}
        return group_v3(multiscales_v05(levels.image()), members)

    def _v2(self, levels: Levels, level: int | None, name: str) -> Document:
        if level is None:
            if name == ".zgroup":
                return group_v2()
            if name == ".zattrs":
                return multiscales_v04(levels.image())
        elif name == ".zarray":
            return {**array_v2(levels.view(level)), "dimension_separator": "/"}  # as OME-Zarr 0.4 demands
        elif name == ".zattrs":
            return {DIMENSIONS: list(levels.view(level).dimensions)}
        raise NotFound(name)
