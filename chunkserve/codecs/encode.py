"""Write chunks that had to be decoded, in the codecs every reader has."""

import numcodecs.blosc
import numcodecs.vlen
import numcodecs.zstd
import numpy as np

from chunkserve.codecs.frame import MAX_TYPESIZE

BLOSC_LEVEL = 1
"""Zstandard's fastest ordinary level: a decoded chunk is encoded while somebody waits."""

TEXT_LEVEL = 1


def blosc_zstd(values: np.ndarray) -> bytes:
    """Encode a C-contiguous array as a Blosc frame: Zstandard, shuffled by element."""
    data = np.ascontiguousarray(values)
    if not data.nbytes:
        return b""
    typesize = data.dtype.itemsize
    flat = data.reshape(-1).view(np.uint8 if typesize > MAX_TYPESIZE else f"V{typesize}")
    shuffle = numcodecs.blosc.SHUFFLE if 1 < typesize <= MAX_TYPESIZE else numcodecs.blosc.NOSHUFFLE
    return bytes(numcodecs.blosc.compress(flat, b"zstd", BLOSC_LEVEL, shuffle))


def blosc_lz4(values: np.ndarray) -> bytes:
    """Encode a C-contiguous array of numbers as a Blosc frame: LZ4, bits shuffled.

    Twice as fast as Zstandard and shuffled bytes, and on detector data no larger.
    """
    data = np.ascontiguousarray(values)
    flat = data.reshape(-1).view(f"V{data.dtype.itemsize}")
    return bytes(numcodecs.blosc.compress(flat, b"lz4", BLOSC_LEVEL, numcodecs.blosc.BITSHUFFLE))


def text(items: list[str]) -> bytes:
    """Encode strings, in C order, as vlen-utf8 and Zstandard.

    https://github.com/zarr-developers/zarr-extensions/tree/main/codecs/vlen-utf8
    """
    values = np.empty(len(items), dtype=object)
    values[:] = items
    return bytes(numcodecs.zstd.compress(numcodecs.vlen.VLenUTF8().encode(values), TEXT_LEVEL))
