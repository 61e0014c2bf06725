"""All pyramids: found by path and view, described as OME-Zarr, their chunks answered within bounds."""

import copy
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass

import numpy as np

from chunkserve.cache.levels import LevelCache
from chunkserve.cache.recent import Recent
from chunkserve.errors import BadRequest, NotFound, Unsupported
from chunkserve.grid import Box, Shape, covering
from chunkserve.metadata.axes import Axis, image_axes
from chunkserve.metadata.halving import halved_axes
from chunkserve.metadata.ome import Image, Window
from chunkserve.metadata.rulers import RulerDocument, ruler
from chunkserve.model import Dataset
from chunkserve.service.builder import Builder, Building
from chunkserve.service.coordinates import coordinates_of, group_attribute, texts
from chunkserve.service.levels import REAL, View, source_dtype
from chunkserve.service.nodes import Node
from chunkserve.service.ownlevels import true_extent
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.sample import sample
from chunkserve.service.validity import validity_of
from chunkserve.service.zarrarray import Context, ZarrArray
from chunkserve.settings import Settings
from chunkserve.sources.localfile import WouldBlock

HANDLES = 512
"""Pyramids remembered by path and view, per worker."""

WINDOW_BYTES = 16 * 2**20
"""Bytes of source that are read for a contrast window, about."""

SAMPLES = 2**18
"""Elements that the contrast window is taken from, about."""


@dataclass(frozen=True)
class Wish:
    """A view as it stands in a URL: names or numbers of the axes to halve, method and dtype; empty for defaults."""

    axes: str = ""
    method: str = ""
    dtype: str = ""


