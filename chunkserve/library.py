"""The store as a library: an HDF5 file as a read-only ``zarr.abc.store.Store``, over the very code the server runs."""

import asyncio
import atexit
import builtins
import functools
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import product
from typing import Any

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.hdf5.pool import Readers
from chunkserve.metadata.keys import DOCUMENTS, Format, chunk_name
from chunkserve.service.nodes import Node, is_hidden
from chunkserve.service.store import Answer, ForeignChunk, open_roots, start_readers
from chunkserve.service.store import Store as Door
from chunkserve.settings import Settings, load
from chunkserve.sources.localfile import WouldBlock


@functools.lru_cache(8)
def _shared_readers(process: int, limit: int, memory: int, deadline: float) -> Readers:
    """Reader processes that all stores of this process use; a forked child has its own."""
    del process
    readers = start_readers(load({"readers": limit, "reader_memory": memory, "reader_deadline": deadline}))
    atexit.register(readers.close)
    return readers


def _readers(settings: Settings) -> Readers:
    return _shared_readers(os.getpid(), settings.readers, settings.reader_memory, settings.reader_deadline)


class HdfStore(Store):
    """An HDF5 file as a Zarr store. Pickles as its path and settings; reads are safe from any thread."""

    def __init__(self, path: str, *, zarr_format: Format = 3, settings: dict[str, Any] | None = None) -> None:
        """Prepare to read ``path``; see :func:`chunkserve.open_store`."""
        super().__init__(read_only=True)
        self.path = os.path.abspath(path)
        self.zarr_format: Format = zarr_format
        self.settings = dict(settings or {})
        self._door: Door | None = None

    @property
    def door(self) -> Door:
        """The store behind this one, opened on first use."""
        if self._door is None:
            values = load({"link_roots": ("/",), **self.settings})
            self._door = Door(values, open_roots(values, (self.path,)), _readers(values))
        return self._door

    def __eq__(self, value: object) -> bool:
        """Stores over the same file in the same format are equal."""
        return isinstance(value, HdfStore) and (self.path, self.zarr_format, self.settings) == (
            value.path,
            value.zarr_format,
            value.settings,
        )

    def __hash__(self) -> int:
        return hash((self.path, self.zarr_format))

    def __repr__(self) -> str:
        return f"HdfStore({self.path!r}, zarr_format={self.zarr_format})"

    def __str__(self) -> str:
        return f"hdf5://{self.path}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_door": None}

    def close(self) -> None:
        """Let go of the file."""
        if self._door is not None:
            self._door.close()
            self._door = None
        super().close()

    # ------------------------------------------------------------------- reads

    def _parts(self, key: str) -> tuple[str, ...]:
        return (os.path.basename(self.path), *(part for part in key.split("/") if part))

    def _answer(self, key: str, *, wait: bool) -> Answer | None:
        try:
            return self.door.key(self.zarr_format, self._parts(key), wait=wait)
        except ForeignChunk:
            raise  # "not there" would be read as fill values
        except NotFound:
            return None

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """The bytes of a key, or a range of them; ``None`` if there is no such key."""
        return self._get(key, prototype or default_buffer_prototype(), byte_range, wait=True)

    def _get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None, *, wait: bool
    ) -> Buffer | None:
        answer = self._answer(key, wait=wait)
        if answer is None:
            return None
        start, stop = _bounds(byte_range, answer.blob.size)
        return prototype.buffer.from_bytes(bytes(answer.blob.read(start, stop, wait=wait)))

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The bytes of a key, or a range of them; ``None`` if there is no such key."""
        await self._ensure_open()
        try:
            return self._get(key, prototype, byte_range, wait=False)
        except WouldBlock:
            return await asyncio.to_thread(self._get, key, prototype, byte_range, wait=True)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> "builtins.list[Buffer | None]":
        """Several ranges."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether a key can be got."""
        try:
            return await asyncio.to_thread(self._answer, key, wait=True) is not None
        except ForeignChunk:
            return False

    async def getsize(self, key: str) -> int:
        """Bytes of a key's value, without reading it.

        Raises:
            FileNotFoundError: There is no such key.
        """
        try:
            answer = await asyncio.to_thread(self._answer, key, wait=True)
        except ForeignChunk:
            answer = None
        if answer is None:
            raise FileNotFoundError(key)
        return answer.blob.size

    # ----------------------------------------------------------------- listing

    async def list(self) -> AsyncIterator[str]:
        """All keys: documents, and the chunks that are stored."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys that begin with ``prefix``."""
        for key in await asyncio.to_thread(lambda: [k for k in self._keys("", self._node("")) if k.startswith(prefix)]):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly below a node: documents, members, and ``c`` for the chunks of an array in format 3."""
        for name in await asyncio.to_thread(self._names, prefix.strip("/")):
            yield name

    def _node(self, prefix: str) -> Node | None:
        try:
            return self.door.node(self._parts(prefix))
        except ChunkserveError:
            return None

    def _names(self, prefix: str) -> Sequence[str]:
        node = self._node(prefix)
        if node is None:
            return self._chunk_names(prefix)
        names = [name for name in sorted(DOCUMENTS[self.zarr_format]) if self._answer(_join(prefix, name), wait=True)]
        if node.is_group:
            return names + [name for name, member in self._members(node) if not is_hidden(member)]
        return [*names, "c"] if self.zarr_format == 3 else names + list(self._chunks(prefix))

    def _chunk_names(self, prefix: str) -> Sequence[str]:
        """What is below ``c`` or ``c/1`` in format 3."""
        array, found, rest = f"/{prefix}/".rpartition("/c/")
        node = self._node(array) if found and self.zarr_format == 3 else None
        if node is None or node.is_group:
            return []
        head = f"c/{rest}"
        names = (name for name in self._chunks(array.strip("/")) if name.startswith(head))
        return list(dict.fromkeys(name[len(head) :].split("/")[0] for name in names))

    def _members(self, node: Node) -> Iterable[tuple[str, Node]]:
        return self.door.nodes.members(node, outside=True)

    def _keys(self, prefix: str, node: Node | None) -> Iterable[str]:
        if node is None:
            return
        for name in sorted(DOCUMENTS[self.zarr_format]):
            if self._answer(_join(prefix, name), wait=True) is not None:
                yield _join(prefix, name)
        if not node.is_group:
            yield from (_join(prefix, name) for name in self._chunks(prefix))
            return
        for name, member in self._members(node):
            if not is_hidden(member):
                yield from self._keys(_join(prefix, name), member)

    def _chunks(self, prefix: str) -> Iterable[str]:
        try:
            grid = self.door.chunks(self.zarr_format, self._parts(prefix), wait=True).presentation.grid
        except ChunkserveError:
            return
        for position in product(*map(range, grid)):
            name = chunk_name(position, self.zarr_format)
            if self._answer(_join(prefix, name), wait=True) is not None:
                yield name

    # ------------------------------------------------------------------ writes

    @property
    def supports_writes(self) -> bool:
        """Never."""
        return False

    @property
    def supports_deletes(self) -> bool:
        """Never."""
        return False

    @property
    def supports_listing(self) -> bool:
        """Always."""
        return True

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse."""
        del key, value
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Refuse."""
        del key
        self._check_writable()


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _bounds(request: ByteRequest | None, size: int) -> tuple[int, int]:
    """(start, stop) of a byte request, clipped to the value."""
    match request:
        case RangeByteRequest(start, end):
            return min(start, size), min(end, size)
        case OffsetByteRequest(offset):
            return min(offset, size), size
        case SuffixByteRequest(suffix):
            return max(0, size - suffix), size
        case None:
            return 0, size
        case _:
            raise ValueError(f"Unexpected byte_range, got {request}.")


def open_store(path: str | os.PathLike[str], *, zarr_format: Format = 3, **settings: object) -> HdfStore:
    """Open an HDF5 file as a read-only Zarr store.

    Args:
        path: The file.
        zarr_format: 2 or 3.
        **settings: Any of ``chunkserve settings``, for example ``cache_dir``. Other than in the server, links may lead
            to any file that you can read, unless ``link_roots`` says otherwise.

    Returns:
        A store for ``zarr.open``, ``xarray.open_zarr`` and the like.

    Raises:
        FileNotFoundError: There is no such file.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise FileNotFoundError(f"{name}: no such file")
    return HdfStore(name, zarr_format=zarr_format, settings=settings)
