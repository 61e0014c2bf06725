"""Store keys: which document or chunk a URL path names. One spelling per key: parse, write again, compare."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chunkserve.errors import NotFound
from chunkserve.grid import Shape

Format = Literal[2, 3]

DOCUMENTS: dict[Format, frozenset[str]] = {
    3: frozenset({"zarr.json"}),
    2: frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata"}),
}

_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """A metadata document of the node at ``path``."""

    path: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """The chunk at grid ``position`` of the array at ``path``."""

    path: tuple[str, ...]
    position: Shape


def parse_key(parts: tuple[str, ...], zarr_format: Format) -> DocumentKey | ChunkKey | None:
    """What the components of a key name; ``None`` if it is no key of this format at all."""
    if not parts:
        return None
    if parts[-1] in DOCUMENTS[zarr_format]:
        return DocumentKey(parts[:-1], parts[-1])
    return (_chunk_v3 if zarr_format == 3 else _chunk_v2)(parts)


def _chunk_v3(parts: tuple[str, ...]) -> ChunkKey | None:
    """Default chunk key encoding with ``/``: ``c/1/2``, and ``c`` for a scalar."""
    at = len(parts)
    while at and _NUMBER.match(parts[at - 1]):
        at -= 1
    if not at or parts[at - 1] != "c":
        return None
    return ChunkKey(parts[: at - 1], tuple(map(int, parts[at:])))


def _chunk_v2(parts: tuple[str, ...]) -> ChunkKey | None:
    """``1.2``, and ``0`` for a scalar or in one dimension."""
    numbers = parts[-1].split(".")
    if not all(map(_NUMBER.match, numbers)):
        return None
    return ChunkKey(parts[:-1], tuple(map(int, numbers)))


_TAIL: dict[Format, re.Pattern[bytes]] = {
    3: re.compile(rb"(?:0|[1-9][0-9]{0,18})(?:/(?:0|[1-9][0-9]{0,18}))*\Z"),
    2: re.compile(rb"(?:0|[1-9][0-9]{0,18})(?:\.(?:0|[1-9][0-9]{0,18}))*\Z"),
}


def split_chunk(raw: bytes, zarr_format: Format) -> tuple[bytes, Shape] | None:
    """A raw URL path as the path of an array and a chunk position; ``None`` if it does not look like a chunk's.

    The same rule as :func:`parse_key`, without taking the array's path apart.
    """
    if zarr_format == 3:
        array, found, tail = raw.rpartition(b"/c/")
        separator = b"/"
    else:
        array, found, tail = raw.rpartition(b"/")
        separator = b"."
    if not found or not _TAIL[zarr_format].match(tail):
        return None
    return array, tuple(map(int, tail.split(separator)))


def chunk_name(position: Shape, zarr_format: Format) -> str:
    """The key of a chunk below its array."""
    if zarr_format == 3:
        return "/".join(["c", *map(str, position)])
    return ".".join(map(str, position)) or "0"


def in_grid(position: Shape, grid: Shape, zarr_format: Format) -> bool:
    """Whether a parsed position is one of the array's chunks; a v2 scalar's chunk is called 0."""
    if not grid and zarr_format == 2:
        return position == (0,)
    if len(position) != len(grid):
        return False
    for p, n in zip(position, grid, strict=True):  # noqa: SIM110 - a generator would cost more than the rest of it
        if p >= n:
            return False
    return True


def level_key(
    parts: tuple[str, ...], zarr_format: Format, rank: Callable[[tuple[str, ...]], int | None]
) -> tuple[tuple[str, ...], int | None, str, Shape | None]:
    """What the components of a key below a pyramid name.

    Chunks are called ``c/1/2`` in format 3 and ``1/2`` in format 2.

    Args:
        parts: Path of the image, then a document, or a level and a document or chunk.
        zarr_format: 2 or 3.
        rank: The rank of the image at a path, ``None`` where there is none. An image may be a group: then its levels
            come before the datasets in it, whose names may be numbers too.

    Returns:
        The image's path, the level (``None`` for the group), the document's name, the chunk's position.

    Raises:
        NotFound: It names nothing.
    """
    if parts and parts[-1] in DOCUMENTS[zarr_format]:
        path, name = parts[:-1], parts[-1]
        if path and _NUMBER.match(path[-1]) and rank(path[:-1]) is not None:
            return path[:-1], int(path[-1]), name, None
        if rank(path) is not None:
            return path, None, name, None
        raise NotFound("/".join(parts))
    at = len(parts)
    while at and _NUMBER.match(parts[at - 1]):
        at -= 1
    if zarr_format == 3:
        if at < 2 or parts[at - 1] != "c" or not _NUMBER.match(parts[at - 2]):
            raise NotFound("/".join(parts))
        return parts[: at - 2], int(parts[at - 2]), "", tuple(map(int, parts[at:]))
    for start in range(at, len(parts) - 2):  # names of datasets may be numbers
        found = rank(parts[:start])
        if found is not None and len(parts) - start == found + 1:
            return parts[:start], int(parts[start]), "", tuple(map(int, parts[start + 1 :]))
    raise NotFound("/".join(parts))
