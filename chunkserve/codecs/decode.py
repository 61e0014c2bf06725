"""Undo a filter pipeline, demanding exact lengths at every step.

What :mod:`rehead` can spell as a Blosc frame is decoded as one: c-blosc refuses a stream that does not fill its block,
works outside the GIL, and un-shuffles several times faster than anything else at hand. The rest goes stage by stage.
"""

import bz2
from collections.abc import Callable

import blosc2
import numcodecs.blosc
import numpy as np

from chunkserve.codecs import blosc2chunk
from chunkserve.codecs.bitshuffle import bitshuffle_cut, default_block
from chunkserve.codecs.checksum import check_fletcher32
from chunkserve.codecs.filters import (
    BITSHUFFLE,
    BLOSC,
    BLOSC2,
    BZIP2,
    DEFLATE,
    FLETCHER32,
    LZ4,
    SHUFFLE,
    ZSTD,
    active,
    filter_name,
)
from chunkserve.codecs.frame import MAX_TYPESIZE, CannotReframe, Flag, Format, single_head
from chunkserve.codecs.rehead import Pipeline, Stored, frame
from chunkserve.codecs.streams import inflate, inflate_most, lz4_blocks, lz4_decode
from chunkserve.errors import Corrupt, Unsupported
from chunkserve.model import Filter

Exact = int | None
"""The number of bytes a stage must give; ``None`` where only an upper bound is known."""


def decodes(pipeline: tuple[Filter, ...]) -> bool:
    """Whether :func:`decode` knows all filters of a pipeline; if not, only libhdf5 may.

    A chunk may still be ``Unsupported``, if a filter's options are beyond what is known here.
    """
    return all(stage.id in _STAGES for stage in pipeline)


def decode(pipeline: Pipeline, stored: Stored, mask: int) -> bytes:
    """Decode a chunk.

    Returns:
        Exactly ``pipeline.nbytes`` bytes.

    Raises:
        Corrupt: The stored bytes are damaged, truncated, or decode to another length.
        Unsupported: A filter is unknown.
    """
    applied = active(pipeline.filters, mask)
    body = memoryview(stored)
    if not applied:
        return _exactly(bytes(body), pipeline.nbytes, "chunk")
    if not any(stage.id == DEFLATE for stage in applied):  # libdeflate is twice as fast as the zlib in c-blosc
        try:
            return unblosc(frame(pipeline, stored, mask).assemble(stored), pipeline.nbytes)
        except CannotReframe:
            pass
    data: Stored = body
    for i in reversed(range(len(applied))):
        stage = applied[i]
        undo = _STAGES.get(stage.id)
        if undo is None:
            raise Unsupported(f"filter {stage.id} ({filter_name(stage)}) is not available")
        data = undo(stage, memoryview(data), pipeline, _expected(applied[:i], pipeline.nbytes))
    return _exactly(bytes(data), pipeline.nbytes, "chunk")


def decode_part(pipeline: Pipeline, stored: Stored, mask: int, span: range) -> tuple[int, bytes] | None:
    """Decode some blocks of a chunk, where it has any.

    Args:
        pipeline: Of the dataset.
        stored: The whole chunk.
        mask: Its filter mask.
        span: Which decoded bytes are wanted, with step 1; at least one.

    Returns:
        Which decoded byte of the chunk they begin with, and they; ``None`` if the whole has to be decoded.

    Raises:
        Corrupt: The stored bytes are damaged or truncated; what is in other blocks is not looked at.
    """
    applied = active(pipeline.filters, mask)
    if len(applied) != 1 or applied[0].id != BITSHUFFLE:
        return None
    try:
        found = bitshuffle_cut(applied[0], pipeline.nbytes, pipeline.itemsize, memoryview(stored), span)
    except CannotReframe:
        return None
    if found is None:
        return None
    first, body = found
    nbytes = int.from_bytes(body[:8], "big")
    return first, decode(Pipeline(applied, nbytes, pipeline.itemsize), body, 0)


def unblosc(data: bytes, nbytes: int) -> bytes:
    """Decode a Blosc frame of exactly ``nbytes``.

    Raises:
        Corrupt: It is damaged.
    """
    if not nbytes:
        return b""
    try:
        return _exactly(numcodecs.blosc.decompress(data), nbytes, "Blosc frame")
    except (RuntimeError, ValueError) as error:
        raise Corrupt(f"Blosc frame: {error}") from None


def unshuffle(data: Stored, elem: int) -> bytes:
    """Undo HDF5's byte shuffle of elements of ``elem`` bytes; bytes beyond the last whole element stay."""
    nbytes = len(data)
    if elem <= 1 or nbytes < elem:
        return bytes(data)
    if elem <= MAX_TYPESIZE:
        try:
            head = single_head(nbytes, nbytes, elem, (Format.LZ4, Flag.SHUFFLE))
            return unblosc(b"".join((head, data)), nbytes)
        except CannotReframe:
            pass
    whole = nbytes // elem * elem
    columns = np.frombuffer(data, np.uint8, whole).reshape(elem, -1)
    return columns.T.tobytes() + bytes(data[whole:])


