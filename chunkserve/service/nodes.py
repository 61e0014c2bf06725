"""From a path in a URL to a group or dataset: hard, soft and external links followed by us, cycles cut."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from chunkserve.cache.recent import Recent
from chunkserve.datatypes import DataType
from chunkserve.errors import ChunkserveError, Hidden, NotFound
from chunkserve.metadata.dimensions import Scope, is_scale, is_variable, open_scope, scale_paths
from chunkserve.metadata.names import NOT_COORDINATE, link_name, node_name
from chunkserve.metadata.served import Fields, field, serve
from chunkserve.model import Dataset, Group, Link
from chunkserve.service.files import Files
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.reach import check_reach
from chunkserve.service.structure import Structure

MAX_HOPS = 64
"""Soft and external links followed in one path."""

MAX_PATH = 256
"""Components of a path."""

REACHES = 8192
"""Datasets of which is remembered whether all that they draw from may be seen."""


@dataclass(frozen=True)
class Node:
    """What a path leads to.

    Attributes:
        file: The file it is in.
        number: Its identifier there.
        object: The group or dataset.
        name: The last link's name.
        chain: The groups on the way, from the root of the URL to the one that holds the link, as (file, identifier).
        files: All files passed through, the last one ``file``.
        field: For a field of a compound served as a group: the names that lead to it.
    """

    file: HdfFile
    number: int
    object: Group | Dataset
    name: bytes
    chain: tuple[tuple[HdfFile, int], ...]
    files: tuple[HdfFile, ...]
    field: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """For messages: file and hard path."""
        inside = b"/".join(self.file.structure().path_of(self.number)).decode("utf-8", "backslashreplace")
        return f"{self.file.name}:/{'/'.join((inside, *self.field)) if self.field else inside}"

    @property
    def type(self) -> DataType:
        """The datatype of a dataset, or of the field."""
        assert isinstance(self.object, Dataset)
        found = field(self.object.type, self.field)
        assert found is not None
        return found

    @property
    def is_group(self) -> bool:
        """Whether it is a group in Zarr: an HDF5 group, or a compound with one array per field."""
        return isinstance(self.object, Group) or isinstance(serve(self.type), Fields)


class Nodes:
    """Path resolution over all files."""

    def __init__(self, files: Files) -> None:
        """Resolve within ``files``."""
        self.files = files
        self._reaches: Recent[bool] = Recent(REACHES)

    def root(self, file: HdfFile) -> Node:
        """The root group of a file.

        Raises:
            NotFound: The root group itself is broken.
        """
        structure = file.structure()
        group = structure.get(structure.root)
        if not isinstance(group, Group):
            raise NotFound(file.name)
        return Node(file, structure.root, group, b"", (), (file,))

    def find(self, file: HdfFile, parts: tuple[str, ...]) -> Node:
        """The node at a path of node names.

        Raises:
            NotFound: There is none, a link is broken, or leads back to a group the path came through.
        """
        if len(parts) > MAX_PATH:
            raise NotFound("/".join(parts[:8]) + "/...")
        node = self.root(file)
        for part in parts:
            node = self.child(node, part)
        return node

    def child(self, node: Node, part: str) -> Node:
        """A member of a node.

        Raises:
            NotFound: There is none of that name.
        """
        if isinstance(node.object, Dataset):
            return self._field(node, part)
        return self._enter(node, _link(node.file.structure(), node.number, part))

    def _field(self, node: Node, part: str) -> Node:
        served = serve(node.type)
        if not isinstance(served, Fields):
            raise NotFound(part)
        name = link_name(part).decode("utf-8", "surrogateescape")
        if not any(member.name == name for member in served.members):
            raise NotFound(part)
        return replace(node, field=(*node.field, name))

    def _enter(self, node: Node, link: Link) -> Node:
        chain = (*node.chain, (node.file, node.number))
        file, number, passed = self.target(node.file, node.number, link)
        found = file.structure().get(number)
        if not isinstance(found, Group | Dataset):
            raise NotFound(link.name.decode("utf-8", "backslashreplace"))
        if isinstance(found, Group) and any(f is file and n == number for f, n in chain):
            raise NotFound(f"{link.name.decode('utf-8', 'backslashreplace')} leads back to where it came from")
        return Node(file, number, found, link.name, chain, (*node.files, *passed))

    def target(self, file: HdfFile, group: int, link: Link) -> tuple[HdfFile, int, tuple[HdfFile, ...]]:
        """Where a link of a group ends: file, identifier, and the files entered on the way.

        Raises:
            NotFound: It is broken, or leads to a dataset that draws from what may not be seen.
        """
        found = self._target(file, group, link, MAX_HOPS)
        if not self.is_seen(*found[:2]):
            raise Hidden(link.name.decode("utf-8", "backslashreplace"))
        return found

    def is_seen(self, file: HdfFile, number: int) -> bool:
        """Whether all that an object draws from may be seen."""
        if self.files.roots.sight is None:
            return True
        found = file.structure().get(number)
        if not isinstance(found, Dataset) or found.layout not in ("virtual", "external"):
            return True
        known = self._reaches.get((file.serial, number))
        if known is None:
            try:
                check_reach(self.files, self._at, file, found)
            except Hidden:
                known = False
            else:
                known = True
            self._reaches.put((file.serial, number), known)
        return known

    def _at(self, file: HdfFile, path: bytes) -> tuple[HdfFile, int]:
        """The object at an HDF5 path of a file."""
        return self.follow_path(file, file.structure().root, path, MAX_HOPS)[:2]

    def _target(self, file: HdfFile, group: int, link: Link, hops: int) -> tuple[HdfFile, int, tuple[HdfFile, ...]]:
        """Where a link ends: file, identifier, and the files entered on the way."""
        if link.kind == "hard":
            return file, link.target, ()
        if hops <= 0 or link.kind == "other":
            raise NotFound(link.name.decode("utf-8", "backslashreplace"))
        if link.kind == "soft":
            return self.follow_path(file, group, link.path, hops - 1)
        other = self.files.follow(link.file, file)
        end, number, passed = self.follow_path(other, other.structure().root, link.path, hops - 1)
        return end, number, (other, *passed)

    def follow_path(
        self, file: HdfFile, group: int, path: bytes, hops: int
    ) -> tuple[HdfFile, int, tuple[HdfFile, ...]]:
        """Follow an HDF5 path from a group (or from the root, if it is absolute)."""
        passed: tuple[HdfFile, ...] = ()
        number = file.structure().root if path.startswith(b"/") else group
        names = [name for name in path.split(b"/") if name not in (b"", b".")]
        if len(names) > MAX_PATH:
            raise NotFound("link")
        for name in names:
            link = file.structure().link(number, name)
            if link is None:
                raise NotFound(path.decode("utf-8", "backslashreplace"))
            file, number, more = self._target(file, number, link, hops)
            passed += more
            hops -= len(more)
        return file, number, passed

    def members(self, node: Node, *, outside: bool) -> Iterator[tuple[str, Node]]:
        """Members of a group node that can be reached, with their node names.

        Broken links, loops and objects that cannot be read are left out.

        Args:
            node: A group node.
            outside: Whether to follow external links, which opens other files.
        """
        if isinstance(node.object, Dataset):
            served = serve(node.type)
            for member in served.members if isinstance(served, Fields) else ():
                name = node_name(member.name.encode("utf-8", "surrogateescape"))
                if name is not None:
                    yield name, replace(node, field=(*node.field, member.name))
            return
        for name, link in named_links(node.object):
            if link.kind == "external" and not outside:
                continue
            try:
                yield name, self._enter(node, link)
            except ChunkserveError:
                continue

    def scope(self, chain: tuple[tuple[HdfFile, int], ...]) -> Scope:
        """The dimensions known in the last group of a chain."""
        if not chain:
            return Scope()
        file, number = chain[-1]

        def make() -> Scope:
            return open_scope(self._datasets(file, number), self.scope(chain[:-1]), self._unlimited(file, number))

        return file.remember(("scope", tuple((f.serial, n) for f, n in chain)), make)

    def _datasets(self, file: HdfFile, number: int) -> dict[str, Dataset]:
        """Datasets among a group's members by name, soft links within the file included."""
        structure = file.structure()
        group = structure.get(number)
        found: dict[str, Dataset] = {}
        for link in group.links if isinstance(group, Group) else ():
            if link.kind not in ("hard", "soft"):
                continue
            try:
                _, target, passed = self._target(file, number, link, MAX_HOPS)
            except ChunkserveError:
                continue
            member = structure.get(target) if not passed else None
            if isinstance(member, Dataset):
                found[link.name.decode("utf-8", "backslashreplace")] = member
        return found

    def _unlimited(self, file: HdfFile, number: int) -> Mapping[str, int]:
        """Current sizes of the unlimited dimensions that are members of a group, by name."""
        structure = file.structure()
        group = structure.get(number)
        sizes = file.remember("unlimited", lambda: _unlimited_sizes(structure))
        return {
            link.name.decode("utf-8", "backslashreplace"): sizes[link.target]
            for link in (group.links if isinstance(group, Group) else ())
            if link.kind == "hard" and link.target in sizes
        }


