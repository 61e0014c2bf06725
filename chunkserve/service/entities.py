"""What libhdf5 finds at a path: links as they are written, cycles and committed types included, names unchanged.

:mod:`chunkserve.service.nodes` is the tree as Zarr shows it; this is the tree as the file has it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chunkserve.errors import ChunkserveError, Hidden, NotFound, TryAgain
from chunkserve.metadata.names import link_name
from chunkserve.model import Dataset, Group, Link
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import MAX_PATH, Node, Nodes
from chunkserve.service.structure import Object

Chain = tuple[tuple[HdfFile, int], ...]


@dataclass(frozen=True)
class Entity:
    """What a path leads to.

    Attributes:
        file: The file it is in; of a link that leads nowhere, the one that has the link.
        number: Its identifier there.
        found: The object, ``None`` if the link leads nowhere (or nowhere that may be reached).
        names: Of the links that were followed, from the root group.
        link: The last link, ``None`` for the root group.
        chain: The groups on the way, the last one holds the link, as (file, identifier).
        files: All files passed through, the last one ``file``.
        error: Why the link leads nowhere.
    """

    file: HdfFile
    number: int
    found: Object | None
    names: tuple[bytes, ...] = ()
    link: Link | None = None
    chain: Chain = ()
    files: tuple[HdfFile, ...] = ()
    error: ChunkserveError | None = None

    @property
    def name(self) -> bytes:
        """The last link's name, empty for the root group."""
        return self.names[-1] if self.names else b""

    @property
    def node(self) -> Node:
        """A group or dataset as a node.

        Raises:
            NotFound: It is neither.
        """
        if not isinstance(self.found, Group | Dataset):
            raise NotFound(_text(self.name))
        return Node(self.file, self.number, self.found, self.name, self.chain, self.files)


class Entities:
    """Path resolution as libhdf5 does it, inside the roots."""

    def __init__(self, nodes: Nodes) -> None:
        """Follow links with ``nodes``."""
        self.nodes = nodes

    def root(self, file: HdfFile) -> Entity:
        """The root group."""
        structure = file.structure()
        return Entity(file, structure.root, structure.get(structure.root), files=(file,))

    def find(self, file: HdfFile, path: bytes) -> Entity:
        """What a path leads to. Slashes at the ends and repeated ones do not count.

        Raises:
            NotFound: There is no such link, or the way to it is broken.
            TryAgain: A file on the way changes.
        """
        if not path:
            raise NotFound("an empty path")
        names = [name for name in path.split(b"/") if name not in (b"", b".")]
        here, rest = self._walk(self.root(file), names)
        if rest:
            raise NotFound(_text(path))
        return here

    def at(self, parts: tuple[str, ...]) -> Entity:
        """The object that URL components lead to, file included.

        Raises:
            NotFound: There is none.
            ChunkserveError: A link on the way is broken; as it says.
        """
        file, names = self.nodes.files.find(parts)
        here, rest = self._walk(self.root(file), [name.encode() for name in names])
        if rest or here.found is None:
            raise here.error or NotFound("/".join(parts))
        return here

    def _walk(self, here: Entity, names: Sequence[bytes]) -> tuple[Entity, Sequence[bytes]]:
        """Where names of links lead, and those that are left where there is no such link."""
        if len(names) > MAX_PATH:
            raise NotFound("path too long")
        for nth, name in enumerate(names):
            if not isinstance(here.found, Group):
                return here, names[nth:]
            link = here.file.structure().link(here.number, name) or _spelled(here, name)
            if link is None:
                return here, names[nth:]
            here = self.follow(here, link)
        return here, ()

    def members(self, group: Entity) -> Iterator[Entity]:
        """What the links of a group lead to, in the file's order."""
        assert isinstance(group.found, Group)
        for link in group.found.links:
            with contextlib.suppress(Hidden):
                yield self.follow(group, link)

    def follow(self, group: Entity, link: Link) -> Entity:
        """What a link of a group leads to.

        Raises:
            TryAgain: A file that it leads to changes.
            Hidden: It is in the group itself and draws from what may not be seen: for who asks there is no such link.
        """
        names, chain = (*group.names, link.name), (*group.chain, (group.file, group.number))
        try:
            file, number, passed = self.nodes.target(group.file, group.number, link)
            found = file.structure().get(number)
        except TryAgain:
            raise
        except ChunkserveError as error:
            if isinstance(error, Hidden) and link.kind == "hard":
                raise
            return Entity(group.file, -1, None, names, link, chain, group.files, error)
        return Entity(file, number, found, names, link, chain, (*group.files, *passed))

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
            if link.kind == "hard" and not self.nodes.is_seen(group.file, link.target):
                continue
            most -= 1
            yield (*path, link.name)
            if link.kind == "hard" and link.target not in visited:
                visited.add(link.target)
                found = structure.get(link.target)
                if isinstance(found, Group):
                    pending.append(((*path, link.name), _by_name(found)))


def _spelled(group: Entity, name: bytes) -> Link | None:
    """The link whose name a URL or text cannot hold and that answers spell so."""
    if b"~" in name:  # as the faces of Zarr do
        try:
            return group.file.structure().link(group.number, link_name(name.decode()))
        except (NotFound, UnicodeDecodeError):
            return None
    if b"\\x" in name and isinstance(group.found, Group):  # as h5grove does
        return next((k for k in group.found.links if _text(k.name).encode() == name), None)
    return None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _by_name(found: object) -> Iterator[Link]:
    links = found.links if isinstance(found, Group) else ()
    return iter(sorted(links, key=lambda link: link.name))
