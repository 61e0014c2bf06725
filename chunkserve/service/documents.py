"""Metadata documents of nodes, consolidated ones included, and which files they depend on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.metadata.documents import (
    ArrayView,
    Document,
    array_v2,
    array_v3,
    attributes_v2,
    consolidated_v2,
    group_v2,
    group_v3,
)
from chunkserve.metadata.keys import Format
from chunkserve.model import Group
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.nodes import Node, is_hidden
from chunkserve.service.zarrarray import Context, ZarrArray, attributes_json
from chunkserve.versions import digest

MAX_CONSOLIDATED_LINKS = 256
"""External links below a group up to which consolidating it opens their targets."""


@dataclass(frozen=True)
class Made:
    """A document as bytes, its ETag, and the files it was made from."""

    data: bytes
    etag: str
    files: tuple[HdfFile, ...]

    def is_current(self) -> bool:
        """Whether none of its files has changed."""
        return all(file.is_current() for file in self.files)


class _TooMany(Exception):
    """More nodes than are consolidated."""


class Documents:
    """Makes the documents of one Zarr format."""

    def __init__(self, context: Context, zarr_format: Format, most: int) -> None:
        """Consolidate groups of up to ``most`` nodes."""
        self.context = context
        self.format: Format = zarr_format
        self.most = most

    def make(self, node: Node, name: str) -> Made:
        """The document ``name`` of a node.

        Raises:
            NotFound: The node has no such document.
            Unsupported, MissingSource: It is a dataset that cannot be served.
        """
        document, files = self._group(node, name) if node.is_group else self._array(node, name)
        data = msgspec.json.encode(document)
        files = tuple(dict.fromkeys((*node.files, *files)))
        return Made(data, digest(data.decode()), files)

    def _array(self, node: Node, name: str) -> tuple[Document, tuple[HdfFile, ...]]:
        array = ZarrArray(node, self.format, self.context)
        spell = _ARRAY.get(name)
        if spell is None:
            raise NotFound(name)
        return spell(array.view), array.files

    def _group(self, node: Node, name: str) -> tuple[Document, tuple[HdfFile, ...]]:
        attributes = attributes_json(node.object.attributes)
        if name == ".zgroup":
            return group_v2(), ()
        if name == ".zattrs":
            return attributes, ()
        found, files = self._consolidated(node)
        if name == "zarr.json":
            return group_v3(attributes, found), files
        if name == ".zmetadata" and found is not None:
            found = {".zgroup": group_v2(), ".zattrs": attributes, **found}
            return consolidated_v2(found), files
        raise NotFound(name)

    def _consolidated(self, node: Node) -> tuple[dict[str, Document] | None, tuple[HdfFile, ...]]:
        """The documents of all nodes below, or ``None`` if they are too many to be complete."""
        found: dict[str, Document] = {}
        files: dict[HdfFile, None] = {}
        budget = _Budget(self.most, MAX_CONSOLIDATED_LINKS)
        try:
            for path, member in self._below(node, "", budget):
                files.update(dict.fromkeys(member.files))
                self._add(found, path, member, files)
        except _TooMany:
            return None, ()
        return found, tuple(files)

    def _below(self, node: Node, prefix: str, budget: "_Budget") -> Iterator[tuple[str, Node]]:
        """All nodes below a group that are listed, by path. Loops end where they close."""
        if isinstance(node.object, Group):
            budget.spend(node)
        for name, member in self.context.nodes.members(node, outside=True):
            if is_hidden(member):
                continue
            budget.count()
            path = f"{prefix}{name}"
            yield path, member
            if member.is_group:
                yield from self._below(member, f"{path}/", budget)

    def _add(self, found: dict[str, Document], path: str, member: Node, files: dict[HdfFile, None]) -> None:
        if member.is_group:
            attributes = attributes_json(member.object.attributes)
            if self.format == 3:
                found[path] = group_v3(attributes, {})
            else:
                found[f"{path}/.zgroup"], found[f"{path}/.zattrs"] = group_v2(), attributes
            return
        try:
            array = ZarrArray(member, self.format, self.context)
            view = array.view
        except ChunkserveError:
            return  # cannot be served; inspect says why, and its own URL
        files.update(dict.fromkeys(array.files))
        if self.format == 3:
            found[path] = array_v3(view)
        else:
            found[f"{path}/.zarray"], found[f"{path}/.zattrs"] = array_v2(view), attributes_v2(view)


class _Budget:
    """How many nodes may still be visited, and how many external links followed."""

    def __init__(self, nodes: int, links: int) -> None:
        self.nodes, self.links = nodes, links

    def count(self) -> None:
        self.nodes -= 1
        if self.nodes < 0:
            raise _TooMany

    def spend(self, node: Node) -> None:
        assert isinstance(node.object, Group)
        if len(node.object.links) > self.nodes:
            raise _TooMany
        self.links -= sum(link.kind == "external" for link in node.object.links)
        if self.links < 0 or not node.file.structure().complete:
            raise _TooMany


_ARRAY: dict[str, Callable[[ArrayView], Document]] = {
    "zarr.json": array_v3,
    ".zarray": array_v2,
    ".zattrs": attributes_v2,
}
