"""What datasets and levels of pyramids share: reading by h5py's rules, reductions next to the data, other libraries."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkserve_client import loop, reductions
from chunkserve_client.errors import NotSupported
from chunkserve_client.pages import array_html
from chunkserve_client.place import Place
from chunkserve_client.plan import Plan, choose
from chunkserve_client.selection import Selection, Shape, select
from chunkserve_client.slices import read_slice
from chunkserve_client.stored import ChunkReader, Stored, stored
from chunkserve_client.types import Empty, HdfType, text

if TYPE_CHECKING:
    import dask.array
    import zarr


class Array(reductions.Reductions):
    """An array on the server. Nothing is read until it is indexed.

    Attributes:
        place: Where it is.
        shape: Of the dataspace; ``None`` for a null one.
        type: Of its elements.
        dims: Names of its axes, where they have one.
    """

    shape: Any
    chunks: Shape | None

    def __init__(self, place: Place, shape: Shape | None, kind: HdfType, dims: tuple[str | None, ...]) -> None:
        """Describe it; see the attributes."""
        self.place = place
        self.shape = shape
        self.type = kind
        self.dims = dims
        self._reader: ChunkReader | None = None
        self._chunkless = not place.version or kind.wire is None or shape is None
        self._opening: asyncio.Task[ChunkReader | None] | None = None

    # ------------------------------------------------------------------ description

    @property
    def dtype(self) -> np.dtype[Any]:
        """As h5py has it, with its marks for text and enumerations."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape or ())

    @property
    def size(self) -> int | None:
        """Number of elements, ``None`` for a null dataspace."""
        return None if self.shape is None else int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, decoded."""
        return (self.size or 0) * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar dataset has no length")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __repr__(self) -> str:
        what = type(self).__name__
        return f"<chunkserve {what} {self.place.file}::/{self.place.path} shape {self.shape}, dtype {self.dtype}>"

    def _repr_html_(self) -> str:
        return array_html(self)

    # ---------------------------------------------------------------------- reading

    def __getitem__(self, key: Any) -> Any:
        """Read a selection, by h5py's rules.

        Raises:
            IndexError, TypeError, ValueError: The selection is none.
            ClientError: One of its kinds.
        """
        return loop.run(self._get(key))

    async def aget(self, key: Any = ...) -> Any:
        """The same as indexing, to be awaited in any event loop."""
        return await loop.away(self._get(key))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it."""
        if copy is False:
            raise ValueError("reading makes a copy")
        return np.asarray(self[...], dtype)

    def plan(self, key: Any = ...) -> Plan:
        """How a selection would be read: the way, requests, bytes, and why. Asks for one document at most."""
        return loop.run(self._planned(self._select(key)))

    def astype(self, dtype: Any) -> "View":
        """A view whose selections are converted: ``d.astype("f4")[...]``."""
        return View(self, dtype=np.dtype(dtype))

    def asstr(self, encoding: str | None = None, errors: str = "strict") -> "View":
        """A view whose selections are text: ``d.asstr()[...]``.

        Raises:
            TypeError: The elements are no text.
        """
        if self.type.string is None:
            raise TypeError(f"{self.dtype} is no text")
        return View(self, encoding=encoding or self.type.string.encoding, errors=errors)

    def fields(self, names: str | Sequence[str]) -> "View":
        """A view of some fields of records: ``d.fields(["x", "y"])[...]``."""
        return View(self, fields=(names,) if isinstance(names, str) else tuple(names))

    def _select(self, key: Any) -> Selection:
        if self.shape is None:
            return Selection(())
        names = self.dtype.base.names
        return select(key, self.shape, list(names) if names else None)

    async def _get(self, key: Any) -> Any:
        if self.shape is None:
            return Empty(self.dtype)
        selection = self._select(key)
        values = await self._read(selection)
        rank = len(selection.picked)
        if selection.mask is not None:
            return values[selection.mask]
        values = values.reshape(selection.shape + values.shape[rank:])
        return values[()] if selection.scalar and not values.ndim else values

    async def _planned(self, selection: Selection) -> Plan:
        itemsize = max(1, self.dtype.itemsize)
        reader = None if self._chunkless or selection.fields else await self._chunks()
        if reader is None:
            return choose(selection, itemsize, None)
        full = self._with_inner(selection)
        return choose(full, self.type.element.itemsize, reader.layout(), reader.cached(full))

    async def _read(self, selection: Selection) -> np.ndarray:
        """The elements in the selection's full shape, followed by the axes of an array type."""
        plan = await self._planned(selection)
        if plan.way == "chunks":
            reader = await self._chunks()
            assert reader is not None
            full = self._with_inner(selection)
            out = np.empty(full.full, reader.stored.dtype)
            await reader.read(full, out)
            return out.view(self.type.element)
        if plan.way == "nothing" and not selection.fields:
            return np.empty((*selection.full, *self.type.dims), self.type.element)
        return await read_slice(self.place, selection, self.type)

    def _with_inner(self, selection: Selection) -> Selection:
        """With the axes of an array type, which are axes of the Zarr array."""
        return replace(selection, picked=selection.picked + tuple(map(range, self.type.dims)))

    async def _chunks(self) -> ChunkReader | None:
        """The reader of chunks, ``None`` if they cannot be decoded to just these elements."""
        if self._reader is not None and self._reader.generation != loop.generation:  # of the process that forked us
            self._reader = self._opening = None
        if self._reader is None and not self._chunkless:
            if self._opening is None:
                self._opening = asyncio.ensure_future(self._open_chunks())
            try:
                self._reader = await asyncio.shield(self._opening)
            finally:
                self._opening = None
            self._chunkless = self._reader is None
        return self._reader

    async def _open_chunks(self) -> ChunkReader | None:
        try:
            found = await self._stored()
        except (NotSupported, LookupError):
            return None
        extent = (*(self.shape or ()), *self.type.dims)
        fits = len(found.shape) == len(extent) and all(a >= b for a, b in zip(found.shape, extent, strict=True))
        if not fits or found.dtype != self.type.wire:
            return None
        return ChunkReader(self.place, found, filtered=self._filtered())

    async def _stored(self) -> Stored:
        return stored(await self.place.transport.json(f"{self.place.chunks()}/zarr.json"), self._fill())

    def _fill(self) -> np.ndarray | None:
        return None

    def _filtered(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None, "_opening": None}

    # ------------------------------------------------------------------ other libraries

    def to_dask(self, chunks: Any = "auto") -> "dask.array.Array":
        """A dask array; its blocks are made of whole chunks unless ``chunks`` says otherwise."""
        from chunkserve_client.ecosystem import to_dask  # noqa: PLC0415 - optional

        return to_dask(self, chunks)

    def to_zarr(self) -> "zarr.Array[Any]":
        """A zarr-python array over the same connections, pinned to the same version."""
        from chunkserve_client.zarr_store import open_array  # noqa: PLC0415 - optional

        return open_array(self.place)


class View:
    """An array whose selections are converted: made by ``astype``, ``asstr`` and ``fields``."""

    def __init__(
        self, array: Array, dtype: np.dtype[Any] | None = None, encoding: str = "", errors: str = "strict",
        fields: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Convert what ``array`` reads."""
        self._array = array
        self._dtype = dtype
        self._encoding = encoding
        self._errors = errors
        self._fields = fields
        self.shape = array.shape

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, key: Any) -> Any:
        """Read and convert a selection."""
        return loop.run(self._get(key))

    async def aget(self, key: Any = ...) -> Any:
        """The same, to be awaited."""
        return await loop.away(self._get(key))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it."""
        if copy is False:
            raise ValueError("reading makes a copy")
        return np.asarray(self[...], dtype)

    async def _get(self, key: Any) -> Any:
        if self._fields:
            key = (*self._fields, *(key if isinstance(key, tuple) else (key,)))
        values = await self._array._get(key)  # noqa: SLF001 - a part of it
        if self._dtype is not None:
            return values.astype(self._dtype)
        if self._encoding:
            if isinstance(values, bytes):
                return values.decode(self._encoding, self._errors)
            return text(values, self._encoding, self._errors)
        return values
