"""Zarr v3 as a client sees it: chunk keys, chunk shapes, shard indices, and chunks decoded by zarr-python."""

import json
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from benchmarks.common.errors import Unserved, Wrong

Document = dict[str, Any]
ENTRY = 16
"""Bytes of an entry of a shard's index: offset and length, u64 each."""

CHECKSUM = 4


def key(document: Document, position: tuple[int, ...]) -> str:
    """The key of a chunk."""
    configuration = document["chunk_key_encoding"].get("configuration", {})
    separator = configuration.get("separator", "/")
    return separator.join(("c", *map(str, position)))


def chunk_shape(document: Document) -> tuple[int, ...]:
    """What one key holds."""
    return tuple(document["chunk_grid"]["configuration"]["chunk_shape"])


def inner_shape(document: Document) -> tuple[int, ...] | None:
    """Shape of the chunks within a shard, if the array is sharded."""
    codec = document["codecs"][0]
    return tuple(codec["configuration"]["chunk_shape"]) if codec["name"] == "sharding_indexed" else None


def demand_chunks(document: Document, shape: tuple[int, ...]) -> None:
    """Check that one key holds one chunk of the file.

    Raises:
        Unserved: It holds something else.
    """
    if document.get("node_type") != "array":
        raise Unserved(f"no metadata of a Zarr v3 array: {str(document)[:100]}")
    found = chunk_shape(document)
    if inner_shape(document) is not None or found != shape:
        raise Unserved(f"not comparable: one key holds {'x'.join(map(str, found))}")


def decode(document: Document, position: tuple[int, ...], body: bytes) -> np.ndarray:
    """A chunk as zarr-python reads it.

    Raises:
        Wrong: It cannot be read.
    """
    prototype = default_buffer_prototype()
    plain = {name: value for name, value in document.items() if name != "attributes"}
    items = {"zarr.json": json.dumps(plain).encode(), key(document, position): body}
    store = MemoryStore({name: prototype.buffer.from_bytes(data) for name, data in items.items()})
    try:
        array = zarr.open_array(store, mode="r")
        shape = chunk_shape(document)
        region = tuple(slice(p * n, (p + 1) * n) for p, n in zip(position, shape, strict=True))
        return np.asarray(array[region])
    except Exception as error:
        raise Wrong(f"zarr-python cannot read chunk {position}: {error}") from error


def shard_ranges(shard: bytes, count: int) -> list[tuple[int, int]]:
    """(offset, length) of each of the ``count`` chunks of a shard whose index stands at its end."""
    index = np.frombuffer(shard[-(ENTRY * count + CHECKSUM) : -CHECKSUM], "<u8").reshape(count, 2)
    return [(int(offset), int(length)) for offset, length in index]
