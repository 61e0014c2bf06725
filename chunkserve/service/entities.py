"""What libhdf5 finds at a path: links as they are written, cycles included, names unchanged.

:mod:`chunkserve.service.nodes` is the tree as Zarr shows it; this is the tree as the file has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chunkserve.errors import ChunkserveError, NotFound, TryAgain
from chunkserve.model import Broken, Dataset, Group, Link, NamedType
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import MAX_PATH, Node, Nodes

Chain = tuple[tuple[HdfFile, int], ...]


@dataclass(frozen=True)
class Entity:
    """What a path leads to.

    Attributes:
        name: The last link's name, empty for the root group.
        link: The last link, ``None`` for the root group.
        found: The object, ``None`` if the link leads nowhere (or nowhere that may be reached).
        file: The file it is in.
        number: Its identifier there.
        chain: The groups on the way, the last one holds the link, as (file, identifier).
        files: All files passed through, the last one ``file``.
    """

    name: bytes
    link: Link | None
    found: Group | Dataset | NamedType | Broken | None
    file: HdfFile
    number: int
    chain: Chain
    files: tuple[HdfFile, ...]

    @property
    def node(self) -> Node:
        """A group or dataset as a node."""
        assert isinstance(self.found, Group | Dataset)
        return Node(self.file, self.number, self.found, self.name, self.chain, self.files)


class Entities:
    """Path resolution as libhdf5 does it, inside the roots."""

    def __init__(self, nodes: Nodes) -> None:
        """Follow links with ``nodes``."""
        self.nodes = nodes

    def root(self, file: HdfFile) -> Entity:
        """The root group."""
        structure = file.structure()
        return Entity(b"", None, structure.get(structure.root), file, structure.root, (), (file,))

    def find(self, file: HdfFile, path: bytes) -> Entity:
        """What a path leads to. Slashes at the ends and repeated ones do not count.

        Raises:
            NotFound: There is no such link, or the way to it is broken.
            TryAgain: A file on the way changes.
        """
        if not path:
            raise NotFound("an empty path")
        names = [name for name in path.split(b"/") if name not in (b"", b".")]
        if len(names) > MAX_PATH:
            raise NotFound("path too long")
        here = self.root(file)
        for name in names:
            if not isinstance(here.found, Group):
                raise NotFound(path.decode("utf-8", "backslashreplace"))
            link = here.file.structure().link(here.number, name) or _spelled(here.found, name)
            if link is None:
                raise NotFound(path.decode("utf-8", "backslashreplace"))
            here = self.follow(here, link)
        return here

    def members(self, group: Entity) -> Iterator[Entity]:
        """What the links of a group lead to, in the file's order."""
        assert isinstance(group.found, Group)
        for link in group.found.links:
            yield self.follow(group, link)

    def follow(self, group: Entity, link: Link) -> Entity:
        """What a link of a group leads to.

        Raises:
            TryAgain: A file that it leads to changes.
        """
        chain = (*group.chain, (group.file, group.number))
        try:
            file, number, passed = self.nodes.target(group.file, group.number, link)
            found = file.structure().get(number)
        except TryAgain:
            raise
        except ChunkserveError:
            return Entity(link.name, link, None, group.file, -1, chain, group.files)
        return Entity(link.name, link, found, file, number, chain, (*group.files, *passed))

    def paths(self, group: Entity, most: int) -> Iterator[tuple[bytes, ...]]:
        """Names that lead to every link below a group, as H5Lvisit finds them.

        By name; soft and external links are not followed, and a group with several names is entered once.

        Args:
            group: Where to begin.
            most: Links after which it ends.
        """
        structure = group.file.structure()
        visited = {group.number}
        pending: list[tuple[tuple[bytes, ...], Iterator[Link]]] = [((), _by_name(group.found))]
        while pending and most:
            path, links = pending[-1]
            link = next(links, None)
            if link is None:
                pending.pop()
                continue
            most -= 1
            yield (*path, link.name)
            if link.kind == "hard" and link.target not in visited:
                visited.add(link.target)
                found = structure.get(link.target)
                if isinstance(found, Group):
                    pending.append(((*path, link.name), _by_name(found)))


def _spelled(group: Group, name: bytes) -> Link | None:
    """The link whose name is not UTF-8 and is written so in answers."""
    if b"\\x" not in name:
        return None
    return next((k for k in group.links if k.name.decode("utf-8", "backslashreplace").encode() == name), None)


def _by_name(found: object) -> Iterator[Link]:
    links = found.links if isinstance(found, Group) else ()
    return iter(sorted(links, key=lambda link: link.name))