def _link(structure: Structure, group: int, part: str) -> Link:
    """The link of a group with a node name."""
    name = link_name(part)
    renamed = structure.link(group, NOT_COORDINATE + name)
    link = renamed or structure.link(group, name)
    if link is None or (name.startswith(NOT_COORDINATE) and link.name == name):
        raise NotFound(part)
    return link


def named_links(group: Group) -> Iterator[tuple[str, Link]]:
    """A group's links with their node names; those that cannot be spelled are left out.

    A variable that netCDF-C renamed because of a dimension takes its name back, and hides the dimension.
    """
    renamed = {link.name.removeprefix(NOT_COORDINATE) for link in group.links if link.name.startswith(NOT_COORDINATE)}
    for link in group.links:
        if link.name in renamed:
            continue
        name = node_name(link.name.removeprefix(NOT_COORDINATE))
        if name is not None:
            yield name, link


def is_hidden(node: Node) -> bool:
    """Whether a dataset only carries a dimension's length: reachable, but not listed."""
    return (
        isinstance(node.object, Dataset) and not node.field and is_scale(node.object) and not is_variable(node.object)
    )


def _unlimited_sizes(structure: Structure) -> dict[int, int]:
    """The size of every unlimited dimension: its scale's length, or that of the longest dataset attached to it."""
    sizes = {
        number: dataset.shape[0]
        for number, dataset in structure.datasets.items()
        if dataset.shape and dataset.maxshape == (None,) and is_scale(dataset)
    }
    by_path = {b"/" + b"/".join(structure.path_of(number)): number for number in sizes}
    for dataset in structure.datasets.values():
        for axis, paths in enumerate(scale_paths(dataset)):
            for path in paths:
                number = by_path.get(path.encode("utf-8", "surrogateescape"))
                if number is not None and dataset.shape is not None:
                    sizes[number] = max(sizes[number], dataset.shape[axis])
    return sizes
