"""The other servers that serve HDF5: what to install, how to start them, what to ask them."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import numpy as np

from benchmarks.common.client import Client
from benchmarks.common.errors import NotStarted, Unserved, Wrong
from benchmarks.common.processes import HOST, Process, free_port
from benchmarks.common.series import Series
from benchmarks.common.server import Running, Target, ZarrServer, log_file
from benchmarks.common.venvs import environment

APPS = Path(__file__).with_name("apps")
VARIABLES = {"HDF5_USE_FILE_LOCKING": "FALSE", "TILED_SINGLE_USER_API_KEY": "secret"}
START_SECONDS = 120.0
READY_SECONDS = 600.0
"""HSDS loads the file first."""

DOMAIN = "/home/bench.h5"
"""Where it has it."""


class PrefixedZarr(ZarrServer):
    """A Zarr server whose paths of an array need not be ``{prefix}{dataset}``."""

    def __init__(self, name: str, workers: int, port: int, process: Process, pattern: str) -> None:
        """As ``ZarrServer``; ``pattern`` has ``{}`` where the dataset's name goes."""
        super().__init__(name, workers, port, process, "")
        self.pattern = pattern

    def base(self, dataset: str) -> str:
        """The path of an array, with a slash at its end."""
        return self.pattern.format(dataset)


class Selections(Running):
    """One that gives a selection of a dataset as raw bytes."""

    def __init__(self, name: str, workers: int, port: int, process: Process, pattern: str) -> None:
        """As ``Running``; ``pattern`` has ``{dataset}`` and ``{selection}`` in their places.

        Behind a space it may have the path of metadata, with ``{endpoint}`` and ``{path}``.
        """
        super().__init__(name, workers, port, process)
        self.pattern, _, self.entities = pattern.partition(" ")

    def targets(self, series: Series) -> list[Target]:
        """A selection per chunk."""
        rest = "".join(f",0:{n}" for n in series.frame)
        return [self.select(series.dataset, f"{k}:{k + 1}{rest}") for k in range(series.count)]

    def select(self, dataset: str, selection: str) -> Target:
        """The elements of a selection, as numpy writes it without brackets."""
        return Target(self.pattern.format(dataset=dataset, selection=selection))

    def entity(self, endpoint: str, path: str) -> str:
        """The path that tells ``meta`` or ``attr`` of an object.

        Raises:
            Unserved: It has none.
        """
        if not self.entities:
            raise Unserved("it has no metadata by path")
        return self.entities.format(endpoint=endpoint, path=path)

    def values(self, series: Series, k: int, body: bytes) -> np.ndarray:
        """As they are."""
        del k
        return _elements(self.name, series, body)


class Hsds(Selections):
    """HSDS, where a dataset has an id."""

    def select(self, dataset: str, selection: str) -> Target:
        """The elements of a selection."""
        return super().select(self._ids[dataset], selection)

    def entity(self, endpoint: str, path: str) -> str:
        """The path that tells of a dataset in the root group.

        Raises:
            Unserved: It is something else.
        """
        if endpoint != "meta" or path[1:] not in self._ids:
            raise Unserved("it has no metadata by path")
        return self.entities.format(id=self._ids[path[1:]])

    @functools.cached_property
    def _ids(self) -> dict[str, str]:
        with Client(self.port, headers={**self.headers, "Accept": "application/json"}) as client:
            root = client.json(f"/?domain={DOMAIN}")["root"]
            return {link["title"]: link["id"] for link in client.json(f"/groups/{root}/links?domain={DOMAIN}")["links"]}


