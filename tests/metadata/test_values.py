"""Attributes and fill values as JSON that any parser reads, and that says what was in the file."""

import base64
import io
import json
import math
import struct

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.datatypes import DataType
from chunkserve.hdf5.attributes import read_attributes
from chunkserve.metadata.values import (
    array_json,
    attribute_json,
    encoded_fill_attribute,
    fill_json,
    float_json,
    item_text,
)
from chunkserve.model import Attribute

NAN, INF = math.nan, math.inf
RECORD = np.dtype([("n", "<i4"), ("x", "<f4", (2,)), ("s", "S4")])


def refuse(text: str) -> None:
    raise AssertionError(f"bare {text}")


@pytest.fixture
def shown():
    """Write an attribute; its JSON, after a strict parser has read it."""

    def show(value: object, **how: object) -> object:
        with h5py.File(io.BytesIO(), "w") as file:
            file["target"] = 1
            if callable(value):
                value = value(file)
            file.attrs.create("a", value, **how)
            (attribute,), _ = read_attributes(file.id, 10**6)
        text = json.dumps(attribute_json(attribute))
        return json.loads(text, parse_constant=refuse)

    return show


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(-5), -5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.array(3, ">i2"), 3),
        (np.array([1, 2], ">u4"), [1, 2]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([7]), 7),  # one element is unwrapped
        (np.array([[7]]), [7]),  # once
        (np.array([[1, 2]]), [1, 2]),
        (np.zeros((0,), "i4"), []),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(1.5), 1.5),
        (np.array([1.5, NAN, INF, -INF]), [1.5, "NaN", "Infinity", "-Infinity"]),
        (np.float32(NAN), "NaN"),
        (np.array([[NAN, 1.0]], ">f8"), ["NaN", 1.0]),
        (np.longdouble(2.5), 2.5),
        (np.array([1 + 2j, complex(NAN, INF)]), [[1.0, 2.0], ["NaN", "Infinity"]]),
        (True, True),
        (np.array([True, False]), [True, False]),
        ("text", "text"),
        ("größe", "größe"),
        ("", ""),
        (np.bytes_(b"fixed"), "fixed"),
        (np.bytes_(b"gr\xf6\xdfe"), "größe"),  # Latin-1
        (np.bytes_("größe".encode()), "größe"),
        (["a", "bc"], ["a", "bc"]),
        (["one"], "one"),
        (np.array([[b"ab", b"cd"], [b"ef", b"gh"]]), ["ab", "cd", "ef", "gh"]),
        (h5py.Empty("f4"), []),
        (h5py.Empty("S1"), ""),
        (np.void(b"\x00\xff\x10"), base64.b64encode(b"\x00\xff\x10").decode()),
        (np.array((1, (NAN, 2.0), b"ab"), RECORD), {"n": 1, "x": ["NaN", 2.0], "s": "ab"}),
        (np.array([(1, (0, 0), b""), (2, (1, INF), b"z")], RECORD), [
            {"n": 1, "x": [0.0, 0.0], "s": ""},
            {"n": 2, "x": [1.0, "Infinity"], "s": "z"},
        ]),
    ],
    ids=repr,
)  # fmt: skip
def test_attributes_are_shown_like_this(shown, value, expected) -> None:
    got = shown(value)
    assert got == expected
    assert json.dumps(got) == json.dumps(expected)  # true is not 1, 1.0 is not 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.complex128(1 + 2j), [1.0, 2.0]),
        (np.array((1 + 2j,), [("z", "<c8")]), {"z": [1.0, 2.0]}),
        (np.array([(1 + 2j,), (3j,)], [("z", "<c8")]), [{"z": [1.0, 2.0]}, {"z": [0.0, 3.0]}]),
    ],
    ids=["scalar", "record", "records"],
)
def test_complex_scalars_are_two_numbers(shown, value, expected) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        (h5py.enum_dtype({"ON": 1, "OFF": 0}, "u1"), 1, 1),
        (h5py.string_dtype(length=6), b"fest", "fest"),
        (h5py.string_dtype("ascii"), b"\xff\xfe", "ÿþ"),
        (h5py.opaque_dtype("<M8[s]"), np.array([0, 86400], "<M8[s]"), ["1970-01-01T00:00:00", "1970-01-02T00:00:00"]),
    ],
    ids=str,
)
def test_special_types_are_shown_like_this(shown, dtype, value, expected) -> None:
    assert shown(np.asarray(value, dtype), dtype=dtype) == expected


def test_array_types_are_nested_below_the_dataspace() -> None:
    t = DataType("array", 8, base=DataType("integer", 2, "<", signed=True), dims=(2, 2))
    values = np.arange(8, dtype="<i2")
    assert attribute_json(Attribute(b"a", t, (), values[:4].tobytes())) == [[0, 1], [2, 3]]
    assert attribute_json(Attribute(b"a", t, (2,), values.tobytes())) == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


