"""Computed levels on disk, as plain Zarr v3 arrays that any reader opens without the server.

    levels/{pyramid}/zarr.json             a group
    levels/{pyramid}/{level}/zarr.json     an array; there only when every chunk is
    levels/{pyramid}/{level}/c.0.0         shards: all chunks of a level that come from one block
    making/{pyramid}/chunks/{level}/c.0.0  shards of levels that are not complete: a reader would take gaps for zeros
    making/{pyramid}/blocks/{level}/0.0    partials, from which coarser levels are made

Files are written whole or not at all and checked when read. A level is published by one rename. When there are too many
bytes, whole levels go, those of the pyramid not used for longest first, finest first; each loses its metadata first.
"""

import contextlib
import logging
import math
import os
import shutil
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import google_crc32c
import numpy as np

from chunkserve.cache.files import UNFINISHED, write_whole
from chunkserve.codecs.shard import index_size, pack_index, read_index
from chunkserve.errors import Corrupt
from chunkserve.grid import Shape, number

_TRASH = ".trash"
_CHECKSUM = 4
_HEAD = struct.Struct("<4sI")
_MAGIC = b"CSLV"
"""Before the chunks of a shard, with their number: a shard can be checked by itself."""

_TOUCH_AFTER = 600.0  # seconds; how stale the recency of a pyramid may be
_SWEEP_AFTER = 256 * 2**20  # bytes written between two looks at the folder's size, less for small bounds

log = logging.getLogger("chunkserve.cache")


class _Damaged(Exception):
    """A checksum does not fit; the file is removed."""


@dataclass(frozen=True)
class Part:
    """Something that is removed as a whole: a level, complete or not, or its partials."""

    pyramid: str
    level: str
    path: str
    size: int
    used: float

    @property
    def order(self) -> tuple[float, str, int, str]:
        """Removed first comes first: of the pyramid not used for longest, the finest level."""
        return self.used, self.pyramid, int(self.level), self.path


