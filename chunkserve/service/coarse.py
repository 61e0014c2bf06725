"""A file's datasets at a level: those that have a pyramid coarser, and with them what is plotted along with them.

In an NXdata group the signal decides: datasets of its shape (errors, further signals, masks) are reduced along the same
axes, and coordinates along these axes by the same factors. Elsewhere each dataset is on its own.
"""

from dataclasses import dataclass, field, replace

from chunkserve.errors import ChunkserveError, TryAgain
from chunkserve.grid import whole
from chunkserve.metadata.dimensions import find
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.service.coordinates import axis_names, texts
from chunkserve.service.entities import Entities, Entity
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids, Wish
from chunkserve.service.source import DatasetSource, LevelSource, Source, is_objects
from chunkserve.service.virtual import OtherFiles, elements_of
from chunkserve.service.wrapped import Thinned, Unfolded

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
    """

    dataset: Dataset
    source: Source


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
        source = self._source(entity)
        shape = None if entity.found.shape is None else source.shape
        return Shown(replace(entity.found, shape=shape), source)

    def _source(self, entity: Entity) -> Source:
        """A dataset as it is."""
        assert isinstance(entity.found, Dataset)
        elements = elements_of(OtherFiles(self.entities.nodes), entity.file, entity.number, entity.found)
        source = DatasetSource(elements)
        return Unfolded(source, elements.dims) if is_objects(source) and elements.dims else source

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
        source = LevelSource(self.pyramids, pyramid, level)
        chunks = tuple(map(min, source.unit, source.shape))
        return Shown(replace(entity.found, type=source.type, shape=source.shape, chunks=chunks, filters=()), source)

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
                averaged = length[0] == n and depth.wish.method != "stride"
                source = Thinned(self._source(entity), f, averaged=averaged, edges=length[0] == n + 1)
                dataset = replace(entity.found, type=source.type, shape=source.shape, chunks=(), filters=())
                return Shown(dataset, source)
        return None

    def _signal(self, entity: Entity) -> Entity | None:
        """The signal of the NXdata group that a dataset is in."""
        if not entity.chain:
            return None
        file, number = entity.chain[-1]
        group = file.structure().get(number)
        chain = entity.chain[:-1]
        files = tuple(dict.fromkeys((*(f for f, _ in chain), file)))
        return self._signal_of(Entity(file, number, group, chain=chain, files=files))

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
