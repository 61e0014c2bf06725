"""Blosc 1 frames: the container every Zarr reader opens (https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst).

    u8 version 2 | u8 codec version 1 | u8 flags | u8 typesize | i32 nbytes | i32 blocksize | i32 cbytes
    i32 start of each block | per block: i32 stream length, stream                                  (little-endian)

A stream exactly as long as its block is taken as stored bytes by every decoder.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

HEADER = struct.Struct("<BBBBiii")
WORD = struct.Struct("<i")

MAX_BLOCK = 536_866_816
"""Bytes of one block that c-blosc 1 and 2 both decode."""

MAX_BYTES = 2**31 - 1 - 32
"""Bytes of one frame, decoded or encoded."""

MAX_TYPESIZE = 255


class Format(IntEnum):
    """The compressor of a frame's streams, as written in flag bits 5 to 7."""

    BLOSCLZ = 0
    LZ4 = 1
    SNAPPY = 2
    ZLIB = 3
    ZSTD = 4


class Flag(IntFlag):
    """Flag bits 0 to 4."""

    NONE = 0
    SHUFFLE = 0x01
    STORED = 0x02
    BITSHUFFLE = 0x04
    WHOLE_BLOCKS = 0x10  # one stream per block; needs c-blosc 1.14 (2018)


class CannotReframe(Exception):
    """The chunk has no equal among Blosc frames; it must be decoded. The message says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A Blosc frame (or a bare chunk) made of stored bytes: ``head`` + stored[start:stop], edited + ``tail``.

    Attributes:
        head: Bytes in front.
        start, stop: The part of the stored chunk that is kept.
        tail: Bytes behind.
        swaps: Positions in the stored chunk, ascending, of 4-byte words whose byte order is reversed; each word lies
            inside the kept part.
        patches: (position in the stored chunk, bytes) written over the kept part.
    """

    head: bytes
    start: int
    stop: int
    tail: bytes = b""
    swaps: np.ndarray | None = None
    patches: tuple[tuple[int, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the frame."""
        return len(self.head) + self.stop - self.start + len(self.tail)

    def edit(self, part: bytearray | memoryview, at: int) -> None:
        """Apply swaps and patches to ``part``, which holds stored[at : at + len(part)]."""
        view = np.frombuffer(part, dtype=np.uint8)
        if self.swaps is not None:
            low, high = np.searchsorted(self.swaps, (at - 3, at + len(view)))
            for word in (self.swaps[low:high] - at,):
                inside = word[(word >= 0) & (word + 4 <= len(view))]
                for near, far in ((0, 3), (1, 2)):
                    view[inside + near], view[inside + far] = view[inside + far], view[inside + near]
        for position, data in self.patches:
            low, high = max(position, at), min(position + len(data), at + len(view))
            if low < high:
                view[low - at : high - at] = np.frombuffer(data, dtype=np.uint8)[low - position : high - position]

    def assemble(self, stored: bytes | bytearray | memoryview) -> bytes:
        """The frame's bytes, from the whole stored chunk."""
        kept = bytearray(memoryview(stored)[self.start : self.stop])
        if self.swaps is not None or self.patches:
            self.edit(kept, self.start)
        return b"".join((self.head, kept, self.tail))


def block_head(
    lengths: "list[int] | np.ndarray", nbytes: int, blocksize: int, typesize: int, kind: tuple[Format, Flag]
) -> bytes:
    """The header and block starts of a frame with one stream per block, laid end to end.

    Args:
        lengths: Bytes of each block's stream.
        nbytes: Decoded bytes.
        blocksize: Decoded bytes per block.
        typesize: Bytes per element, as far as the shuffle is concerned.
        kind: Compressor and shuffle.

    Raises:
        CannotReframe: A Blosc frame cannot be that large or have such elements.
    """
    fmt, flags = kind
    if typesize > MAX_TYPESIZE or typesize < 1:
        if flags & (Flag.SHUFFLE | Flag.BITSHUFFLE):
            raise CannotReframe(f"elements of {typesize} bytes are shuffled, Blosc shuffles up to {MAX_TYPESIZE}")
        typesize = 1
    if blocksize > MAX_BLOCK or nbytes > MAX_BYTES:
        raise CannotReframe(f"a chunk of {nbytes} bytes is too large for a Blosc frame")
    count = len(lengths)
    first = HEADER.size + WORD.size * count
    if count == 1:
        total = first + 4 + int(lengths[0])
        starts = WORD.pack(first)
    else:
        ends = np.cumsum(np.asarray(lengths, dtype=np.int64) + 4) + first
        total = int(ends[-1])
        starts = np.concatenate(([first], ends[:-1])).astype("<i4").tobytes() if total <= MAX_BYTES else b""
    if total > MAX_BYTES:
        raise CannotReframe(f"a frame of {total} bytes is too large for Blosc")
    return HEADER.pack(2, 1, flags | Flag.WHOLE_BLOCKS | fmt << 5, typesize, nbytes, blocksize, total) + starts


def single_head(length: int, nbytes: int, typesize: int, kind: tuple[Format, Flag]) -> bytes:
    """The 24 bytes in front of one stream that holds a whole chunk: header, block start, stream length."""
    return block_head([length], nbytes, nbytes, typesize, kind) + WORD.pack(length)


def stored_head(nbytes: int, typesize: int) -> bytes:
    """The 16 bytes in front of plain bytes.

    Raises:
        CannotReframe: More bytes than a frame can hold.
    """
    if nbytes > MAX_BYTES:
        raise CannotReframe(f"a chunk of {nbytes} bytes is too large for a Blosc frame")
    flags = Flag.STORED | Flag.WHOLE_BLOCKS
    size = typesize if 1 <= typesize <= MAX_TYPESIZE else 1
    return HEADER.pack(2, 1, flags, size, nbytes, min(nbytes, MAX_BLOCK), nbytes + HEADER.size)


def stored_frame(data: bytes, typesize: int) -> Frame:
    """A frame of plain bytes that are not taken from the file."""
    return Frame(stored_head(len(data), typesize), 0, 0, data)
