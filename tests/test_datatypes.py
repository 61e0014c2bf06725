"""Datatypes get the dtype that h5py gives them, and say truthfully whether stored bytes are its memory."""

import io

import h5py
import numpy as np
import pytest

from chunkserve.datatypes import DataType, Member, has_objects, is_bool, is_complex, is_exact, numpy_dtype
from chunkserve.hdf5.types import MAX_DEPTH, TooDeep, describe_type

F4, F8 = DataType("float", 4, "<"), DataType("float", 8, "<")
RECORD = [("a", "i1"), ("b", ">f8"), ("c", "S3"), ("d", "<u2", (2, 3))]
DTYPES = [
    *(
        f"{order}{kind}"
        for order in "<>"
        for kind in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
    ),
    *("i1", "u1", "?", "S1", "S7", "V5"),
    np.dtype(RECORD),
    np.dtype(RECORD, align=True),
    np.dtype([("outer", [("inner", "c8")]), ("flag", "?")]),
    np.dtype(("<i4", (3, 2))),
    h5py.enum_dtype({"RED": -3, "GREEN": 5}, "<i2"),
]


def described(dtype: object) -> DataType:
    return describe_type(h5py.h5t.py_create(np.dtype(dtype), logical=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_described_type_has_the_dtype_that_h5py_reads(dtype) -> None:
    dtype = np.dtype(dtype)
    t = described(dtype)
    assert numpy_dtype(t) == dtype
    assert t.size == dtype.itemsize
    assert not has_objects(t)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bytes_of_exact_types_are_what_numpy_holds(dtype) -> None:
    t = described(dtype)
    base, dims = np.dtype(dtype).subdtype or (np.dtype(dtype), ())
    rng = np.random.default_rng(0)
    values = np.zeros((4, *dims), base)
    values.view("u1").reshape(-1)[:] = rng.integers(0, 2, values.nbytes)  # also a valid boolean in every byte
    with h5py.File(io.BytesIO(), "w") as file:
        dataset = file.create_dataset("x", (4,), dtype, chunks=(4,))
        dataset.id.write_direct_chunk((0,), values.tobytes())
        read = dataset[...]
        assert is_exact(t)
        assert read.tobytes() == np.frombuffer(values.tobytes(), base).tobytes()


def custom(base: h5py.h5t.TypeID, **changes: int) -> h5py.h5t.TypeID:
    made = base.copy()
    for name, value in changes.items():
        getattr(made, f"set_{name}")(value)
    return made


def padded_float() -> h5py.h5t.TypeID:
    made = h5py.h5t.IEEE_F32LE.copy()
    made.set_ebias(made.get_ebias() + 1)
    return made


def text(size: int, padding: int) -> h5py.h5t.TypeID:
    made = h5py.h5t.C_S1.copy()
    made.set_size(size)
    made.set_strpad(padding)
    return made


def record_with(part: h5py.h5t.TypeID) -> h5py.h5t.TypeID:
    made = h5py.h5t.create(h5py.h5t.COMPOUND, part.get_size())
    made.insert(b"x", 0, part)
    return made


@pytest.mark.parametrize(
    ("tid", "exact", "dtype"),
    [
        (custom(h5py.h5t.STD_I32LE, precision=12), False, "<i4"),
        (custom(h5py.h5t.STD_U16LE, size=3), False, "<u4"),
        (padded_float(), False, "<f4"),
        (h5py.h5t.NATIVE_LDOUBLE, False, "<f8"),
        (h5py.h5t.STD_B16BE, True, ">u2"),
        (text(1, h5py.h5t.STR_NULLTERM), True, "S1"),
        (text(2, h5py.h5t.STR_NULLTERM), False, "S2"),
        (text(2, h5py.h5t.STR_SPACEPAD), False, "S2"),
        (text(2, h5py.h5t.STR_NULLPAD), True, "S2"),
        (record_with(custom(h5py.h5t.STD_I32LE, precision=12)), False, [("x", "<i4")]),
        (h5py.h5t.array_create(padded_float(), (2,)), False, ("<f4", (2,))),
    ],
    ids=[
        *("12 of 32 bits", "3 bytes", "another exponent bias", "long double", "bitfield", "one char", "NUL-terminated"),
        *("blank-padded", "NUL-padded", "in a record", "in an array"),
    ],
)
def test_what_libhdf5_would_convert_is_not_exact(tid, exact, dtype) -> None:
    t = describe_type(tid)
    assert is_exact(t) is exact
    assert numpy_dtype(t) == np.dtype(dtype)


@pytest.mark.parametrize(
    "dtype",
    [h5py.string_dtype(), h5py.vlen_dtype("f4"), h5py.ref_dtype, h5py.regionref_dtype],
    ids=["text", "vlen", "reference", "region"],
)
@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: np.dtype([("n", "i4"), ("x", d)]), lambda d: np.dtype((d, 2))])
def test_text_references_and_sequences_are_objects_wherever_they_are(dtype, wrap) -> None:
    t = described(wrap(dtype))
    assert has_objects(t)
    assert not is_exact(t)


