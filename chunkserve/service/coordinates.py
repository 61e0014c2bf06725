"""Where the elements of a dataset are: 1-D coordinates beside it, as NeXus and netCDF name them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkserve.datatypes import numpy_dtype
from chunkserve.errors import ChunkserveError
from chunkserve.grid import Shape, whole
from chunkserve.metadata.dimensions import find
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, Nodes
from chunkserve.service.virtual import OtherFiles, elements_of

MOST = 10**6
"""Coordinates of one axis that are read."""


@dataclass(frozen=True)
class Neighbour:
    """A dataset beside another."""

    file: HdfFile
    number: int
    dataset: Dataset

    def read(self, nodes: Nodes) -> np.ndarray[Any, Any] | None:
        """All of its numbers; ``None`` if it has none or cannot be read."""
        try:
            elements = elements_of(OtherFiles(nodes), self.file, self.number, self.dataset)
            if elements.objects or elements.dtype.kind not in "iufb":
                return None
            return elements.read(whole(elements.shape))
        except ChunkserveError:
            return None


@dataclass(frozen=True)
class Coordinates:
    """Values and units along axes, by their numbers; axes without either are missing."""

    values: Mapping[int, np.ndarray[Any, Any]]
    units: Mapping[int, str]


def neighbours(node: Node) -> dict[str, Neighbour]:
    """Datasets in a dataset's group, by name."""
    found: dict[str, Neighbour] = {}
    if not node.chain:
        return found
    file, number = node.chain[-1]
    structure = file.structure()
    group = structure.get(number)
    for link in group.links if isinstance(group, Group) else ():
        member = structure.get(link.target) if link.kind == "hard" else None
        if isinstance(member, Dataset):
            found[link.name.decode("utf-8", "backslashreplace")] = Neighbour(file, link.target, member)
    return found


def group_attribute(node: Node, name: bytes) -> tuple[str, ...]:
    """A text attribute of the group that a dataset is in."""
    if not node.chain:
        return ()
    file, number = node.chain[-1]
    group = file.structure().get(number)
    return texts(group.attributes, name) if isinstance(group, Group) else ()


def texts(attributes: tuple[Attribute, ...], name: bytes) -> tuple[str, ...]:
    """A text attribute's items; empty if there are none."""
    attribute = find(attributes, name)
    if attribute is None or attribute.data is None:
        return ()
    if not isinstance(attribute.data, bytes):
        return tuple(item for item in attribute.data if isinstance(item, str))
    try:
        dtype = numpy_dtype(attribute.type)
    except TypeError:
        return ()
    if dtype.kind != "S" or not dtype.itemsize:
        return ()
    return tuple(item.decode("utf-8", "replace").strip(" ") for item in np.frombuffer(attribute.data, dtype))


def coordinates_of(node: Node, nodes: Nodes, shape: Shape, dimensions: tuple[str, ...]) -> Coordinates:
    """Coordinates along a dataset's axes.

    Args:
        node: The dataset.
        nodes: The way to its neighbours.
        shape: Its extents.
        dimensions: Names of its axes, which dimension scales bear in netCDF.
    """
    beside = neighbours(node)
    values: dict[int, np.ndarray[Any, Any]] = {}
    units: dict[int, str] = {}
    for axis, name in axis_names(node, len(shape), dimensions):
        other = beside.get(name)
        if other is None or axis in values or other.dataset.shape not in ((shape[axis],), (shape[axis] + 1,)):
            continue
        if shape[axis] > MOST or other.number == node.number:
            continue
        read = other.read(nodes)
        if read is not None:
            values[axis] = read
            units[axis] = next(iter(texts(other.dataset.attributes, b"units")), "")
    return Coordinates(values, units)


def axis_names(node: Node, rank: int, dimensions: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Axes with the names of datasets that may be their coordinates, the likeliest first.

    NXdata: the group's ``axes``, one name per axis of the signal; before 2014 the signal's own, joined by colons
    (https://manual.nexusformat.org/datarules.html#find-the-plottable-data). netCDF: dimension scales.
    """
    assert isinstance(node.object, Dataset)
    own = texts(node.object.attributes, b"axes")
    if len(own) == 1:
        own = tuple(own[0].strip("[]").replace(",", ":").split(":"))
    for found in (group_attribute(node, b"axes"), own):
        if len(found) == rank:
            yield from enumerate(found)
    yield from enumerate(dimensions)
