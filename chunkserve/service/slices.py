"""Slices: the picked elements of a dataset or of a level, part by part, each read when it is asked for."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chunkserve.cache.recent import Recent
from chunkserve.codecs.encode import blosc_lz4
from chunkserve.datatypes import DataType, Member, has_objects, numpy_dtype
from chunkserve.errors import BadRequest, NotFound, Unsupported
from chunkserve.grid import Box, Shape, row_chunk
from chunkserve.metadata.messages import Message, dimension_labels, dtype_message, type_message
from chunkserve.model import Dataset
from chunkserve.selection import Indices, Part, Parts, Selection, bounding, parse, relative, rows, runs, split, touched
from chunkserve.service.elements import Elements
from chunkserve.service.fields import pick
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, Nodes
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Pyramids, Wish
from chunkserve.service.virtual import OtherFiles, elements_of
from chunkserve.sources.localfile import WouldBlock

HANDLES = 1024
"""Sources remembered, per worker."""

PART_BYTES = 2 * 2**20
"""Bytes of a part of an answer, about; more where one stored chunk gives more."""

ROW_BYTES = 32 * 2**20
"""Bytes of a part that has to be in C order: the larger, the less often a chunk is decoded again for the next."""

TOUCHED_BYTES = 32 * 2**20
"""Bytes of chunks that are decoded for one part, about; one chunk there is always."""

PAGE = 4096
"""Bytes of data without chunks that are read together."""

ITEM_BYTES = 64
"""What an element that numpy only points at is taken to weigh."""

WORTH_CODING = 16 * 2**10
"""Smaller blocks are sent as they are."""

CODED = (1, 2, 4, 8, 16)
"""Sizes of elements that are worth compressing by bits."""


class Source(Protocol):
    """What is sliced.

    Attributes:
        type: Of an element, as a message.
        shape: ``None`` for a null dataspace.
        unit: The shape in which it is stored.
        itemsize: Bytes of an element of the answer; of the source.
        objects: Elements are plain objects.
        element: Their HDF5 type; ``None`` for voxels of a level.
        labels: Names of its axes, where they have one.
        files: What it depends on; all must be current.
        live: One of them is being written.
        tag: Distinguishes it from all other sources of one version of its files.
    """

    type: Message
    shape: Shape | None
    unit: Shape
    itemsize: tuple[int, int]
    objects: bool
    element: DataType | None
    labels: list[str | None]
    files: tuple[HdfFile, ...]
    live: bool
    tag: str

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The elements of a box: its shape, then the dimensions of array types.

        Raises:
            WouldBlock: Not ``wait``, and they are not at hand.
        """

    def prepare(self, box: Box) -> None:
        """Make sure that a box can be read within the bounds of a request."""

    def is_current(self) -> bool:
        """Whether this is still how the files are."""


class DatasetSource:
    """The elements of a dataset, or some fields of them, as the file has them."""

    def __init__(self, node: Node, nodes: Nodes, fields: tuple[str, ...]) -> None:
        """Look at a dataset.

        Raises:
            BadRequest: There is no such field.
            Unsupported: numpy cannot hold its elements.
        """
        assert isinstance(node.object, Dataset)
        try:
            self.elements = elements_of(OtherFiles(nodes), node.file, node.number, node.object)
        except TypeError as error:
            raise Unsupported(f"{node.path}: {error}") from None
        dataset = self.elements.dataset
        self.fields = fields
        element = _of_fields(dataset.type, fields)
        self.element: DataType | None = element
        self.type = type_message(element)
        self.shape = dataset.shape
        self.objects = has_objects(element)
        self.itemsize = _weight(element), _weight(dataset.type)
        self.unit = stored_unit(self.elements)
        self.labels = dimension_labels(dataset, node.name)
        self.files = tuple(dict.fromkeys(node.files))
        self.live = any(file.live for file in self.files)
        self._fleeting = self.live or (dataset.layout == "virtual" and None in dataset.maxshape)
        self.tag = f"0/{'/'.join(fields)}"

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The elements of a box."""
        values = self.elements.read(box, wait=wait)
        if not self.fields:
            return values
        assert self.element is not None
        return pick(values, self.elements.dataset.type, self.element, self.fields)

    def prepare(self, box: Box) -> None:
        """Nothing to prepare."""

    def is_current(self) -> bool:
        """Whether the header is what it was."""
        return not self._fleeting and all(file.is_current() for file in self.files)


class LevelSource:
    """The voxels of a level of a pyramid."""

    objects = False
    element: DataType | None = None

    def __init__(self, pyramids: Pyramids, pyramid: Pyramid, level: int) -> None:
        """Look at a level.

        Raises:
            NotFound: There is none of that number.
        """
        if level > pyramid.plan.count:
            raise NotFound(f"level {level}")
        self.pyramids, self.pyramid, self.level = pyramids, pyramid, level
        node = pyramid.array.node
        assert isinstance(node.object, Dataset)
        self.type = dtype_message(pyramid.dtype)
        self.shape: Shape | None = pyramid.plan.extent(level)
        self.unit = pyramid.plan.chunk
        self.itemsize = pyramid.dtype.itemsize, pyramid.dtype.itemsize
        self.labels = dimension_labels(node.object, node.name)
        self.files = pyramid.array.files
        self.live = pyramid.live
        self.tag = f"{level}/{pyramid.tag}"

    def read(self, box: Box, *, wait: bool = True) -> np.ndarray:
        """The voxels of a box."""
        if not wait:
            raise WouldBlock
        return self.pyramids.region(self.pyramid, self.level, box)

    def prepare(self, box: Box) -> None:
        """Have the chunks of a box made, if they need more of the source than one request may read.

        Raises:
            Building: They are being made.
        """
        self.pyramids.require(self.pyramid, self.level, box)

    def is_current(self) -> bool:
        """Whether the source is what it was."""
        return self.pyramid.is_current()


def stored_unit(elements: Elements) -> Shape:
    """The shape in which a dataset's elements are read together."""
    dataset, shape = elements.dataset, elements.shape
    if dataset.shape is None:
        return ()
    if dataset.layout == "chunked":
        return dataset.chunks
    if dataset.layout == "virtual":
        return _source_unit(elements)
    return row_chunk(shape, _weight(dataset.type), PAGE)


