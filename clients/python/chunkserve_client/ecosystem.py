"""Other libraries' own objects. Imported when they are asked for, since their libraries are extras."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkserve_client.place import Place

if TYPE_CHECKING:
    import dask.array
    import xarray

    from chunkserve_client.arrays import Array
    from chunkserve_client.nodes import Dataset

BLOCK = 32 << 20
"""Bytes of a dask block, about."""


def to_dask(array: "Array", chunks: Any) -> "dask.array.Array":
    """A dask array over an array."""
    import dask.array  # noqa: PLC0415 - optional

    if array.shape is None or array.type.dims:
        raise TypeError("a dask array has elements, each of one number or record")
    if chunks == "auto":
        chunks = blocks(array.shape, array.chunks, max(1, array.dtype.itemsize))
    name = f"chunkserve-{dask.base.tokenize(array.place)}"
    meta = np.empty((0,) * array.ndim, array.dtype)
    found: dask.array.Array = dask.array.from_array(  # type: ignore[no-untyped-call]
        array, chunks=chunks, name=name, meta=meta, asarray=True, fancy=False
    )  # fmt: skip
    return found


def blocks(shape: tuple[int, ...], chunk: tuple[int, ...] | None, itemsize: int) -> tuple[int, ...]:
    """A shape of blocks: whole chunks, joined along the last axes first, to about ``BLOCK`` bytes."""
    found = list(chunk) if chunk else [1] * len(shape)
    for axis in reversed(range(len(shape))):
        room = BLOCK // max(1, math.prod(found) * itemsize)
        if room > 1:
            found[axis] = min(found[axis] * room, max(1, shape[axis]))
    return tuple(min(f, n) if n else 1 for f, n in zip(found, shape, strict=True))


def to_dataset(place: Place, **options: Any) -> "xarray.Dataset":
    """A group as xarray has it."""
    import xarray  # noqa: PLC0415 - optional

    from chunkserve_client.zarr_store import ChunkserveStore  # noqa: PLC0415 - optional

    named = {"chunks": None, "zarr_format": 3} | options
    store: Any = ChunkserveStore(place)  # which xarray hands on to zarr
    return xarray.open_dataset(store, engine="zarr", **named)


def to_data_array(dataset: "Dataset") -> "xarray.DataArray":
    """A dataset with its coordinates."""
    group = to_dataset(dataset.parent.place)
    name = dataset.place.path.rsplit("/", 1)[-1]
    if name not in group.variables:
        raise TypeError(f"{dataset.name} is no variable of its group: its elements have no place in xarray")
    return group[name]
