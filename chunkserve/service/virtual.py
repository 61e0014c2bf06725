"""Datasets whose data lie in other files, virtual or external, reached through the roots and no other way."""

from dataclasses import replace

from chunkserve.errors import Hidden, MissingSource, NotFound, Unsupported
from chunkserve.grid import Shape
from chunkserve.metadata.mappings import Axes, Layout, expand, is_unlimited, next_block, resolve
from chunkserve.model import Dataset
from chunkserve.service.elements import Elements, Segment
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import MAX_HOPS, Nodes

MAX_DEPTH = 8
"""Virtual datasets that draw from virtual datasets."""


class OtherFiles:
    """Implements :class:`chunkserve.service.elements.Sources`."""

    def __init__(self, nodes: Nodes, depth: int = 0) -> None:
        """Reach other files through ``nodes``; ``depth`` counts virtual datasets within virtual datasets."""
        self.nodes = nodes
        self.depth = depth

    def segments(self, file: HdfFile, dataset: Dataset) -> tuple[Segment, ...]:
        """The runs of bytes of an external-storage dataset.

        Raises:
            MissingSource: A file is not there, or outside the roots.
        """
        found = []
        for segment in dataset.external:
            try:
                other = self.nodes.files.follow(segment.file, file)
            except Hidden:
                raise
            except NotFound as error:
                name = segment.file.decode("utf-8", "backslashreplace")
                raise MissingSource(f"{file.name}: external file {name} cannot be read") from error
            size = other.local.identity.size - segment.offset if segment.size is None else segment.size
            found.append(Segment(other, segment.offset, size))
        return tuple(found)

    def layout(self, file: HdfFile, dataset: Dataset) -> Layout:
        """Resolve a virtual dataset. Sources are looked at only where its extent depends on them.

        Raises:
            MissingSource: One of those is not there.
            Unsupported: A mapping is not understood.
        """
        if self.depth >= MAX_DEPTH:
            raise Unsupported(f"{file.name}: virtual datasets nested deeper than {MAX_DEPTH}")
        extent = dataset.shape or ()
        axes: list[Axes] = []
        for mapping in dataset.mappings:
            found = expand(mapping, extent, lambda f, d: self._shape(file, f, d))
            if is_unlimited(mapping) and not found and next_block(mapping, 0) is None:
                raise MissingSource(
                    f"{file.name}: {mapping.file}:{mapping.dataset} decides an extent and cannot be read"
                )
            axes += found
        free = tuple(n is None for n in dataset.maxshape)
        return resolve(extent, axes, free if any(is_unlimited(m) for m in dataset.mappings) else None)

    def _shape(self, near: HdfFile, file: str, dataset: str) -> Shape | None:
        try:
            return self.open(near, file, dataset).shape
        except Hidden:
            raise
        except NotFound:
            return None

    def open(self, near: HdfFile, file: str, dataset: str) -> Elements:
        """A source dataset, by file and path as written in ``near``.

        Raises:
            NotFound: It is not there, or no dataset.
        """
        other = self.nodes.files.follow(file.encode("utf-8", "surrogateescape"), near)
        return self.dataset_at(other, dataset.encode("utf-8", "surrogateescape"))

    def dataset_at(self, file: HdfFile, path: bytes) -> Elements:
        """The dataset at an HDF5 path of a file.

        Raises:
            NotFound: It is not there.
        """
        owner, number, _ = self.nodes.follow_path(file, file.structure().root, path, MAX_HOPS)
        found = owner.structure().get(number)
        if not isinstance(found, Dataset):
            raise NotFound(path.decode("utf-8", "backslashreplace"))
        return elements_of(self, owner, number, found)


def elements_of(others: OtherFiles, file: HdfFile, number: int, dataset: Dataset) -> Elements:
    """Read access to a dataset, with its true extent where the header does not know it."""
    below = OtherFiles(others.nodes, others.depth + 1)
    if dataset.layout == "virtual" and any(is_unlimited(m) for m in dataset.mappings):
        dataset = replace(dataset, shape=below.layout(file, dataset).shape)
    elif file.live and dataset.layout == "chunked":
        dataset = replace(dataset, shape=file.look_up(number, ()).shape)
    return Elements(file, number, dataset, below)
