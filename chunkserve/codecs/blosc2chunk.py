"""HDF5-Blosc2 (32026): a chunk is a contiguous Blosc2 frame with one Blosc2 chunk in it.

https://github.com/Blosc/c-blosc2/blob/main/README_CFRAME_FORMAT.rst and README_CHUNK_FORMAT.rst. A Blosc2 chunk has a
32-byte header where Blosc 1 has 16, then the same block starts and streams; cutting 16 bytes out and shifting the
starts makes a Blosc 1 frame, as long as nothing in it needs Blosc2's newer features.
"""

import math
import struct
from dataclasses import dataclass

import msgpack
import numpy as np

from chunkserve.codecs.frame import HEADER, WORD, CannotReframe, Flag, Format, Frame, stored_head
from chunkserve.errors import Corrupt
from chunkserve.grid import Shape

_MAGIC = b"b2frame"
_WIDE = 32  # bytes of a Blosc2 chunk header
_EXTENDED = Flag.SHUFFLE | Flag.BITSHUFFLE  # both at once mark the wide header
_SPECIAL_IN_OFFSET = 0x81  # top byte of a chunk offset in the frame's index: all zeros
_FILTERS = {(): Flag.NONE, (1,): Flag.SHUFFLE, (2,): Flag.BITSHUFFLE}
_SPLIT_MAX_TYPESIZE, _SPLIT_MIN_ELEMENTS = 16, 128  # where Blosc 1 splits a block into streams


@dataclass(frozen=True)
class Header:
    """What a Blosc2 chunk's header says; sizes in bytes."""

    flags: int
    typesize: int
    nbytes: int
    blocksize: int
    cbytes: int
    filters: tuple[int, ...] = ()
    special: int = 0
    fancy: bool = False

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.nbytes // self.blocksize) if self.blocksize else 0

    @property
    def split(self) -> bool:
        """Whether full blocks are cut into one stream per byte of the element."""
        return not self.flags & Flag.WHOLE_BLOCKS


def inner_chunk(body: memoryview, nbytes: int) -> memoryview | None:
    """The Blosc2 chunk inside a contiguous frame; ``None`` if the frame says "all zeros" without one.

    Raises:
        Corrupt, CannotReframe: It is not such a frame.
    """
    if len(body) < 0x57 or body[2:9] != _MAGIC:
        raise Corrupt("not a Blosc2 frame")
    (header,) = struct.unpack_from(">i", body, 11)
    (decoded,) = struct.unpack_from(">q", body, 0x1E)
    (encoded,) = struct.unpack_from(">q", body, 0x27)
    if decoded != nbytes or not 0x57 <= header <= len(body):
        raise Corrupt(f"Blosc2 frame of {decoded} bytes, expected {nbytes}")
    if encoded == 0:
        if len(body) >= header + 40 and body[header + 2] & Flag.STORED and body[header + 39] == _SPECIAL_IN_OFFSET:
            return None
        raise CannotReframe("Blosc2 frame with a special value")
    return body[header:]


def read_header(chunk: memoryview, nbytes: int) -> Header:
    """Read a Blosc2 chunk's header.

    Raises:
        Corrupt: The sizes do not fit.
    """
    if len(chunk) < _WIDE:
        raise Corrupt("Blosc2 chunk is shorter than its header")
    _, _, flags, typesize, size, blocksize, cbytes = HEADER.unpack_from(chunk)
    if size != nbytes or cbytes > len(chunk) or blocksize <= 0 or blocksize > max(nbytes, 1) or not typesize:
        raise Corrupt(f"Blosc2 chunk of {size} bytes in blocks of {blocksize}, expected {nbytes}")
    if flags & _EXTENDED != _EXTENDED:
        return Header(flags, typesize, size, blocksize, cbytes)
    filters = tuple(code for code in chunk[16:22] if code)
    special = chunk[31] >> 4 & 7
    return Header(flags, typesize, size, blocksize, cbytes, filters, special, bool(chunk[31] & 1 or chunk[30]))