class Pyramids:
    """Finds pyramids and answers for their chunks. Thread-safe."""

    def __init__(self, context: Context, settings: Settings) -> None:
        """Share caches and tools with the arrays of ``context``."""
        self.context = context
        self.settings = settings
        self.levels = LevelCache(settings.cache_folder(), settings.levels_disk)
        self.builder = Builder(settings.builders)
        self.spare = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="blocks")
        self._known: Recent[Pyramid] = Recent(HANDLES)

    def seen_with(self, context: Context) -> "Pyramids":
        """The same pyramids, found by way of ``context``; what was computed is shared."""
        found = copy.copy(self)
        found.context = context
        found._known = Recent(HANDLES)  # noqa: SLF001 - one of our own kind
        return found

    def close(self) -> None:
        """End background work."""
        self.builder.close()
        self.spare.shutdown(wait=False, cancel_futures=True)

    def find(self, node: Node, wish: Wish) -> Pyramid:
        """The pyramid over a dataset.

        Raises:
            NotFound: The node is no dataset.
            Unsupported: It has no pyramid.
            BadRequest: The view cannot be had.
        """
        if node.is_group or not isinstance(node.object, Dataset):
            raise NotFound(node.path)
        beside = tuple((file.serial, number) for file, number in node.chain[-1:])
        name = (node.file.serial, node.number, node.field, beside, wish)
        known = self._known.get(name)
        if known is not None and known.is_current():
            return known
        made = self._make(node, wish)
        self._known.put(name, made)
        return made

    def _make(self, node: Node, wish: Wish) -> Pyramid:
        array = ZarrArray(node, 3, self.context, true_extent(node))
        if array.served.kind not in REAL:
            raise Unsupported(f"{array.node.path} holds no numbers")
        if len(array.presentation.shape) < 2 and not wish.axes:
            raise Unsupported(f"{array.node.path} has no pyramid: it has less than two dimensions")
        validity = validity_of(node, self.context.nodes, source_dtype(array.served), self.settings.sentinel)
        halved = default_axes(array)
        axes = _wished_axes(wish.axes, array) if wish.axes else None
        return Pyramid(array, View(axes, wish.method, wish.dtype), halved, validity, self.levels, self.spare)

    # ----------------------------------------------------------------- chunks

    def chunk(self, pyramid: Pyramid, level: int, position: Shape, *, wait: bool) -> bytes:
        """A chunk of a level.

        Raises:
            WouldBlock: Not ``wait``, and it is not in memory.
            Building: It needs more of the source than one request may read; it is being made.
        """
        found = pyramid.kept.at_hand(level, position)
        if found is not None:
            return found
        if not wait:
            raise WouldBlock
        self._within_bounds(pyramid, level, position)
        return pyramid.chunk(level, position)

    def _within_bounds(self, pyramid: Pyramid, level: int, position: Shape) -> None:
        limit = self.settings.max_source_bytes
        if level == 0 or pyramid.missing(level, position, limit + 1) <= limit:
            return
        at = pyramid.plan.block_level(level)
        done = self.builder.want(pyramid, at, pyramid.plan.block_of(level, position))
        raise Building(f"level {level} of {pyramid.array.node.path}", done)

    def region(self, pyramid: Pyramid, level: int, box: Box) -> np.ndarray:
        """Voxels of a box of a level, exact.

        Raises:
            Building: It needs more of the source than one request may read; it is being made.
        """
        self.require(pyramid, level, box)
        return pyramid.region(level, box)

    def require(self, pyramid: Pyramid, level: int, box: Box) -> None:
        """See to it that a box of a level can be had within the bounds of one request.

        Raises:
            Building: It needs more of the source; it is being made.
        """
        if level:
            for position in covering(box, pyramid.plan.chunk):
                self._within_bounds(pyramid, level, position)

    def is_cheap(self, pyramid: Pyramid, level: int, box: Box) -> bool:
        """Whether a region can be had within the bounds of one request."""
        limit = self.settings.max_source_bytes
        missing = 0
        for position in covering(box, pyramid.plan.chunk):
            missing += pyramid.missing(level, position, limit + 1)
            if missing > limit:
                return False
        return True

    def names(self, node: Node) -> tuple[str, ...]:
        """Names of a dataset's axes."""
        return ZarrArray(node, 3, self.context).dimensions

    def preview(self, pyramid: Pyramid, level: int, box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        """Voxels of a box of a level, from a bounded sample of the source, and which of them are valid."""
        return sample(pyramid, level, box)

    # --------------------------------------------------------------- documents

    def image(self, pyramid: Pyramid) -> Image:
        """What an OME-Zarr document says of a pyramid.

        Raises:
            Unsupported: OME-Zarr has no documents for arrays of its rank.
        """
        plan, array = pyramid.plan, pyramid.array
        axes = self.axes(pyramid)
        factors = tuple(plan.factors(level) for level in range(plan.count + 1))
        name = array.node.name.decode("utf-8", "backslashreplace") or "/"
        return Image(name, axes, plan.shape, factors, pyramid.method, self.window(pyramid))

    def axes(self, pyramid: Pyramid) -> tuple[Axis, ...]:
        """The axes of a pyramid as OME-Zarr names them; coordinates are read once."""
        if not pyramid.known_axes:
            array, plan = pyramid.array, pyramid.plan
            found = coordinates_of(array.node, self.context.nodes, plan.shape, array.dimensions)
            pyramid.known_axes = image_axes(plan.shape, array.dimensions, plan.halved, found.values, found.units)
        return pyramid.known_axes

    def rulers(self, pyramid: Pyramid) -> list[RulerDocument | None]:
        """A ruler for each axis of the source, ``None`` where there is none; coordinates are read once."""
        if not pyramid.known_rulers:
            array, shape = pyramid.array, pyramid.plan.shape
            found = coordinates_of(array.node, self.context.nodes, shape, array.dimensions)
            pyramid.known_rulers = [
                ruler(found.values[axis], extent, found.units.get(axis, "")) if axis in found.values else None
                for axis, extent in enumerate(shape)
            ]
        return pyramid.known_rulers

    def window(self, pyramid: Pyramid) -> Window | None:
        """The contrast window: made once for a version of the data, from a sample, and kept."""
        if pyramid.live:
            return as_window(_sampled(pyramid))
        if pyramid.known_window is None:
            pyramid.known_window = (self.kept_window(pyramid.tag, lambda: _sampled(pyramid)),)
        return pyramid.known_window[0]

    def kept_window(self, tag: str, values: Callable[[], np.ndarray]) -> Window | None:
        """The contrast window of values, made once under a name."""

        def make() -> bytes:
            found = as_window(values())
            return json.dumps(None if found is None else astuple(found)).encode()

        tools = self.context.tools
        key = f"window/{tag}"
        found = json.loads(tools.flight.run(key, lambda: bytes(tools.disk.get_or_make("window", key, make))))
        return None if found is None else Window(*found)


def default_axes(array: ZarrArray) -> tuple[bool, ...]:
    """Which axes a pyramid over an array halves if nobody says so."""
    node = array.node
    assert isinstance(node.object, Dataset)
    told = texts(node.object.attributes, b"interpretation") or group_attribute(node, b"interpretation")
    group = group_attribute(node, b"NX_class")
    shape = array.presentation.shape
    chunks = array.elements.dataset.chunks
    return halved_axes(shape, chunks, told[0] if told else None, group[0] if group else None, array.dimensions)


def _wished_axes(wish: str, array: ZarrArray) -> tuple[bool, ...]:
    """Axes by number (``0,2``), by dimension name (``y,x``), or by letter, z y x being the last three (``zyx``)."""
    rank = len(array.presentation.shape)
    names = {name: i for i, name in enumerate(array.dimensions)}
    letters = {letter: rank - 1 - i for i, letter in enumerate("xyz") if i < rank}
    words = wish.split(",") if "," in wish or wish in names or wish.isdigit() else list(wish)
    chosen = set()
    for word in words:
        if word.isdigit() and int(word) < rank:
            chosen.add(int(word))
        elif word in names:
            chosen.add(names[word])
        elif word in letters:
            chosen.add(letters[word])
        else:
            known = ", ".join([*map(str, range(rank)), *names, *letters])
            raise BadRequest(f"axes={wish}: {word!r} is no axis of {array.node.path}; there are {known}")
    return tuple(i in chosen for i in range(rank))


def _sampled(pyramid: Pyramid) -> np.ndarray:
    """Valid elements from chunks all over the source."""
    extent, halved = pyramid.plan.extent(pyramid.plan.count), pyramid.plan.halved
    planes = tuple(1 if h else min(n, 4) for n, h in zip(extent, halved, strict=True))
    parts = []
    for corner in np.ndindex(*planes):
        start = tuple(0 if h else i * n // c for i, n, c, h in zip(corner, extent, planes, halved, strict=True))
        stop = tuple(n if h else a + 1 for a, n, h in zip(start, extent, halved, strict=True))
        values, valid = sample(pyramid, pyramid.plan.count, Box(start, stop), WINDOW_BYTES // math.prod(planes))
        parts.append((values if valid is None else values[valid]).reshape(-1))
    found = np.concatenate(parts)
    return found[:: max(1, len(found) // SAMPLES)]


def as_window(values: np.ndarray) -> Window | None:
    """From the 1st to the 99.8th percentile, and the extremes; ``None`` if there is nothing to see."""
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not len(values):
        return None
    low, high = (float(v) for v in np.percentile(values.astype(np.float64), (1, 99.8)))
    least, greatest = float(values.min()), float(values.max())
    if low >= high:
        low, high = least, greatest
    return Window(low, high, least, greatest) if low < high else None
