"""From a path in a URL to any object of a file, as HDF5 itself finds it: loops, committed types and all."""

from dataclasses import dataclass

from chunkserve.errors import NotFound
from chunkserve.metadata.names import link_name
from chunkserve.model import Dataset, Link
from chunkserve.service.files import Files
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import MAX_PATH, Node, Nodes
from chunkserve.service.structure import Object


@dataclass(frozen=True)
class Found:
    """An object and the way to it.

    Attributes:
        file: The file it is in.
        number: Its identifier there.
        names: Of the links that were followed, from the root of the file in the URL.
        chain: The groups on the way, as (file, identifier).
        files: All files passed through, the last one ``file``.
    """

    file: HdfFile
    number: int
    names: tuple[bytes, ...] = ()
    chain: tuple[tuple[HdfFile, int], ...] = ()
    files: tuple[HdfFile, ...] = ()

    @property
    def name(self) -> bytes:
        """The last link's name."""
        return self.names[-1] if self.names else b""

    def object(self) -> Object:
        """What is there."""
        return self.file.structure().get(self.number)

    def node(self) -> Node:
        """It as a dataset.

        Raises:
            NotFound: It is none.
        """
        found = self.object()
        if not isinstance(found, Dataset):
            raise NotFound(self.name.decode("utf-8", "backslashreplace"))
        return Node(self.file, self.number, found, self.name, self.chain, self.files)


def find_object(nodes: Nodes, files: Files, parts: tuple[str, ...]) -> Found:
    """The object that URL components lead to, file included.

    A component is a link's name as it is stored; if there is none of that name, as the Zarr faces spell it.

    Raises:
        NotFound: There is none, or a link on the way is broken.
    """
    file, rest = files.find(parts)
    if len(rest) > MAX_PATH:
        raise NotFound("/".join(rest[:8]) + "/...")
    found = Found(file, file.structure().root, files=(file,))
    for part in rest:
        found = enter(nodes, found, _link(found, part))
    return found


def enter(nodes: Nodes, group: Found, link: Link) -> Found:
    """What a link of a group leads to.

    Raises:
        NotFound: It is broken.
    """
    file, number, passed = nodes.target(group.file, group.number, link)
    chain = (*group.chain, (group.file, group.number))
    return Found(file, number, (*group.names, link.name), chain, (*group.files, *passed))


def _link(group: Found, part: str) -> Link:
    structure = group.file.structure()
    link = structure.link(group.number, part.encode()) or structure.link(group.number, link_name(part))
    if link is None:
        raise NotFound(part)
    return link
