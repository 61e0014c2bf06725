"""Which elements of a dataset are measurements, and which say that there is none."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.codecs.filters import BITSHUFFLE
from chunkserve.datatypes import numpy_dtype
from chunkserve.grid import Box, Shape
from chunkserve.metadata.dimensions import find
from chunkserve.model import Attribute, Dataset
from chunkserve.selection import Indices
from chunkserve.service.coordinates import Neighbour, group_attribute, neighbours
from chunkserve.service.nodes import Node, Nodes
from chunkserve.versions import digest

MARKS = (b"_FillValue", b"missing_value")
"""Attributes that name values which mean that there is none (CF conventions, 2.5.1)."""

DETECTOR = frozenset({"NXdetector", "NXdata"})
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
        return self._valid(values, None if self.mask is None else self.mask[box.slices()[-2:]])

    def picked(self, values: np.ndarray, indices: tuple[Indices, ...]) -> np.ndarray | None:
        """Which of the elements at the crossings of indices are valid; ``None`` if all are."""
        return self._valid(values, None if self.mask is None else self.mask[np.ix_(*indices[-2:])])

    def _valid(self, values: np.ndarray, mask: np.ndarray | None) -> np.ndarray | None:
        invalid: np.ndarray | None = None
        if values.dtype.kind == "f":
            invalid = _joined(invalid, np.isnan(values))
        for mark in self.marks:
            invalid = _joined(invalid, values == mark)
        if self.high is not None:
            invalid = _joined(invalid, values > self.high)
        if self.low is not None:
            invalid = _joined(invalid, values < self.low)
        if mask is not None and mask.any():
            invalid = _joined(invalid, np.broadcast_to(mask, values.shape))
        return None if invalid is None else ~invalid

    def marked(self, values: np.ndarray) -> np.ndarray | None:
        """Which voxels of a level have a value, that is are not marked; ``None`` if all have."""
        invalid: np.ndarray | None = None
        if values.dtype.kind == "f":
            invalid = _joined(invalid, np.isnan(values))
        if self.marks or self.mask is not None or self.low is not None or self.high is not None:
            invalid = _joined(invalid, values == self.mark)
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
    beside = neighbours(node)
    if sentinel == "on" or (sentinel == "auto" and _from_detector(node, dtype)):
        marks += [np.iinfo(dtype).max] if dtype.kind == "u" else []
    return Validity(
        tuple(dict.fromkeys(marks)),
        _limit(beside, nodes, "underload_value"),
        _limit(beside, nodes, "saturation_value"),
        _mask(beside, nodes, node.object.shape or ()),
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


def _from_detector(node: Node, dtype: np.dtype[Any]) -> bool:
    """Whether detectors write data like this: dead pixels are all ones in what DECTRIS and its kin write."""
    assert isinstance(node.object, Dataset)
    if dtype.kind != "u" or dtype.itemsize < 2:
        return False
    if any(stage.id == BITSHUFFLE for stage in node.object.filters):
        return True
    return dtype.itemsize == 4 and bool(DETECTOR & set(group_attribute(node, b"NX_class")))


def _limit(beside: dict[str, Neighbour], nodes: Nodes, name: str) -> float | None:
    """A scalar beside the dataset."""
    if name not in beside or beside[name].dataset.shape not in ((), (1,)):
        return None
    found = beside[name].read(nodes)
    return None if found is None or not np.isfinite(found).all() else float(found.reshape(-1)[0])


def _mask(beside: dict[str, Neighbour], nodes: Nodes, shape: Shape) -> np.ndarray | None:
    """``pixel_mask`` beside the dataset: any bit set means that the pixel's value is not to be used (NXdetector)."""
    mask = beside.get("pixel_mask")
    if mask is None or len(shape) < 2 or mask.dataset.shape != shape[-2:] or math.prod(shape[-2:]) > MOST_MASK:
        return None
    found = mask.read(nodes)
    return None if found is None or not found.any() else found != 0
