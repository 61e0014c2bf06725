"""HDF5 bitshuffle (32008, https://github.com/kiyo-masui/bitshuffle) as Blosc frames.

With a compressor: u64be decoded bytes, u32be block bytes, then per block u32be length and stream; the last n % 8
elements follow as they are. Without: the transposed blocks, then those elements. Client values: major, minor, element
size, elements per block (0: default), compressor (0 none, 2 LZ4, 3 Zstandard).

Blosc transposes like bitshuffle, except a block whose element count is no multiple of 8: that one is stored plain.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chunkserve.codecs.frame import HEADER, WORD, CannotReframe, Flag, Format, Frame, block_head
from chunkserve.codecs.streams import lz4_decode, walk_blocks, zstd_decode
from chunkserve.errors import Corrupt
from chunkserve.model import Filter

_HEADER = struct.Struct(">QI")
_FORMAT = {0: Format.LZ4, 2: Format.LZ4, 3: Format.ZSTD}
_DECODE: dict[Format, Callable[[memoryview, int], bytes]] = {Format.LZ4: lz4_decode, Format.ZSTD: zstd_decode}
_TARGET_BLOCK = 8192  # bytes; bitshuffle's default, as are the two numbers below
_BLOCK_MULTIPLE = 8
_MIN_BLOCK = 128


@dataclass(frozen=True)
class _Geometry:
    """How a chunk falls into blocks.

    Attributes:
        elem: Bytes of an element.
        blocksize: Bytes of a full block.
        full: Number of full blocks.
        rest: Bytes of the shorter transposed block after them, 0 if there is none.
        loose: Bytes of the last n % 8 elements, which are not transposed.
        compressor: 0, 2 or 3.
    """

    elem: int
    blocksize: int
    full: int
    rest: int
    loose: int
    compressor: int

    @property
    def blocks(self) -> int:
        """Blocks with a length word."""
        return self.full + bool(self.rest)


def default_block(elem: int) -> int:
    """Bitshuffle's default block, in bytes, for elements of ``elem`` bytes."""
    return max(_TARGET_BLOCK // elem // _BLOCK_MULTIPLE * _BLOCK_MULTIPLE, _MIN_BLOCK) * elem


def _geometry(stage: Filter, nbytes: int, itemsize: int, blocksize: int | None) -> _Geometry:
    values = (*stage.values, 0, 0, 0, 0, 0)[:5]
    elem, compressor = values[2] or itemsize, values[4]
    if elem > 255:
        raise CannotReframe(f"bitshuffle of elements of {elem} bytes, Blosc shuffles up to 255")
    if compressor not in _FORMAT:
        raise CannotReframe(f"bitshuffle with compressor {compressor}")
    if nbytes % elem:
        raise CannotReframe("chunk is no whole number of bitshuffle elements")
    blocksize = blocksize or (values[3] * elem if values[3] else default_block(elem))
    if blocksize % (elem * _BLOCK_MULTIPLE):
        raise Corrupt(f"bitshuffle blocks of {blocksize} bytes for elements of {elem}")
    full, rest = divmod(nbytes // elem, blocksize // elem)
    loose = rest % _BLOCK_MULTIPLE
    return _Geometry(elem, blocksize, full, (rest - loose) * elem, loose * elem, compressor)


def bitshuffle_growth(stage: Filter, nbytes: int, itemsize: int) -> int | None:
    """Bytes a frame is longer than the chunk; ``None`` if the last block must be decoded to know."""
    try:
        g = _geometry(stage, nbytes, itemsize, None)
    except (CannotReframe, Corrupt):
        return None
    if g.loose:
        return None
    return HEADER.size + 4 * g.blocks + (-_HEADER.size if g.compressor else 4 * g.blocks)


def bitshuffle_frame(stage: Filter, nbytes: int, itemsize: int, body: memoryview) -> Frame:
    """The frame of a bitshuffled chunk.

    Raises:
        CannotReframe, Corrupt: As for :func:`chunkserve.codecs.rehead.frame`.
    """
    if (*stage.values, 0, 0, 0, 0, 0)[4] == 0:
        return _uncompressed(_geometry(stage, nbytes, itemsize, None), nbytes, body)
    return _compressed(_compressed_geometry(stage, nbytes, itemsize, body), nbytes, body)


def bitshuffle_cut(
    stage: Filter, nbytes: int, itemsize: int, body: memoryview, span: range
) -> tuple[int, bytes] | None:
    """The blocks that hold some decoded bytes of a chunk, as a chunk of their own.

    Args:
        stage: The filter.
        nbytes: Decoded bytes of the whole chunk.
        itemsize: Bytes of an element in the file.
        body: The stored chunk.
        span: Which decoded bytes, with step 1; at least one.

    Returns:
        Which decoded byte of the whole it begins with, and the chunk; ``None`` if the span touches a last, shorter
        block, or blocks are not compressed.

    Raises:
        CannotReframe, Corrupt: As for :func:`chunkserve.codecs.rehead.frame`.
    """
    if (*stage.values, 0, 0, 0, 0, 0)[4] == 0:
        return None
    g = _compressed_geometry(stage, nbytes, itemsize, body)
    first, last = span.start // g.blocksize, (span.stop - 1) // g.blocksize
    if last >= g.full:
        return None
    lengths = walk_blocks(body[: len(body) - g.loose], _HEADER.size, g.blocks, g.blocksize)
    start = _HEADER.size + sum(lengths[:first]) + 4 * first
    stop = start + sum(lengths[first : last + 1]) + 4 * (last + 1 - first)
    head = _HEADER.pack((last + 1 - first) * g.blocksize, g.blocksize)
    return first * g.blocksize, head + body[start:stop]


def _compressed_geometry(stage: Filter, nbytes: int, itemsize: int, body: memoryview) -> _Geometry:
    if len(body) < _HEADER.size:
        raise Corrupt(f"bitshuffle chunk of {len(body)} bytes is shorter than its header")
    total, blocksize = _HEADER.unpack_from(body)
    if total != nbytes or not blocksize:
        raise Corrupt(f"bitshuffle chunk promises {total} bytes in blocks of {blocksize}, expected {nbytes}")
    return _geometry(stage, nbytes, itemsize, blocksize)


def _compressed(g: _Geometry, nbytes: int, body: memoryview) -> Frame:
    fmt = _FORMAT[g.compressor]
    end = len(body) - g.loose
    if end < _HEADER.size:
        raise Corrupt(f"bitshuffle chunk of {len(body)} bytes is shorter than its tail")
    lengths = walk_blocks(body[:end], _HEADER.size, g.blocks, g.blocksize)
    swaps = np.cumsum(np.array([_HEADER.size, *lengths[:-1]], dtype=np.int64) + 4) - 4
    tail, stop = b"", len(body)
    if g.loose:
        # Blosc leaves this last block alone: decode it, and store it as it is
        plain = b""
        if g.rest:
            at = int(swaps[-1])
            plain = untranspose(_DECODE[fmt](body[at + 4 : end], g.rest), g.elem)
            lengths.pop()
            swaps, end = swaps[:-1], at
        plain += bytes(body[len(body) - g.loose :])
        tail, stop = WORD.pack(len(plain)) + plain, end
        lengths.append(len(plain))
    patches = _misread_as_stored(g, lengths[: g.full + (not g.loose and bool(g.rest))], swaps, body, fmt)
    head = block_head(lengths, nbytes, min(g.blocksize, nbytes), g.elem, (fmt, Flag.BITSHUFFLE))
    return Frame(head, _HEADER.size, stop, tail, swaps, patches)


def _misread_as_stored(
    g: _Geometry, lengths: list[int], swaps: np.ndarray, body: memoryview, fmt: Format
) -> tuple[tuple[int, bytes], ...]:
    """Blocks whose stream is exactly as long as the block: Blosc takes that for stored bytes, so let them be."""
    patches = []
    for i, length in enumerate(lengths):
        size = g.blocksize if i < g.full else g.rest
        if length == size:
            at = int(swaps[i]) + 4
            patches.append((at, _DECODE[fmt](body[at : at + length], size)))
    return tuple(patches)


def _uncompressed(g: _Geometry, nbytes: int, body: memoryview) -> Frame:
    if len(body) != nbytes:
        raise Corrupt(f"bitshuffled chunk of {len(body)} bytes, expected {nbytes}")
    blocks = [bytes(body[at : at + g.blocksize]) for at in range(0, g.full * g.blocksize, g.blocksize)]
    last = body[g.full * g.blocksize :]
    if g.loose:
        blocks.append(untranspose(bytes(last[: g.rest]), g.elem) + bytes(last[g.rest :]))
    elif g.rest:
        blocks.append(bytes(last))
    kind = (Format.LZ4, Flag.BITSHUFFLE)
    head = block_head([len(block) for block in blocks], nbytes, min(g.blocksize, nbytes), g.elem, kind)
    return Frame(head, 0, 0, b"".join(WORD.pack(len(block)) + block for block in blocks))


def untranspose(data: bytes, elem: int) -> bytes:
    """Undo the bit transposition of one block, a multiple of 8 elements of ``elem`` bytes."""
    count = len(data) // elem
    rows = np.frombuffer(data, np.uint8).reshape(elem * 8, count // 8)
    bits = np.unpackbits(rows, axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes()
