"""Images as OME-Zarr shows them: a path and a view give levels, which the file holds or which are computed."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from chunkserve.cache.recent import Recent
from chunkserve.errors import NotFound
from chunkserve.grid import Shape, whole
from chunkserve.metadata.documents import ArrayView
from chunkserve.metadata.keys import Format
from chunkserve.metadata.ome import AnyImage, StoredImage, Window
from chunkserve.service.nodes import Nodes
from chunkserve.service.ownlevels import OwnLevels, finest_path, own_levels
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import HANDLES, WINDOW_BYTES, Pyramids, Wish, as_window
from chunkserve.service.zarrarray import ZarrArray

Path = tuple[str, ...]


@dataclass(frozen=True)
class Levels:
    """The levels of an image in one view and one Zarr format.

    Attributes:
        pyramids: Where computed levels come from.
        pyramid: The computed levels; of those in the file it knows the contrast.
        own: The levels that the file holds, if they are shown.
        stored: Paths of the arrays that are passed through, by level: those of the file, or at most the dataset.
        format: Zarr format.
    """

    pyramids: Pyramids
    pyramid: Pyramid
    own: OwnLevels | None
    stored: tuple[Path, ...]
    format: Format

    def is_current(self) -> bool:
        """Whether nothing they come from has changed."""
        return self.pyramid.is_current() and (self.own is None or self.own.is_current())

    @property
    def count(self) -> int:
        """Levels above level 0."""
        return self.pyramid.plan.count if self.own is None else len(self.own.arrays) - 1

    @property
    def tag(self) -> str:
        """Names them in ETags."""
        return self.pyramid.tag if self.own is None else self.own.tag

    def grid(self, level: int) -> Shape:
        """Chunks of a level along each axis."""
        array = self._array(level)
        return self.pyramid.plan.grid(level) if array is None else array.presentation.grid

    def view(self, level: int) -> ArrayView:
        """What a level's document says. Axes are called as the group's document calls them."""
        array = self._array(level)
        axes = self.pyramids.axes(self.pyramid) if self.own is None else self.own.axes
        found = self.pyramid.view(level) if array is None else array.view
        return replace(found, dimensions=tuple(axis.name for axis in axes))

    def image(self) -> AnyImage:
        """What the group's document says.

        Raises:
            Unsupported: OME-Zarr has no documents for arrays of this rank.
        """
        if self.own is None:
            return self.pyramids.image(self.pyramid)
        shapes = tuple(array.presentation.shape for array in self.own.arrays)
        return StoredImage(self.own.name, self.own.axes, shapes, self.own.places, self._window(self.own))

    def _window(self, own: OwnLevels) -> Window | None:
        """Contrast: from all of the finest level that is small enough, else from a sample."""
        validity = self.pyramid.validity
        small = next((array for array in own.arrays if _nbytes(array) <= WINDOW_BYTES), None)
        if small is None or validity.mask is not None:
            return self.pyramids.window(self.pyramid)
        box = whole(small.presentation.shape).clip(whole(small.elements.shape))
        assert box is not None

        def values() -> np.ndarray:
            found = small.values.region(box).astype(self.pyramid.source_dtype, copy=False)
            valid = validity.valid(found, box)
            return found.reshape(-1) if valid is None else found[valid]

        live = any(array.live for array in own.arrays)
        return as_window(values()) if live else self.pyramids.kept_window(own.tag, values)

    def _array(self, level: int) -> ZarrArray | None:
        """The array that a level is passed through from."""
        if self.own is not None:
            return self.own.arrays[level]
        return self._finest if level < len(self.stored) else None

    @cached_property
    def _finest(self) -> ZarrArray:
        array = self.pyramid.array
        if self.format == 3:
            return array
        return ZarrArray(array.node, self.format, array.context, array.presentation.shape)


def _nbytes(array: ZarrArray) -> int:
    return math.prod(array.presentation.shape) * array.served.dtype.itemsize


class Images:
    """Finds images and their levels. Thread-safe."""

    def __init__(self, nodes: Nodes, pyramids: Pyramids) -> None:
        """Compute levels with ``pyramids``."""
        self.nodes = nodes
        self.pyramids = pyramids
        self._known: Recent[Levels] = Recent(HANDLES)

    def rank(self, path: Path) -> int | None:
        """The number of axes of the image at a path, file included; ``None`` if there is none."""
        try:
            file, inside = self.nodes.files.find(path)
            finest = finest_path(self.nodes.find(file, inside), inside)
            found = None if finest is None else self.nodes.find(file, finest).object
        except NotFound:
            return None
        shape = getattr(found, "shape", None)
        return None if shape is None else len(shape)

    def find(self, path: Path, wish: Wish, zarr_format: Format) -> Levels:
        """The levels of the image at a path: the file's own, unless it has none or other ones are wished for.

        Args:
            path: A dataset, or a group with ``multiscales``; file included.
            wish: How levels are wished.
            zarr_format: 2 or 3.

        Raises:
            NotFound: There is no image.
            Unsupported: It has no pyramid.
            BadRequest: The view cannot be had.
        """
        name = (path, wish, zarr_format)
        known = self._known.get(name)
        if known is not None and known.is_current():
            return known
        made = self._make(path, wish, zarr_format)
        self._known.put(name, made)
        return made

    def _make(self, path: Path, wish: Wish, zarr_format: Format) -> Levels:
        file, inside = self.nodes.files.find(path)
        root = path[: len(path) - len(inside)]
        finest = finest_path(self.nodes.find(file, inside), inside)
        if finest is None:
            raise NotFound("/".join(path))
        pyramid = self.pyramids.find(self.nodes.find(file, finest), wish)
        own = None
        if wish == Wish() and pyramid.same:
            own = own_levels(file, inside, zarr_format, self.pyramids.context)
        passed = own.paths if own is not None else (finest,) if pyramid.same else ()
        return Levels(self.pyramids, pyramid, own, tuple((*root, *level) for level in passed), zarr_format)
