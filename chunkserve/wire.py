"""Messages between a worker and its reader processes, and the spelling of model objects on disk: typed MessagePack.

Decoding validates every field, since the sender parses files from strangers.
"""

from dataclasses import dataclass
from typing import TypeVar

import msgspec

T = TypeVar("T")


@dataclass(frozen=True)
class Scan:
    """Describe the object at ``path`` (hard links from the root) and what is below it, within limits."""

    path: tuple[bytes, ...]
    max_objects: int
    seconds: float
    max_attribute: int


@dataclass(frozen=True)
class Index:
    """Make the chunk index (:mod:`chunkserve.chunkindex`) of the dataset at ``path``."""

    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Lookup:
    """Find the current extent of the dataset at ``path`` and where the chunks with these origins are stored."""

    path: tuple[bytes, ...]
    origins: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Read:
    """Read the box ``start``, ``count`` of the dataset at ``path``, converted by libhdf5.

    With ``twice``, decode under two fillings of fresh memory and fail if they differ (see ``chunkserve.hdf5.read``).
    """

    path: tuple[bytes, ...]
    start: tuple[int, ...]
    count: tuple[int, ...]
    twice: bool = False


@dataclass(frozen=True)
class Task:
    """One request to a reader; exactly one field is set."""

    scan: Scan | None = None
    index: Index | None = None
    lookup: Lookup | None = None
    read: Read | None = None


@dataclass(frozen=True)
class Located:
    """Answer to :class:`Lookup`: the extent, and (offset, length, filter mask) per origin, ``None`` if not stored."""

    shape: tuple[int, ...]
    chunks: tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Values:
    """Answer to :class:`Read`: C-order bytes in ``numpy_dtype``, or one text (or list) per element for object types."""

    data: bytes = b""
    items: list[object] | None = None


@dataclass(frozen=True)
class Failure:
    """A reader's refusal.

    ``kind`` is ``missing``, ``unreadable``, ``corrupt``, ``unsupported``, ``writing``, ``memory`` or
    ``storage``.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class Reply:
    """A reader's answer: a payload in MessagePack, or a failure."""

    payload: bytes = b""
    failure: Failure | None = None


_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type, msgspec.msgpack.Decoder[object]] = {}


def encode(message: object) -> bytes:
    """Spell a model object or message as MessagePack."""
    return _encoder.encode(message)


def decode(data: bytes | memoryview, kind: type[T]) -> T:
    """Read and validate what :func:`encode` wrote.

    Raises:
        ValueError: ``data`` is not a well-formed ``kind``.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return decoder.decode(data)  # type: ignore[return-value]  # the table pairs each type with its decoder
