"""Computed levels on disk, as plain Zarr v3 arrays that any reader opens without the server.

    levels/{pyramid}/zarr.json             a group
    levels/{pyramid}/{level}/zarr.json     an array; there only when every chunk is
    levels/{pyramid}/{level}/c/0/0         chunks: Blosc, then crc32c
    making/{pyramid}/chunks/{level}/c/0/0  chunks of levels that are not complete: a reader would take gaps for zeros
    making/{pyramid}/blocks/{level}/0-0    partials, from which coarser levels are made

Files are written whole or not at all and checked when read. A level is published by one rename. When there are too many
bytes, whole levels go, those of the pyramid not used for longest first, finest first; each loses its metadata first.
"""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

from chunkserve.cache.files import UNFINISHED, write_whole
from chunkserve.grid import Shape

_TRASH = ".trash"
_CHECKSUM = 4
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

    def get(self, pyramid: str, level: int, position: Shape) -> bytes | None:
        """A chunk as a Blosc frame; ``None`` if it is not there or damaged (it is then removed)."""
        name = os.path.join("c", *map(str, position))
        for _ in range(2):  # it may be published between two looks
            for folder in (self._published(pyramid, level), self._unfinished(pyramid, level)):
                try:
                    data = self._read(os.path.join(folder, name))
                except _Damaged:
                    self._unpublish(pyramid, level)
                    break
                if data is not None:
                    self.hits += 1
                    self._touch(pyramid)
                    return data
        self.misses += 1
        return None

    def put(self, pyramid: str, level: int, position: Shape, data: bytes) -> None:
        """Keep a chunk of a level that is not complete."""
        published = self.is_published(pyramid, level)
        folder = self._published(pyramid, level) if published else self._unfinished(pyramid, level)
        self._write(os.path.join(folder, "c", *map(str, position)), data)

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
        self._write(self._block_path(pyramid, level, position), data)

    def drop_block(self, pyramid: str, level: int, position: Shape) -> None:
        """Forget a block, so that it is computed again."""
        with contextlib.suppress(OSError):
            os.unlink(self._block_path(pyramid, level, position))

    def blocks(self, pyramid: str, level: int) -> int:
        """How many blocks of a level were computed."""
        try:
            return sum(not name.endswith(UNFINISHED) for name in os.listdir(self._blocks_folder(pyramid, level)))
        except OSError:
            return 0

    def _published(self, pyramid: str, level: int) -> str:
        return os.path.join(self.folder, pyramid, str(level))

    def _unfinished(self, pyramid: str, level: int) -> str:
        return os.path.join(self.making, pyramid, "chunks", str(level))

    def _blocks_folder(self, pyramid: str, level: int) -> str:
        return os.path.join(self.making, pyramid, "blocks", str(level))

    def _block_path(self, pyramid: str, level: int, position: Shape) -> str:
        return os.path.join(self._blocks_folder(pyramid, level), "-".join(map(str, position)))

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
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        payload = data[:-_CHECKSUM]
        if len(data) < _CHECKSUM or google_crc32c.value(payload).to_bytes(4, "little") != data[-_CHECKSUM:]:
            self.damaged += 1
            log.warning("damaged cache entry removed: %s", path)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise _Damaged(path)
        return payload

    def _write(self, path: str, data: bytes) -> None:
        try:
            write_whole(path, data, google_crc32c.value(data).to_bytes(4, "little"))
        except OSError as error:
            self._complain(error)
            return
        self._written += len(data)
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
        """Every chunk and partial with whether it is sound; damaged ones are removed."""
        for part in list(self.parts()):
            for folder, _, names in os.walk(part.path):
                for name in names:
                    if name == "zarr.json" or name.endswith(UNFINISHED):
                        continue
                    path = os.path.join(folder, name)
                    try:
                        self._read(path)
                    except _Damaged:
                        self._unpublish(part.pyramid, int(part.level))
                        yield path, False
                    else:
                        yield path, True


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
