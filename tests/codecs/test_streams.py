"""Streams inside chunks: decoded to exactly the promised length, or refused."""

import itertools
import struct
import zlib

import numcodecs.lz4
import numcodecs.zstd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.codecs.rehead import Pipeline, frame
from chunkserve.codecs.streams import (
    check_zlib,
    check_zstd,
    inflate,
    inflate_most,
    lz4_blocks,
    lz4_decode,
    walk_blocks,
    zstd_content_size,
    zstd_decode,
)
from chunkserve.errors import Corrupt
from chunkserve.model import Filter

DATA = bytes(range(200)) * 10


def lz4(data: bytes) -> bytes:
    return numcodecs.lz4.compress(data)[4:]


def zstd(data: bytes) -> bytes:
    return numcodecs.zstd.compress(data, 3)


def zstd_of_unstated_size(*blocks: bytes) -> bytes:
    """A Zstandard frame of raw blocks, as streaming writers begin one (RFC 8878, 3.1.1)."""
    last = len(blocks) - 1
    parts = ((len(block) << 3 | (i == last)).to_bytes(3, "little") + block for i, block in enumerate(blocks))
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(parts)


DECODERS = {"zlib": (zlib.compress, inflate), "zstd": (zstd, zstd_decode), "lz4": (lz4, lz4_decode)}


@pytest.mark.parametrize(("encode", "decode"), DECODERS.values(), ids=DECODERS)
def test_a_stream_decodes_to_its_length_and_to_no_other(encode, decode) -> None:
    stream = memoryview(encode(DATA))
    assert decode(stream, len(DATA)) == DATA
    for other in (len(DATA) - 1, len(DATA) + 1, 1, 10 * len(DATA)):
        with pytest.raises(Corrupt):
            decode(stream, other)


@pytest.mark.parametrize(("encode", "decode"), DECODERS.values(), ids=DECODERS)
def test_no_truncated_stream_decodes(encode, decode) -> None:
    stream = encode(DATA)
    for length in range(len(stream)):
        with pytest.raises(Corrupt):
            decode(memoryview(stream)[:length], len(DATA))


@given(st.sampled_from(sorted(DECODERS)), st.binary(min_size=1, max_size=300))
def test_whatever_was_encoded_decodes(name: str, data: bytes) -> None:
    encode, decode = DECODERS[name]
    assert decode(memoryview(encode(data)), len(data)) == data


@given(st.sampled_from(sorted(DECODERS)), st.binary(max_size=60), st.integers(1, 200))
def test_nonsense_is_corrupt_or_of_the_right_length(name: str, data: bytes, nbytes: int) -> None:
    try:
        decoded = DECODERS[name][1](memoryview(data), nbytes)
    except Corrupt:
        return
    assert len(decoded) == nbytes


def test_inflating_stops_at_the_limit() -> None:
    stream = memoryview(zlib.compress(DATA))
    assert inflate_most(stream, len(DATA)) == inflate_most(stream, 10**6) == DATA
    with pytest.raises(Corrupt, match=f"beyond {len(DATA) - 1} bytes"):
        inflate_most(stream, len(DATA) - 1)
    with pytest.raises(Corrupt, match="truncated"):
        inflate_most(stream[:-1], len(DATA))
    with pytest.raises(Corrupt):
        inflate_most(memoryview(b"nonsense"), 100)


def test_a_stream_that_inflates_without_end_is_cut_off() -> None:
    bomb = memoryview(zlib.compress(bytes(2**24)))
    for attempt in (inflate, inflate_most):
        with pytest.raises(Corrupt):
            attempt(bomb, 1000)


@pytest.mark.parametrize("head", [b"\x79\x9c", b"\x78\x9d", b"\x78\x20", b"\x00\x00"])
def test_a_zlib_header_needs_method_check_bits_and_no_dictionary(head) -> None:
    for level in range(10):
        check_zlib(memoryview(zlib.compress(DATA, level)), len(DATA))
    with pytest.raises(Corrupt, match="not a zlib stream"):
        check_zlib(memoryview(head + bytes(20)), len(DATA))
    with pytest.raises(Corrupt):
        check_zlib(memoryview(b"\x78\x9c\x03\x00\x00\x00\x00"), 0)  # nothing has fewer than 8 bytes


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65791, 65792, 70000])
def test_the_size_a_zstandard_frame_states_is_read(size) -> None:
    stream = memoryview(zstd(bytes(size)))
    assert zstd_content_size(stream) == size
    check_zstd(stream, size)
    with pytest.raises(Corrupt, match=f"Zstandard frame of {size} bytes, expected {size + 1}"):
        check_zstd(stream, size + 1)


