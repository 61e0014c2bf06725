"""Levels that files hold already: found by path, and used where all of them are there and fit together."""

import logging
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.errors import ChunkserveError, NotFound, TryAgain
from chunkserve.grid import Shape
from chunkserve.metadata.axes import Axis
from chunkserve.metadata.keys import Format
from chunkserve.metadata.multiscales import multiscale_claim, multiscale_of, multiscale_paths
from chunkserve.metadata.ome import Place
from chunkserve.metadata.ownlevels import (
    MOST_LEVELS,
    Claim,
    Path,
    bdv_claim,
    bdv_setup,
    imaris_claim,
    imaris_extent,
    imaris_place,
    placed,
)
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.service.coordinates import Neighbour
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, Nodes, named_links
from chunkserve.service.zarrarray import Context, ZarrArray
from chunkserve.versions import digest

log = logging.getLogger("chunkserve.levels")


@dataclass(frozen=True)
class OwnLevels:
    """The levels of one image in its file, the finest first.

    Attributes:
        name: Of the image.
        axes: One per dimension.
        places: Where voxels are, by level.
        paths: Of the datasets, from the root of the file.
        arrays: The datasets, in one Zarr format.
    """

    name: str
    axes: tuple[Axis, ...]
    places: tuple[Place, ...]
    paths: tuple[Path, ...]
    arrays: tuple[ZarrArray, ...]

    def is_current(self) -> bool:
        """Whether every level is still what it was."""
        return all(array.is_current() for array in self.arrays)

    @cached_property
    def tag(self) -> str:
        """Names them in ETags."""
        return digest("own", self.name, self.axes, self.places, *(array.tag for array in self.arrays))


def own_levels(file: HdfFile, path: Path, zarr_format: Format, context: Context) -> OwnLevels | None:
    """The levels of the image at a path, as the file holds them.

    Args:
        file: The file.
        path: A finest dataset, or a group with ``multiscales``.
        zarr_format: In which the levels are wanted.
        context: What arrays share.

    Returns:
        ``None`` if there are none, or if one is missing or does not fit.

    Raises:
        TryAgain: It cannot be told now.
    """
    try:
        claim = _claim(file, path, context.nodes)
        if claim is None:
            return None
        nodes = [context.nodes.find(file, level) for level in claim.paths]
        arrays = tuple(ZarrArray(_dataset(node), zarr_format, context, true_extent(node)) for node in nodes)
        shapes = tuple(array.presentation.shape for array in arrays)
        places = placed(claim, shapes, tuple(_dtype(array) for array in arrays))
    except TryAgain:
        raise
    except (ChunkserveError, ValueError) as reason:
        log.info("levels are computed: %s:/%s: %s", file.name, "/".join(path), reason)
        return None
    return OwnLevels(claim.name, claim.axes, places, claim.paths, arrays)


def finest_path(node: Node, path: Path) -> Path | None:
    """The path of the finest dataset of the image that a node stands for: itself, or the first of its multiscale."""
    if not isinstance(node.object, Group):
        return None if node.is_group else path
    multiscale = multiscale_of(node.object.attributes)
    try:
        return multiscale_paths(path, multiscale)[0] if multiscale is not None else None
    except (ValueError, IndexError):
        return None


def true_extent(node: Node) -> Shape | None:
    """The extent of what a dataset shows, where its group says that the rest is padding; ``None`` if it is all."""
    if node.name != b"Data" or not node.chain or not isinstance(node.object, Dataset):
        return None
    file, number = node.chain[-1]
    group = file.structure().get(number)
    return imaris_extent(group.attributes, node.object.shape or ()) if isinstance(group, Group) else None


def _claim(file: HdfFile, path: Path, nodes: Nodes) -> Claim | None:
    """What the file says of levels of the image at a path.

    Raises:
        ValueError: Nothing that can be used.
        ChunkserveError: It cannot be read.
    """
    if isinstance(nodes.find(file, path).object, Group):
        return _multiscale(file, path, nodes)
    if imaris_place(path) is not None:
        return _imaris(file, path, nodes)
    if bdv_setup(path) is not None:
        return _bdv(file, path, nodes)
    found = _multiscale(file, path[:-1], nodes) if path else None
    return found if found is not None and found.paths[:1] == (path,) else None


def _multiscale(file: HdfFile, path: Path, nodes: Nodes) -> Claim | None:
    group = nodes.find(file, path).object
    multiscale = multiscale_of(group.attributes) if isinstance(group, Group) else None
    return multiscale_claim(path, multiscale) if multiscale is not None else None


def _imaris(file: HdfFile, path: Path, nodes: Nodes) -> Claim:
    at = imaris_place(path)
    assert at is not None
    parent = nodes.find(file, path[:at]).object
    siblings = [name for name, _ in named_links(parent)] if isinstance(parent, Group) else []
    node = nodes.find(file, path)
    size = true_extent(node) or getattr(node.object, "shape", None) or ()
    return imaris_claim(path, siblings, _image(file, path[: max(at - 1, 0)], nodes), size)


def _image(file: HdfFile, path: Path, nodes: Nodes) -> tuple[Attribute, ...]:
    """Attributes of ``DataSetInfo/Image`` in the group that holds ``DataSet``."""
    try:
        return nodes.find(file, (*path, "DataSetInfo", "Image")).object.attributes
    except NotFound:
        return ()


def _bdv(file: HdfFile, path: Path, nodes: Nodes) -> Claim | None:
    setup = bdv_setup(path)
    assert setup is not None
    node = nodes.find(file, (*setup, "resolutions"))
    table = node.object
    if not isinstance(table, Dataset) or math.prod(table.shape or ()) > 3 * MOST_LEVELS:
        raise ValueError("resolutions are no table of factors")
    factors = Neighbour(node.file, node.number, table).read(nodes)
    if factors is None:
        raise ValueError("resolutions cannot be read")
    return bdv_claim(path, factors)


def _dtype(array: ZarrArray) -> np.dtype[Any]:
    if array.values.dims:
        raise ValueError(f"{array.node.path} has elements that are arrays")
    return array.served.dtype


def _dataset(node: Node) -> Node:
    if node.is_group:
        raise ValueError(f"{node.path} is no dataset of numbers")
    return node
