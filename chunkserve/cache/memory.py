"""A least-recently-used map bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class MemoryCache(Generic[V]):
    """Values with a size in bytes; the least recently used go when the bound is exceeded. Thread-safe."""

    def __init__(self, limit: int) -> None:
        """Hold at most ``limit`` bytes."""
        self.limit = limit
        self.used = 0
        self.hits = self.misses = self.evictions = 0
        self._lock = threading.Lock()
        self._items: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: Hashable) -> V | None:
        """The value of a key, if it is held."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._items.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Hold a value of ``size`` bytes. One larger than the bound is not held."""
        with self._lock:
            self._discard(key)
            if size > self.limit:
                return
            self._items[key] = value, size
            self.used += size
            while self.used > self.limit:
                _, (_, gone) = self._items.popitem(last=False)
                self.used -= gone
                self.evictions += 1

    def drop(self, key: Hashable) -> None:
        """Forget a key."""
        with self._lock:
            self._discard(key)

    def _discard(self, key: Hashable) -> None:
        found = self._items.pop(key, None)
        if found is not None:
            self.used -= found[1]
