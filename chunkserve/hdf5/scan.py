"""Walk a file from one object down, breadth first, and describe what is found."""

import time
from collections import deque

from h5py import h5d, h5f, h5g, h5l, h5o, h5t

from chunkserve.hdf5.attributes import read_attributes
from chunkserve.hdf5.describe import describe_dataset, describe_group
from chunkserve.hdf5.faults import raise_storage_fault
from chunkserve.hdf5.types import describe_type
from chunkserve.model import Broken, NamedType, Snapshot
from chunkserve.wire import Scan

MAX_DEPTH = 256
"""Groups within groups that are followed."""


class Missing(LookupError):
    """No hard link of that name: the caller's structure is older than the file."""


def open_object(file: h5f.FileID, path: tuple[bytes, ...]) -> h5g.GroupID | h5d.DatasetID | h5t.TypeID:
    """Open an object one hard link at a time, so that libhdf5 never follows a link out of the file.

    Raises:
        Missing: A component is not there or not a hard link.
    """
    here = h5g.open(file, b"/")
    for name in path:
        if name in (b"", b".") or b"/" in name:  # libhdf5 would take it for a path
            raise Missing(name)
        if not isinstance(here, h5g.GroupID) or not here.links.exists(name):
            raise Missing(name)
        if here.links.get_info(name).type != h5l.TYPE_HARD:
            raise Missing(name)
        here = h5o.open(here, name)
    return here


def scan(file: h5f.FileID, task: Scan) -> Snapshot:
    """Describe the object at ``task.path`` and everything that hard links lead to from it.

    Objects named beyond the limits are listed in ``paths`` with a way to reach them. An object that cannot be
    described is ``Broken`` and hurts nobody else.
    """
    start = open_object(file, task.path)
    found = Snapshot(root=h5o.get_info(start).addr)
    seen = {found.root}
    queue = deque([(found.root, start, list(task.path))])
    deadline = time.monotonic() + task.seconds
    described = 0
    while queue:
        address, where, path = queue.popleft()
        if described and (described >= task.max_objects or time.monotonic() > deadline):
            found.paths[address] = path
            continue
        described += 1
        try:
            if not isinstance(where, h5g.GroupID | h5d.DatasetID | h5t.TypeID):
                where = h5o.open(where[0], where[1])
            _describe(address, where, found, task.max_attribute)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
            raise_storage_fault(error)
            found.broken[address] = Broken(f"{type(error).__name__}: {error}")
            continue
        if address in found.groups:
            for link in found.groups[address].links:
                if link.kind != "hard" or link.target in seen:
                    continue
                seen.add(link.target)
                below = [*path, link.name]
                if len(below) > MAX_DEPTH:
                    found.broken[link.target] = Broken(f"deeper than {MAX_DEPTH} groups")
                else:
                    queue.append((link.target, (where, link.name), below))
    return found


def _describe(
    address: int, where: h5g.GroupID | h5d.DatasetID | h5t.TypeID, found: Snapshot, max_attribute: int
) -> None:
    if isinstance(where, h5g.GroupID):
        found.groups[address] = describe_group(where, max_attribute)
    elif isinstance(where, h5d.DatasetID):
        found.datasets[address] = describe_dataset(where, max_attribute)
    else:
        attributes, _ = read_attributes(where, max_attribute)
        found.types[address] = NamedType(attributes, describe_type(where))
