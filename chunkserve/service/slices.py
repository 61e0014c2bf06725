"""Slices: what is asked for of a dataset or a level, and what that is of."""

from collections.abc import Callable
from dataclasses import dataclass

from chunkserve.cache.recent import Recent
from chunkserve.errors import BadRequest, NotFound, Unsupported
from chunkserve.metadata.messages import dimension_labels
from chunkserve.model import Dataset
from chunkserve.selection import parse
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, Nodes
from chunkserve.service.pyramids import Pyramids, Wish
from chunkserve.service.selected import Selected
from chunkserve.service.source import DatasetSource, LevelSource, Source
from chunkserve.service.virtual import OtherFiles, elements_of

HANDLES = 1024
"""Subjects remembered, per worker."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for of a dataset.

    Attributes:
        sel: The selection, as it stands in the URL.
        fields: Of a compound; all if empty.
        level: Of a pyramid; 0 is the dataset.
        axes, method: Of the pyramid (see :class:`chunkserve.service.pyramids.Wish`).
    """

    sel: str = ""
    fields: tuple[str, ...] = ()
    level: int = 0
    axes: str = ""
    method: str = ""


@dataclass(frozen=True)
class Subject:
    """What is sliced or reduced, and what tells whether it still is what it was.

    Attributes:
        node: The dataset.
        source: Its elements.
        null: It has a null dataspace.
        labels: Names of its axes, where they have one.
        files: What the path to it led through.
        tag: Distinguishes it from all other subjects of one version of its files.
        is_current: Whether it still is how the files are.
    """

    node: Node
    source: Source
    null: bool
    labels: list[str | None]
    files: tuple[HdfFile, ...]
    tag: str
    is_current: Callable[[], bool]

    def select(self, sel: str) -> Selected:
        """A selection of it.

        Raises:
            BadRequest: It cannot be read, or picks what is not there.
        """
        if self.null and sel.strip() not in ("", "..."):
            raise BadRequest(f"sel={sel}: the dataset has a null dataspace, which holds nothing to select")
        return Selected(self.source, parse(sel, self.source.shape))


class Slices:
    """Finds what is sliced. Thread-safe."""

    def __init__(self, nodes: Nodes, pyramids: Pyramids) -> None:
        """Slice datasets below ``nodes`` and levels of ``pyramids``."""
        self.nodes = nodes
        self.pyramids = pyramids
        self._known: Recent[Subject] = Recent(HANDLES)

    def known(self, path: tuple[str, ...], wanted: Wanted) -> Subject | None:
        """The subject at a path, if it is remembered and nothing has changed."""
        found = self._known.get(_name(path, wanted))
        return found if found is not None and found.is_current() else None

    def find(self, path: tuple[str, ...], node: Node, wanted: Wanted) -> Subject:
        """The subject at a path that leads to ``node``.

        Raises:
            BadRequest: There is no such field or view.
            NotFound: It is no dataset, or there is no such level.
            Unsupported: It has no levels, or cannot be read.
        """
        if not isinstance(node.object, Dataset):
            raise NotFound(node.path)
        found = self._level(node, wanted) if wanted.level else self._dataset(node, wanted.fields)
        self._known.put(_name(path, wanted), found)
        return found

    def _dataset(self, node: Node, fields: tuple[str, ...]) -> Subject:
        assert isinstance(node.object, Dataset)
        try:
            elements = elements_of(OtherFiles(self.nodes), node.file, node.number, node.object)
        except TypeError as error:
            raise Unsupported(f"{node.path}: {error}") from None
        dataset = elements.dataset
        files = tuple(dict.fromkeys(node.files))
        growing = dataset.layout == "virtual" and None in dataset.maxshape
        fleeting = growing or any(file.live for file in files)
        return Subject(
            node=node,
            source=DatasetSource(elements, fields),
            null=dataset.shape is None,
            labels=dimension_labels(dataset, node.name),
            files=files,
            tag=f"0/{'/'.join(fields)}",
            is_current=lambda: not fleeting and all(file.is_current() for file in files),
        )

    def _level(self, node: Node, wanted: Wanted) -> Subject:
        if wanted.fields:
            raise BadRequest("level= and field= exclude each other: compounds have no levels")
        pyramid = self.pyramids.find(node, Wish(wanted.axes, wanted.method))
        if wanted.level > pyramid.plan.count:
            raise NotFound(f"level {wanted.level}")
        array = pyramid.array
        assert isinstance(array.node.object, Dataset)
        return Subject(
            node=node,
            source=LevelSource(self.pyramids, pyramid, wanted.level),
            null=False,
            labels=dimension_labels(array.node.object, array.node.name),
            files=array.files,
            tag=f"{wanted.level}/{pyramid.tag}",
            is_current=pyramid.is_current,
        )


def _name(path: tuple[str, ...], wanted: Wanted) -> tuple[object, ...]:
    """Of a subject; the selection does not matter."""
    return path, wanted.fields, wanted.level, wanted.axes, wanted.method
