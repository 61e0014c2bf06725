"""Re-heading: spell a stored HDF5 chunk as a Blosc frame without recompressing it.

HDF5's byte shuffle over a chunk equals Blosc's over a single block, and zlib, zstd and LZ4 streams are the same in
both, so a frame is the stored stream with header bytes in front. Bitshuffle and multi-block LZ4 keep their blocks; the
big-endian length in front of each is turned round. What has no equal raises :class:`CannotReframe`; what contradicts
itself raises :class:`Corrupt`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chunkserve.codecs import blosc2chunk
from chunkserve.codecs.bitshuffle import bitshuffle_frame, bitshuffle_growth
from chunkserve.codecs.checksum import check_fletcher32
from chunkserve.codecs.filters import (
    BITSHUFFLE,
    BLOSC,
    BLOSC2,
    DEFLATE,
    FLETCHER32,
    LZ4,
    SHUFFLE,
    ZSTD,
    active,
    describe,
)
from chunkserve.codecs.frame import (
    HEADER,
    CannotReframe,
    Flag,
    Format,
    Frame,
    block_head,
    single_head,
    stored_head,
)
from chunkserve.codecs.streams import check_zlib, check_zstd, inflate, lz4_blocks, zstd_decode
from chunkserve.errors import Corrupt
from chunkserve.model import Filter

Stored = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Pipeline:
    """A dataset's filters, with what re-heading needs to know of its chunks.

    Attributes:
        filters: In the order applied when writing.
        nbytes: Decoded bytes of one chunk.
        itemsize: Bytes of one element in the file.
    """

    filters: tuple[Filter, ...]
    nbytes: int
    itemsize: int


@dataclass(frozen=True, slots=True)
class _Stages:
    """One chunk's applied filters, sorted out: checksum stripped, shuffle noted, at most one compressor left."""

    codec: Filter | None
    shuffled: bool
    typesize: int
    checksum: bool


def _stages(pipeline: Pipeline, mask: int) -> _Stages:
    applied = list(active(pipeline.filters, mask))
    typesize, shuffled, checksum = pipeline.itemsize, False, False
    if applied and applied[-1].id == FLETCHER32:
        applied.pop()
        checksum = True
    if applied and applied[0].id == SHUFFLE:
        stage = applied.pop(0)
        typesize = stage.values[0] if stage.values else typesize
        shuffled = typesize > 1
    if len(applied) > 1 or (applied and applied[0].id not in _CODECS):
        raise CannotReframe(f"{describe(pipeline.filters)} has no equal among the codecs all readers share")
    codec = applied[0] if applied else None
    if codec is not None and shuffled and codec.id in (BITSHUFFLE, BLOSC, BLOSC2):
        raise CannotReframe(f"shuffle before {describe((codec,))}")
    return _Stages(codec, shuffled, typesize, checksum)


def supports(pipeline: Pipeline) -> str:
    """Empty if chunks of this pipeline can, as a rule, be re-headed; else why not."""
    try:
        stages = _stages(pipeline, 0)
        if stages.codec is not None and stages.codec.id == BLOSC and stages.codec.values[6:7] == (_SNAPPY,):
            return "Blosc with Snappy is not read everywhere"
        if stages.codec is not None and stages.codec.id == LZ4 and _lz4_growth(pipeline, stages) is None:
            return "shuffle over the whole chunk, but LZ4 in several blocks"
        kind = (Format.ZLIB, Flag.SHUFFLE if stages.shuffled else Flag.NONE)
        single_head(0, pipeline.nbytes, stages.typesize, kind)
    except CannotReframe as reason:
        return str(reason)
    return ""


def growth(pipeline: Pipeline, mask: int) -> int | None:
    """Bytes a frame is longer than its stored chunk, ``None`` where that depends on the content."""
    try:
        stages = _stages(pipeline, mask)
    except CannotReframe:
        return None
    trailer = 4 if stages.checksum else 0
    if stages.codec is None:
        return (24 if stages.shuffled else HEADER.size) - trailer
    more = _CODECS[stages.codec.id].growth(pipeline, stages)
    return None if more is None else more - trailer


