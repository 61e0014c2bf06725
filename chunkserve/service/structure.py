"""The structure of one file: a snapshot, extended on demand where the file was too large for one look."""

import threading
from collections.abc import Callable

from chunkserve.model import Broken, Dataset, Group, Link, NamedType, Snapshot

Object = Group | Dataset | NamedType | Broken

MISSING = Broken("no such object")


class Structure:
    """Objects of a file by identifier. Thread-safe; looking further blocks."""

    def __init__(self, snapshot: Snapshot, look: Callable[[tuple[bytes, ...]], Snapshot]) -> None:
        """Start from a snapshot.

        Args:
            snapshot: What is known.
            look: Describes the object at a path of hard links, and what is below it.
        """
        self.root = snapshot.root
        self._known = snapshot
        self._look = look
        self._lock = threading.Lock()
        self._parents: dict[int, tuple[int, bytes]] | None = None
        self._links: dict[int, dict[bytes, Link]] = {}

    @property
    def complete(self) -> bool:
        """Whether every object is known."""
        return not self._known.paths

    @property
    def datasets(self) -> dict[int, Dataset]:
        """All datasets known so far."""
        return self._known.datasets

    @property
    def groups(self) -> dict[int, Group]:
        """All groups known so far."""
        return self._known.groups

    def knows(self, number: int) -> bool:
        """Whether :meth:`get` answers without looking into the file."""
        return number not in self._known.paths

    def get(self, number: int) -> Object:
        """An object. Looks into the file if it was not described yet."""
        known = self._known
        if number in known.paths:
            with self._lock:
                if number in known.paths:
                    self._merge(self._look(tuple(known.paths[number])))
                    known.paths.pop(number, None)
        return (
            known.groups.get(number)
            or known.datasets.get(number)
            or known.types.get(number)
            or known.broken.get(number)
            or MISSING
        )

    def _merge(self, found: Snapshot) -> None:
        known = self._known
        known.groups.update(found.groups)
        known.datasets.update(found.datasets)
        known.types.update(found.types)
        known.broken.update(found.broken)
        for number in (*found.groups, *found.datasets, *found.types, *found.broken):
            known.paths.pop(number, None)
        for number, path in found.paths.items():
            if self.get_known(number) is None:
                known.paths.setdefault(number, path)
        self._parents = None

    def get_known(self, number: int) -> Object | None:
        """An object if it was described already."""
        known = self._known
        return (
            known.groups.get(number)
            or known.datasets.get(number)
            or known.types.get(number)
            or known.broken.get(number)
        )

    def link(self, group: int, name: bytes) -> Link | None:
        """A group's link by name."""
        table = self._links.get(group)
        if table is None:
            here = self.get(group)
            table = self._links[group] = {k.name: k for k in here.links} if isinstance(here, Group) else {}
        return table.get(name)

    def path_of(self, number: int) -> tuple[bytes, ...]:
        """A path of hard links from the root to an object, for reader processes to follow."""
        with self._lock:
            if self._parents is None:
                self._parents = self._find_parents()
            names: list[bytes] = []
            while number != self.root:
                parent = self._parents.get(number)
                if parent is None:
                    return tuple(self._known.paths.get(number, ()))
                number = parent[0]
                names.append(parent[1])
        return tuple(reversed(names))

    def _find_parents(self) -> dict[int, tuple[int, bytes]]:
        parents: dict[int, tuple[int, bytes]] = {self.root: (self.root, b"")}
        queue = [self.root]
        for here in queue:
            group = self._known.groups.get(here)
            for link in group.links if group is not None else ():
                if link.kind == "hard" and link.target not in parents:
                    parents[link.target] = here, link.name
                    queue.append(link.target)
        return parents