def test_references_are_paths_and_sequences_lists(shown) -> None:
    def region(file: h5py.File) -> h5py.RegionReference:
        file["grid"] = np.zeros((4, 5))
        return file["grid"].regionref[1:3, 0:5]

    assert shown(lambda file: file["target"].ref) == "/target"
    assert shown(region) == "/grid[1:3, 0:5]"
    sequences = np.empty(2, object)
    sequences[:] = [np.array([1.5, NAN]), np.array([], "f8")]
    assert shown(sequences, dtype=h5py.vlen_dtype("f8")) == [[1.5, "NaN"], []]


def test_what_was_not_read_raises_with_the_reason() -> None:
    with pytest.raises(ValueError, match="800 bytes"):
        attribute_json(Attribute(b"a", DataType("float", 8), (100,), omitted="800 bytes"))


FLOATS = st.floats(width=32)


@given(st.lists(FLOATS, min_size=1, max_size=5))
def test_no_digit_of_a_float_is_lost(values: list[float]) -> None:
    text = json.dumps(array_json(np.array(values, "<f4")))
    back = np.array([float(v) for v in json.loads(text, parse_constant=refuse)], "<f4")
    np.testing.assert_array_equal(back, np.array(values, "<f4"))


def test_non_finite_floats_are_words() -> None:
    assert [float_json(x) for x in (NAN, INF, -INF, -0.0)] == ["NaN", "Infinity", "-Infinity", -0.0]


@pytest.mark.parametrize(
    ("item", "t", "text"),
    [
        ("text", DataType("string", 16, variable=True), "text"),
        ("é".encode(), DataType("string", 16, variable=True), "é"),
        ([1, 2.5, NAN], DataType("vlen", 16, base=DataType("float", 8)), '[1,2.5,"NaN"]'),
        (["é"], DataType("vlen", 16, base=DataType("string", 16, variable=True)), '["é"]'),
        ([[1, 2], [3]], DataType("vlen", 16, base=DataType("vlen", 16, base=DataType("integer", 4))), "[[1,2],[3]]"),
        ([], DataType("vlen", 16, base=DataType("integer", 4)), "[]"),
    ],
)
def test_elements_of_text_arrays_are_spelled_like_this(item, t, text) -> None:
    assert item_text(item, t) == text


def test_text_that_is_not_utf8_is_not_guessed_in_arrays() -> None:
    with pytest.raises(UnicodeDecodeError):
        item_text(b"\xff", DataType("string", 16, variable=True))


def unusual_nan(dtype: str) -> np.ndarray:
    word = {"<f4": "<u4", ">f4": ">u4", "<f8": "<u8"}[dtype]
    return np.array(0x7FC00001 if dtype[1:] == "f4" else 0x7FF8000000000001, word).view(dtype)


@pytest.mark.parametrize(
    ("value", "v3", "v2"),
    [
        (np.array(5, ">i4"), 5, 5),
        (np.array(True), True, True),
        (np.array(1.5, "<f2"), 1.5, 1.5),
        (np.array(NAN, ">f4"), "NaN", "NaN"),
        (np.array(-INF), "-Infinity", "-Infinity"),
        (unusual_nan("<f4"), "0x7fc00001", "NaN"),
        (unusual_nan(">f4"), "0x7fc00001", "NaN"),
        (unusual_nan("<f8"), "0x7ff8000000000001", "NaN"),
        (np.array(complex(1, NAN), "<c8"), [1.0, "NaN"], [1.0, "NaN"]),
        (np.array(7, "<M8[s]"), 7, 7),
        (np.array("NaT", "<M8[s]"), -(2**63), -(2**63)),
        (np.array(b"ab", "S4"), base64.b64encode(b"ab").decode(), base64.b64encode(b"ab\0\0").decode()),
        (np.array(b"\1\0", "V2"), base64.b64encode(b"\1\0").decode(), base64.b64encode(b"\1\0").decode()),
    ],
    ids=repr,
)
def test_fill_values_are_spelled_as_zarr_wants_them(value, v3, v2) -> None:
    assert fill_json(value, 3) == v3
    assert fill_json(value, 2) == v2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array(1.5, ">f4"), base64.b64encode(struct.pack("<d", 1.5)).decode()),
        (np.array(-999, "<i2"), -999),
        (np.array(True), True),
        (np.array(1 + 2j), [base64.b64encode(struct.pack("<d", x)).decode() for x in (1, 2)]),
        (np.array(b"x"), None),
    ],
)
def test_fill_attributes_are_encoded_as_xarray_does(value, expected) -> None:
    assert encoded_fill_attribute(value) == expected
