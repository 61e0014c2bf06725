"""Zarr v3 shards: inner chunks, then an index.

The index has one (u64 offset, u64 length) per inner chunk in C order, all ones for a missing one, and a CRC-32C
(https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/).
"""

import google_crc32c
import numpy as np

from chunkserve.errors import Corrupt

MISSING = 2**64 - 1
ENTRY = 16
TRAILER = 4


def index_size(count: int) -> int:
    """Bytes of the index of ``count`` inner chunks."""
    return ENTRY * count + TRAILER


def pack_index(lengths: "list[int | None]", at: int = 0) -> bytes:
    """The index of inner chunks laid end to end from an offset; ``None`` is a missing chunk."""
    entries = np.full((len(lengths), 2), MISSING, dtype="<u8")
    for i, length in enumerate(lengths):
        if length is not None:
            entries[i] = at, length
            at += length
    data = entries.tobytes()
    checksum: int = google_crc32c.value(data)
    return data + checksum.to_bytes(4, "little")


def read_index(data: bytes, size: int) -> list[tuple[int, int] | None]:
    """Offset and length of every inner chunk, ``None`` of a missing one.

    Args:
        data: The index.
        size: Bytes of the shard.

    Raises:
        Corrupt: It is damaged.
    """
    if len(data) % ENTRY != TRAILER or google_crc32c.value(data[:-TRAILER]).to_bytes(TRAILER, "little") != data[-4:]:
        raise Corrupt("the index of a shard does not have its checksum")
    found: list[tuple[int, int] | None] = []
    for offset, length in np.frombuffer(data, "<u8", 2 * (len(data) // ENTRY)).reshape(-1, 2).tolist():
        if offset == length == MISSING:
            found.append(None)
        elif offset + length > size - len(data):
            raise Corrupt(f"a shard of {size} bytes has a chunk beyond its end")
        else:
            found.append((offset, length))
    return found
