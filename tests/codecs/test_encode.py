"""What had to be decoded is written in codecs everybody has."""

import numcodecs
import numcodecs.vlen
import numcodecs.zstd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.codecs.encode import blosc_zstd, text
from chunkserve.codecs.frame import HEADER, Flag, Format


@pytest.mark.parametrize("shape", [(1,), (17, 13), (4099,)])
def test_every_decoder_reads_encoded_arrays(smooth, unblosc, dtype, shape) -> None:
    array = smooth(dtype, *shape)
    assert unblosc(blosc_zstd(array)) == {array.tobytes()}


@pytest.mark.parametrize(
    ("dtype", "typesize", "shuffle"),
    [("u1", 1, 0), ("<f8", 8, Flag.SHUFFLE), ("S255", 255, Flag.SHUFFLE), ("S256", 1, 0), ("S300", 1, 0)],
)
def test_elements_are_shuffled_if_blosc_can(smooth, unblosc, dtype, typesize, shuffle) -> None:
    array = smooth(dtype, 100)
    data = blosc_zstd(array)
    _, _, flags, found, nbytes, *_ = HEADER.unpack_from(data)
    assert (found, nbytes, flags >> 5) == (typesize, array.nbytes, Format.ZSTD)
    assert flags & Flag.SHUFFLE == shuffle
    assert unblosc(data) == {array.tobytes()}


def test_arrays_are_written_in_c_order_however_they_lie_in_memory(smooth, unblosc) -> None:
    array = smooth("<i4", 30, 20)
    for view in (array.T, array[::2, ::-3]):
        assert unblosc(blosc_zstd(view)) == {view.tobytes("C")}


def test_smooth_data_become_small(smooth) -> None:
    array = smooth("<f8", 64, 64)
    assert len(blosc_zstd(array)) < array.nbytes / 10


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_no_elements_are_no_bytes(shape) -> None:
    assert blosc_zstd(np.zeros(shape, "<i4")) == b""


@given(st.lists(st.text(), max_size=20))
def test_texts_survive(items: list[str]) -> None:
    decoded = numcodecs.vlen.VLenUTF8().decode(numcodecs.zstd.decompress(text(items)))
    assert decoded.tolist() == items
