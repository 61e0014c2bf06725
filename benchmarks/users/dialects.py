"""How each server is asked for what people do: an operation becomes the requests a client of that server would send.

A server that has no such question (tiles, say) raises ``Unserved``; one that has only a finer one (chunks instead of a
slice) is asked for everything that the answer is made from.
"""

import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from benchmarks.common import ours, zarrkeys
from benchmarks.common.client import Client
from benchmarks.common.errors import Unserved, Wrong
from benchmarks.common.nginx import Nginx
from benchmarks.common.peers import Blocks, PrefixedZarr, Selections
from benchmarks.common.server import Running, Target, ZarrServer
from benchmarks.users.data import STACK, Facts
from benchmarks.users.trace import (
    TILE,
    Chunks,
    Entity,
    Image,
    Open,
    Operation,
    Picture,
    Reduction,
    Slice,
    Words,
)

SAMPLE = 8
"""Copies that are compared with what they are copies of."""


class Dialect:
    """What all share: operations are told apart by their class."""

    def __init__(self, server: Running, facts: Facts) -> None:
        """Of a running server."""
        self.server, self.facts = server, facts
        self._ways: dict[type, Callable[[Any], list[Target]]] = {
            Open: self.open, Chunks: self.chunks, Picture: self.picture, Slice: self.slice,
            Reduction: self.reduction, Entity: self.entity, Image: self.image,
        }  # fmt: skip

    def targets(self, operation: Operation) -> list[Target]:
        """The requests of an operation.

        Raises:
            Unserved: It has no such question.
        """
        return self._ways[type(operation)](operation)

    def open(self, op: Open) -> list[Target]:
        """The metadata of an array."""
        del op
        raise Unserved("it has no metadata of an array")

    def chunks(self, op: Chunks) -> list[Target]:
        """Chunks, one by one."""
        del op
        raise Unserved("it has no chunks")

    def picture(self, op: Picture) -> list[Target]:
        """What a window lacks."""
        del op
        raise Unserved("it has no coarse pictures of a plane")

    def slice(self, op: Slice) -> list[Target]:
        """A selection."""
        del op
        raise Unserved("it has no selections")

    def reduction(self, op: Reduction) -> list[Target]:
        """The client has to do it."""
        return self.slice(Slice(op.dataset, op.words))

    def entity(self, op: Entity) -> list[Target]:
        """Metadata of an object by its path."""
        del op
        raise Unserved("it has no metadata of groups and attributes")

    def image(self, op: Image) -> list[Target]:
        """A plane."""
        return self.slice(Slice(op.dataset, op.words))

    def numbers(self, op: Operation, bodies: list[bytes]) -> np.ndarray | None:
        """The numbers that the answers to an operation hold, ``None`` if that cannot be told."""
        del op, bodies
        return None


