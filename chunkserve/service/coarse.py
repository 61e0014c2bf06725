"""A file's datasets at a level: those that have a pyramid coarser, and with them what is plotted along with them.

In an NXdata group the signal decides: datasets of its shape (errors, further signals, masks) are reduced along the same
axes, and coordinates along these axes by the same factors. Elsewhere each dataset is on its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chunkserve.datatypes import DataType, number_type
from chunkserve.errors import ChunkserveError, TryAgain
from chunkserve.grid import Box, whole
from chunkserve.metadata.dimensions import find
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.service.coordinates import axis_names, texts
from chunkserve.service.entities import Entities, Entity
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids, Wish
from chunkserve.service.selected import Source, source_of
from chunkserve.service.virtual import OtherFiles, elements_of

TEXTURE = 8192
"""Edge of the largest texture that all graphics cards have."""


@dataclass(frozen=True)
class Depth:
    """Which level of a file is looked at: 0 is the file itself. ``wish`` is how levels are made."""

    level: int = 0
    wish: Wish = field(default_factory=Wish)


@dataclass(frozen=True)
class Shown:
    """A dataset as it is shown.

    Attributes:
        dataset: Its header, with the shape, type and chunks that are shown.
        source: Its elements.
        require: Raises if a box of them takes longer than a request may; it is then being made.
    """

    dataset: Dataset
    source: Source
    require: Callable[[Box], None]


class Coarse:
    """Shows datasets at levels."""

    def __init__(self, entities: Entities, pyramids: Pyramids) -> None:
        """Take levels from ``pyramids``."""
        self.entities = entities
        self.pyramids = pyramids

    def show(self, entity: Entity, depth: Depth) -> Shown:
        """A dataset at a depth; as it is, where it has no such level.

        Raises:
            MissingSource: Its extent depends on a file that is not there.
            TryAgain: A file changes.
        """
        assert isinstance(entity.found, Dataset)
        if depth.level and entity.found.shape:
            signal = self._signal(entity)
            found = self._level(entity, signal, depth) or (signal and self._coordinate(entity, signal, depth))
            if found:
                return found
        elements = elements_of(OtherFiles(self.entities.nodes), entity.file, entity.number, entity.found)
        shape = None if entity.found.shape is None else elements.shape
        return Shown(replace(entity.found, shape=shape), source_of(elements), lambda _: None)

    def fitting_level(self, entity: Entity, limit: int) -> int:
        """The finest level of at most ``limit`` bytes that a graphics card can draw, 0 if there is none."""
        pyramid = self._pyramid(entity, Wish())
        if pyramid is None:
            return 0
        for level in range(1, pyramid.plan.count + 1):
            extent = pyramid.plan.extent(level)
            if whole(extent).size * pyramid.dtype.itemsize <= limit and max(extent[-2:]) <= TEXTURE:
                return level
        return 0

    def default_slice(self, group: Entity, depth: Depth) -> list[str] | None:
        """Where an NXdata group's signal is cut at first (attribute ``default_slice``), in elements of the level."""
        assert isinstance(group.found, Group)
        told = texts(group.found.attributes, b"default_slice")
        signal = self._signal_of(group) if depth.level and told else None
        pyramid = signal and self._reaching(signal, depth.wish, depth.level)
        if not pyramid or len(told) != len(pyramid.plan.shape):
            return None
        factors = pyramid.plan.factors(depth.level)
        return [str(int(at) // f) if at.isdigit() else at for at, f in zip(told, factors, strict=True)]

    # ----------------------------------------------------------------- levels

    def _level(self, entity: Entity, signal: Entity | None, depth: Depth) -> Shown | None:
        wish = depth.wish
        if signal is not None and _shape(signal) == _shape(entity):
            leading = self._pyramid(signal, wish)
            if leading is None:
                return None
            halved = ",".join(str(axis) for axis, h in enumerate(leading.plan.halved) if h)
            wish = replace(wish, axes=halved)
        pyramid = self._reaching(entity, wish, depth.level)
        return None if pyramid is None else self._shown(entity, pyramid, depth.level)

    def _shown(self, entity: Entity, pyramid: Pyramid, level: int) -> Shown:
        assert isinstance(entity.found, Dataset)
        extent = pyramid.plan.extent(level)
        chunk = tuple(map(min, pyramid.plan.chunk, extent))
        t = _level_type(entity.found.type, pyramid.dtype)
        source = Source(
            entity.node.path, t, extent, chunk, pyramid.dtype, (), objects=False,
            read=lambda box: pyramid.region(level, box),
        )  # fmt: skip
        dataset = replace(entity.found, type=t, shape=extent, chunks=chunk, filters=())
        return Shown(dataset, source, lambda box: self.pyramids.require(pyramid, level, box))

    def _reaching(self, entity: Entity, wish: Wish, level: int) -> Pyramid | None:
        pyramid = self._pyramid(entity, wish)
        return pyramid if pyramid is not None and pyramid.plan.count >= level else None

    def _pyramid(self, entity: Entity, wish: Wish) -> Pyramid | None:
        if not isinstance(entity.found, Dataset) or len(entity.found.shape or ()) < 2:
            return None
        try:
            return self.pyramids.find(entity.node, wish)
        except TryAgain:
            raise
        except ChunkserveError:
            return None

    # ------------------------------------------------------------ coordinates

    def _coordinate(self, entity: Entity, signal: Entity, depth: Depth) -> Shown | None:
        """A dataset of one dimension that says where the signal's elements are, or their edges."""
        assert isinstance(entity.found, Dataset)
        length = _shape(entity)
        pyramid = self._reaching(signal, depth.wish, depth.level) if len(length) == 1 else None
        if pyramid is None:
            return None
        factors, extents = pyramid.plan.factors(depth.level), pyramid.plan.shape
        for axis, name in axis_names(signal.node, len(extents), ()):
            n, f = extents[axis], factors[axis]
            if name.encode() == entity.name and length[0] in (n, n + 1) and f > 1:
                elements = elements_of(OtherFiles(self.entities.nodes), entity.file, entity.number, entity.found)
                averaged = length[0] == n and depth.wish.method != "stride"
                source = thinned(source_of(elements), f, averaged=averaged, edges=length[0] == n + 1)
                dataset = replace(entity.found, type=source.type, shape=source.shape, chunks=(), filters=())
                return Shown(dataset, source, lambda _: None)
        return None

    def _signal(self, entity: Entity) -> Entity | None:
        """The signal of the NXdata group that a dataset is in."""
        if not entity.chain:
            return None
        file, number = entity.chain[-1]
        group = file.structure().get(number)
        chain = entity.chain[:-1]
        files = tuple(dict.fromkeys((*(f for f, _ in chain), file)))
        return self._signal_of(Entity(b"", None, group, file, number, chain, files))

    def _signal_of(self, group: Entity) -> Entity | None:
        if not isinstance(group.found, Group) or texts(group.found.attributes, b"NX_class") != ("NXdata",):
            return None
        named = texts(group.found.attributes, b"signal")
        structure = group.file.structure()
        for name in named:
            link = structure.link(group.number, name.encode())
            return self.entities.follow(group, link) if link is not None else None
        for link in group.found.links:  # before 2014 the signal itself says so
            member = structure.get(link.target) if link.kind == "hard" else None
            if isinstance(member, Dataset) and _is_signal(find(member.attributes, b"signal")):
                return self.entities.follow(group, link)
        return None


def _shape(entity: Entity) -> tuple[int, ...]:
    return (entity.found.shape or ()) if isinstance(entity.found, Dataset) else ()


def _is_signal(attribute: Attribute | None) -> bool:
    """Whether an attribute is 1, as a number or as text."""
    if attribute is None or attribute.data is None:
        return False
    if attribute.type.cls == "integer" and isinstance(attribute.data, bytes):
        return int.from_bytes(attribute.data, "big" if attribute.type.order == ">" else "little") == 1
    return texts((attribute,), attribute.name) == ("1",)


def _level_type(t: DataType, dtype: np.dtype[Any]) -> DataType:
    """The type of a level: enumerations keep theirs, numbers are little-endian, complex ones magnitudes."""
    if t.cls == "enum" and t.inner.standard:
        return replace(t, order="<", base=replace(t.inner, order="<"))
    return number_type(dtype)


def thinned(source: Source, factor: int, *, averaged: bool, edges: bool) -> Source:
    """Coordinates for every ``factor`` elements.

    Args:
        source: Coordinates, of one dimension.
        factor: Elements in one.
        averaged: Give the middle of those that exist, else the first.
        edges: They are those of edges; the last edge stays.
    """
    n = source.shape[0]
    count = -(-(n - 1) // factor) + 1 if edges else -(-n // factor)
    averaged = averaged and not source.objects and not source.dims and source.dtype.kind in "iuf"
    dtype = source.dtype if not averaged or source.dtype.kind == "f" else np.dtype("<f8")

    def read(box: Box) -> np.ndarray:
        firsts = np.minimum(np.arange(box.start[0], box.stop[0]) * factor, n - 1)
        start, stop = int(firsts[0]), int(firsts[-1]) + 1
        if not averaged:
            return source.read(Box((start,), (stop,))).take(firsts - start, 0)
        stop = min(stop - 1 + factor, n)
        totals = np.add.reduceat(source.read(Box((start,), (stop,))).astype(np.float64), firsts - start)
        means: np.ndarray = totals / np.diff(np.append(firsts, stop))
        return means.astype(dtype)

    t = source.type if dtype == source.dtype else number_type(dtype)
    return Source(source.path, t, (count,), (count,), dtype, source.dims, source.objects, read)
