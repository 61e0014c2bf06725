"""The compressed streams inside chunks: cheap checks of their headers, and decoding that demands exact lengths."""

import struct
import zlib

import deflate
import numcodecs.lz4
import numcodecs.zstd

from chunkserve.errors import Corrupt

_LZ4_HEADER = struct.Struct(">QI")
_LENGTH = struct.Struct(">I")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SIZE_FIELD = (0, 2, 4, 8)


def check_zlib(stream: memoryview, nbytes: int) -> None:
    """Check the two header bytes of a zlib stream (RFC 1950, 2.2).

    Raises:
        Corrupt: It is not one.
    """
    if len(stream) < 8 or stream[0] & 0x0F != 8 or (stream[0] << 8 | stream[1]) % 31 or stream[1] & 0x20:
        raise Corrupt(f"not a zlib stream ({len(stream)} bytes for a chunk of {nbytes})")


def inflate(stream: memoryview, nbytes: int) -> bytes | bytearray:
    """Decode a zlib stream of exactly ``nbytes``.

    Raises:
        Corrupt: It is damaged, shorter or longer.
    """
    try:
        data: bytearray = deflate.zlib_decompress(stream, nbytes)
    except (deflate.DeflateError, ValueError) as error:
        raise Corrupt(f"zlib stream: {error}") from None
    if len(data) != nbytes:
        raise Corrupt(f"zlib stream of {len(data)} bytes, expected {nbytes}")
    return data


def inflate_most(stream: memoryview, limit: int) -> bytes:
    """Decode a zlib stream of at most ``limit`` bytes.

    Raises:
        Corrupt: It is damaged, truncated or longer.
    """
    decoder = zlib.decompressobj()
    try:
        data = decoder.decompress(stream, limit + 1)
    except zlib.error as error:
        raise Corrupt(f"zlib stream: {error}") from None
    if len(data) > limit or not decoder.eof:
        raise Corrupt(f"zlib stream is truncated or inflates beyond {limit} bytes")
    return data


def check_zstd(stream: memoryview, nbytes: int) -> None:
    """Check a Zstandard frame header, and the content size where it states one (RFC 8878, 3.1.1.1).

    Raises:
        Corrupt: It is not one, or of another size.
    """
    if len(stream) < 6 or stream[:4] != _ZSTD_MAGIC:
        raise Corrupt(f"not a Zstandard frame ({len(stream)} bytes for a chunk of {nbytes})")
    stated = zstd_content_size(stream)
    if stated is not None and stated != nbytes:
        raise Corrupt(f"Zstandard frame of {stated} bytes, expected {nbytes}")


def zstd_content_size(stream: memoryview) -> int | None:
    """The decoded size a Zstandard frame states, ``None`` if it does not."""
    descriptor = stream[4]
    single_segment = descriptor >> 5 & 1
    width = _ZSTD_SIZE_FIELD[descriptor >> 6] or single_segment
    if not width:
        return None
    at = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(stream[at : at + width], "little")
    return size + 256 if width == 2 else size


def zstd_decode(stream: memoryview, nbytes: int) -> bytes:
    """Decode a Zstandard frame of exactly ``nbytes``.

    Raises:
        Corrupt: It is damaged, or of another size.
    """
    check_zstd(stream, nbytes)
    try:
        data = bytes(numcodecs.zstd.decompress(stream))
    except RuntimeError as error:
        raise Corrupt(f"Zstandard frame: {error}") from None
    if len(data) != nbytes:
        raise Corrupt(f"Zstandard frame of {len(data)} bytes, expected {nbytes}")
    return data


def lz4_decode(stream: memoryview, nbytes: int) -> bytes:
    """Decode one LZ4 block of exactly ``nbytes``.

    Raises:
        Corrupt: It is damaged, or of another size.
    """
    try:
        data = bytes(numcodecs.lz4.decompress(struct.pack("<I", nbytes) + bytes(stream)))
    except RuntimeError as error:
        raise Corrupt(f"LZ4 block: {error}") from None
    if len(data) != nbytes:
        raise Corrupt(f"LZ4 block of {len(data)} bytes, expected {nbytes}")
    return data


def lz4_blocks(body: memoryview, nbytes: int) -> tuple[int, list[int]]:
    """Walk an HDF5 LZ4 chunk (32004): its block size, and the stored bytes of each block.

    Raises:
        Corrupt: Header and lengths do not add up.
    """
    if len(body) < _LZ4_HEADER.size:
        raise Corrupt(f"LZ4 chunk of {len(body)} bytes is shorter than its header")
    total, blocksize = _LZ4_HEADER.unpack_from(body)
    if total != nbytes or not blocksize:
        raise Corrupt(f"LZ4 chunk promises {total} bytes in blocks of {blocksize}, expected {nbytes}")
    blocksize = min(blocksize, nbytes)
    return blocksize, walk_blocks(body, _LZ4_HEADER.size, -(-nbytes // blocksize), blocksize)


def walk_blocks(body: memoryview, at: int, count: int, blocksize: int) -> list[int]:
    """Follow ``count`` blocks of u32be length and stream from ``at``, which must end where ``body`` ends.

    Raises:
        Corrupt: A length leaves the chunk, or exceeds what a compressor makes of ``blocksize`` bytes.
    """
    lengths = []
    read, end, most = _LENGTH.unpack_from, len(body), blocksize + blocksize // 128 + 64
    for _ in range(count):
        if at + 4 > end:
            raise Corrupt(f"chunk of {end} bytes ends within its blocks")
        (length,) = read(body, at)
        at += 4 + length
        if length > most:
            raise Corrupt(f"block of {length} compressed bytes where at most {most} fit")
        lengths.append(length)
    if at != end:
        raise Corrupt(f"blocks end at {at}, the chunk at {end}")
    return lengths
