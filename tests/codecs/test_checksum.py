"""Fletcher-32 as HDF5 computes it."""

import struct

import numpy as np
import pytest

from chunkserve.codecs.checksum import check_fletcher32, fletcher32
from chunkserve.errors import Corrupt


@pytest.fixture
def checked(make_chunk):
    """Bytes as HDF5 stores them, its checksum behind."""
    return lambda data: make_chunk(np.frombuffer(data, "u1"), fletcher32=True).stored


@pytest.mark.parametrize("size", [*range(1, 40), 360 * 2, 360 * 2 + 1, 100_001, 2**21 + 2, 2**22 + 7])
def test_it_is_what_hdf5_stores_for_noise_of_any_length(checked, noise, size) -> None:
    stored = checked(noise("u1", size).tobytes())
    assert struct.pack("<I", fletcher32(memoryview(stored)[:-4])) == stored[-4:]
    check_fletcher32(memoryview(stored))


@pytest.mark.parametrize(
    "data",
    [
        bytes(1),
        bytes(2),
        bytes(5000),
        b"\xff" * 2,
        b"\xff" * 3,
        b"\xff" * 5000,
        b"\xff" * (2**21 + 4),
        b"\x7f\xff\x80\x00",  # two words that add up to 65535
        b"\x00\x01" * 65535,
        b"\xff\xfe\x00\x01",
        b"\x00\xff" * 999 + b"\x80",
    ],
    ids=lambda d: f"{d[:4].hex()}x{len(d)}",
)
def test_sums_that_are_multiples_of_the_modulus_fold_as_in_hdf5(checked, data) -> None:
    stored = checked(data)
    assert struct.pack("<I", fletcher32(memoryview(data))) == stored[-4:]


def test_nothing_sums_to_nothing() -> None:
    assert fletcher32(memoryview(b"")) == 0
    check_fletcher32(memoryview(bytes(4)))


def test_the_byte_order_of_hdf5_before_1_6_3_is_accepted(checked, noise) -> None:
    stored = bytearray(checked(noise("u1", 100).tobytes()))
    stored[-4:] = bytes([stored[-3], stored[-4], stored[-1], stored[-2]])
    check_fletcher32(memoryview(stored))


def test_every_flipped_bit_is_noticed(checked, smooth) -> None:
    stored = checked(smooth("<i4", 16).tobytes())
    for bit in range(8 * len(stored)):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corrupt, match="Fletcher-32"):
            check_fletcher32(memoryview(damaged))


@pytest.mark.parametrize("size", range(4))
def test_what_is_shorter_than_a_checksum_is_corrupt(size) -> None:
    with pytest.raises(Corrupt, match=f"{size} bytes"):
        check_fletcher32(memoryview(bytes(size)))
