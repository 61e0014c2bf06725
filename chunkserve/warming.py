"""Make levels ahead of the first request for them."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.service.nodes import Node, is_hidden
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import Store


@dataclass(frozen=True)
class Job:
    """A pyramid to be made, and the path of its dataset in the file."""

    path: str
    pyramid: Pyramid


def served_as(roots: tuple[str, ...], path: str) -> tuple[str, ...]:
    """The path of a file in URLs.

    Args:
        roots: What is served: PATH or NAME=PATH.
        path: Of the file, on this machine.

    Raises:
        NotFound: It is below none of the roots.
    """
    real = os.path.realpath(path)
    for word in roots:
        name, _, folder = word.rpartition("=")
        base = os.path.realpath(folder)
        prefix = (name or os.path.basename(base),) if len(roots) > 1 or name else ()
        if real == base:
            return (*prefix, os.path.basename(real))
        if real.startswith(base.rstrip("/") + "/"):
            return (*prefix, *os.path.relpath(real, base).split("/"))
    raise NotFound(f"{path}: not below {', '.join(roots)}")


def jobs(store: Store, file: tuple[str, ...], datasets: tuple[str, ...], wish: Wish) -> Iterator[Job]:
    """Pyramids of a file: of the datasets named, or of all that are large enough to have levels.

    Raises:
        NotFound: A dataset that was named is not there.
        Unsupported: It has no pyramid.
    """
    for path in datasets:
        parts = (*file, *(part for part in path.split("/") if part))
        yield Job("/".join(parts[len(file) :]), store.pyramids.find(store.node(parts), wish))
    if not datasets:
        yield from _all(store, store.node(file), "", wish, set())


def _all(store: Store, node: Node, path: str, wish: Wish, seen: set[tuple[int, int]]) -> Iterator[Job]:
    key = (node.file.serial, node.number)
    if key in seen or is_hidden(node):
        return
    seen.add(key)
    if node.is_group:
        for name, member in store.nodes.members(node, outside=False):
            yield from _all(store, member, f"{path}/{name}" if path else name, wish, seen)
        return
    try:
        pyramid = store.pyramids.find(node, wish)
    except ChunkserveError:
        return
    if pyramid.plan.count:
        yield Job(path, pyramid)


def warm(job: Job, done: Callable[[int], None], threads: int = 0, levels: int = 0) -> None:
    """Make a pyramid's levels; what was made before is not made again.

    Args:
        job: Which.
        done: Told the bytes of source dealt with, as it goes.
        threads: Blocks made at a time; 0 means one per core.
        levels: How many; 0 means all.

    Raises:
        ChunkserveError: The source cannot be read.
    """
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        job.pyramid.build(pool, done, levels)
