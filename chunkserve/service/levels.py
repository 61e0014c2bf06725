"""What the levels of a dataset are: their grids, dtype and documents, and the source voxels they are made of."""

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.errors import BadRequest, Unsupported
from chunkserve.grid import Box, Shape, grow, whole
from chunkserve.metadata.documents import ArrayView, Document, array_v2, array_v3
from chunkserve.metadata.keys import Format
from chunkserve.metadata.present import Blosc, Plan, Presentation
from chunkserve.metadata.served import Served
from chunkserve.pyramid.cascade import SLAB
from chunkserve.pyramid.partial import METHODS, Method
from chunkserve.pyramid.plan import plan
from chunkserve.service.validity import Validity
from chunkserve.service.zarrarray import ZarrArray
from chunkserve.versions import combined, digest

KIND = "pyramid-2"
"""Part of every name on disk; the number changes with what levels are."""

DTYPES = ("f4", "f8", "u1", "u2", "u4", "i1", "i2", "i4")
"""Dtypes that a view may ask for."""

REAL = ("number", "bool", "complex")


@dataclass(frozen=True)
class View:
    """How a pyramid is wished.

    Attributes:
        axes: Which axes are halved, per axis; ``None`` for the default.
        method: Empty for the default.
        dtype: Empty for the source's.
    """

    axes: tuple[bool, ...] | None = None
    method: str = ""
    dtype: str = ""


