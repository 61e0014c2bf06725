"""What is at a path, and below it: headers, attributes and links, as ``/meta`` tells them."""

import contextlib
import hashlib
from collections import deque
from dataclasses import dataclass

import msgspec

from chunkserve.errors import ChunkserveError, Hidden
from chunkserve.metadata.messages import Message, attribute_messages, dataset_message, text, type_message
from chunkserve.model import Broken, Dataset, Group, Link, NamedType
from chunkserve.service.entities import Entities, Entity
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.virtual import OtherFiles, elements_of

MOST_NODES = 20_000
"""Nodes described by one answer; groups beyond have no ``members`` and are to be asked for themselves."""

MOST_OUTSIDE = 256
"""External links followed for one answer; each opens a file."""


@dataclass(frozen=True)
class Described:
    """A description as bytes, its ETag, the version it is of, and the files it was made from."""

    data: bytes
    etag: str
    version: str
    files: tuple[HdfFile, ...]

    def is_current(self) -> bool:
        """Whether none of its files has changed."""
        return all(file.is_current() for file in self.files)


def described(entities: Entities, found: Entity, depth: int, version: str, *, as_json: bool) -> Described:
    """Describe an object.

    Args:
        entities: The way to other objects.
        found: The object.
        depth: Groups below it whose members are described.
        version: Of its file, as told in the message.
        as_json: As JSON, with bytes in base64, rather than MessagePack.
    """
    path = "/" + "/".join(text(name) for name in found.names)
    description = Description(entities, found, path, depth)
    message = {"version": version, "file": found.files[0].name, "path": path, "node": description.node}
    data = (msgspec.json if as_json else msgspec.msgpack).encode(message)
    etag = hashlib.blake2b(data, digest_size=10).hexdigest()
    return Described(data, etag, version, tuple(description.files))


@dataclass(frozen=True)
class _Group:
    found: Entity
    path: str
    message: Message
    depth: int


class Description:
    """Describes an object and what is below it, group by group, those nearest first.

    Attributes:
        files: All files it was made from.
    """

    def __init__(self, entities: Entities, start: Entity, path: str, depth: int) -> None:
        """Describe ``start``, found at ``path``, and members ``depth`` groups deep."""
        self._entities = entities
        self.files: dict[HdfFile, None] = dict.fromkeys(start.files)
        self._seen: dict[tuple[int, int], str] = {}
        self._outside = 0
        self._groups: deque[_Group] = deque()
        self._room = MOST_NODES
        self.node = self._describe(start, path, depth)
        while self._groups:
            self._fill(self._groups.popleft())

    def _fill(self, group: _Group) -> None:
        here = group.found.found
        assert isinstance(here, Group)
        if group.depth <= 0 or len(here.links) > self._room:
            return
        self._room -= len(here.links)
        members = group.message["members"] = {}
        for link in here.links:
            with contextlib.suppress(Hidden):
                members[text(link.name)] = self._member(group, link)

    def _member(self, group: _Group, link: Link) -> Message:
        path = f"{group.path.rstrip('/')}/{text(link.name)}"
        if link.kind == "hard":
            return self._describe(self._enter(group, link), path, group.depth - 1)
        if link.kind == "external":
            self._outside += 1
            if self._outside > MOST_OUTSIDE:
                return _unfollowed(
                    link, f"only {MOST_OUTSIDE} external links are followed at once; ask for it by itself"
                )
        try:
            found = self._enter(group, link)
            self.files.update(dict.fromkeys(found.files))
            message = self._describe(found, path, group.depth - 1)
        except ChunkserveError as error:
            return _unfollowed(link, str(error))
        return message | {"link": _link(link)}

    def _enter(self, group: _Group, link: Link) -> Entity:
        """What a link of a group leads to.

        Raises:
            ChunkserveError: It is broken, as it says.
        """
        found = self._entities.follow(group.found, link)
        if found.error is not None:
            raise found.error
        return found

    def _describe(self, found: Entity, path: str, depth: int) -> Message:
        key = (found.file.serial, found.number)
        if key in self._seen:
            return {"kind": "same", "path": self._seen[key]}
        self._seen[key] = path
        assert found.found is not None
        match found.found:
            case Group() as here:
                message: Message = {"kind": "group", "attributes": attribute_messages(here.attributes), "members": None}
                if here.notes:
                    message["notes"] = list(here.notes)
                self._groups.append(_Group(found, path, message, depth))
                return message
            case Dataset() as here:
                return self._dataset(found, here)
            case NamedType() as here:
                attributes = attribute_messages(here.attributes)
                return {"kind": "datatype", "attributes": attributes, "type": type_message(here.type)}
            case Broken() as here:
                return {"kind": "broken", "reason": here.reason}

    def _dataset(self, found: Entity, dataset: Dataset) -> Message:
        if dataset.shape is None:
            return dataset_message(dataset, found.name, None)
        try:
            dataset = elements_of(OtherFiles(self._entities.nodes), found.file, found.number, dataset).dataset
        except ChunkserveError as error:  # its extent depends on what is not there
            return dataset_message(dataset, found.name, dataset.shape) | {"unreadable": str(error)}
        except TypeError as error:  # numpy has no such type
            return dataset_message(dataset, found.name, dataset.shape) | {"unreadable": str(error)}
        return dataset_message(dataset, found.name, dataset.shape)


def _link(link: Link) -> Message:
    return {"kind": link.kind, "path": text(link.path), "file": text(link.file) if link.kind == "external" else None}


def _unfollowed(link: Link, reason: str) -> Message:
    return {
        "kind": "link",
        "link": link.kind,
        **{k: v for k, v in _link(link).items() if k != "kind"},
        "reason": reason,
    }