def _expected(before: tuple[Filter, ...], nbytes: int) -> Exact:
    """What the stage after ``before`` was given when writing."""
    for stage in before:
        if stage.id == FLETCHER32:
            nbytes += 4
        elif stage.id != SHUFFLE:
            return None
    return nbytes


def _exactly(data: bytes, nbytes: int, what: str) -> bytes:
    if len(data) != nbytes:
        raise Corrupt(f"{what} decodes to {len(data)} bytes, expected {nbytes}")
    return data


def _bound(pipeline: Pipeline, exact: Exact) -> int:
    """The most bytes a stage may give where the exact number is not known."""
    return exact if exact is not None else 2 * pipeline.nbytes + 4096


def _deflate(_: Filter, data: memoryview, pipeline: Pipeline, exact: Exact) -> bytes | bytearray:
    return inflate(data, exact) if exact is not None else inflate_most(data, _bound(pipeline, exact))


def _shuffle(stage: Filter, data: memoryview, pipeline: Pipeline, _: Exact) -> bytes:
    return unshuffle(data, stage.values[0] if stage.values else pipeline.itemsize)


def _fletcher32(_: Filter, data: memoryview, __: Pipeline, ___: Exact) -> memoryview:
    check_fletcher32(data)
    return data[:-4]


def _bzip2(_: Filter, data: memoryview, pipeline: Pipeline, exact: Exact) -> bytes:
    decoder = bz2.BZ2Decompressor()
    limit = _bound(pipeline, exact)
    try:
        out = decoder.decompress(data, limit + 1)
    except (OSError, ValueError) as error:
        raise Corrupt(f"bzip2 stream: {error}") from None
    if not decoder.eof or len(out) > limit:
        raise Corrupt(f"bzip2 stream is truncated or inflates beyond {limit} bytes")
    return out


def _as_frame(stage: Filter, data: memoryview, pipeline: Pipeline, exact: Exact) -> bytes:
    """A compressor in a pipeline that as a whole cannot be a frame: decode this stage as one."""
    if exact is None:
        raise Unsupported(f"{filter_name(stage)} after another compressor")
    alone = Pipeline((stage,), exact, pipeline.itemsize)
    try:
        return unblosc(frame(alone, data, 0).assemble(data), exact)
    except CannotReframe as reason:
        raise Unsupported(f"{filter_name(stage)}: {reason}") from None


def _lz4(_: Filter, data: memoryview, __: Pipeline, exact: Exact) -> bytes:
    if exact is None:
        raise Unsupported("lz4 after another compressor")
    blocksize, lengths = lz4_blocks(data, exact)
    parts, at = [], 12
    for i, length in enumerate(lengths):
        size = min(blocksize, exact - i * blocksize)
        stream = data[at + 4 : at + 4 + length]
        parts.append(bytes(stream) if length == size else lz4_decode(stream, size))
        at += 4 + length
    return b"".join(parts)


def _bitshuffle(stage: Filter, data: memoryview, pipeline: Pipeline, exact: Exact) -> bytes:
    values = (*stage.values, 0, 0, 0, 0, 0)[:5]
    elem = values[2] or pipeline.itemsize
    if elem > MAX_TYPESIZE:
        raise Unsupported(f"bitshuffle of elements of {elem} bytes (blocks of {default_block(elem)})")
    return _as_frame(stage, data, pipeline, exact)


def _blosc2(_: Filter, data: memoryview, __: Pipeline, exact: Exact) -> bytes:
    if exact is None:
        raise Unsupported("blosc2 after another compressor")
    size = blosc2chunk.padded(data, exact)
    chunk = blosc2chunk.inner_chunk(data, size)
    if chunk is None:
        return bytes(exact)
    blosc2chunk.read_header(chunk, size)
    try:
        if blosc2chunk.block_shape(data) is not None:
            return _exactly(blosc2.ndarray_from_cframe(bytes(data))[...].tobytes(), exact, "Blosc2 frame")
        return _exactly(bytes(blosc2.schunk_from_cframe(bytes(data))[:]), exact, "Blosc2 frame")
    except (RuntimeError, ValueError, TypeError) as error:
        raise Corrupt(f"Blosc2 frame: {error}") from None


_STAGES: dict[int, Callable[[Filter, memoryview, Pipeline, Exact], Stored]] = {
    DEFLATE: _deflate,
    SHUFFLE: _shuffle,
    FLETCHER32: _fletcher32,
    BZIP2: _bzip2,
    ZSTD: _as_frame,
    LZ4: _lz4,
    BITSHUFFLE: _bitshuffle,
    BLOSC: _as_frame,
    BLOSC2: _blosc2,
}
