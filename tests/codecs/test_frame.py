"""Blosc frames: their headers, and edits that are the same in parts as in one piece."""

import itertools
import struct

import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.codecs.frame import (
    HEADER,
    MAX_BLOCK,
    MAX_BYTES,
    CannotReframe,
    Flag,
    Format,
    Frame,
    block_head,
    single_head,
    stored_frame,
    stored_head,
)
from chunkserve.codecs.rehead import frame

LZ4, PLAIN, SHUFFLE = Format.LZ4, Flag.NONE, Flag.SHUFFLE


def in_part(made: Frame, stored: bytes, low: int, high: int) -> bytes:
    """Bytes low to high of the kept part, made as the server does: from a little more on both sides."""
    length = made.stop - made.start
    near, far = max(0, low - 3), min(length, high + 3)
    part = bytearray(stored[made.start + near : made.start + far])
    made.edit(part, made.start + near)
    return bytes(part[low - near : high - near])


@st.composite
def edited(draw: st.DrawFn) -> tuple[Frame, bytes]:
    """A frame with words to swap and bytes to patch, and a stored chunk for it."""
    stored = draw(st.binary(min_size=1, max_size=120))
    start = draw(st.integers(0, len(stored)))
    stop = draw(st.integers(start, len(stored)))
    gaps = draw(st.lists(st.integers(0, 9), max_size=12))
    words = [at for i, at in enumerate(itertools.accumulate(gaps, initial=start)) if at + 4 * i + 4 <= stop]
    swaps = np.array([at + 4 * i for i, at in enumerate(words)], dtype=np.int64)
    patches = ()
    if start < stop:
        at = draw(st.integers(start, stop - 1))
        patches = ((at, draw(st.binary(min_size=1, max_size=stop - at))),)
        swaps = swaps[(swaps + 4 <= at) | (swaps >= at + len(patches[0][1]))]  # words are never patched
    return Frame(b"head", start, stop, b"tail", swaps, patches), stored


@given(edited(), st.data())
def test_any_part_of_a_frame_is_the_same_part_of_the_whole(case: tuple[Frame, bytes], data: st.DataObject) -> None:
    made, stored = case
    whole = made.assemble(stored)
    assert len(whole) == made.size
    low = data.draw(st.integers(0, made.stop - made.start))
    high = data.draw(st.integers(low, made.stop - made.start))
    assert in_part(made, stored, low, high) == whole[4 + low : 4 + high]


@given(edited())
def test_edits_do_what_they_say(case: tuple[Frame, bytes]) -> None:
    made, stored = case
    expected = bytearray(stored)
    for at in made.swaps:
        expected[at : at + 4] = expected[at : at + 4][::-1]
    for at, data in made.patches:
        expected[at : at + len(data)] = data
    assert made.assemble(stored) == b"head" + bytes(expected[made.start : made.stop]) + b"tail"


@pytest.mark.parametrize(
    "filters",
    [
        hdf5plugin.LZ4(nbytes=64),
        hdf5plugin.Bitshuffle(nelems=16, cname="lz4"),
        hdf5plugin.Bitshuffle(nelems=16, cname="zstd"),
    ],
    ids=["lz4", "bitshuffle-lz4", "bitshuffle-zstd"],
)
def test_every_part_of_a_real_chunk_is_the_same_part_of_the_whole(make_chunk, smooth, filters) -> None:
    chunk = make_chunk(smooth("<i4", 100), **filters)
    made = frame(chunk.pipeline, chunk.stored, 0)
    assert made.swaps is not None
    assert len(made.swaps) > 2
    whole = made.assemble(chunk.stored)
    kept = made.stop - made.start
    body = whole[len(made.head) : len(made.head) + kept]
    for low in range(kept):
        for high in range(low, kept, 7):
            assert in_part(made, chunk.stored, low, high) == body[low:high]


def test_a_word_across_a_border_is_left_to_who_has_it_whole() -> None:
    made = Frame(b"", 0, 12, swaps=np.array([4]))
    part = bytearray(b"\x05\x06\x07\x08")
    made.edit(part, 5)  # has three of the word's bytes
    assert part == b"\x05\x06\x07\x08"
    assert made.assemble(bytes(range(12))) == bytes([0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11])


@pytest.mark.parametrize("lengths", [[5], [5, 0, 7], [1] * 50])
def test_block_starts_point_at_each_length_word(lengths) -> None:
    head = block_head(lengths, 100, 2, 4, (LZ4, SHUFFLE))
    version, codec, flags, typesize, nbytes, blocksize, cbytes = HEADER.unpack_from(head)
    starts = struct.unpack_from(f"<{len(lengths)}i", head, 16)
    ends = list(itertools.accumulate(length + 4 for length in lengths))
    assert (version, codec, typesize, nbytes, blocksize) == (2, 1, 4, 100, 2)
    assert flags == Flag.SHUFFLE | Flag.WHOLE_BLOCKS | LZ4 << 5
    assert len(head) == starts[0] == 16 + 4 * len(lengths)
    assert [*(start - len(head) for start in starts), cbytes - len(head)] == [0, *ends]


@pytest.mark.parametrize("typesize", [0, 256, 70000])
def test_elements_that_blosc_cannot_shuffle_are_refused_only_where_they_are_shuffled(typesize) -> None:
    assert single_head(9, 512, typesize, (LZ4, PLAIN))[3] == 1
    for shuffle in (Flag.SHUFFLE, Flag.BITSHUFFLE):
        with pytest.raises(CannotReframe, match=f"elements of {typesize} bytes"):
            single_head(9, 512, typesize, (LZ4, shuffle))


def test_frames_end_at_the_limits_of_blosc() -> None:
    assert len(single_head(9, MAX_BLOCK, 1, (LZ4, PLAIN))) == 24
    assert len(block_head([9, 9], MAX_BYTES, MAX_BLOCK, 1, (LZ4, PLAIN))) == 24
    assert HEADER.unpack(stored_head(MAX_BYTES - 1, 1))[4] == MAX_BYTES - 1
    for lengths, nbytes, blocksize in (
        ([9], MAX_BLOCK + 1, MAX_BLOCK + 1),
        ([9], MAX_BYTES + 1, 100),
        ([MAX_BYTES], 100, 100),
        ([2**30, 2**30], 100, 50),
    ):
        with pytest.raises(CannotReframe, match="too large"):
            block_head(lengths, nbytes, blocksize, 1, (LZ4, PLAIN))
    with pytest.raises(CannotReframe, match="too large"):
        stored_head(MAX_BYTES + 1, 1)


@pytest.mark.parametrize("typesize", [1, 8, 13, 300])
def test_plain_bytes_become_a_frame_that_all_decoders_read(noise, unblosc, typesize) -> None:
    data = noise("u1", 3900).tobytes()
    made = stored_frame(data, typesize)
    assert unblosc(made.assemble(b"")) == {data}
    assert made.size == 3916