class ZarrDialect(Dialect):
    """A Zarr server: everything is chunks."""

    def __init__(self, server: ZarrServer | PrefixedZarr, facts: Facts) -> None:
        """Of a running server."""
        super().__init__(server, facts)
        self._base = server.base

    def open(self, op: Open) -> list[Target]:
        """Its document."""
        return [Target(f"{self._base(op.dataset)}zarr.json")]

    def chunks(self, op: Chunks) -> list[Target]:
        """A key each."""
        document = self._document(op.dataset)
        return [Target(self._base(op.dataset) + zarrkeys.key(document, p)) for p in op.positions]

    def slice(self, op: Slice) -> list[Target]:
        """All chunks that hold something of it."""
        chunk = self.facts.chunk(op.dataset)
        spans = [sorted({i // n for i in range(*word)}) for word, n in zip(op.words, chunk, strict=True)]
        return self.chunks(Chunks(op.dataset, tuple(itertools.product(*spans))))

    def numbers(self, op: Operation, bodies: list[bytes]) -> np.ndarray | None:
        """Of single chunks, decoded by zarr-python."""
        if not isinstance(op, Chunks) or len(bodies) != 1:
            return None
        return zarrkeys.decode(self._document(op.dataset), op.positions[0], bodies[0])

    def _document(self, dataset: str) -> zarrkeys.Document:
        document = self.server.document(f"{self._base(dataset)}zarr.json")
        zarrkeys.demand_chunks(document, self.facts.chunk(dataset))
        return document


class OurDialect(ZarrDialect):
    """chunkserve: a route for each."""

    def picture(self, op: Picture) -> list[Target]:
        """Tiles."""
        file = self._file()
        return [Target(f"/tiles/{file}/{STACK}/{op.level}/{y}/{x}.png?index={op.index}") for y, x in op.tiles]

    def slice(self, op: Slice) -> list[Target]:
        """As a numpy file."""
        return [Target(f"/slice/{self._file()}/{op.dataset}?format=npy&sel={_spelled(op.words)}")]

    def reduction(self, op: Reduction) -> list[Target]:
        """Over the first axis."""
        return [Target(f"/reduce/{self._file()}/{op.dataset}?op=mean&axis=0&format=json&sel={_spelled(op.words)}")]

    def entity(self, op: Entity) -> list[Target]:
        """As H5Web asks."""
        return [Target(f"/h5grove/{op.endpoint}?{urlencode({'file': self._file(), 'path': op.path})}")]

    def image(self, op: Image) -> list[Target]:
        """As H5Web asks."""
        query = {"file": self._file(), "path": f"/{op.dataset}", "selection": _spelled(op.words), "format": "bin"}
        return [Target(f"/h5grove/data?{urlencode(query, safe=':,/')}")]

    def numbers(self, op: Operation, bodies: list[bytes]) -> np.ndarray | None:
        """Of everything but pictures."""
        if isinstance(op, Slice):
            return np.asarray(np.load(io.BytesIO(bodies[0])))
        if isinstance(op, Image):
            return _raw(op.dataset, bodies[0])
        if isinstance(op, Reduction):
            return np.array(json.loads(bodies[0])["results"]["mean"]["values"])
        return super().numbers(op, bodies)

    def _file(self) -> str:
        return self._base("").strip("/").partition("/")[2]


class SelectionDialect(Dialect):
    """A server that gives selections of a dataset, with strides."""

    server: Selections

    def open(self, op: Open) -> list[Target]:
        """Its header."""
        return [Target(self.server.entity("meta", f"/{op.dataset}"))]

    def chunks(self, op: Chunks) -> list[Target]:
        """The selection of each."""
        chunk = self.facts.chunk(op.dataset)
        words = (tuple((i * n, (i + 1) * n, 1) for i, n in zip(p, chunk, strict=True)) for p in op.positions)
        return [self._select(op.dataset, w) for w in words]

    def picture(self, op: Picture) -> list[Target]:
        """The elements under the window, every n-th: the coarsest way to see a plane that it has."""
        return [self._select(STACK, _under(self.facts, op))]

    def slice(self, op: Slice) -> list[Target]:
        """As it is."""
        return [self._select(op.dataset, op.words)]

    def entity(self, op: Entity) -> list[Target]:
        """In its words."""
        return [Target(self.server.entity(op.endpoint, op.path))]

    def numbers(self, op: Operation, bodies: list[bytes]) -> np.ndarray | None:
        """Raw elements."""
        if isinstance(op, Chunks):
            return _raw(op.dataset, bodies[0])
        return _raw(op.dataset, bodies[0]) if isinstance(op, Slice | Image) else None

    def _select(self, dataset: str, words: Words) -> Target:
        return self.server.select(dataset, _spelled(words))


class BlockDialect(Dialect):
    """neuroglancer's: boxes at a scale."""

    server: Blocks

    def open(self, op: Open) -> list[Target]:
        """Its description."""
        return [Target(self.server.info.format(dataset=op.dataset))]

    def chunks(self, op: Chunks) -> list[Target]:
        """The box of each."""
        chunk = self.facts.chunk(op.dataset)
        words = (tuple((i * n, (i + 1) * n, 1) for i, n in zip(p, chunk, strict=True)) for p in op.positions)
        return [self.server.block(op.dataset, w, 1) for w in words]

    def picture(self, op: Picture) -> list[Target]:
        """The box of all tiles, made coarse by the server."""
        return [self.server.block(STACK, _under(self.facts, op), 1 << op.level)]

    def slice(self, op: Slice) -> list[Target]:
        """A box; strides are the client's business."""
        return [self.server.block(op.dataset, tuple((a, b, 1) for a, b, _ in op.words), 1)]

    def numbers(self, op: Operation, bodies: list[bytes]) -> np.ndarray | None:
        """Raw elements."""
        return _raw(op.dataset, bodies[0]) if isinstance(op, Chunks) else None


class StaticDialect(Dialect):
    """nginx: for every request of ours a file with the very bytes of the answer."""

    def __init__(self, server: Nginx, like: OurDialect, state: str) -> None:
        """Files are named after the requests that ``like`` sends, and ``state``, which names what it serves."""
        super().__init__(server, like.facts)
        self.like, self.base = like, f"answers/{state}"
        self.folder = server.copies.folder / self.base

    def targets(self, operation: Operation) -> list[Target]:
        """Files."""
        return [Target(f"/{self.base}/{self._name(path)}") for path, _ in self.like.targets(operation)]

    def copy(self, targets: list[Target], advance: Callable[[], None]) -> None:
        """Write the answers of ours that are not there yet; all, if those that are there are no longer its answers.

        Raises:
            Wrong: There is none.
        """
        with Client(self.like.server.port, 120.0) as client:
            known = [path for path, _ in targets if (self.folder / self._name(path)).exists()]
            sample = known[:: max(1, len(known) // SAMPLE)]
            if any((self.folder / self._name(path)).read_bytes() != settled(client, path) for path in sample):
                shutil.rmtree(self.folder)
            for path, _ in targets:
                file = self.folder / self._name(path)
                if not file.exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    temporary = file.with_suffix(".part")
                    temporary.write_bytes(settled(client, path))
                    temporary.replace(file)
                advance()

    @staticmethod
    def _name(path: str) -> Path:
        digest = hashlib.sha256(path.encode()).hexdigest()[:24]
        return Path(digest[:2]) / digest


def settled(client: Client, path: str) -> bytes:
    """The body of an answer that will not change: not one made from a sample.

    Raises:
        Wrong: There is none.
    """
    for _ in range(600):
        answer = client.get(path)
        if answer.status == 200 and "x-chunkserve-approximate" not in answer.headers:
            return answer.body
        if answer.status not in (200, 503):
            break
    raise Wrong(f"{answer.status} for {path}: {answer.body[:200].decode(errors='replace')}")


def dialect(server: Running, facts: Facts) -> Dialect:
    """That of a server (of nginx: see ``StaticDialect``)."""
    if server.name == ours.NAME:
        assert isinstance(server, ZarrServer)
        return OurDialect(server, facts)
    if isinstance(server, Selections):
        return SelectionDialect(server, facts)
    if isinstance(server, Blocks):
        return BlockDialect(server, facts)
    assert isinstance(server, PrefixedZarr)
    return ZarrDialect(server, facts)


def _spelled(words: Words) -> str:
    """``0:10,5:6,0:100:4``: as numpy, h5grove, tiled and chunkserve write it."""
    return quote(",".join(f"{a}:{b}" if step == 1 else f"{a}:{b}:{step}" for a, b, step in words), safe=":,")


def _under(facts: Facts, op: Picture) -> Words:
    """The elements of the stack that tiles show, in steps of the level."""
    step = 1 << op.level
    spans = []
    for axis in (0, 1):
        found = [tile[axis] for tile in op.tiles]
        spans.append((min(found) * TILE * step, min(facts.edge, (max(found) + 1) * TILE * step), step))
    return ((op.index, op.index + 1, 1), *spans)


def _raw(dataset: str, body: bytes) -> np.ndarray:
    """Elements in the order they came; shapes are compared by their number."""
    return np.frombuffer(body, "<u2" if dataset == STACK else "<f4")