class Blocks(Running):
    """neuroglancer's LocalVolume: boxes at a scale, as raw bytes."""

    def __init__(self, name: str, workers: int, port: int, process: Process, pattern: str) -> None:
        """As ``Running``; ``pattern`` has ``{dataset}``, ``{scale}``, ``{start}`` and ``{stop}`` in their places.

        Behind a space it has the path of metadata, with ``{dataset}``.
        """
        super().__init__(name, workers, port, process)
        self.pattern, _, self.info = pattern.partition(" ")

    def targets(self, series: Series) -> list[Target]:
        """A box per chunk."""
        return [
            self.block(series.dataset, ((k, k + 1, 1), *((0, n, 1) for n in series.frame)), 1)
            for k in range(series.count)
        ]

    def block(self, dataset: str, words: Sequence[tuple[int, int, int]], factor: int) -> Target:
        """A box, given as start, stop and anything of each axis, coarser by ``factor`` on all axes but the first."""
        factors = [1] + [factor] * (len(words) - 1)
        return Target(
            self.pattern.format(
                dataset=dataset,
                scale=",".join(map(str, factors)),
                start=",".join(str(start // f) for (start, _, _), f in zip(words, factors, strict=True)),
                stop=",".join(str(-(-stop // f)) for (_, stop, _), f in zip(words, factors, strict=True)),
            )
        )

    def values(self, series: Series, k: int, body: bytes) -> np.ndarray:
        """As they are."""
        del k
        return _elements(self.name, series, body)


def _elements(name: str, series: Series, body: bytes) -> np.ndarray:
    if len(body) != series.decoded:
        raise Wrong(f"{name}: {len(body)} bytes instead of {series.decoded}")
    return np.frombuffer(body, f"<{series.dtype}")


@dataclass(frozen=True)
class Peer:
    """A row of the table.

    Attributes:
        name: For tables.
        requirements: For pip.
        program: Words after the environment's interpreter, with ``{file}``, ``{folder}``, ``{port}``, ``{workers}``.
        kind: How it is asked.
        pattern: For ``kind``.
        ready: What it answers only when it is ready, if that is later than it listens.
        alone: It runs in one process only.
        once: It remembers answers: its speed is that of a first pass over distinct chunks.
        converts: It serves a copy in a format of its own.
        headers: Of every request.
    """

    name: str
    requirements: tuple[str, ...]
    program: tuple[str, ...]
    kind: Callable[[str, int, int, Process, str], PrefixedZarr | Selections | Blocks]
    pattern: str
    ready: str = ""
    alone: bool = False
    once: bool = False
    converts: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def start(
        self, file: Path, cache: Path, python: str, folder: Path, workers: int,
        variables: Mapping[str, str] | None = None,
    ) -> PrefixedZarr | Selections | Blocks:  # fmt: skip
        """Install it below ``cache`` if need be, and serve ``file``, with further variables if there are any.

        Raises:
            Missing: It cannot be installed.
            NotStarted: It does not come up.
        """
        folder.mkdir(parents=True, exist_ok=True)
        interpreter = environment(cache / "peers" / self.name, self.requirements, python)
        workers, port = (1 if self.alone else workers), free_port()
        values = {"file": file, "folder": file.parent, "port": port, "workers": workers, "bin": interpreter.parent}
        words = [word.format(**values) for word in self.program]
        own = {"TMPDIR": str(folder), "PYTHONPATH": str(APPS), "HOME": str(folder)}
        every = VARIABLES | own | dict(variables or {})
        process = Process([str(interpreter), *words], log_file(folder, self.name, workers), every)
        try:
            process.wait_for_port(port, START_SECONDS)
            if self.ready:
                _wait_for(port, self.ready, self.headers)
            server = self.kind(self.name, workers, port, process, self.pattern)
            server.headers = self.headers
        except Exception:
            process.stop()
            raise
        return server


def _wait_for(port: int, path: str, headers: Mapping[str, str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    try:
        with Client(port, headers=headers) as client:
            while client.get(path).status != 200:
                if time.monotonic() > deadline:
                    raise NotStarted(f"{path} is not there after {READY_SECONDS:.0f} s")
                time.sleep(0.2)
    except (OSError, HTTPException) as error:
        raise NotStarted(f"it ended before {path} was there: {error}") from None


def _app(name: str) -> tuple[str, ...]:
    return (str(APPS / f"{name}.py"), "{file}", "{port}", "{workers}")


CHUNKMIRAGE = ("chunkmirage==0.1.0a5", "h5py==3.16.0", "hdf5plugin==7.1.0", "uvicorn==0.54.0")
"""What it needs, for pip."""

PEERS = (
    Peer(
        "zarr-http-server",
        ("zarr-http-server==0.1.0", "virtualizarr==2.8.0", "obstore==0.12.1", "zarr==3.4.2", "h5py==3.16.0",
         "hdf5plugin==7.1.0", "uvicorn==0.54.0"),
        _app("zarr_http_server_app"),
        PrefixedZarr,
        "/{}/",
    ),
    Peer(
        "h5grove",
        ("h5grove==4.0.0", "fastapi==0.165.0", "pydantic-settings", "uvicorn==0.54.0", "h5py==3.16.0",
         "hdf5plugin==7.1.0"),
        _app("h5grove_app"),
        Selections,
        "/data?file=bench.h5&path=/{dataset}&format=bin&selection={selection}"
        " /{endpoint}?file=bench.h5&path={path}",
    ),
    Peer(
        "tiled",
        ("tiled[all]==0.2.20", "zarr==3.4.2", "h5py==3.16.0", "hdf5plugin==7.1.0", "uvicorn==0.54.0"),
        ("{bin}/tiled", "serve", "directory", "{folder}", "--public", "--api-key", "secret", "--host", HOST, "--port",
         "{port}"),
        Selections,  # its Zarr has chunks of its own, smaller than the file's
        "/api/v1/array/full/bench/{dataset}?format=application/octet-stream&slice={selection}"
        " /api/v1/metadata/bench{path}",
        ready="/api/v1/metadata/bench",
        alone=True,
        once=True,
    ),
    Peer(
        "xpublish",
        ("xpublish==0.5.2", "xpublish-zarr==0.1.0", "xarray==2026.9.0", "h5netcdf==1.8.2", "dask==2026.8.0",
         "zarr==3.4.2", "h5py==3.16.0", "hdf5plugin==7.1.0", "uvicorn==0.54.0"),
        _app("xpublish_app"),
        PrefixedZarr,
        "/datasets/bench/zarr/{}/",
        once=True,
    ),
    Peer(
        "chunkmirage",
        CHUNKMIRAGE,
        _app("chunkmirage_app"),
        PrefixedZarr,
        "/{}/zarr3/s0/",
    ),
    Peer(
        "neuroglancer",
        ("neuroglancer==2.41.2", "numpy==2.2.6", "h5py==3.16.0", "hdf5plugin==7.1.0"),  # raw encoding: numpy < 2.3
        _app("neuroglancer_app"),
        Blocks,
        "/neuroglancer/raw/bench.{dataset}/{scale}/{start}/{stop}"
        " /neuroglancer/info/bench.{dataset}",
        alone=True,
    ),
    Peer(
        "hsds",
        ("hsds==1.0.2", "h5pyd==1.0.0", "hdf5plugin==7.1.0"),
        _app("hsds_app"),
        Hsds,
        "/datasets/{dataset}/value?domain=" + DOMAIN + "&select=[{selection}] /datasets/{id}?domain=" + DOMAIN,
        ready="/?domain=/home/ready",
        alone=True,
        converts=True,
        headers={"Accept": "application/octet-stream", "Authorization": "Basic YWRtaW46YWRtaW4="},
    ),
)  # fmt: skip
"""Versions as in shared/peers/README.md, which ran on Python 3.12."""
