"""Which elements of a dataset are measurements, and which say that there is none."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.codecs.filters import BITSHUFFLE
from chunkserve.datatypes import numpy_dtype
from chunkserve.errors import ChunkserveError
from chunkserve.grid import Box, Shape, whole
from chunkserve.metadata.dimensions import find
from chunkserve.model import Attribute, Dataset, Group
from chunkserve.service.elements import Elements
from chunkserve.service.nodes import Node, Nodes
from chunkserve.service.virtual import OtherFiles, elements_of
from chunkserve.versions import digest

MARKS = (b"_FillValue", b"missing_value")
"""Attributes that name values which mean that there is none (CF conventions, 2.5.1)."""

DETECTOR = (b"NXdetector", b"NXdata")
MOST_MASK = 2**28
"""Pixels of a mask that is read."""


@dataclass(frozen=True)
class Validity:
    """How invalid elements are told, and marked in levels.

    Attributes:
        marks: Values that mean that there is none.
        low: Values below it are invalid (``underload_value``).
        high: Values above it are invalid (``saturation_value``).
        mask: ``True`` at dead pixels of the last two axes (``pixel_mask``).
        mark: What a voxel without any valid source voxel is.
    """

    marks: tuple[Any, ...]
    low: float | None
    high: float | None
    mask: np.ndarray | None
    mark: Any

    @cached_property
    def key(self) -> str:
        """The same for the same rules."""
        mask = b"" if self.mask is None else np.packbits(self.mask).tobytes()
        return digest(*map(repr, self.marks), self.low, self.high, mask, repr(self.mark))

    def valid(self, values: np.ndarray, box: Box) -> np.ndarray | None:
        """Which elements of a box are valid; ``None`` if all are.

        Args:
            values: Of real dtype, shape of the box.
            box: Where they are in the dataset.
        """
        invalid: np.ndarray | None = None
        if values.dtype.kind == "f":
            invalid = _joined(invalid, np.isnan(values))
        for mark in self.marks:
            invalid = _joined(invalid, values == mark)
        if self.high is not None:
            invalid = _joined(invalid, values > self.high)
        if self.low is not None:
            invalid = _joined(invalid, values < self.low)
        if self.mask is not None:
            part = self.mask[box.slices()[-2:]]
            if part.any():
                invalid = _joined(invalid, np.broadcast_to(part, values.shape))
        return None if invalid is None else ~invalid


def _joined(known: np.ndarray | None, more: np.ndarray) -> np.ndarray | None:
    if not more.any():
        return known
    return more if known is None else known | more


def validity_of(node: Node, nodes: Nodes, dtype: np.dtype[Any], sentinel: str) -> Validity:
    """The rules for a dataset.

    Args:
        node: The dataset.
        nodes: The way to its neighbours.
        dtype: Of the values that are looked at.
        sentinel: Whether all ones mark dead pixels: ``on``, ``off``, or ``auto`` for what detectors write.
    """
    assert isinstance(node.object, Dataset)
    marks = [value for name in MARKS for value in _numbers(node.object.attributes, name, dtype)]
    own = list(marks)
    neighbours = _neighbours(node)
    if sentinel == "on" or (sentinel == "auto" and _from_detector(node, dtype)):
        marks += [np.iinfo(dtype).max] if dtype.kind == "u" else []
    return Validity(
        tuple(dict.fromkeys(marks)),
        _limit(neighbours, nodes, node, b"underload_value"),
        _limit(neighbours, nodes, node, b"saturation_value"),
        _mask(neighbours, nodes, node),
        _mark(dtype, own),
    )


def _mark(dtype: np.dtype[Any], own: list[Any]) -> Any:
    if own:
        return own[0]
    if dtype.kind == "f":
        return np.nan
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min


def _numbers(attributes: tuple[Attribute, ...], name: bytes, dtype: np.dtype[Any]) -> list[Any]:
    """The numbers of an attribute that are values of ``dtype``."""
    attribute = find(attributes, name)
    if attribute is None or not isinstance(attribute.data, bytes):
        return []
    try:
        written = numpy_dtype(attribute.type)
    except TypeError:
        return []
    if written.kind not in "iuf" or written.subdtype is not None:
        return []
    found = []
    for value in np.frombuffer(attribute.data, written):
        if np.isnan(value):
            continue
        with np.errstate(all="ignore"):
            same = value.astype(dtype)
        if same == value:
            found.append(same[()])
    return found


def _text(attributes: tuple[Attribute, ...], name: bytes) -> bytes:
    attribute = find(attributes, name)
    if attribute is None:
        return b""
    if isinstance(attribute.data, bytes):
        return attribute.data.rstrip(b"\0 ")
    first = next(iter(attribute.data or ()), "")
    return first.encode() if isinstance(first, str) else first if isinstance(first, bytes) else b""


def nx_class(node: Node) -> str:
    """The ``NX_class`` of the group that a dataset is in."""
    if not node.chain:
        return ""
    file, number = node.chain[-1]
    group = file.structure().get(number)
    return _text(group.attributes, b"NX_class").decode("utf-8", "replace") if isinstance(group, Group) else ""


def _from_detector(node: Node, dtype: np.dtype[Any]) -> bool:
    """Whether detectors write data like this: dead pixels are all ones in what DECTRIS and its kin write."""
    assert isinstance(node.object, Dataset)
    if dtype.kind != "u" or dtype.itemsize < 2:
        return False
    if any(stage.id == BITSHUFFLE for stage in node.object.filters):
        return True
    return dtype.itemsize == 4 and nx_class(node).encode() in DETECTOR


def _neighbours(node: Node) -> dict[bytes, tuple[Any, int, Dataset]]:
    """Datasets beside a dataset, by name: file, identifier, header."""
    found: dict[bytes, tuple[Any, int, Dataset]] = {}
    if not node.chain:
        return found
    file, number = node.chain[-1]
    structure = file.structure()
    group = structure.get(number)
    for link in group.links if isinstance(group, Group) else ():
        if link.kind == "hard":
            member = structure.get(link.target)
            if isinstance(member, Dataset):
                found[link.name] = (file, link.target, member)
    return found


def _read(neighbour: tuple[Any, int, Dataset], nodes: Nodes) -> np.ndarray | None:
    file, number, dataset = neighbour
    elements: Elements = elements_of(OtherFiles(nodes), file, number, dataset)
    if elements.objects or elements.dtype.kind not in "iufb":
        return None
    try:
        return elements.read(whole(elements.shape))
    except ChunkserveError:
        return None


def _limit(neighbours: dict[bytes, Any], nodes: Nodes, node: Node, name: bytes) -> float | None:
    """A scalar beside the dataset, if it may cut anything off."""
    del node
    if name not in neighbours or neighbours[name][2].shape not in ((), (1,)):
        return None
    found = _read(neighbours[name], nodes)
    return None if found is None or not np.isfinite(found).all() else float(found.reshape(-1)[0])


def _mask(neighbours: dict[bytes, Any], nodes: Nodes, node: Node) -> np.ndarray | None:
    """``pixel_mask`` beside the dataset: any bit set means that the pixel's value is not to be used (NXdetector)."""
    assert isinstance(node.object, Dataset)
    shape: Shape = node.object.shape or ()
    if b"pixel_mask" not in neighbours or len(shape) < 2:
        return None
    dataset = neighbours[b"pixel_mask"][2]
    if dataset.shape != shape[-2:] or dataset.shape[0] * dataset.shape[1] > MOST_MASK:
        return None
    found = _read(neighbours[b"pixel_mask"], nodes)
    return None if found is None or not found.any() else found != 0
