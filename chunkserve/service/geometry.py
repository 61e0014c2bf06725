"""The geometry of a diffraction frame: the places of a table, looked up in the file."""

import math
from collections.abc import Iterable, Iterator

from chunkserve.errors import ChunkserveError
from chunkserve.metadata.geometry import Geometry, Measured, Place, Quantity, geometry
from chunkserve.model import Dataset, Group
from chunkserve.service.coordinates import Neighbour, texts
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, Nodes

DEEPEST = 5
"""Groups below an entry in which classes are looked for."""

MOST_GROUPS = 5000
"""Groups that are looked at."""

MOST_NUMBERS = 100_000
"""Numbers of a quantity, which may have one for each frame."""

ENTRIES = frozenset({"NXentry", "NXsubentry"})


def geometry_of(node: Node, nodes: Nodes, places: Iterable[Place]) -> Geometry:
    """The geometry of the detector whose frames a dataset holds, as far as the file in the URL tells it."""
    found: dict[Quantity, Measured] = {}
    if node.chain:
        look = _Look(node, nodes)
        for row in places:
            if row.quantity not in found:
                measured = look.at(row)
                if measured is not None:
                    found[row.quantity] = measured
    return geometry(found)


class _Look:
    """Looks for places in the entry that a dataset is in."""

    def __init__(self, node: Node, nodes: Nodes) -> None:
        self._nodes = nodes
        self._file: HdfFile = node.chain[0][0]
        self._structure = self._file.structure()
        self._entry = self._entry_of(node)
        self._groups = _of_one_detector(node, list(self._below(self._entry)))

    def _entry_of(self, node: Node) -> int:
        """An NXentry on the way to the dataset, the last one; else the first group, else the root."""
        numbers = [number for file, number in node.chain if file is self._file]
        entries = [number for number in numbers if self._classes(number) & ENTRIES]
        return entries[-1] if entries else numbers[:2][-1]

    def _classes(self, number: int) -> set[str]:
        found = self._structure.get(number)
        return set(texts(found.attributes, b"NX_class")) if isinstance(found, Group) else set()

    def _below(self, top: int) -> Iterator[tuple[int, Group, set[str]]]:
        """Groups by hard links, each once, the nearest first, with their classes."""
        seen, level = {top}, [top]
        for _ in range(DEEPEST + 1):
            below: list[int] = []
            for number in level:
                group = self._structure.get(number)
                if not isinstance(group, Group) or len(seen) > MOST_GROUPS:
                    continue
                yield number, group, self._classes(number)
                targets = [link.target for link in group.links if link.kind == "hard" and link.target not in seen]
                seen.update(targets)
                below += targets
            level = below

    def at(self, row: Place) -> Measured | None:
        """What is at a place; nothing if there is nothing, or different numbers in several groups."""
        head, _, path = row.path.partition("/")
        holders = [number for number, _, classes in self._groups if head in classes] if head else [self._entry]
        found = [one for number in holders if (one := self._number(row, number, path)) is not None]
        return found[0] if len({(one.value, one.unit) for one in found}) == 1 else None

    def _number(self, row: Place, group: int, path: str) -> Measured | None:
        """The number that a path from a group leads to: of several, if all are the same."""
        try:
            *above, name = path.encode().split(b"/")
            _, holder, _ = self._nodes.follow_path(self._file, group, b"/".join(above), DEEPEST)
            link = self._structure.link(holder, name)
            if link is None:
                return None
            file, number, _ = self._nodes.target(self._file, holder, link)
            dataset = file.structure().get(number)
        except ChunkserveError:
            return None
        if not isinstance(dataset, Dataset) or dataset.shape is None or math.prod(dataset.shape) > MOST_NUMBERS:
            return None
        values = Neighbour(file, number, dataset).read(self._nodes)
        if values is None or not values.size or not (values == values.flat[0]).all():
            return None
        unit = next(iter(texts(dataset.attributes, b"units")), "") or row.unit
        text = b"/".join((b"", *self._structure.path_of(holder), name)).decode("utf-8", "backslashreplace")
        return Measured(float(values.flat[0]), unit, text)


def _of_one_detector(node: Node, groups: list[tuple[int, Group, set[str]]]) -> list[tuple[int, Group, set[str]]]:
    """All groups; of several detectors only the one that the dataset belongs to, and none if nobody can tell."""
    detectors = [one for one in groups if "NXdetector" in one[2]]
    if len(detectors) < 2:
        return groups
    way = {number for _, number in node.chain}
    own = [one for one in detectors if one[0] in way or any(link.target == node.number for link in one[1].links)]
    return [one for one in groups if "NXdetector" not in one[2]] + (own if len(own) == 1 else [])
