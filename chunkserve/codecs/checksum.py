"""HDF5's Fletcher-32 (H5checksum.c): 16-bit big-endian words, two sums modulo 65535, stored little-endian."""

import struct

import numpy as np

from chunkserve.errors import Corrupt

_BLOCK = 2**20
"""Words summed before folding; the weighted sum of a block stays far below 2**64."""


def fletcher32(data: memoryview) -> int:
    """The checksum of ``data``."""
    odd = len(data) % 2
    words = np.frombuffer(data[: len(data) - odd], dtype=">u2")
    low = high = 0
    for at in range(0, len(words), _BLOCK):
        block = words[at : at + _BLOCK].astype(np.uint64)
        n = len(block)
        high = high + n * low + int(np.dot(block, np.arange(n, 0, -1, dtype=np.uint64)))
        low = low + int(block.sum())
        low, high = _fold(low), _fold(high)
    if odd:
        low = _fold(low + (data[-1] << 8))
        high = _fold(high + low)
    return high << 16 | low


def _fold(value: int) -> int:
    """Reduce modulo 65535 as repeated end-around carries do: a multiple of 65535 other than 0 gives 65535."""
    return value and (value % 0xFFFF or 0xFFFF)


def check_fletcher32(stored: memoryview) -> None:
    """Compare the last four bytes with the checksum of the others; HDF5 before 1.6.3 swapped bytes pairwise.

    Raises:
        Corrupt: They differ.
    """
    if len(stored) < 4:
        raise Corrupt(f"chunk of {len(stored)} bytes is shorter than its checksum")
    (found,) = struct.unpack_from("<I", stored, len(stored) - 4)
    expected = fletcher32(stored[:-4])
    swapped = (expected & 0x00FF00FF) << 8 | (expected & 0xFF00FF00) >> 8
    if found not in (expected, swapped):
        raise Corrupt(f"Fletcher-32 checksum {found:#010x} stored, {expected:#010x} computed")
