"""Chunks kept: decoded ones in memory, received ones on disk. Keys begin with a version, so nothing gets stale."""

import contextlib
import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import platformdirs

SUFFIX = ".chunk"


class MemoryCache:
    """Arrays by key, the least recently used ones dropped first; from any thread."""

    def __init__(self, capacity: int) -> None:
        """Keep up to ``capacity`` bytes."""
        self.capacity = capacity
        self.size = 0
        self._items: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> np.ndarray | None:
        """What is kept under a key."""
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
            return found

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def put(self, key: str, value: np.ndarray) -> None:
        """Keep an array, unless it alone is more than a quarter of all; nobody may write to it any more."""
        if value.nbytes > self.capacity // 4:
            return
        value.setflags(write=False)
        with self._lock:
            old = self._items.pop(key, None)
            self.size += value.nbytes - (old.nbytes if old is not None else 0)
            self._items[key] = value
            while self.size > self.capacity:
                _, dropped = self._items.popitem(last=False)
                self.size -= dropped.nbytes

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._items.clear()
            self.size = 0


class DiskCache:
    """Bodies by key, one file each, with a digest in front; the longest unused ones are removed first.

    Several processes may share the folder: files appear whole by renaming, and what is not whole is not taken.
    """

    def __init__(self, capacity: int, folder: str = "") -> None:
        """Keep up to ``capacity`` bytes in ``folder``; 0 keeps none and makes no folder."""
        self.capacity = capacity
        self.folder = Path(folder) if folder else Path(platformdirs.user_cache_dir("chunkserve-client"))
        self._size: int | None = None
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """What is kept under a key."""
        if not self.capacity:
            return None
        file = self._file(key)
        try:
            data = file.read_bytes()
        except OSError:
            return None
        digest, body = data[:16], data[16:]
        if _digest(key, body) != digest:
            with contextlib.suppress(OSError):
                file.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(file)
        return body

    def put(self, key: str, body: bytes | bytearray | memoryview) -> None:
        """Keep a body. A disk that is full or read-only keeps nothing, and nobody is told."""
        if not self.capacity or len(body) > self.capacity // 4:
            return
        file = self._file(key)
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=file.parent)
            try:
                with os.fdopen(descriptor, "wb") as out:
                    out.write(_digest(key, body))
                    out.write(body)
                os.replace(name, file)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
            self._grown(len(body) + 16)

    def _file(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        return self.folder / name[:2] / f"{name}{SUFFIX}"

    def _grown(self, more: int) -> None:
        with self._lock:
            if self._size is None:
                self._size = sum(size for _, size, _ in self._entries())
            else:
                self._size += more
            if self._size > self.capacity:
                self._shrink(self.capacity * 9 // 10)

    def _entries(self) -> list[tuple[float, int, Path]]:
        found = []
        for file in self.folder.glob(f"*/*{SUFFIX}"):
            with contextlib.suppress(OSError):
                stat = file.stat()
                found.append((stat.st_mtime, stat.st_size, file))
        return found

    def _shrink(self, goal: int) -> None:
        entries = sorted(self._entries())
        size = sum(entry[1] for entry in entries)
        for _, length, file in entries:
            if size <= goal:
                break
            with contextlib.suppress(OSError):
                file.unlink()
                size -= length
        self._size = size


def _digest(key: str, body: bytes | bytearray | memoryview) -> bytes:
    found = hashlib.blake2b(key.encode(), digest_size=16)
    found.update(body)
    return found.digest()
