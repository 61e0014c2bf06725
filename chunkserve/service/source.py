"""Sources: arrays that boxes of elements can be read of, be they datasets, fields of records, or levels.

What is picked of them is read by :mod:`chunkserve.service.picked`, in bounded memory.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from chunkserve.datatypes import DataType, Member, has_objects, number_type, numpy_dtype
from chunkserve.errors import BadRequest, ChunkserveError, TryAgain
from chunkserve.grid import Box, Shape, row_chunk
from chunkserve.model import Dataset
from chunkserve.service.elements import Elements
from chunkserve.service.fields import pick
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids
from chunkserve.sources.localfile import WouldBlock

PAGE = 4096
"""Bytes of data without chunks that are read together."""

OBJECT_BYTES = 64
"""What an element that numpy only points at is taken to weigh."""


class Source(Protocol):
    """An array that boxes can be read of."""

    @property
    def path(self) -> str:
        """For messages."""

    @property
    def type(self) -> DataType:
        """Of an element."""

    @property
    def shape(self) -> Shape:
        """Extents; ``(0,)`` for a null dataspace."""

    @property
    def unit(self) -> Shape:
        """The shape in which it is stored: elements that are read together."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read; ``object`` where numpy can only point at elements."""

    @property
    def dims(self) -> Shape:
        """Dimensions of an array type, which follow the others."""

    @property
    def weights(self) -> tuple[int, int]:
        """Bytes of an element that is read, all its ``dims`` included, and of what is decoded for it; about."""

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The elements of a box: its shape, then ``dims``.

        Raises:
            WouldBlock: Not ``wait``, and they are not at hand.
            ChunkserveError: As it says.
        """

    def prepare(self, box: Box) -> None:
        """Make sure that a box can be read within the bounds of a request.

        Raises:
            Building: It takes longer; it is being made.
        """


def is_objects(source: Source) -> bool:
    """Whether elements are plain objects: text, references, sequences, and records with such."""
    return source.dtype.hasobject


class DatasetSource:
    """The elements of a dataset, or some fields of them, as the file has them. Objects are not taken apart."""

    def __init__(self, elements: Elements, fields: tuple[str, ...] = ()) -> None:
        """Read ``fields`` of the elements; all of each if none are named.

        Raises:
            BadRequest: There is no such field.
        """
        self.elements = elements
        self.fields = fields
        self.type = type_of_fields(elements.dataset.type, fields)
        self.shape = elements.shape
        dtype = np.dtype(object) if has_objects(self.type) else numpy_dtype(self.type)
        self.dtype: np.dtype[Any] = dtype.base
        self.dims: Shape = dtype.shape
        self.weights = weight(self.type), weight(elements.dataset.type)

    @property
    def path(self) -> str:
        """For messages."""
        return self.elements.path

    @cached_property
    def unit(self) -> Shape:
        """The shape in which it is stored."""
        return stored_unit(self.elements)

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The elements of a box."""
        values = self.elements.read(box, wait=wait)
        return pick(values, self.elements.dataset.type, self.type, self.fields) if self.fields else values

    def prepare(self, box: Box) -> None:
        """Nothing to prepare."""


class LevelSource:
    """The voxels of a level of a pyramid."""

    dims: Shape = ()

    def __init__(self, pyramids: Pyramids, pyramid: Pyramid, level: int) -> None:
        """Read ``level`` of ``pyramid``, which has it."""
        self.pyramids, self.pyramid, self.level = pyramids, pyramid, level
        dataset = pyramid.array.node.object
        assert isinstance(dataset, Dataset)
        self.type = _level_type(dataset.type, pyramid.dtype)
        self.shape = pyramid.plan.extent(level)
        self.unit = pyramid.plan.chunk
        self.dtype = pyramid.dtype
        self.weights = self.dtype.itemsize, self.dtype.itemsize

    @property
    def path(self) -> str:
        """For messages."""
        return self.pyramid.array.node.path

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The voxels of a box."""
        if not wait:
            raise WouldBlock
        return self.pyramids.region(self.pyramid, self.level, box)

    def prepare(self, box: Box) -> None:
        """Have the chunks of a box made, if they need more of the source than one request may read."""
        self.pyramids.require(self.pyramid, self.level, box)


class ArraySource:
    """An array in memory, in the place of a source."""

    dims: Shape = ()

    def __init__(self, path: str, t: DataType, values: np.ndarray) -> None:
        """Read of ``values``, which are of type ``t``."""
        self.path, self.type, self._values = path, t, values
        self.shape = self.unit = values.shape
        self.dtype = values.dtype
        self.weights = self.dtype.itemsize, 0

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:  # noqa: ARG002
        """The elements of a box."""
        return self._values[box.slices()]

    def prepare(self, box: Box) -> None:
        """Nothing to prepare."""


# ----------------------------------------------------------------------- types


def weight(t: DataType) -> int:
    """Bytes of an element in memory."""
    return max(OBJECT_BYTES, t.size) if has_objects(t) else numpy_dtype(t).itemsize


def type_of_fields(t: DataType, fields: tuple[str, ...]) -> DataType:
    """The type of some fields of a record: the field's own, or that of a record of several, packed.

    Raises:
        BadRequest: It is no record, or has no such field.
    """
    if not fields:
        return t
    members = {member.name: member for member in t.members} if t.cls == "compound" else {}
    for name in fields:
        if name not in members:
            there = f"there are {', '.join(members)}" if members else "the dataset is no compound"
            raise BadRequest(f"field={name} is not there; {there}")
    if len(fields) == 1:
        return members[fields[0]].type
    packed, at = [], 0
    for name in dict.fromkeys(fields):
        inner = members[name].type
        packed.append(Member(name, at, inner))
        at += inner.size if has_objects(inner) else numpy_dtype(inner).itemsize
    return DataType("compound", at, members=tuple(packed))


def _level_type(t: DataType, dtype: np.dtype[Any]) -> DataType:
    """The type of a level: enumerations keep theirs, numbers are little-endian, complex ones magnitudes."""
    if t.cls == "enum" and t.inner.standard:
        return replace(t, order="<", base=replace(t.inner, order="<"))
    return number_type(dtype)


# ----------------------------------------------------------------------- units


def stored_unit(elements: Elements) -> Shape:
    """The shape in which a dataset's elements are read together."""
    dataset, shape = elements.dataset, elements.shape
    if dataset.layout == "chunked":
        return dataset.chunks
    if dataset.layout == "virtual":
        return _source_unit(elements)
    return row_chunk(shape, weight(dataset.type), PAGE)


def _source_unit(elements: Elements) -> Shape:
    """The chunks of the first source of a virtual dataset, if they have its rank; else rows."""
    rank = len(elements.shape)
    for axes in elements.layout.axes[:1]:
        try:
            source = elements.sources.open(elements.file, axes.file, axes.dataset)
        except TryAgain:
            raise
        except ChunkserveError:  # that is said when it is read
            continue
        unit = stored_unit(source)
        if len(unit) <= rank:
            return (*(1,) * (rank - len(unit)), *unit)
    return row_chunk(elements.shape, weight(elements.dataset.type), PAGE)