class LevelCache:
    """The levels of all pyramids, bounded in bytes. A folder that cannot be written is said once, then read."""

    def __init__(self, folder: str, limit: int) -> None:
        """Use the subfolders ``levels`` and ``making`` of ``folder`` for at most ``limit`` bytes."""
        self.folder = os.path.join(folder, "levels")
        self.making = os.path.join(folder, "making")
        self.limit = limit
        self.hits = self.misses = self.damaged = self.evictions = 0
        self._written = limit
        self._complained = False
        self._touched: dict[str, float] = {}

    # ----------------------------------------------------------------- chunks

    def get(self, pyramid: str, level: int, position: Shape, tiles: Shape) -> bytes | None:
        """A chunk as a Blosc frame; ``None`` if it is not there or damaged (its shard is then removed).

        Args:
            pyramid: Its name.
            level: From 1.
            position: Of the chunk.
            tiles: Chunks in a shard, along each axis.
        """
        name = _shard_name(tuple(p // t for p, t in zip(position, tiles, strict=True)))
        inner = number(tuple(p % t for p, t in zip(position, tiles, strict=True)), tiles)
        for _ in range(2):  # it may be published between two looks
            for folder in (self._published(pyramid, level), self._unfinished(pyramid, level)):
                try:
                    data = self._inner(os.path.join(folder, name), inner, math.prod(tiles))
                except _Damaged:
                    self._unpublish(pyramid, level)
                    break
                if data is not None:
                    self.hits += 1
                    self._touch(pyramid)
                    return data
        self.misses += 1
        return None

    def put(self, pyramid: str, level: int, tiles: Shape, chunks: Mapping[Shape, bytes]) -> None:
        """Keep the chunks of one shard of a level, by their positions."""
        published = self.is_published(pyramid, level)
        folder = self._published(pyramid, level) if published else self._unfinished(pyramid, level)
        shard = tuple(p // t for p, t in zip(next(iter(chunks)), tiles, strict=True))
        first = tuple(p * t for p, t in zip(shard, tiles, strict=True))
        positions = (tuple(a + i for a, i in zip(first, inner, strict=True)) for inner in np.ndindex(*tiles))
        found = [chunks.get(position) for position in positions]
        head = _HEAD.pack(_MAGIC, len(found))
        index = pack_index([None if data is None else len(data) + _CHECKSUM for data in found], len(head))
        parts = [part for data in found if data is not None for part in (data, _checksum(data))]
        self._write(os.path.join(folder, _shard_name(shard)), head, *parts, index)

    def block(self, pyramid: str, level: int, position: Shape) -> bytes | None:
        """A block's partial, packed; ``None`` if it is not there or damaged (it is then removed)."""
        with contextlib.suppress(_Damaged):
            return self._read(self._block_path(pyramid, level, position))
        return None

    def has_block(self, pyramid: str, level: int, position: Shape) -> bool:
        """Whether a block was computed."""
        return os.path.exists(self._block_path(pyramid, level, position))

    def put_block(self, pyramid: str, level: int, position: Shape, data: bytes) -> None:
        """Keep a block's partial."""
        self._write(self._block_path(pyramid, level, position), data, _checksum(data))

    def shards(self, pyramid: str, level: int) -> int:
        """How many shards of a level that is not published there are."""
        try:
            return sum(not name.endswith(UNFINISHED) for name in os.listdir(self._unfinished(pyramid, level)))
        except OSError:
            return 0

    def _published(self, pyramid: str, level: int) -> str:
        return os.path.join(self.folder, pyramid, str(level))

    def _unfinished(self, pyramid: str, level: int) -> str:
        return os.path.join(self.making, pyramid, "chunks", str(level))

    def _blocks_folder(self, pyramid: str, level: int) -> str:
        return os.path.join(self.making, pyramid, "blocks", str(level))

    def _block_path(self, pyramid: str, level: int, position: Shape) -> str:
        return os.path.join(self._blocks_folder(pyramid, level), ".".join(map(str, position)))

    # ----------------------------------------------------------------- levels

    def is_published(self, pyramid: str, level: int) -> bool:
        """Whether a level is complete."""
        return os.path.exists(os.path.join(self._published(pyramid, level), "zarr.json"))

    def publish(self, pyramid: str, level: int, document: bytes, group: bytes) -> None:
        """Make a complete level an array that readers find.

        Args:
            pyramid: Its name.
            level: Of which every chunk is there.
            document: The array's ``zarr.json``.
            group: The pyramid's.
        """
        unfinished = self._unfinished(pyramid, level)
        try:
            write_whole(os.path.join(self.folder, pyramid, "zarr.json"), group)
            write_whole(os.path.join(unfinished, "zarr.json"), document)
            os.rename(unfinished, self._published(pyramid, level))
        except OSError as error:
            if not self.is_published(pyramid, level):  # another worker may have done it
                self._complain(error)

    def _unpublish(self, pyramid: str, level: int) -> None:
        """A chunk of it is gone: nobody else must read the rest as complete."""
        published, unfinished = self._published(pyramid, level), self._unfinished(pyramid, level)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(published, "zarr.json"))
            os.makedirs(os.path.dirname(unfinished), exist_ok=True)
            os.rename(published, unfinished)

    # ------------------------------------------------------------------ bytes

    def _read(self, path: str) -> bytes | None:
        """What was written with a checksum at its end."""
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        return self._checked(path, data)

    def _inner(self, path: str, nth: int, count: int) -> bytes | None:
        """A chunk of a shard of ``count``."""
        try:
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                index = os.pread(file.fileno(), index_size(count), max(0, size - index_size(count)))
                entry = read_index(index, size)[nth]
                if entry is None:
                    return None
                offset, length = entry
                return self._checked(path, os.pread(file.fileno(), length, offset))
        except OSError:
            return None
        except (Corrupt, IndexError):
            raise self._damage(path) from None

    def _checked(self, path: str, data: bytes) -> bytes:
        payload = data[:-_CHECKSUM]
        if len(data) < _CHECKSUM or _checksum(payload) != data[-_CHECKSUM:]:
            raise self._damage(path)
        return payload

    def _damage(self, path: str) -> "_Damaged":
        self.damaged += 1
        log.warning("damaged cache entry removed: %s", path)
        with contextlib.suppress(OSError):
            os.unlink(path)
        return _Damaged(path)

    def _check_shard(self, path: str) -> None:
        """Look at all chunks of a shard.

        Raises:
            _Damaged: One is damaged; the shard is removed.
        """
        try:
            with open(path, "rb") as file:
                head = file.read(_HEAD.size)
        except OSError:
            return  # removed by somebody else
        magic, count = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0)
        if magic != _MAGIC:
            raise self._damage(path)
        for nth in range(count):
            self._inner(path, nth, count)

    def _write(self, path: str, *parts: bytes) -> None:
        try:
            write_whole(path, *parts)
        except OSError as error:
            self._complain(error)
            return
        self._written += sum(map(len, parts))
        if self._written > min(_SWEEP_AFTER, self.limit // 8):
            self._written = 0
            self.sweep()

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("cannot write to the cache folder %s, levels stay in memory: %s", self.folder, error)

    def _touch(self, pyramid: str) -> None:
        now = time.time()
        if now - self._touched.get(pyramid, 0.0) > _TOUCH_AFTER:
            self._touched[pyramid] = now
            with contextlib.suppress(OSError):
                os.utime(os.path.join(self.folder, pyramid))
                os.utime(os.path.join(self.making, pyramid))

    # --------------------------------------------------------------- eviction

    def pyramids(self) -> list[str]:
        """Names of all pyramids."""
        found: set[str] = set()
        for folder in (self.folder, self.making):
            with contextlib.suppress(OSError):
                found |= {name for name in os.listdir(folder) if not name.startswith(".")}
        return sorted(found)

    def parts(self) -> Iterator[Part]:
        """All that can be removed."""
        for pyramid in self.pyramids():
            bases = os.path.join(self.folder, pyramid), os.path.join(self.making, pyramid)
            used = max(_modified(base) for base in bases)
            folders = [bases[0], os.path.join(bases[1], "chunks"), os.path.join(bases[1], "blocks")]
            for folder in folders:
                with contextlib.suppress(OSError):
                    for name in os.listdir(folder):
                        if name.isdigit():
                            path = os.path.join(folder, name)
                            yield Part(pyramid, name, path, _size(path), used)

    def sweep(self) -> None:
        """Remove whole levels until nine tenths of the bound are left."""
        found = sorted(self.parts(), key=lambda part: part.order)
        total = sum(part.size for part in found)
        if total <= self.limit:
            return
        for part in found:
            if total <= self.limit * 9 // 10:
                break
            self.remove(part)
            total -= part.size

    def remove(self, part: Part) -> None:
        """Remove a level at once, its metadata first: nobody must read what is half gone."""
        trash = os.path.join(self.making, f"{_TRASH}-{os.getpid()}-{time.monotonic_ns()}")
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(part.path, "zarr.json"))
        with contextlib.suppress(OSError):
            os.makedirs(self.making, exist_ok=True)
            os.rename(part.path, trash)
            self.evictions += 1
        shutil.rmtree(trash, ignore_errors=True)

    def clear(self) -> None:
        """Remove everything."""
        for part in list(self.parts()):
            self.remove(part)
        for folder in (self.folder, self.making):
            shutil.rmtree(folder, ignore_errors=True)

    def verify(self) -> Iterator[tuple[str, bool]]:
        """Every shard and partial with whether it is sound; damaged ones are removed."""
        for part in list(self.parts()):
            check = self._read if os.path.basename(os.path.dirname(part.path)) == "blocks" else self._check_shard
            folder = part.path
            for name in os.listdir(folder):
                if name == "zarr.json" or name.endswith(UNFINISHED):
                    continue
                path = os.path.join(folder, name)
                try:
                    check(path)
                except _Damaged:
                    if folder == self._published(part.pyramid, int(part.level)):
                        self._unpublish(part.pyramid, int(part.level))
                        folder = self._unfinished(part.pyramid, int(part.level))
                    yield path, False
                else:
                    yield path, True


def _shard_name(shard: Shape) -> str:
    return ".".join(("c", *map(str, shard)))


def _checksum(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CHECKSUM, "little")


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _size(path: str) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(folder, name)).st_size
    return total