def _source_unit(elements: Elements) -> Shape:
    """The chunks of the first source of a virtual dataset, if they have its rank; else rows."""
    for axes in elements.layout.axes[:1]:
        try:
            source = elements.sources.open(elements.file, axes.file, axes.dataset)
        except NotFound:
            continue
        unit = stored_unit(source)
        if len(unit) <= len(elements.shape):
            return (*(1,) * (len(elements.shape) - len(unit)), *unit)
    return row_chunk(elements.shape, _weight(elements.dataset.type), PAGE)


def _weight(t: DataType) -> int:
    """Bytes of an element in memory."""
    if has_objects(t):
        return max(ITEM_BYTES, t.size)
    return numpy_dtype(t).itemsize


def _of_fields(t: DataType, fields: tuple[str, ...]) -> DataType:
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
        packed.append(Member(name, at, members[name].type))
        at += members[name].type.size if has_objects(members[name].type) else numpy_dtype(members[name].type).itemsize
    return DataType("compound", at, members=tuple(packed))


# ---------------------------------------------------------------------- slices


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


class Slice:
    """A selection of a source, cut into parts."""

    def __init__(self, source: Source, sel: str) -> None:
        """Plan a slice.

        Raises:
            BadRequest: The selection cannot be read, or picks what is not there.
        """
        self.source = source
        if source.shape is None:
            if sel.strip() not in ("", "..."):
                raise BadRequest(f"sel={sel}: the dataset has a null dataspace, which holds nothing to select")
            self.selection = Selection((range(0),))
            self.parts = Parts(self.selection, ((),))
        else:
            self.selection = parse(sel, source.shape)
            self.parts = split(self.selection, source.unit, source.itemsize, (PART_BYTES, TOUCHED_BYTES))

    @property
    def shape(self) -> Shape | None:
        """The shape of the answer."""
        return None if self.source.shape is None else self.selection.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the answer, decoded; of objects, an estimate."""
        return self.selection.size * self.source.itemsize[0]

    def prepare(self) -> None:
        """Make sure that all of it can be read.

        Raises:
            Building: It is a level that is being made.
        """
        if self.selection.size:
            self.source.prepare(bounding(self.selection.indices))

    def kept(self, along: Shape) -> Shape:
        """Of one number per axis of the source, those of the axes that the answer has."""
        return tuple(along[axis] for axis in self.selection.axes)

    def header(self, version: str) -> Message:
        """The first message of the answer."""
        null = self.source.shape is None
        return {
            "version": version,
            "type": self.source.type,
            "shape": None if null else list(self.selection.shape),
            "axes": [] if null else list(self.selection.axes),
            "dims": [] if null else [self.source.labels[axis] for axis in self.selection.axes],
            "selection": [] if null else self.selection.document(),
            "blocks": len(self.parts),
        }

    def block(self, part: Part, *, wait: bool = True) -> Message:
        """The message of a part; reads it.

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
        """
        values = gather(self.source, part.indices, wait=wait)
        found: Message = {"start": list(self.kept(part.at)), "shape": list(self.kept(part.shape))}
        if self.source.objects:
            return found | {"items": values.reshape(-1).tolist()}
        return found | dict(zip(("codec", "data"), _coded(values), strict=True))

    def values(self, part: Part, *, wait: bool = True) -> np.ndarray:
        """A part in the shape of the answer, then the dimensions of array types; reads it."""
        values = gather(self.source, part.indices, wait=wait)
        return values.reshape(self.kept(part.shape) + values.shape[len(part.shape) :])

    def whole(self) -> np.ndarray:
        """All of it at once, shaped as :meth:`values`."""
        return self.values(Part((0,) * len(self.selection.indices), self.selection.indices))

    def rows(self) -> Parts:
        """It in parts that, one after the other, have the elements in C order."""
        if self.source.shape is None:
            return self.parts
        return rows(self.selection, self.source.unit, self.source.itemsize[0], ROW_BYTES)

    def bytes_of(self, part: Part) -> int:
        """Bytes of a part, decoded."""
        return math.prod(part.shape) * self.source.itemsize[0]

    def touched(self, part: Part) -> int:
        """Bytes of chunks that are read for a part."""
        return touched_bytes(self.source, part.indices)


def touched_bytes(source: Source, indices: tuple[Indices, ...]) -> int:
    """Bytes of all chunks that hold something that is picked, decoded."""
    counts = (touched(picked, c) * c for picked, c in zip(indices, source.unit, strict=True))
    return math.prod(counts) * source.itemsize[1]


def _coded(values: np.ndarray) -> tuple[str, bytes]:
    """An array as bytes in C order, compressed where that is worth it."""
    if values.nbytes >= WORTH_CODING and values.dtype.itemsize in CODED:
        coded = blosc_lz4(values)
        if len(coded) < values.nbytes:
            return "blosc", coded
    return "raw", values.tobytes()


def gather(source: Source, indices: tuple[Indices, ...], *, wait: bool = True) -> np.ndarray:
    """Picked elements, read in boxes that leave out chunks of which nothing is picked.

    Returns:
        One axis per axis of the source, then the dimensions of array types.

    Raises:
        WouldBlock: Not ``wait``, and they are not at hand.
    """
    if not all(indices):
        shape = tuple(map(len, indices))
        return source.read(Box(shape, shape)) if source.shape is not None else np.empty(shape)
    boxes = list(_boxes(source, indices))
    if len(boxes) == 1:
        return _picked(source, indices, wait=wait)
    out: np.ndarray | None = None
    for box in boxes:
        found = _picked(source, box.indices, wait=wait)
        if out is None:
            out = np.empty((*map(len, indices), *found.shape[len(indices) :]), found.dtype)
        out[tuple(slice(at, at + n) for at, n in zip(box.at, box.shape, strict=True))] = found
    assert out is not None
    return out


def _boxes(source: Source, indices: tuple[Indices, ...]) -> Iterator[Part]:
    """Picked indices in parts whose bounding boxes are small and hold no chunk of which nothing is picked."""
    parts: Iterable[Part] = (Part((0,) * len(indices), indices),)
    if touched_bytes(source, indices) > TOUCHED_BYTES:
        parts = split(Selection(indices), source.unit, source.itemsize, (TOUCHED_BYTES, TOUCHED_BYTES))
    for part in parts:
        for cut in itertools.product(*(runs(picked, c) for picked, c in zip(part.indices, source.unit, strict=True))):
            at = tuple(a + b for a, (b, _) in zip(part.at, cut, strict=True))
            yield Part(at, tuple(picked for _, picked in cut))


def _picked(source: Source, indices: tuple[Indices, ...], *, wait: bool) -> np.ndarray:
    """Picked elements of one box."""
    box = bounding(indices)
    values = source.read(box, wait=wait)
    for axis, picked in enumerate(indices):
        if len(picked) != values.shape[axis]:
            values = values[(slice(None),) * axis + (relative(picked, box.start[axis]),)]
    return values


class Slices:
    """Finds what is sliced. Thread-safe."""

    def __init__(self, nodes: Nodes, pyramids: Pyramids) -> None:
        """Slice datasets below ``nodes`` and levels of ``pyramids``."""
        self.nodes = nodes
        self.pyramids = pyramids
        self._known: Recent[Source] = Recent(HANDLES)

    def known(self, path: tuple[str, ...], wanted: Wanted) -> Source | None:
        """The source for a path, if it is remembered and nothing has changed."""
        found = self._known.get((path, wanted.fields, wanted.level, wanted.axes, wanted.method))
        return found if found is not None and found.is_current() else None

    def source(self, path: tuple[str, ...], node: Node, wanted: Wanted) -> Source:
        """The source for a path that leads to ``node``.

        Raises:
            BadRequest: There is no such field or view.
            NotFound: There is no such level.
            Unsupported: It has no levels, or cannot be read.
        """
        found = self._source(node, wanted)
        self._known.put((path, wanted.fields, wanted.level, wanted.axes, wanted.method), found)
        return found

    def _source(self, node: Node, wanted: Wanted) -> Source:
        if not wanted.level:
            return DatasetSource(node, self.nodes, wanted.fields)
        if wanted.fields:
            raise BadRequest("level= and field= exclude each other: compounds have no levels")
        pyramid = self.pyramids.find(node, Wish(wanted.axes, wanted.method))
        return LevelSource(self.pyramids, pyramid, wanted.level)
