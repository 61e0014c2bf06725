"""Files in a folder, named by key: written whole or not at all, checked when read, the oldest removed when too many.

Every entry is 8 magic bytes, the CRC-32 of the payload as u64, and the payload. Workers share the folder; a lock file
per key lets one of them make an entry while the others wait.
"""

import contextlib
import fcntl
import hashlib
import logging
import mmap
import os
import time
import zlib
from collections.abc import Callable, Iterator

from chunkserve.cache.files import write_whole

MAGIC = b"CSCACHE1"
_HEAD = 16
_TOUCH_AFTER = 3600.0  # seconds; how stale the recency of an entry may be
_SWEEP_AFTER = 64 * 2**20  # bytes written between two looks at the folder's size, less for small bounds

log = logging.getLogger("chunkserve.cache")


def _lock_file(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o600)


class DiskCache:
    """A folder of entries, bounded in bytes. A folder that cannot be written is noted once and then only read."""

    def __init__(self, folder: str, limit: int) -> None:
        """Use the subfolder ``entries`` of ``folder`` (made if need be) for at most ``limit`` bytes."""
        self.folder = os.path.join(folder, "entries")
        with contextlib.suppress(OSError):
            os.makedirs(folder, mode=0o700, exist_ok=True)  # what is kept may come from files that not all may read
        self.limit = limit
        self.hits = self.misses = self.damaged = self.evictions = 0
        self._written = limit
        self._complained = False

    def path(self, kind: str, key: str) -> str:
        """The file of an entry."""
        name = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
        return os.path.join(self.folder, kind, name[:2], name[2:])

    def get(self, kind: str, key: str) -> memoryview | None:
        """An entry's payload, mapped into memory; ``None`` if it is not there or damaged (it is then removed)."""
        path = self.path(kind, key)
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                data = (
                    memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)) if size >= _HEAD else memoryview(b"")
                )
                if time.time() - os.fstat(file.fileno()).st_mtime > _TOUCH_AFTER:
                    with contextlib.suppress(OSError):
                        os.utime(path)
        except OSError:
            self.misses += 1
            return None
        if not self._sound(path, data):
            return None
        self.hits += 1
        return data[_HEAD:]

    def _sound(self, path: str, data: memoryview) -> bool:
        """Whether the content of an entry is what was written; if not, it is removed."""
        if data[:8] == MAGIC and int.from_bytes(data[8:16], "little") == zlib.crc32(data[_HEAD:]):
            return True
        self.damaged += 1
        log.warning("damaged cache entry removed: %s", path)
        with contextlib.suppress(OSError):
            os.unlink(path)
        return False

    def put(self, kind: str, key: str, payload: bytes | memoryview) -> None:
        """Store an entry. Failure is logged once and otherwise ignored: the cache is only a cache."""
        path = self.path(kind, key)
        try:
            write_whole(path, MAGIC + zlib.crc32(payload).to_bytes(8, "little"), payload)
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.warning("cannot write to the cache folder %s, continuing without: %s", self.folder, error)
            return
        self._written += len(payload)
        if self._written > min(_SWEEP_AFTER, self.limit // 8):
            self._written = 0
            self.sweep()

    @contextlib.contextmanager
    def making(self, kind: str, key: str) -> Iterator[None]:
        """Hold the right to make an entry, among all processes that share the folder.

        Making an entry of one kind may need one of another kind, never of its own: locks are per kind and some keys.
        """
        path = os.path.join(self.folder, "locks", f"{kind}-{os.path.basename(self.path(kind, key))[:3]}")
        try:
            fd = _lock_file(path)
        except OSError:
            yield
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def get_or_make(self, kind: str, key: str, make: Callable[[], bytes]) -> memoryview:
        """An entry, made by one process if it is not there. Within a process, call it through a ``Flight``."""
        found = self.get(kind, key)
        if found is not None:
            return found
        with self.making(kind, key):
            found = self.get(kind, key)
            if found is None:
                made = make()
                self.put(kind, key, made)
                found = memoryview(made)
        return found

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """All entry files."""
        for folder, _, names in os.walk(self.folder):
            if os.path.basename(folder) == "locks":
                continue
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    yield path, os.stat(path)

    def totals(self) -> dict[str, tuple[int, int]]:
        """Entries and bytes by kind."""
        found: dict[str, tuple[int, int]] = {}
        for path, info in self.entries():
            kind = os.path.relpath(path, self.folder).split(os.sep)[0]
            count, used = found.get(kind, (0, 0))
            found[kind] = count + 1, used + info.st_size
        return found

    def clear(self) -> int:
        """Remove all entries; the bytes that were freed."""
        freed = 0
        for path, info in self.entries():
            with contextlib.suppress(OSError):
                os.unlink(path)
                freed += info.st_size
        return freed

    def verify(self) -> Iterator[tuple[str, bool]]:
        """Every entry with whether it is sound; damaged ones are removed."""
        for path, _ in self.entries():
            with open(path, "rb") as file:
                data = memoryview(file.read())
            yield path, self._sound(path, data)

    def sweep(self) -> None:
        """Remove the entries not used for longest until nine tenths of the bound are left."""
        found = sorted(self.entries(), key=lambda entry: entry[1].st_mtime)
        total = sum(info.st_size for _, info in found)
        if total <= self.limit:
            return
        for path, info in found:
            if total <= self.limit * 9 // 10:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
                self.evictions += 1
                total -= info.st_size
