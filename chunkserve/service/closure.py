"""All files that a file draws from, directly or through them: what a pinned version has to cover."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.service.files import Files
from chunkserve.service.hdffile import HdfFile
from chunkserve.versions import combined, digest

MAX_FILES = 64
"""Files that a version may cover; checking more on every request would cost more than it saves."""


@dataclass(frozen=True)
class Closure:
    """A file, the files it draws from, and the targets that are missing.

    Attributes:
        version: Covers them all; the file's own if it draws from no other.
        files: The file first.
        missing: (name as written, the file it is written in).
    """

    version: str
    files: tuple[HdfFile, ...]
    missing: tuple[tuple[bytes, HdfFile], ...]

    def is_current(self, files: Files) -> bool:
        """Whether all are as they were, and what was missing still is."""
        return all(file.is_current() for file in self.files) and all(_absent(files, *gone) for gone in self.missing)


def _absent(files: Files, name: bytes, near: HdfFile) -> bool:
    try:
        files.follow(name, near)
    except NotFound:
        return True
    return False


def closure_of(file: HdfFile, files: Files) -> Closure | None:
    """The closure of a file; ``None`` if it cannot be pinned: it grows, or draws from more than ``MAX_FILES``."""
    found: dict[HdfFile, None] = {file: None}
    missing: dict[tuple[bytes, HdfFile], None] = {}
    for here in _growing(found):
        if here.live or len(found) + len(missing) > MAX_FILES:
            return None
        for name in here.remember("references", functools.partial(_references, here)):
            try:
                found.setdefault(files.follow(name, here))
            except NotFound:
                missing.setdefault((name, here))
    version = combined(member.version for member in found)
    if missing:
        version = digest("missing", version, *sorted(name for name, _ in missing))
    return Closure(version, tuple(found), tuple(missing))


def _growing(found: dict[HdfFile, None]) -> Iterator[HdfFile]:
    """Members of a dictionary in order, those added meanwhile included."""
    done = 0
    while done < len(found):
        yield list(found)[done]
        done += 1


def _references(file: HdfFile) -> tuple[bytes, ...]:
    """Names of other files written in a file; none of what is not HDF5."""
    try:
        structure = file.structure()
    except ChunkserveError:
        return ()
    names: dict[bytes, None] = {}
    for group in structure.groups.values():
        names.update((link.file, None) for link in group.links if link.kind == "external")
    for dataset in structure.datasets.values():
        names.update((mapping.file.encode("utf-8", "surrogateescape"), None) for mapping in dataset.mappings)
        names.update((segment.file, None) for segment in dataset.external)
    names.pop(b".", None)
    return tuple(names)
