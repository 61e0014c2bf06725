"""Which files a dataset draws from by the names written in it, and whether all of them may be seen."""

from collections.abc import Callable, Iterator

from chunkserve.errors import ChunkserveError, Hidden
from chunkserve.metadata.mappings import numbered
from chunkserve.model import Dataset
from chunkserve.service.files import Files
from chunkserve.service.hdffile import HdfFile

MOST_OPENED = 64
"""Sources opened to see what they draw from themselves; what lies behind others shows when it is read."""

Locate = Callable[[HdfFile, bytes], tuple[HdfFile, int]]
"""Finds the object at an HDF5 path of a file: the file it is in, and its identifier there."""


def check_reach(files: Files, locate: Locate, file: HdfFile, dataset: Dataset) -> None:
    """Refuse a dataset that draws, directly or through others, from a file that may not be seen.

    Raises:
        Hidden: It does. What is merely missing is no matter here.
    """
    room = MOST_OPENED
    seen = {(file.serial, target) for target in _targets(dataset)}
    pending = [(file, target) for target in _targets(dataset)]
    while pending:
        near, (name, path) = pending.pop()
        try:
            if name != b".":
                files.roots.follow(name, near.local.place)
            if path is None or not room:
                continue
            room -= 1
            owner, number = locate(files.follow(name, near), path)
            found = owner.structure().get(number)
        except Hidden:
            raise
        except ChunkserveError:
            continue
        if isinstance(found, Dataset):
            for target in _targets(found):
                if (owner.serial, target) not in seen:
                    seen.add((owner.serial, target))
                    pending.append((owner, target))


def _targets(dataset: Dataset) -> Iterator[tuple[bytes, bytes | None]]:
    """Names of files, with the dataset drawn from; of numbered blocks the first."""
    for mapping in dataset.mappings:
        file, path = numbered(mapping, 0)
        yield file.encode("utf-8", "surrogateescape"), path.encode("utf-8", "surrogateescape")
    for segment in dataset.external:
        yield segment.file, None
