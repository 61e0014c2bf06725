"""Reader processes, and files opened for them."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chunkserve import wire
from chunkserve.hdf5.pool import Readers
from chunkserve.model import Snapshot
from chunkserve.settings import clean_environment

_keys = itertools.count()


@dataclass(frozen=True)
class OpenFile:
    """A file as readers want it."""

    fd: int
    key: object
    swmr: bool = False


Open = Callable[..., OpenFile]


@pytest.fixture
def open_file() -> Iterator[Open]:
    """Open a file for readers; every time under another key."""
    opened: list[int] = []

    def open_path(path: Path, *, swmr: bool = False) -> OpenFile:
        opened.append(os.open(path, os.O_RDONLY))
        return OpenFile(opened[-1], next(_keys), swmr)

    yield open_path
    for fd in opened:
        os.close(fd)


@pytest.fixture
def make_readers() -> Iterator[Callable[..., Readers]]:
    """Start reader processes; limits by name."""
    made: list[Readers] = []

    def make(**changes: object) -> Readers:
        values = {"limit": 2, "memory": 2**30, "deadline": 30.0, "environment": clean_environment()}
        made.append(Readers(**values | changes))
        return made[-1]

    yield make
    for readers in made:
        readers.close()


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """Reader processes with room for everything."""
    made = Readers(limit=2, memory=2**30, deadline=30.0, environment=clean_environment())
    yield made
    made.close()


@pytest.fixture
def scan_file(readers: Readers, open_file: Open) -> Callable[..., Snapshot]:
    """The structure of a file, by a reader process."""

    def scan(path: Path, *below: bytes, objects: int = 1000, attribute: int = 10**6, seconds: float = 10.0) -> Snapshot:
        return readers.call(open_file(path), wire.Task(scan=wire.Scan(below, objects, seconds, attribute)), Snapshot)

    return scan
