"""Decode the chunks a chunkserve sends: plain bytes, Blosc 1 frames, and shards of either.

Blosc frames around one zlib stream (HDF5's gzip) are inflated by libdeflate, which is twice as fast as the zlib in
c-blosc, and un-shuffled as a stored frame. Everything here releases the GIL, so that threads decode on all cores.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import deflate
import google_crc32c
import numcodecs.blosc
import numpy as np

from chunkserve_client.errors import Damaged, NotSupported

Body = bytes | bytearray | memoryview

_HEADER = struct.Struct("<BBBBiii")
"""Version, version of the codec, flags, typesize, decoded bytes, block size, encoded bytes."""

_SHUFFLE, _STORED, _BITSHUFFLE, _WHOLE_BLOCKS = 0x01, 0x02, 0x04, 0x10
_LZ4, _ZLIB = 1 << 5, 3 << 5
_KIND = 0xE0 | _STORED | _BITSHUFFLE | _WHOLE_BLOCKS
_WORDS = struct.Struct("<ii")
"""Where the only stream begins, and its length."""

_MISSING = 2**64 - 1


@dataclass(frozen=True)
class Sharding:
    """How a shard is made up.

    Attributes:
        inner: Shape of an inner chunk.
        blosc: Inner chunks are Blosc frames.
    """

    inner: tuple[int, ...]
    blosc: bool

    def index_bytes(self, shard: Sequence[int]) -> int:
        """Bytes of the index at the end of a shard of that shape."""
        return 16 * int(np.prod(self.grid(shard), dtype=np.int64)) + 4

    def grid(self, shard: Sequence[int]) -> tuple[int, ...]:
        """Inner chunks along each axis."""
        return tuple(-(-s // i) for s, i in zip(shard, self.inner, strict=True))


@dataclass(frozen=True)
class Codec:
    """How the bytes of a chunk are to be read.

    Attributes:
        blosc: They are a Blosc frame.
        sharding: They are a shard.
    """

    blosc: bool = False
    sharding: Sharding | None = None


def codec_of(document: Mapping[str, Any]) -> Codec:
    """The codec of an array, from its ``zarr.json``.

    Raises:
        NotSupported: It is none of those that a chunkserve sends for numbers.
    """
    codecs = document["codecs"]
    if codecs[0]["name"] == "sharding_indexed":
        configuration = codecs[0]["configuration"]
        if configuration.get("index_location", "end") != "end":
            raise NotSupported("shards with their index in front")
        inner = tuple(int(n) for n in configuration["chunk_shape"])
        return Codec(sharding=Sharding(inner, _is_blosc(configuration["codecs"])))
    return Codec(blosc=_is_blosc(codecs))


def _is_blosc(codecs: Sequence[Mapping[str, Any]]) -> bool:
    names: list[str] = [codec["name"] for codec in codecs]
    if names not in (["bytes"], ["bytes", "blosc"]):
        raise NotSupported(f"chunks in {', '.join(names)}")
    return names[-1] == "blosc"


def decode(codec: Codec, body: Body, out: np.ndarray) -> None:
    """Decode a chunk that is no shard into a C-contiguous array of its shape.

    Raises:
        Damaged: It is not what it says, or not as long.
    """
    target = out.reshape(-1).view(np.uint8)
    if codec.blosc:
        unblosc(body, target)
    elif len(body) != target.nbytes:
        raise Damaged(f"a chunk of {len(body)} bytes, expected {target.nbytes}")
    else:
        target[:] = np.frombuffer(body, np.uint8)


def unblosc(frame: Body, out: np.ndarray) -> None:
    """Decode a Blosc frame into an array of exactly as many bytes.

    Raises:
        Damaged: It is damaged, or of another length.
    """
    if len(frame) < _HEADER.size:
        raise Damaged(f"a Blosc frame of {len(frame)} bytes is shorter than its header")
    _, _, flags, typesize, nbytes, blocksize, size = _HEADER.unpack_from(frame)
    if nbytes != out.nbytes or size != len(frame):
        raise Damaged(f"a Blosc frame of {nbytes} bytes in {size}, expected {out.nbytes} in {len(frame)}")
    if not nbytes:
        return
    try:
        if flags & _KIND == _ZLIB | _WHOLE_BLOCKS and blocksize == nbytes:
            _inflate(memoryview(frame), flags, typesize, out)
        else:
            numcodecs.blosc.decompress(frame, out)
    except (RuntimeError, ValueError, deflate.DeflateError) as error:
        raise Damaged(f"a Blosc frame cannot be decoded: {error}") from None


def _inflate(frame: memoryview, flags: int, typesize: int, out: np.ndarray) -> None:
    """One zlib stream that fills the whole frame."""
    start, length = _WORDS.unpack_from(frame, _HEADER.size)
    nbytes = out.nbytes
    if start != 20 or length != len(frame) - 24:
        raise Damaged("a Blosc frame whose stream does not fill it")
    if length == nbytes:  # every decoder takes such a stream for stored bytes
        numcodecs.blosc.decompress(frame, out)
        return
    data = deflate.zlib_decompress(frame[24:], nbytes)
    if len(data) != nbytes:
        raise Damaged(f"a zlib stream of {len(data)} bytes, expected {nbytes}")
    if not flags & _SHUFFLE or typesize == 1:
        out[:] = np.frombuffer(data, np.uint8)
        return
    head = _HEADER.pack(2, 1, _LZ4 | _WHOLE_BLOCKS | _SHUFFLE, typesize, nbytes, nbytes, nbytes + 24)
    numcodecs.blosc.decompress(b"".join((head, _WORDS.pack(20, nbytes), data)), out)


def shard_index(tail: Body, count: int) -> np.ndarray:
    """The index of a shard from its last bytes.

    Returns:
        ``(count, 2)`` of int64: offset and length of each inner chunk, -1 and -1 where none is stored.

    Raises:
        Damaged: Its checksum does not fit.
    """
    data = bytes(tail)
    if len(data) != 16 * count + 4:
        raise Damaged(f"a shard's index of {len(data)} bytes, expected {16 * count + 4}")
    if google_crc32c.value(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise Damaged("the checksum of a shard's index does not fit")
    entries = np.frombuffer(data, "<u8", 2 * count).reshape(count, 2)
    return np.where(entries == _MISSING, -1, entries.astype(np.int64))