def blind_frame(pipeline: Pipeline, length: int, mask: int) -> Frame | None:
    """The frame of a chunk of ``length`` stored bytes, from the chunk index alone; ``None`` if the content matters.

    Raises:
        CannotReframe: The chunk must be decoded.
        Corrupt: The length is impossible.
    """
    stages = _stages(pipeline, mask)
    body = length - 4 if stages.checksum else length
    if body < 0:
        raise Corrupt(f"chunk of {length} bytes is shorter than its checksum")
    if stages.codec is None:
        return _plain(pipeline, stages, body)
    if stages.codec.id == BLOSC:
        return Frame(b"", 0, body)
    fmt = _CODECS[stages.codec.id].single
    if fmt is None or body == pipeline.nbytes:
        return None
    flags = Flag.SHUFFLE if stages.shuffled else Flag.NONE
    return Frame(single_head(body, pipeline.nbytes, stages.typesize, (fmt, flags)), 0, body)


@dataclass(frozen=True, slots=True)
class SingleStream:
    """The frames of chunks that one compressor made whole (mask 0): 24 bytes in front of what is stored.

    Attributes:
        prefix: The header up to the frame's size.
        trailer: Bytes of a checksum behind the stream.
        nbytes: Decoded bytes; a stream of just that length is not passed on.
    """

    prefix: bytes
    trailer: int
    nbytes: int

    def head(self, length: int) -> bytes | None:
        """The bytes in front of a stream in a chunk of ``length`` bytes, ``None`` if the content matters."""
        body = length - self.trailer
        return None if body == self.nbytes or body < 0 else self.prefix + _SIZES.pack(body + 24, 20, body)


_SIZES = struct.Struct("<iii")  # frame size, block start, stream length


def single_stream(pipeline: Pipeline) -> SingleStream | None:
    """The quick way to most frames, for pipelines that have it."""
    try:
        stages = _stages(pipeline, 0)
        fmt = _CODECS[stages.codec.id].single if stages.codec is not None else None
        if fmt is None:
            return None
        kind = (fmt, Flag.SHUFFLE if stages.shuffled else Flag.NONE)
        head = single_head(0, pipeline.nbytes, stages.typesize, kind)
    except CannotReframe:
        return None
    return SingleStream(head[:12], 4 if stages.checksum else 0, pipeline.nbytes)


def frame(pipeline: Pipeline, stored: Stored, mask: int) -> Frame:
    """The frame of a stored chunk; checks lengths, headers and checksum on the way.

    Args:
        pipeline: The dataset's filters.
        stored: The chunk's bytes as in the file.
        mask: The chunk's filter mask.

    Raises:
        CannotReframe: The chunk must be decoded.
        Corrupt: The bytes contradict the metadata.
    """
    stages = _stages(pipeline, mask)
    body = memoryview(stored)
    if stages.checksum:
        check_fletcher32(body)
        body = body[:-4]
    if stages.codec is None:
        return _plain(pipeline, stages, len(body))
    return _CODECS[stages.codec.id].frame(pipeline, stages, body)


def _plain(pipeline: Pipeline, stages: _Stages, length: int) -> Frame:
    if length != pipeline.nbytes:
        raise Corrupt(f"uncompressed chunk of {length} bytes, expected {pipeline.nbytes}")
    if stages.shuffled:
        return Frame(single_head(length, length, stages.typesize, (Format.LZ4, Flag.SHUFFLE)), 0, length)
    return Frame(stored_head(length, stages.typesize), 0, length)


@dataclass(frozen=True)
class _Codec:
    frame: Callable[[Pipeline, _Stages, memoryview], Frame]
    growth: Callable[[Pipeline, _Stages], int | None]
    single: Format | None = None