@pytest.mark.parametrize(
    ("descriptor", "rest", "size"),
    [
        (0x00, b"\x58", None),
        (0x40, b"\x58\x10\x00", 272),  # two bytes count from 256
        (0x80, b"\x58\x10\x00\x01\x00", 65552),
        (0xC0, b"\x58" + (2**40).to_bytes(8, "little"), 2**40),
        (0x20, b"\x07", 7),
        (0x21, b"\xaa\x07", 7),  # behind a dictionary's id
        (0x63, b"\xaa\xbb\xcc\xdd\x01\x00", 257),
        (0x01, b"\x58\xaa", None),
    ],
)
def test_every_form_of_a_zstandard_header_is_understood(descriptor, rest, size) -> None:
    stream = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + rest + bytes(10)
    assert zstd_content_size(memoryview(stream)) == size


def test_a_zstandard_frame_need_not_state_its_size(unblosc) -> None:
    stream = zstd_of_unstated_size(DATA[:900], DATA[900:])
    assert zstd_decode(memoryview(stream), len(DATA)) == DATA
    with pytest.raises(Corrupt, match=f"of {len(DATA)} bytes, expected {len(DATA) - 1}"):
        zstd_decode(memoryview(stream), len(DATA) - 1)
    made = frame(Pipeline((Filter(32015, 0, (3,)),), len(DATA), 1), stream, 0)
    assert unblosc(made.assemble(stream)) == {DATA}


def lz4_chunk(total: int, blocksize: int, *blocks: bytes) -> memoryview:
    return memoryview(
        struct.pack(">QI", total, blocksize) + b"".join(struct.pack(">I", len(block)) + block for block in blocks)
    )


def test_lz4_blocks_are_walked() -> None:
    assert lz4_blocks(lz4_chunk(10, 4, b"aaaa", b"bb", b"cc"), 10) == (4, [4, 2, 2])
    assert lz4_blocks(lz4_chunk(10, 2**30, b"aaaa"), 10) == (10, [4])


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        bytes(11),
        lz4_chunk(11, 4, b"aaaa", b"bb", b"cc"),
        lz4_chunk(10, 0, b"aaaa", b"bb", b"cc"),
        lz4_chunk(10, 4, b"aaaa", b"bb"),
        lz4_chunk(10, 4, b"aaaa", b"bb", b"cc", b"d"),
        lz4_chunk(10, 4, b"aaaa", b"bb", b"c" * 69),
        lz4_chunk(10, 4, b"aaaa", b"bb", b"cc")[:-1],
    ],
)
def test_lz4_chunks_whose_blocks_do_not_add_up_are_corrupt(chunk) -> None:
    with pytest.raises(Corrupt):
        lz4_blocks(memoryview(chunk), 10)


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(0, 5))
def test_walking_finds_what_was_laid_end_to_end(blocks: list[bytes], at: int) -> None:
    body = bytes(at) + b"".join(struct.pack(">I", len(block)) + block for block in blocks)
    assert walk_blocks(memoryview(body), at, len(blocks), 20) == [len(block) for block in blocks]
    for wrong in (len(blocks) + 1, len(blocks) - 1):
        if wrong >= 0:
            with pytest.raises(Corrupt):
                walk_blocks(memoryview(body), at, wrong, 20)


@given(st.integers(1, 2**20))
def test_the_largest_block_a_compressor_may_make_is_allowed(blocksize: int) -> None:
    worst = blocksize + blocksize // 255 + 16  # LZ4_compressBound
    body = struct.pack(">I", worst) + bytes(worst)
    assert walk_blocks(memoryview(body), 0, 1, blocksize) == [worst]


def test_blocks_that_do_not_compress_stay_within_the_bound(noise) -> None:
    for size, encode in itertools.product((1, 100, 8192, 70000), (lz4, zstd)):
        stream = encode(noise("u1", size).tobytes())
        assert walk_blocks(memoryview(struct.pack(">I", len(stream)) + stream), 0, 1, size) == [len(stream)]
