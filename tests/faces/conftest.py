"""One real server per module, over files written here, and requests sent exactly as they are spelled."""

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import numpy as np
import pytest

from tests.conftest import Server

UNKNOWN_FILTER = 47111


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers by lower-case name (repeated ones joined), and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Site:
    """A running server and the folder it serves."""

    url: str
    folder: Path
    pid: int

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """Send a request whose target is ``path`` as written; ``_`` in header names stands for ``-``."""
        return ask(self.url + path, method, body, **headers)


Ask = Callable[..., Reply]


def ask(url: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    """Send a request without tidying up its path, without headers that were not asked for."""
    base, slash, path = url.removeprefix("http://").partition("/")
    host, _, port = base.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.putrequest(method, slash + path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return Reply(response.status, found, response.read())
    finally:
        connection.close()


def talk(address: tuple[str, int], data: bytes, *, timeout: float = 60) -> bytes:
    """Everything a server says on a connection until it closes it."""
    with socket.create_connection(address, timeout=timeout) as sock:
        sock.sendall(data)
        parts = []
        while part := sock.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


# ------------------------------------------------------------------ sample files


def write_run(path: Path) -> None:
    """One dataset for each way to serve chunks."""
    rng = np.random.default_rng(7)
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "a run"
        image = np.add.outer(np.arange(512, dtype="u4"), np.arange(600, dtype="u4") * 3)
        file.create_dataset("image", data=image, chunks=(256, 300), compression="gzip", shuffle=True)
        noise = rng.integers(0, 1 << 16, (512, 512), dtype="u2")
        file.create_dataset("noise", data=noise, chunks=(128, 128), compression="gzip")
        file.create_dataset("tiny", data=np.arange(4000, dtype="i4"), chunks=(100,), compression="gzip")
        file.create_dataset("line", data=rng.random(300_000))
        file.create_dataset("decoded", data=image.astype("i4"), chunks=(256, 300), compression="lzf")
        sparse = file.create_dataset("sparse", (4, 400, 400), "f4", chunks=(1, 400, 400), fillvalue=7, compression=1)
        sparse[2] = 1.5
        file.create_dataset("scalar", data=3.25)
        file.create_dataset("entry/data/image", data=image[:300, :300], chunks=(300, 300))
        file.create_dataset("text", data=["a", "bé", ""], dtype=h5py.string_dtype())


def write_strange(path: Path) -> None:
    """Datasets whose filter nobody has, beside ordinary ones."""
    with h5py.File(path, "w") as file:
        file["before"] = np.arange(5)
        _filtered_strangely(file, b"strange", (512, 512), (256, 256))
        _filtered_strangely(file, b"strange_and_small", (64, 64), (32, 32))
        file["entry/after"] = np.arange(3.0)


def _filtered_strangely(file: h5py.File, name: bytes, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(chunks)
    plist.set_filter(UNKNOWN_FILTER, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
    space = h5py.h5s.create_simple(shape)
    dataset = h5py.h5d.create(file.id, name, h5py.h5t.NATIVE_INT32, space, dcpl=plist)
    dataset.write_direct_chunk((0, 0), b"whatever this filter makes of it", 0)


def damage(path: Path, dataset: str, nth: int, at: int) -> None:
    """Turn over the bits of one byte of a stored chunk."""
    with h5py.File(path) as file:
        offset = file[dataset].id.get_chunk_info(nth).byte_offset
    with path.open("r+b") as raw:
        raw.seek(offset + at)
        byte = raw.read(1)[0]
        raw.seek(offset + at)
        raw.write(bytes([byte ^ 0xFF]))


def write_corrupt(path: Path) -> None:
    """The last chunk of every dataset is damaged."""
    data = np.arange(4 * 400 * 400, dtype="i4").reshape(4, 400, 400)
    chunks = (1, 400, 400)
    with h5py.File(path, "w") as file:
        file.create_dataset("checksum", data=data, chunks=chunks, fletcher32=True)
        file.create_dataset("reheaded", data=data, chunks=chunks, compression="gzip")
        file.create_dataset("decoded", data=data, chunks=chunks, compression="lzf", fletcher32=True)
        file.create_dataset("sharded", data=data[:, :100, :100], chunks=(1, 100, 100), compression="gzip")
    for name in ("checksum", "reheaded", "decoded", "sharded"):
        damage(path, name, 3, 0)


def write_folder(folder: Path) -> None:
    """What most tests look at; ``outside`` beside the folder must never be seen."""
    folder.mkdir()
    outside = folder.parent / "outside"
    outside.mkdir()
    with h5py.File(outside / "secret.h5", "w") as file:
        file["x"] = np.full(4, 0x5EC2E7, "i4")
    (outside / "secret.txt").write_text("SECRET")
    write_run(folder / "run.h5")
    write_strange(folder / "strange.h5")
    write_corrupt(folder / "corrupt.h5")
    (folder / "notes.txt").write_text("not HDF5 at all\n" * 100)
    (folder / "sub" / "deeper").mkdir(parents=True)
    with h5py.File(folder / "sub" / "small.h5", "w") as file:
        file["x"] = np.arange(6, dtype="i2").reshape(2, 3)
    (folder / "out.h5").symlink_to(outside / "secret.h5")
    (folder / "outdir").symlink_to(outside)
    (folder / "alias.h5").symlink_to("run.h5")
    os.mkfifo(folder / "pipe.h5")


StartSite = Callable[..., Site]


@pytest.fixture(scope="module")
def start_site() -> Iterator[StartSite]:
    """Start a server over a folder that the module keeps; settings by name."""
    started: list[Server] = []

    def start(folder: Path, **settings: object) -> Site:
        server = Server((str(folder),), {"settle": 0, "workers": 1} | settings)
        started.append(server)
        return Site(server.url, folder, server.process.pid)

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    """The server that the tests of a module share, over a folder they do not change."""
    folder = tmp_path_factory.mktemp("site") / "data"
    write_folder(folder)
    return start_site(folder)