def _single(
    fmt: Format, check: Callable[[memoryview, int], None], undo: Callable[[memoryview, int], bytes | bytearray]
) -> _Codec:
    """A compressor that HDF5 runs once over the whole chunk."""

    def spell(pipeline: Pipeline, stages: _Stages, body: memoryview) -> Frame:
        check(body, pipeline.nbytes)
        kind = (fmt, Flag.SHUFFLE if stages.shuffled else Flag.NONE)
        head = single_head(len(body), pipeline.nbytes, stages.typesize, kind)
        if len(body) == pipeline.nbytes:  # any Blosc would take the stream for stored bytes: store them then
            return Frame(head, 0, 0, bytes(undo(body, pipeline.nbytes)))
        return Frame(head, 0, len(body))

    return _Codec(spell, lambda *_: 24, fmt)


def _lz4_frame(pipeline: Pipeline, stages: _Stages, body: memoryview) -> Frame:
    """HDF5 LZ4: u64be decoded bytes, u32be block bytes, then per block u32be length and stream.

    A length equal to the block's means stored, in HDF5 as in Blosc.
    """
    blocksize, lengths = lz4_blocks(body, pipeline.nbytes)
    if stages.shuffled and len(lengths) > 1:
        raise CannotReframe("shuffle over the whole chunk, but LZ4 in several blocks")
    kind = (Format.LZ4, Flag.SHUFFLE if stages.shuffled else Flag.NONE)
    head = block_head(lengths, pipeline.nbytes, blocksize, stages.typesize, kind)
    swaps = np.cumsum(np.concatenate(([12], np.asarray(lengths[:-1], dtype=np.int64) + 4)))
    return Frame(head, 12, len(body), swaps=swaps)


def _lz4_growth(pipeline: Pipeline, stages: _Stages) -> int | None:
    assert stages.codec is not None
    values = stages.codec.values
    blocksize = min(values[0] if values and values[0] else 2**30, pipeline.nbytes)
    blocks = -(-pipeline.nbytes // max(blocksize, 1))
    if stages.shuffled and blocks > 1:
        return None
    return HEADER.size + 4 * blocks - 12


_SNAPPY = 3  # as HDF5-Blosc numbers compressors in its seventh client value


def _blosc_frame(pipeline: Pipeline, _: _Stages, body: memoryview) -> Frame:
    if len(body) < HEADER.size:
        raise Corrupt(f"Blosc frame of {len(body)} bytes is shorter than its header")
    version, _, flags, typesize, nbytes, blocksize, cbytes = HEADER.unpack_from(body)
    if nbytes == pipeline.nbytes and 0 < cbytes < len(body):
        raise CannotReframe("a Blosc frame with bytes behind its end")
    if nbytes != pipeline.nbytes or cbytes != len(body) or not typesize:
        raise Corrupt(
            f"Blosc frame promises {nbytes} bytes in {cbytes}, the chunk has {pipeline.nbytes} in {len(body)}"
        )
    if version != 2 or flags >> 5 == Format.SNAPPY or flags >> 5 > Format.ZSTD:
        raise CannotReframe("a Blosc frame that not all readers understand")
    if not flags & Flag.STORED and not 0 < blocksize <= max(nbytes, 1):
        raise Corrupt(f"Blosc frame with blocks of {blocksize} bytes")
    return Frame(b"", 0, len(body))


def _bitshuffle(pipeline: Pipeline, stages: _Stages, body: memoryview) -> Frame:
    assert stages.codec is not None
    return bitshuffle_frame(stages.codec, pipeline.nbytes, pipeline.itemsize, body)


def _bitshuffle_growth(pipeline: Pipeline, stages: _Stages) -> int | None:
    assert stages.codec is not None
    return bitshuffle_growth(stages.codec, pipeline.nbytes, pipeline.itemsize)


def _blosc2(pipeline: Pipeline, _: _Stages, body: memoryview) -> Frame:
    return blosc2chunk.frame(body, pipeline.nbytes)


_CODECS: dict[int, _Codec] = {
    DEFLATE: _single(Format.ZLIB, check_zlib, inflate),
    ZSTD: _single(Format.ZSTD, check_zstd, zstd_decode),
    LZ4: _Codec(_lz4_frame, _lz4_growth),
    BITSHUFFLE: _Codec(_bitshuffle, _bitshuffle_growth),
    BLOSC: _Codec(_blosc_frame, lambda *_: 0),
    BLOSC2: _Codec(_blosc2, lambda *_: None),
}
