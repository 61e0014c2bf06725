"""An array's chunks on the server: their grid, codec and fill value, and the way from a request to decoded elements."""

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chunkserve_client import loop
from chunkserve_client.cache import DiskCache, MemoryCache
from chunkserve_client.codecs import Body, Codec, codec_of, decode, shard_index
from chunkserve_client.config import Options
from chunkserve_client.errors import Damaged, NotSupported
from chunkserve_client.place import Place
from chunkserve_client.plan import WHOLE_SHARD, Layout
from chunkserve_client.pool import pooled
from chunkserve_client.selection import Run, Selection, Shape, grid_runs, touched

GUESSED_RATIO = 2.0
"""Compression of filtered data before the first chunk has come."""

_SCALARS = frozenset("?bhilqBHILQefdFD")


@dataclass(frozen=True)
class Stored:
    """What the Zarr document says of an array.

    Attributes:
        shape: Of the Zarr array: axes of an array type come last.
        key: Shape of what one key holds.
        chunk: Shape of what is decoded at once.
        dtype: Of the chunks.
        codec: Theirs.
        fill: Of absent chunks, a scalar.
        names: Of the axes.
        attributes: As JSON.
    """

    shape: Shape
    key: Shape
    chunk: Shape
    dtype: np.dtype[Any]
    codec: Codec
    fill: np.ndarray
    names: tuple[str | None, ...]
    attributes: Mapping[str, Any]

    @property
    def grid(self) -> Shape:
        """Chunks of a key along each axis."""
        return tuple(-(-k // c) for k, c in zip(self.key, self.chunk, strict=True))


def stored(document: Mapping[str, Any], fill: np.ndarray | None = None) -> Stored:
    """Read an array's ``zarr.json``.

    Args:
        document: It.
        fill: The fill value, if it is known better than JSON can say.

    Raises:
        NotSupported: Its elements or codecs are none that are decoded here.
    """
    codec = codec_of(document)
    inner = document["codecs"]
    if codec.sharding is not None:
        inner = inner[0]["configuration"]["codecs"]
    order = inner[0].get("configuration", {}).get("endian", "little")
    dtype = _dtype(document["data_type"], ">" if order == "big" else "<")
    key = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
    if fill is None:
        fill = _fill(document["fill_value"], dtype)
    names = tuple(document.get("dimension_names") or (None,) * len(key))
    chunk = key if codec.sharding is None else codec.sharding.inner
    return Stored(tuple(document["shape"]), key, chunk, dtype, codec, fill, names, document["attributes"])


def _dtype(data_type: Any, order: Literal["<", ">"]) -> np.dtype[Any]:
    if isinstance(data_type, str):
        dtype = np.dtype(data_type) if data_type != "string" else np.dtype(object)
        if dtype.char not in _SCALARS:
            raise NotSupported(f"chunks of {data_type}")
        return dtype.newbyteorder(order)
    configuration = data_type.get("configuration", {})
    match data_type["name"]:
        case "null_terminated_bytes":
            return np.dtype(f"S{configuration['length_bytes']}")
        case "raw_bytes":
            return np.dtype(f"V{configuration['length_bytes']}")
        case "numpy.datetime64" | "numpy.timedelta64":
            letter = "M" if data_type["name"].endswith("datetime64") else "m"
            step = configuration["scale_factor"]
            return np.dtype(f"{order}{letter}8[{step if step != 1 else ''}{configuration['unit']}]")
        case "structured":
            return np.dtype([(name, _dtype(part, "<")) for name, part in configuration["fields"]])
        case name:
            raise NotSupported(f"chunks of {name}")


def _fill(value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """A fill value from JSON, which only numbers have (https://zarr-specs.readthedocs.io/en/latest/v3/data-types)."""
    out = np.zeros((), dtype)
    if dtype.kind in "fc" and isinstance(value, str) and value.startswith("0x"):
        bits = int(value, 16).to_bytes(dtype.itemsize, "big")
        return np.frombuffer(bits, dtype.newbyteorder(">")).astype(dtype)[0:1].reshape(())
    if dtype.kind in "biufc":
        out[()] = complex(*map(float, value)) if dtype.kind == "c" and isinstance(value, list) else _number(value)
    return out


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


class Caches:
    """The caches that all arrays of equal options share, in a process."""

    def __init__(self, options: Options) -> None:
        """Open them."""
        self.memory = MemoryCache(options.cache_memory)
        self.disk = DiskCache(options.cache_disk, options.cache_folder)


_caches: dict[tuple[int, Options], Caches] = {}


def caches_of(options: Options) -> Caches:
    """Caches for options."""
    key = (loop.generation, options)
    found = _caches.get(key)
    return found if found is not None else _caches.setdefault(key, Caches(options))


class ChunkReader:
    """Reads selections by fetching and decoding chunks."""

    def __init__(self, place: Place, stored: Stored, *, filtered: bool) -> None:
        """Read the array that ``stored`` describes at ``place``."""
        self.place = place
        self.stored = stored
        self.generation = loop.generation
        self._base = place.chunks()
        self._prefix = f"{place.options.url}{self._base}"
        self._caches = caches_of(place.options)
        sharding = stored.codec.sharding
        self._inner_codec = stored.codec if sharding is None else Codec(sharding.blosc)
        self._received = 0
        self._decoded = 0
        self._guess = GUESSED_RATIO if filtered else 1.0
        self._indices: dict[Shape, asyncio.Task[np.ndarray | None]] = {}

    def layout(self) -> Layout:
        """For choosing a way."""
        s = self.stored
        ratio = self._decoded / self._received if self._received else self._guess
        return Layout(s.chunk, s.dtype.itemsize, max(ratio, 1.0), s.key if s.codec.sharding else ())

    def cached(self, selection: Selection, most: int = 4096) -> int:
        """How many of the chunks touched are in memory; of many, nobody counts."""
        if not self._caches.memory.size:
            return 0
        found = 0
        for n, runs in enumerate(grid_runs(selection, self.stored.chunk)):
            if n >= most:
                return 0
            found += self._key(tuple(run.chunk for run in runs)) in self._caches.memory
        return found

    async def read(self, selection: Selection, out: np.ndarray) -> None:
        """Fill ``out``, of the selection's full shape, with what is selected."""
        s = self.stored
        chunks = math.prod(touched(p, c) for p, c in zip(selection.picked, s.chunk, strict=True))
        keep = chunks * math.prod(s.chunk) * s.dtype.itemsize <= self._caches.memory.capacity // 4
        jobs: Iterable[list[tuple[Run, ...]]]
        if s.codec.sharding is None:
            jobs = ([runs] for runs in grid_runs(selection, s.chunk))
        else:
            jobs = _by_shard(grid_runs(selection, s.chunk), s.grid).values()
        await pooled(self.place.options.connections, (self._job(runs, out, keep=keep) for runs in jobs))

    # -------------------------------------------------------------------- a key

    async def _job(self, group: list[tuple[Run, ...]], out: np.ndarray, *, keep: bool) -> None:
        if self.stored.codec.sharding is None:
            await self._one(group[0], out, None, keep=keep)
            return
        missing = [runs for runs in group if not self._from_memory(runs, out)]
        if not missing:
            return
        if len(missing) > WHOLE_SHARD * math.prod(self.stored.grid):
            await self._whole_shard(missing, out, keep=keep)
            return
        index = await self._index(self._shard(missing[0]))
        await asyncio.gather(*(self._one(runs, out, index, keep=keep) for runs in missing))

    async def _one(self, runs: tuple[Run, ...], out: np.ndarray, index: np.ndarray | None, *, keep: bool) -> None:
        """One chunk: from memory, from disk, or from the server."""
        if self._from_memory(runs, out):
            return
        position = tuple(run.chunk for run in runs)
        key = self._key(position)
        body: Body | None = self._caches.disk.get(key)
        if body is None:
            into = None if keep else self._plain_target(runs, out)
            body = await self._fetch(position, index, into)
            if body is not None and self.place.version:
                self._caches.disk.put(key, body)
            if body is not None and body is into:
                return
        await self._away(self._place_chunk, runs, body, out, keep)

    def _plain_target(self, runs: tuple[Run, ...], out: np.ndarray) -> memoryview | None:
        """Where the bytes of a chunk belong that is sent as it is and wanted whole."""
        s = self.stored
        if s.codec.blosc or s.codec.sharding is not None:
            return None
        part = out[tuple(run.target for run in runs)]
        if part.shape != s.chunk or not part.flags.c_contiguous:
            return None
        return part.reshape(-1).view(np.uint8).data

    async def _fetch(
        self, position: Shape, index: np.ndarray | None, into: memoryview | None = None
    ) -> Body | None:  # fmt: skip
        """The bytes of a chunk, ``None`` if it is not stored."""
        if self.stored.codec.sharding is None:
            answer = await self.place.transport.get(self._path(position), expect=frozenset({404}), into=into)
            return None if answer.status == 404 else answer.body
        if index is None:
            return None
        shard = tuple(p // g for p, g in zip(position, self.stored.grid, strict=True))
        offset, length = index[self._inner(position)]
        if offset < 0:
            return None
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
        answer = await self.place.transport.get(self._path(shard), wanted)
        if answer.status != 206 or len(answer.body) != length:
            raise Damaged(f"{length} bytes of a shard were asked for, {len(answer.body)} came")
        return answer.body

    def _from_memory(self, runs: tuple[Run, ...], out: np.ndarray) -> bool:
        found = self._caches.memory.get(self._key(tuple(run.chunk for run in runs)))
        if found is None:
            return False
        _copy(found, runs, out)
        return True

    def _place_chunk(self, runs: tuple[Run, ...], body: Body | None, out: np.ndarray, keep: bool) -> None:
        """Decode a chunk into its place; in a thread."""
        s = self.stored
        if body is None:
            out[tuple(run.target for run in runs)] = s.fill
            return
        part = out[tuple(run.target for run in runs)]
        if part.shape == s.chunk and part.flags.c_contiguous and not keep:
            decode(self._inner_codec, body, part)
            self._count(len(body), part.nbytes)
            return
        values = np.empty(s.chunk, s.dtype)
        decode(self._inner_codec, body, values)
        self._count(len(body), values.nbytes)
        _copy(values, runs, out)
        if keep:
            self._caches.memory.put(self._key(tuple(run.chunk for run in runs)), values)

    # ------------------------------------------------------------------ shards

    async def _whole_shard(self, group: list[tuple[Run, ...]], out: np.ndarray, *, keep: bool) -> None:
        shard = self._shard(group[0])
        answer = await self.place.transport.get(self._path(shard), expect=frozenset({404}))
        body = None if answer.status == 404 else memoryview(answer.body)

        def place() -> None:
            index = None if body is None else self._parse_index(body[-self._index_bytes() :])
            for runs in group:
                offset, length = (-1, 0) if index is None else index[self._inner(tuple(run.chunk for run in runs))]
                inner = body[offset : offset + length] if body is not None and offset >= 0 else None
                self._place_chunk(runs, inner, out, keep)

        await self._away(place)

    async def _index(self, shard: Shape) -> np.ndarray | None:
        """The index of a shard, asked for once; ``None`` if the shard is absent."""
        if shard not in self._indices:
            self._indices[shard] = asyncio.ensure_future(self._fetch_index(shard))
        task = self._indices[shard]
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done():
                self._indices.pop(shard, None)
            raise

    async def _fetch_index(self, shard: Shape) -> np.ndarray | None:
        size = self._index_bytes()
        path, wanted = self._path(shard), {"Range": f"bytes=-{size}"}
        answer = await self.place.transport.get(path, wanted, expect=frozenset({404}))
        return None if answer.status == 404 else self._parse_index(answer.body[-size:])

    def _parse_index(self, tail: Body) -> np.ndarray:
        return shard_index(tail, math.prod(self.stored.grid))

    def _index_bytes(self) -> int:
        assert self.stored.codec.sharding is not None
        return self.stored.codec.sharding.index_bytes(self.stored.key)

    def _shard(self, runs: tuple[Run, ...]) -> Shape:
        return tuple(run.chunk // g for run, g in zip(runs, self.stored.grid, strict=True))

    def _inner(self, position: Shape) -> int:
        """The number of a chunk within its shard."""
        found = 0
        for p, g in zip(position, self.stored.grid, strict=True):
            found = found * g + p % g
        return found

    # ------------------------------------------------------------------ helpers

    def _count(self, received: int, decoded: int) -> None:
        self._received += received
        self._decoded += decoded

    def _path(self, position: Shape) -> str:
        return "/".join((self._base, "c", *map(str, position)))

    def _key(self, position: Shape) -> str:
        return f"{self._prefix}/{'.'.join(map(str, position))}"

    @staticmethod
    async def _away(work: Any, *arguments: Any) -> None:
        here = loop.current()
        await here.loop.run_in_executor(here.decoders, work, *arguments)


def _copy(chunk: np.ndarray, runs: tuple[Run, ...], out: np.ndarray) -> None:
    """The selected elements of a decoded chunk into their place."""
    values = chunk
    for axis, run in enumerate(runs):
        values = values[(slice(None),) * axis + (run.source,)]
    out[tuple(run.target for run in runs)] = values


def _by_shard(found: Iterable[tuple[Run, ...]], grid: Shape) -> dict[Shape, list[tuple[Run, ...]]]:
    groups: dict[Shape, list[tuple[Run, ...]]] = {}
    for runs in found:
        groups.setdefault(tuple(run.chunk // g for run, g in zip(runs, grid, strict=True)), []).append(runs)
    return groups