class Levels:
    """The levels of one version of one dataset in one view.

    Attributes:
        array: The source, in format 3.
        validity: Which source voxels count.
        method: How voxels are put together.
        source_dtype: Of what is put together.
        dtype: Of all levels.
        plan: Their shapes, and the blocks they are made in.
        tag: Names them in caches and ETags.
        live: A file they draw from is being written: nothing is kept.
        same: Level 0 is the array as it is served, chunk by chunk.
    """

    def __init__(self, array: ZarrArray, view: View, halved: tuple[bool, ...], validity: Validity) -> None:
        """Plan the levels of an array.

        Raises:
            Unsupported: It is not numeric.
            BadRequest: The view asks for what there is not.
        """
        served, shape = array.served, array.presentation.shape
        if served.kind not in REAL or array.values.dims or not shape or 0 in shape:
            raise Unsupported(f"{array.node.path} has no pyramid: it holds no numbers in one or more dimensions")
        self.array = array
        self.validity = validity
        self.method: Method = _method(view.method, served)
        self.source_dtype = source_dtype(served)
        self.dtype = _dtype(view.dtype, self.source_dtype)
        self.same = self.dtype == self.source_dtype and served.kind != "complex"
        self.plan = plan(shape, view.axes or halved, array.elements.dataset.chunks or _rows(array), self.dtype.itemsize)
        elements = array.elements
        outside = elements.dataset.layout in ("virtual", "external")
        files = elements.files(whole(elements.shape)) if outside else set(array.files)
        self._others = tuple(files - set(array.files))
        self.live = array.live or any(file.live for file in files)
        sources = combined(sorted(file.version for file in files))
        self.tag = digest(
            KIND, array.version, sources, array.node.path, self.plan, self.method, self.dtype.str, validity.key
        )

    def is_current(self) -> bool:
        """Whether the source is still what it was. One that is being written never is."""
        return not self.live and self.array.is_current() and all(file.is_current() for file in self._others)

    # -------------------------------------------------------------- documents

    def presentation(self, level: int) -> Presentation:
        """Grid and codec of a level."""
        size = self.dtype.itemsize
        blosc = Blosc("lz4", "bitshuffle", typesize=size)
        return Presentation(self.plan.extent(level), self.plan.chunk, "blosc", Plan.DECODED, "level", blosc=blosc)

    def document(self, level: int, zarr_format: Format) -> Document:
        """The metadata document of a level."""
        view = self.view(level)
        return array_v3(view) if zarr_format == 3 else array_v2(view)

    def view(self, level: int) -> ArrayView:
        """What a level's document says."""
        fill = np.zeros((), self.dtype)
        served = Served("bool" if self.dtype == np.bool_ else "number", self.dtype)
        return ArrayView(served, self.presentation(level), {}, self.array.dimensions, fill)

    def kept_document(self, level: int) -> bytes:
        """The document of a level in the cache folder, where chunks have checksums and lie in shards."""
        view, chunk = self.view(level), self.plan.chunk
        shard = tuple(c * t for c, t in zip(chunk, self.plan.shard(level), strict=True))
        view = replace(view, presentation=replace(view.presentation, chunk=shard, inner=chunk))
        keys = {"name": "default", "configuration": {"separator": "."}}  # no folder for every shard
        return json.dumps({**array_v3(view, checked=True), "chunk_key_encoding": keys}).encode()

    def kept_group(self) -> bytes:
        """The document of the group of levels in the cache folder."""
        about = {
            "source": self.array.node.path, "version": self.array.version, "method": self.method,
            "halved": list(self.plan.halved), "levels": self.plan.count,
        }  # fmt: skip
        return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"chunkserve": about}}).encode()

    # ----------------------------------------------------------------- values

    def source(self, box: Box) -> np.ndarray:
        """Source elements of a box, in native byte order; of complex ones the magnitude."""
        values = self.array.values
        inside = box.clip(whole(self.array.elements.shape))
        if inside == box:
            found = values.region(box)
        else:  # beyond the dataset, where other variables lengthened a dimension
            found = values.filled(box.shape)
            if inside is not None:
                found[inside.slices(box.start)] = values.region(inside)
        if found.dtype.kind == "c":
            found = np.abs(found)
        return found.astype(self.source_dtype, copy=False)

    @cached_property
    def piece(self) -> Shape:
        """What is read of the source at a time: no stored chunk is read twice, and voxels of all levels are whole."""
        elements, shape = self.array.elements, self.plan.shape
        steps = self.plan.factors(self.plan.first)
        if elements.dataset.layout not in ("chunked", "contiguous"):
            return tuple(b * t for b, t in zip(self.plan.block, steps, strict=True))
        stored = elements.dataset.chunks or _rows(self.array)
        least = tuple(min(math.lcm(c, s), -(-n // s) * s) for c, s, n in zip(stored, steps, shape, strict=True))
        return grow(shape, least, self.source_dtype.itemsize, SLAB // 2)

    def padded(self, values: np.ndarray) -> np.ndarray:
        """A whole chunk of a level, from the part of it that is within the level."""
        if values.shape == self.plan.chunk:
            return values
        out = np.zeros(self.plan.chunk, self.dtype)
        out[tuple(slice(0, n) for n in values.shape)] = values
        return out

    @property
    def source_bytes(self) -> int:
        """Bytes of the source, decoded."""
        return math.prod(self.plan.shape) * self.source_dtype.itemsize


def _rows(array: ZarrArray) -> Shape:
    """What is read together of data that are not chunked."""
    chunk = array.presentation.chunk
    return tuple(c if c == n else 1 for c, n in zip(chunk, array.presentation.shape, strict=True))


def source_dtype(served: Served) -> np.dtype[Any]:
    """The dtype of what levels are computed from: native byte order, magnitudes of complex numbers."""
    dtype = served.dtype.newbyteorder("=")
    if dtype.kind == "c":
        return np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    return dtype


def _method(wish: str, served: Served) -> Method:
    if not wish:
        return "mode" if served.members else "mean"
    for method in METHODS:
        if wish == method:
            return method
    raise BadRequest(f"method={wish} is none of {', '.join(METHODS)}")


def _dtype(wish: str, own: np.dtype[Any]) -> np.dtype[Any]:
    if not wish:
        return own
    if wish not in DTYPES:
        raise BadRequest(f"dtype={wish} is none of {', '.join(DTYPES)}")
    found = np.dtype(wish)
    if not np.can_cast(own, found, "same_kind") and not (own.kind in "iub" and found.kind == "f"):
        raise BadRequest(f"dtype={wish} does not hold what is {own.name} here")
    return found
