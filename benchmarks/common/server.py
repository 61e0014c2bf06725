"""A server under test: how it is started, asked and checked."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np

from benchmarks.common import zarrkeys
from benchmarks.common.client import Client
from benchmarks.common.errors import Wrong
from benchmarks.common.processes import Process
from benchmarks.common.series import Series


class Target(NamedTuple):
    """What is asked for: a path, and a Range header's value if it is part of one."""

    path: str
    byte_range: str = ""


class Server(Protocol):
    """A running server.

    Attributes:
        name: For tables.
        workers: Processes that answer.
        port: On 127.0.0.1.
        process: Its process group.
        headers: What every request has to have.
    """

    name: str
    workers: int
    port: int
    process: Process
    headers: Mapping[str, str]

    def targets(self, series: Series) -> list[Target]:
        """What to ask for, one target per chunk.

        Raises:
            Unserved: It cannot answer for these data.
        """

    def values(self, series: Series, k: int, body: bytes) -> np.ndarray:
        """The decoded chunk ``k`` from the body of its target.

        Raises:
            Wrong: It cannot be decoded.
        """


class Running:
    """The part that all servers share: a process that listens on a port, ended with the ``with`` block."""

    def __init__(self, name: str, workers: int, port: int, process: Process) -> None:
        """Wait until it listens."""
        self.name, self.workers, self.port, self.process = name, workers, port, process
        self.headers: Mapping[str, str] = {}
        self.documents: dict[str, zarrkeys.Document] = {}
        try:
            process.wait_for_port(port)
        except Exception:
            process.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.stop()

    def document(self, path: str) -> zarrkeys.Document:
        """A metadata document, asked for once.

        Raises:
            Wrong: There is none.
        """
        if path not in self.documents:
            with Client(self.port, headers=self.headers) as client:
                self.documents[path] = client.json(path)
        return self.documents[path]


class ZarrServer(Running):
    """One whose keys are those of a Zarr v3 store: ``{prefix}{dataset}/c/...``."""

    def __init__(self, name: str, workers: int, port: int, process: Process, prefix: str) -> None:
        """As :class:`Running`; ``prefix`` is the path of the root group, with slashes around it."""
        super().__init__(name, workers, port, process)
        self.prefix = prefix

    def base(self, dataset: str) -> str:
        """The path of an array, with a slash at its end."""
        return f"{self.prefix}{dataset}/" if dataset else self.prefix

    def targets(self, series: Series) -> list[Target]:
        """A key per chunk."""
        document = self._document(series)
        zarrkeys.demand_chunks(document, series.chunk)
        base = self.base(series.dataset)
        return [Target(base + zarrkeys.key(document, position(series, k))) for k in range(series.count)]

    def values(self, series: Series, k: int, body: bytes) -> np.ndarray:
        """Decoded by zarr-python."""
        return zarrkeys.decode(self._document(series), position(series, k), body)

    def _document(self, series: Series) -> zarrkeys.Document:
        return self.document(f"{self.base(series.dataset)}zarr.json")


def position(series: Series, k: int) -> tuple[int, ...]:
    """The grid position of chunk ``k``."""
    return (k, *(0 for _ in series.frame))


def check(server: Server, series: Series, targets: list[Target], hashes: list[str]) -> None:
    """Compare a few decoded chunks with the data.

    Raises:
        Wrong: One differs.
    """
    with Client(server.port, headers=server.headers) as client:
        for k in series.sample():
            values = server.values(series, k, client.body(*targets[k]))
            if hashlib.sha256(np.ascontiguousarray(values)).hexdigest() != hashes[k]:
                raise Wrong(f"{server.name}: chunk {k} of {series.dataset} decodes to other values")


def log_file(folder: Path, name: str, workers: int) -> Path:
    """Where a server's output goes."""
    return folder / f"{name}-{workers}.log"
