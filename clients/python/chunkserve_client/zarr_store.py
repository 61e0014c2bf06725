"""Files as read-only zarr stores over the client's connections: for zarr-python, xarray and dask."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, Self

import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from chunkserve_client import loop
from chunkserve_client.errors import ClientError, FileChanged, NotFound
from chunkserve_client.place import Place

ABSENT = frozenset({404})


class ChunkserveStore(Store):
    """A node of a file, in one version of it, as Zarr v3."""

    supports_writes = False
    supports_deletes = False
    supports_listing = False
    supports_partial_writes = False

    def __init__(self, place: Place) -> None:
        """The array or group at ``place``."""
        super().__init__(read_only=True)
        self.place = place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChunkserveStore) and self.place == other.place

    def __hash__(self) -> int:
        return hash(self.place)

    def __str__(self) -> str:
        return f"{self.place.options.url}{self.place.chunks()}"

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The bytes of a key, ``None`` if there are none.

        Raises:
            ClientError: They cannot be had, which is something else.
        """
        return await loop.away(self._get(key, prototype, byte_range))

    async def _get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None) -> Buffer | None:
        headers = {} if byte_range is None else {"Range": _header(byte_range)}
        url = f"{self.place.chunks()}/{key}"
        try:
            answer = await self.place.transport.get(url, headers, expect=ABSENT)
        except FileChanged:
            if key.rsplit("/", 1)[-1] in ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"):
                if self.place.version and await self._is_gone():
                    raise
                return None
            raise
        return None if answer.status == 404 else prototype.buffer.from_bytes(bytes(answer.body))

    async def _is_gone(self) -> bool:
        """Whether the version is, rather than something in it missing."""
        try:
            await self.place.transport.get(
                replace(self.place.at(""), version=self.place.version).url("meta", depth="0")
            )
        except FileChanged:
            return True
        except ClientError:
            return False
        return False

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several parts of keys."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such a key."""
        try:
            return await loop.away(self._exists(key))
        except NotFound:
            return False

    async def _exists(self, key: str) -> bool:
        url = f"{self.place.chunks()}/{key}"
        return (await self.place.transport.get(url, {"Range": "bytes=0-0"}, expect=ABSENT)).status != 404

    async def set(self, key: str, value: Buffer) -> None:  # noqa: ARG002 - zarr's signature
        """Refuse."""
        raise ValueError("files are read-only")

    async def delete(self, key: str) -> None:  # noqa: ARG002 - zarr's signature
        """Refuse."""
        raise ValueError("files are read-only")

    async def list(self) -> AsyncIterator[str]:
        """Refuse: consolidated metadata have it all."""
        raise NotImplementedError("a chunkserve store is not listed; its groups have consolidated metadata")
        yield ""

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError("a chunkserve store is not listed; its groups have consolidated metadata")
        yield prefix

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError("a chunkserve store is not listed; its groups have consolidated metadata")
        yield prefix

    def with_read_only(self, read_only: bool = False) -> Self:
        """Itself: it cannot be written to.

        Raises:
            ValueError: To be written to.
        """
        if not read_only:
            raise ValueError("files are read-only")
        return self


def _header(wanted: ByteRequest) -> str:
    match wanted:
        case RangeByteRequest(start, end):
            return f"bytes={start}-{end - 1}"
        case OffsetByteRequest(offset):
            return f"bytes={offset}-"
        case SuffixByteRequest(suffix):
            return f"bytes=-{suffix}"
        case _:
            raise TypeError(f"{wanted!r} is no range of bytes")


def open_array(place: Place) -> "zarr.Array[Any]":
    """A dataset or level as a zarr array."""
    return zarr.open_array(ChunkserveStore(place), mode="r", zarr_format=3)
