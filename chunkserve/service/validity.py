"""Which elements of a dataset are measurements, and which say that there is none."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chunkserve.codecs.filters import BITSHUFFLE
from chunkserve.datatypes import numpy_dtype
from chunkserve.grid import Box, Shape, whole
from chunkserve.metadata.dimensions import find
from chunkserve.model import Attribute, Dataset
from chunkserve.pyramid.span import ANYTHING, Span
from chunkserve.pyramid.statistics import Kind
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
        sentinel: All ones, where detectors write it for pixels that are dead or saturated; ``None`` if it is a value.
        low: Values below it are invalid (``underload_value``).
        high: Values above it are invalid (``saturation_value``).
        mask: ``True`` at dead pixels of the last two axes (``pixel_mask``); ``None`` if no pixel is dead.
        has_mask: There is a mask, though perhaps no dead pixel: what the sentinel says elsewhere is saturated.
        mark: What a voxel without any valid source voxel is.
    """

    marks: tuple[Any, ...]
    sentinel: Any
    low: float | None
    high: float | None
    mask: np.ndarray | None
    has_mask: bool
    mark: Any

    @cached_property
    def key(self) -> str:
        """The same for the same rules."""
        mask = b"" if self.mask is None else np.packbits(self.mask).tobytes()
        return digest(
            *map(repr, self.marks), repr(self.sentinel), self.low, self.high, mask, self.has_mask, repr(self.mark)
        )

    def valid(self, values: np.ndarray, box: Box, span: Span = ANYTHING) -> np.ndarray | None:
        """Which elements of a box are valid; ``None`` if all are. Infinite ones are, NaN is not.

        Args:
            values: Of real dtype, shape of the box.
            box: Where they are in the dataset.
            span: Of all of them: what it rules out is not looked for.
        """
        invalid = self.invalid(values, box, span)
        return None if invalid is None else ~invalid

    def picked(self, values: np.ndarray, indices: tuple[Indices, ...]) -> np.ndarray | None:
        """Which of the elements at the crossings of indices are valid; ``None`` if all are."""
        rules = self if self.mask is None else replace(self, mask=self.mask[np.ix_(*indices[-2:])])
        return rules.valid(values, whole(values.shape))

    def invalid(self, values: np.ndarray, box: Box, span: Span = ANYTHING) -> np.ndarray | None:
        """Which are not; ``None`` if none is."""
        invalid: np.ndarray | None = None
        if values.dtype.kind == "f" and span.may_hold(np.nan):
            invalid = _joined(invalid, np.isnan(values))
        for _, where in self._ruled_out(values, box, span):
            invalid = _joined(invalid, where)
        return invalid

    def kinds(self, values: np.ndarray, box: Box) -> np.ndarray | None:
        """For each element of a box the :class:`Kind` that it is of, by the first rule that applies.

        Args:
            values: Of real dtype, shape of the box.
            box: Where they are in the dataset.

        Returns:
            uint8, shape of the box; 0 where no rule applies, NaN among them. ``None`` if that is everywhere.
        """
        found: np.ndarray | None = None
        for kind, where in self._ruled_out(values, box):
            if where.any():
                found = np.zeros(values.shape, np.uint8) if found is None else found
                found[where & (found == 0)] = kind
        return found

    @property
    def known_kinds(self) -> frozenset[Kind]:
        """Kinds that there are rules for: of the others nobody can say how many elements there are."""
        apart = {Kind.SENTINEL} if self.sentinel is not None and not self.has_mask else set()
        low = {Kind.UNDERLOAD} if self.low is not None else set()
        tells_saturation = self.high is not None or (self.sentinel is not None and self.has_mask)
        high = {Kind.SATURATED} if tells_saturation else set()
        return frozenset({Kind.MASKED} | apart | low | high)

    def _ruled_out(self, values: np.ndarray, box: Box, span: Span = ANYTHING) -> Iterator[tuple[Kind, np.ndarray]]:
        """Rule by rule, what is no measurement, except NaN: bool, shape of the box."""
        if self.mask is not None:
            part = self.mask[box.slices()[-2:]]
            if part.any():
                yield Kind.MASKED, np.broadcast_to(part, values.shape)
        for mark in self.marks:
            if span.may_hold(mark):
                yield Kind.MASKED, values == mark
        if self.sentinel is not None and span.may_hold(self.sentinel):
            yield (Kind.SATURATED if self.has_mask else Kind.SENTINEL), values == self.sentinel
        if self.high is not None and span.may_exceed(self.high):
            yield Kind.SATURATED, values > self.high
        if self.low is not None and span.may_fall_below(self.low):
            yield Kind.UNDERLOAD, values < self.low

    @property
    def has_rules(self) -> bool:
        """Whether anything but NaN can be invalid."""
        limits = self.low is not None or self.high is not None
        return bool(self.marks) or self.sentinel is not None or self.mask is not None or limits

    def saturated(self, values: np.ndarray, box: Box) -> np.ndarray | None:
        """Which elements of a box are above :attr:`high`, those left out that are marked or masked."""
        if self.high is None:
            return None
        found = values > self.high
        for mark in self.marks:
            found &= values != mark
        if self.mask is not None:
            found &= ~np.broadcast_to(self.mask[box.slices()[-2:]], values.shape)
        return found if found.any() else None

    def marked(self, values: np.ndarray) -> np.ndarray | None:
        """Which voxels of a level have a value, that is are not marked; ``None`` if all have."""
        invalid: np.ndarray | None = None
        if values.dtype.kind == "f":
            invalid = _joined(invalid, np.isnan(values))
        if self.has_rules:
            invalid = _joined(invalid, values == self.mark)
        return None if invalid is None else ~invalid

    def marked_kinds(self, values: np.ndarray) -> np.ndarray | None:
        """As :meth:`kinds`, of voxels of a level: ``EMPTY`` where they are marked, for whatever reason."""
        valid = self.marked(values) if self.has_rules else None
        return None if valid is None else np.where(valid, np.uint8(0), np.uint8(Kind.EMPTY))


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
    beside = neighbours(node)
    dead_or_saturated = sentinel == "on" or (sentinel == "auto" and _from_detector(node, dtype))
    mask = _mask(beside, nodes, node.object.shape or ())
    return Validity(
        tuple(dict.fromkeys(marks)),
        np.iinfo(dtype).max if dead_or_saturated and dtype.kind == "u" else None,
        _limit(beside, nodes, "underload_value"),
        _limit(beside, nodes, "saturation_value"),
        mask if mask is not None and mask.any() else None,
        mask is not None,
        _mark(dtype, marks),
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
    """``pixel_mask`` beside the dataset, ``None`` if there is none.

    Any bit set means that the pixel's value is not to be used (NXdetector).
    """
    mask = beside.get("pixel_mask")
    if mask is None or len(shape) < 2 or mask.dataset.shape != shape[-2:] or math.prod(shape[-2:]) > MOST_MASK:
        return None
    found = mask.read(nodes)
    return None if found is None else found != 0
