"""What a file contains, as frozen data: the snapshot a reader process makes and everybody else works from.

All types here travel between processes and to disk as MessagePack (``chunkserve.wire``); they hold no handles.
"""

from dataclasses import dataclass, field
from typing import Literal

from chunkserve.datatypes import DataType

Layout = Literal["chunked", "contiguous", "compact", "virtual", "external"]

ROOT = 0
"""The identifier of a snapshot's root group."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells whether a file changed: ``os.stat`` fields, compared around every read, never put into keys."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True)
class Attribute:
    """One HDF5 attribute.

    Attributes:
        name: As stored; bytes, since HDF5 names need not be UTF-8.
        type: Its datatype.
        shape: ``None`` for a null dataspace, ``()`` for a scalar.
        data: C-order bytes of ``numpy_dtype(type)`` where that has no objects, else one item per element in C order
            (text as ``str``, or ``bytes`` where it is not UTF-8; references as paths; vlen arrays as lists).
        omitted: Why ``data`` is missing, empty if it is not.
    """

    name: bytes
    type: DataType
    shape: tuple[int, ...] | None
    data: bytes | list[object] | None = None
    omitted: str = ""


@dataclass(frozen=True)
class Filter:
    """One stage of a filter pipeline: HDF5 filter id, flags (bit 0: optional) and client data values."""

    id: int
    flags: int
    values: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True)
class Selection:
    """A selection in a dataspace, as H5S keeps it. Unlimited counts and blocks are ``None``.

    A regular hyperslab has ``start``, ``stride``, ``count`` and ``block``; anything else is a list of ``boxes``
    (start, stop), in C order of their first element. Both empty: everything.
    """

    start: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    count: tuple[int | None, ...] = ()
    block: tuple[int | None, ...] = ()
    boxes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Mapping:
    """One mapping of a virtual dataset: elements of ``source`` in another dataset fill ``target`` here.

    ``file`` and ``dataset`` are as written in the file (``.`` is the file itself; ``%b`` numbers blocks).
    """

    file: str
    dataset: str
    target: Selection
    source: Selection
    source_extent: tuple[int, ...]


@dataclass(frozen=True)
class ExternalSegment:
    """A run of raw bytes of an external-storage dataset: file name as written, offset, size (``None``: unlimited)."""

    file: bytes
    offset: int
    size: int | None


@dataclass(frozen=True)
class Fill:
    """The fill value of a dataset: its bytes in ``numpy_dtype(type)`` (``None``: zero), and when HDF5 writes it."""

    value: bytes | None = None
    user_defined: bool = False
    time: Literal["alloc", "never", "ifset"] = "ifset"


@dataclass(frozen=True)
class Dataset:
    """A dataset's header: everything but its values and chunk addresses.

    Attributes:
        attributes: In the order of the file (creation order where it is tracked).
        notes: What was left out of this record, and why.
        type: Element type.
        shape: Current extent, ``None`` for a null dataspace. For an unlimited virtual dataset the extent stored in its
            mappings, since the true one depends on other files.
        maxshape: ``None`` entries are unlimited.
        layout: Where the values are.
        chunks: Chunk shape of a chunked dataset.
        filters: The pipeline, in the order applied when writing.
        fill: The fill value.
        offset: Byte offset of contiguous data, ``None`` if never allocated.
        stored: Bytes that contiguous data occupy.
        blocks: Block shape within the first stored chunk, where the filter is n-dimensional Blosc2.
        plain_edges: Partial edge chunks are stored without filters (H5Pset_chunk_opts).
        mappings: Of a virtual dataset.
        external: Of a dataset with external storage.
    """

    attributes: tuple[Attribute, ...]
    type: DataType
    shape: tuple[int, ...] | None
    maxshape: tuple[int | None, ...] = ()
    layout: Layout = "contiguous"
    chunks: tuple[int, ...] = ()
    filters: tuple[Filter, ...] = ()
    fill: Fill = field(default_factory=Fill)
    offset: int | None = None
    stored: int = 0
    blocks: tuple[int, ...] = ()
    plain_edges: bool = False
    mappings: tuple[Mapping, ...] = ()
    external: tuple[ExternalSegment, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A name in a group. Hard links carry the target's identifier, soft ones a path, external ones file and path."""

    name: bytes
    kind: Literal["hard", "soft", "external", "other"]
    target: int = -1
    path: bytes = b""
    file: bytes = b""


@dataclass(frozen=True)
class Group:
    """A group: its attributes and its links, in the file's order."""

    attributes: tuple[Attribute, ...]
    links: tuple[Link, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedType:
    """A committed datatype."""

    attributes: tuple[Attribute, ...]
    type: DataType


@dataclass(frozen=True)
class Broken:
    """An object that cannot be read, and why. Its neighbours are not affected."""

    reason: str


@dataclass(frozen=True)
class Snapshot:
    """The structure of one file.

    Attributes:
        root: Identifier of the root group.
        groups, datasets, types, broken: Objects by identifier (the object's address in the file).
        paths: A path of hard links to each object that was named but not described, because the scan reached its
            limits. Empty when the snapshot is complete.
        swmr: The file is open for single-writer/multiple-reader writing.
        writing: The file is flagged as open for writing.
    """

    root: int = ROOT
    groups: dict[int, Group] = field(default_factory=dict)
    datasets: dict[int, Dataset] = field(default_factory=dict)
    types: dict[int, NamedType] = field(default_factory=dict)
    broken: dict[int, Broken] = field(default_factory=dict)
    paths: dict[int, list[bytes]] = field(default_factory=dict)
    swmr: bool = False
    writing: bool = False