@pytest.mark.parametrize(
    ("members", "size", "expected"),
    [
        ((Member("r", 0, F4), Member("i", 4, F4)), 8, True),
        ((Member("r", 0, F8), Member("i", 8, F8)), 16, True),
        ((Member("re", 0, F4), Member("im", 4, F4)), 8, False),
        ((Member("i", 0, F4), Member("r", 4, F4)), 8, False),
        ((Member("r", 4, F4), Member("i", 0, F4)), 8, False),
        ((Member("r", 0, F4), Member("i", 4, F8)), 12, False),
        ((Member("r", 0, F4), Member("i", 4, F4)), 12, False),  # room behind
        ((Member("r", 0, F4), Member("i", 4, F4), Member("x", 8, F4)), 12, False),
    ],
)
def test_only_two_adjacent_floats_called_r_and_i_are_complex(members, size, expected) -> None:
    t = DataType("compound", size, members=members)
    assert is_complex(t) is expected
    assert (numpy_dtype(t).kind == "c") is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"FALSE": 0, "TRUE": 1}, True), ({"TRUE": 1, "FALSE": 0}, True), ({"FALSE": 1, "TRUE": 0}, False)],
)
def test_a_boolean_is_an_enum_of_a_byte_that_says_so(values, expected) -> None:
    t = DataType("enum", 1, values=tuple(values.items()), base=DataType("integer", 1))
    assert is_bool(t) is expected
    assert (numpy_dtype(t) == np.bool_) is expected


@pytest.mark.parametrize("tag", ["NUMPY:nonsense", "NUMPY:<i8", "NUMPY:<M8[s]x", "", "<M8[s]"])
def test_an_opaque_tag_that_is_no_datetime_leaves_bytes(tag) -> None:
    assert numpy_dtype(DataType("opaque", 8, tag=tag)) == np.dtype("V8")


def test_tagged_opaque_types_are_datetimes_of_their_own_size() -> None:
    assert numpy_dtype(described(h5py.opaque_dtype("<M8[ms]"))) == np.dtype("<M8[ms]")
    assert numpy_dtype(DataType("opaque", 4, tag="NUMPY:<M8[ms]")) == np.dtype("V4")


@pytest.mark.parametrize("t", [DataType("time", 4), DataType("integer", 16)])
def test_types_without_an_equal_in_numpy_raise(t) -> None:
    with pytest.raises(TypeError):
        numpy_dtype(t)


def test_a_type_without_a_base_says_so() -> None:
    with pytest.raises(TypeError, match="float type has no base"):
        _ = F4.inner


def test_types_nested_without_end_are_refused() -> None:
    tid = h5py.h5t.STD_I8LE
    for _ in range(MAX_DEPTH):
        tid = h5py.h5t.array_create(tid, (1,))
    assert describe_type(tid).cls == "array"
    with pytest.raises(TooDeep):
        describe_type(h5py.h5t.array_create(tid, (1,)))
