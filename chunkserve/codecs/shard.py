"""Zarr v3 shards: inner chunks, then an index.

The index has one (u64 offset, u64 length) per inner chunk in C order, all ones for a missing one, and a CRC-32C
(https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/).
"""

import google_crc32c
import numpy as np

MISSING = 2**64 - 1
ENTRY = 16
TRAILER = 4


def index_size(count: int) -> int:
    """Bytes of the index of ``count`` inner chunks."""
    return ENTRY * count + TRAILER


def pack_index(lengths: "list[int | None]") -> bytes:
    """The index of inner chunks laid end to end from offset 0; ``None`` is a missing chunk."""
    entries = np.full((len(lengths), 2), MISSING, dtype="<u8")
    at = 0
    for i, length in enumerate(lengths):
        if length is not None:
            entries[i] = at, length
            at += length
    data = entries.tobytes()
    checksum: int = google_crc32c.value(data)
    return data + checksum.to_bytes(4, "little")
