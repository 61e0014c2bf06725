"""chunkserve under test."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import zarrkeys
from benchmarks.common.client import Client
from benchmarks.common.errors import Unserved
from benchmarks.common.processes import Process, free_port
from benchmarks.common.series import Series
from benchmarks.common.server import Target, ZarrServer, log_file, position

NAME = "chunkserve"
PLAIN = ("--shard-below", "0", "--merge-below", "0")
"""Settings under which every stored chunk has a key of its own."""


def start(
    command: Sequence[str], root: Path, folder: Path, *, workers: int = 1, flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> tuple[int, Process]:  # fmt: skip
    """Start a chunkserve that serves a file or folder.

    Args:
        command: To run it, up to ``serve``.
        root: What to serve.
        folder: For its log and, unless ``flags`` name another, its cache.
        workers: Processes.
        flags: Further flags.
        environment: Further variables.

    Returns:
        Its port and its processes; it may not listen yet.
    """
    port = free_port()
    cache = () if "--cache-dir" in flags else ("--cache-dir", str(folder / "cache"))
    words = [*command, "serve", str(root), "--port", str(port), "--workers", str(workers)]
    words += [*cache, "--log-level", "warning", *flags]
    return port, Process(words, log_file(folder, NAME, workers), environment)


class Chunks(ZarrServer):
    """chunkserve with a key for each stored chunk."""

    def __init__(
        self, command: Sequence[str], file: Path, folder: Path, workers: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Serve the folder of ``file``; scratch files go to ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        port, process = start(command, file.parent, folder, workers=workers, flags=PLAIN, environment=environment)
        super().__init__(NAME, workers, port, process, f"/zarr/{file.name}/")

    def targets(self, series: Series) -> list[Target]:
        """A key per chunk."""
        if series.sharded:
            raise Unserved("this one has no shards")
        return super().targets(series)


class Shards(ZarrServer):
    """chunkserve as it is by default: small chunks are byte ranges of virtual shards."""

    def __init__(self, command: Sequence[str], file: Path, folder: Path, workers: int) -> None:
        """As :class:`Chunks`."""
        folder.mkdir(parents=True, exist_ok=True)
        port, process = start(command, file.parent, folder, workers=workers)
        super().__init__(NAME, workers, port, process, f"/zarr/{file.name}/")

    def targets(self, series: Series) -> list[Target]:
        """A range per chunk, from the indices of the shards."""
        if not series.sharded:
            raise Unserved("this one is for shards")
        document = self._document(series)
        inner, outer = zarrkeys.inner_shape(document), zarrkeys.chunk_shape(document)
        if inner != series.chunk or outer[1:] != inner[1:]:
            raise Unserved(f"chunks of {series.stored} bytes are not sharded by default")
        found: list[Target] = []
        with Client(self.port) as client:
            for path in self.shards(series):
                size = zarrkeys.ENTRY * outer[0] + zarrkeys.CHECKSUM
                index = client.body(path, f"bytes=-{size}")
                ranges = zarrkeys.shard_ranges(index, outer[0])[: series.count - len(found)]
                found += [Target(path, f"bytes={start}-{start + length - 1}") for start, length in ranges]
        return found

    def shards(self, series: Series) -> list[str]:
        """The paths of a dataset's shards."""
        document = self._document(series)
        shards = -(-series.count // zarrkeys.chunk_shape(document)[0])
        base = f"{self.prefix}{series.dataset}/"
        return [base + zarrkeys.key(document, position(series, k)) for k in range(shards)]

    def values(self, series: Series, k: int, body: bytes) -> np.ndarray:
        """Decoded by the codecs inside the shard."""
        document = self._document(series)
        inside = document["codecs"][0]["configuration"]
        grid = {"name": "regular", "configuration": {"chunk_shape": inside["chunk_shape"]}}
        plain = document | {"codecs": inside["codecs"], "chunk_grid": grid}
        return zarrkeys.decode(plain, position(series, k), body)