def frame(body: memoryview, nbytes: int) -> Frame:
    """The Blosc 1 frame of an HDF5-Blosc2 chunk.

    Raises:
        CannotReframe, Corrupt: As for :func:`chunkserve.codecs.rehead.frame`.
    """
    chunk, h, offset = _open(body, nbytes)
    block = block_shape(body)
    if block is not None and not in_c_order(*block):
        raise CannotReframe(f"Blosc2 blocks {block[1]} of chunk {block[0]} are not in C order")
    if h.flags & _EXTENDED != _EXTENDED:
        return Frame(b"", offset, offset + h.cbytes)
    fmt, shuffle = _kind(h)
    if h.flags & Flag.STORED:
        if h.cbytes != nbytes + _WIDE:
            raise Corrupt("stored Blosc2 chunk of the wrong length")
        head = HEADER.pack(2, 1, Flag.STORED | Flag.WHOLE_BLOCKS, h.typesize, nbytes, h.blocksize, nbytes + HEADER.size)
        return Frame(head, offset + _WIDE, offset + h.cbytes)
    starts = _starts(chunk, h)
    for i, start in enumerate(starts):
        _streams_end(chunk, h, int(start), i, shuffle)
    flags = shuffle | (h.flags & Flag.WHOLE_BLOCKS) | fmt << 5
    head = HEADER.pack(2, 1, flags, h.typesize, nbytes, h.blocksize, h.cbytes - (_WIDE - HEADER.size))
    head += (starts - (_WIDE - HEADER.size)).astype("<i4").tobytes()
    return Frame(head, offset + _WIDE + 4 * h.blocks, offset + h.cbytes)


def block_frame(body: memoryview, nbytes: int, block: Shape, i: int) -> Frame:
    """The Blosc 1 frame of block ``i`` alone, of an n-dimensional chunk whose blocks have the shape ``block``.

    Raises:
        CannotReframe: The chunk has other blocks, or this one needs Blosc2.
        Corrupt: As for :func:`frame`.
    """
    chunk, h, offset = _open(body, nbytes)
    if (block_shape(body) or ((), ()))[1] != block or h.flags & _EXTENDED != _EXTENDED:
        raise CannotReframe("Blosc2 chunk with other blocks than its neighbours")
    fmt, shuffle = _kind(h)
    if not 0 <= i < h.blocks or _block_bytes(h, i) != h.blocksize:
        raise Corrupt(f"Blosc2 chunk has no whole block {i}")
    if h.flags & Flag.STORED:
        at = offset + _WIDE + i * h.blocksize
        if at + h.blocksize > len(body):
            raise Corrupt("stored Blosc2 chunk of the wrong length")
        return Frame(stored_head(h.blocksize, h.typesize), at, at + h.blocksize)
    start = int(_starts(chunk, h)[i])
    end = _streams_end(chunk, h, start, i, shuffle)
    flags = shuffle | (h.flags & Flag.WHOLE_BLOCKS) | fmt << 5
    first = HEADER.size + 4
    head = HEADER.pack(2, 1, flags, h.typesize, h.blocksize, h.blocksize, first + end - start) + WORD.pack(first)
    return Frame(head, offset + start, offset + end)


def _open(body: memoryview, nbytes: int) -> tuple[memoryview, Header, int]:
    """The inner chunk, its header, and where it starts in ``body``."""
    size = padded(body, nbytes)
    chunk = inner_chunk(body, size)
    if chunk is None:
        raise CannotReframe("Blosc2 frame of zeros without a chunk")
    return chunk, read_header(chunk, size), len(body) - len(chunk)


def _kind(h: Header) -> tuple[Format, Flag]:
    fmt = h.flags >> 5
    if h.special:
        raise CannotReframe("Blosc2 chunk of a repeated value")
    if h.fancy or fmt not in (Format.BLOSCLZ, Format.LZ4, Format.ZLIB, Format.ZSTD) or h.filters not in _FILTERS:
        raise CannotReframe("Blosc2 features that Blosc 1 does not have")
    return Format(fmt), _FILTERS[h.filters]


def _starts(chunk: memoryview, h: Header) -> np.ndarray:
    if _WIDE + 4 * h.blocks > h.cbytes:
        raise Corrupt("Blosc2 chunk ends within its block starts")
    starts = np.frombuffer(chunk, "<i4", h.blocks, _WIDE)
    if h.blocks and (starts.min() < _WIDE + 4 * h.blocks or starts.max() > h.cbytes - 4):
        raise Corrupt("a Blosc2 block starts outside its chunk")
    return starts


def _block_bytes(h: Header, i: int) -> int:
    return min(h.blocksize, h.nbytes - i * h.blocksize)


def _streams_end(chunk: memoryview, h: Header, at: int, i: int, shuffle: Flag) -> int:
    """Where block ``i``, whose streams start at ``at``, ends; refuses what Blosc 1 would decode otherwise.

    A stream length of 0 or below is a run, which Blosc 1 does not know.
    """
    nbytes = _block_bytes(h, i)
    if shuffle == Flag.BITSHUFFLE and nbytes // h.typesize % 8:
        raise CannotReframe("Blosc2 transposes a block that is no multiple of 8 elements, Blosc does not")
    if h.split and (h.typesize > _SPLIT_MAX_TYPESIZE or h.blocksize // h.typesize < _SPLIT_MIN_ELEMENTS):
        raise CannotReframe("Blosc2 splits blocks where Blosc does not")
    for _ in range(h.typesize if h.split and nbytes == h.blocksize else 1):
        if at + 4 > h.cbytes:
            raise Corrupt("a Blosc2 stream starts outside its chunk")
        (length,) = struct.unpack_from("<i", chunk, at)
        if length <= 0:
            raise CannotReframe("Blosc2 block with a run")
        at += 4 + length
        if at > h.cbytes:
            raise Corrupt("a Blosc2 stream ends outside its chunk")
    return at


def block_shape(body: memoryview) -> tuple[Shape, Shape] | None:
    """Chunk and block shape of an n-dimensional (b2nd) frame, from its metalayer; ``None`` if it has none."""
    (header,) = struct.unpack_from(">i", body, 11)
    meta = bytes(body[0x57:header])
    name = meta.find(b"b2nd")
    if name < 0:
        return None
    at = meta.find(b"\xc6", name)  # MessagePack bin 32
    if at < 0:
        raise Corrupt("Blosc2 frame with a damaged b2nd layer")
    unpacker = msgpack.Unpacker(strict_map_key=False, raw=True)
    unpacker.feed(meta[at + 5 :])
    try:
        layer = unpacker.unpack()
        _, rank, _, chunk, block = layer[:5]
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise Corrupt(f"Blosc2 frame with a damaged b2nd layer: {error}") from None
    if not (_is_shape(chunk, rank) and _is_shape(block, rank)) or any(b > c for b, c in zip(block, chunk, strict=True)):
        raise Corrupt("Blosc2 frame with a damaged b2nd layer")
    return tuple(chunk), tuple(block)


def _is_shape(value: object, rank: object) -> bool:
    return isinstance(value, list) and len(value) == rank and all(isinstance(n, int) and n > 0 for n in value)


def padded(body: memoryview, nbytes: int) -> int:
    """Bytes that a frame of a chunk of ``nbytes`` holds: blocks that reach beyond the chunk are whole.

    Raises:
        Corrupt: It is not a frame, or not one of that size.
    """
    if len(body) < 0x57 or body[2:9] != _MAGIC:
        raise Corrupt("not a Blosc2 frame")
    shapes = block_shape(body)
    if shapes is None:
        return nbytes
    elements = math.prod(shapes[0])
    if nbytes % elements:
        raise Corrupt(f"Blosc2 frame of a chunk of shape {shapes[0]}, expected {nbytes} bytes")
    return nbytes // elements * math.prod(-(-c // b) * b for c, b in zip(*shapes, strict=True))


def in_c_order(chunk: Shape, block: Shape) -> bool:
    """Whether the blocks, laid end to end, are the chunk in C order."""
    if len(chunk) != len(block):
        return False
    first = next((axis for axis, b in enumerate(block) if b != 1), len(block))
    if any(b != c for b, c in zip(block[first + 1 :], chunk[first + 1 :], strict=True)):
        return False
    return first == len(block) or chunk[first] % block[first] == 0
