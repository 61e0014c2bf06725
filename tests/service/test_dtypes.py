"""Every datatype comes back as h5py reads it, or in the documented form."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from chunkserve.errors import Corrupt, Unsupported
from chunkserve.inspection import inspect

from .conftest import verdict

RNG = np.random.default_rng(7)
NUMBERS = [
    "i1",
    "u1",
    "<i2",
    ">i2",
    "<u2",
    ">u4",
    "<i4",
    "<i8",
    ">u8",
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "<c8",
    ">c16",
]


def numbers(dtype: str, count: int = 700) -> np.ndarray:
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return (numbers(f"{dtype.byteorder}f{dtype.itemsize // 2}") + 1j * RNG.random(count)).astype(dtype)
    if dtype.kind == "f":
        return np.concatenate([RNG.normal(size=count - 4), [np.nan, np.inf, -np.inf, -0.0]]).astype(dtype)
    values = RNG.integers(0, 100, count).astype(dtype)
    values[-2:] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return values


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(
    "filters",
    [{}, {"chunks": (300,)}, {"chunks": (300,), "compression": "gzip", "shuffle": True}],
    ids=["contiguous", "plain", "gzip"],
)
def test_numbers_of_every_width_and_byte_order(tmp_path: Path, same_as_h5py, dtype, filters) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=numbers(dtype), **filters)
    array = same_as_h5py(path, "x", merge_below=0, shard_below=0)
    assert array.dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("=")


def test_booleans_and_enums(tmp_path: Path, same_as_h5py, library) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["flags"] = np.array([True, False, True])
        kind = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype="i2")
        file.create_dataset("colours", data=[0, 42, 1], dtype=kind)
    assert same_as_h5py(path, "flags").dtype == bool
    array = same_as_h5py(path, "colours")
    assert array.dtype == np.dtype("i2")
    assert dict(array.attrs)["_nc_enum_members"] == {"RED": 0, "GREEN": 1, "BLUE": 42}


@pytest.mark.parametrize("charset", ["ascii", "utf-8"])
@pytest.mark.parametrize("chunks", [None, (2,)])
def test_variable_length_text(tmp_path: Path, same_as_h5py, charset, chunks) -> None:
    path = tmp_path / "a.h5"
    words = ["", "a", "x" * 5000, "plain"] if charset == "ascii" else ["", "µm", "日本" * 300, "å"]
    with h5py.File(path, "w") as file:
        dtype = h5py.string_dtype(charset)
        file.create_dataset("x", data=words, dtype=dtype, chunks=chunks, compression="gzip" if chunks else None)
        file["scalar"] = words[-1]
        file.create_dataset("grid", data=np.array(words, dtype=object).reshape(2, 2), dtype=dtype)
    for name in ("x", "scalar", "grid"):
        same_as_h5py(path, name)


@pytest.mark.parametrize("padding", [h5py.h5t.STR_NULLTERM, h5py.h5t.STR_NULLPAD, h5py.h5t.STR_SPACEPAD])
@pytest.mark.parametrize("size", [1, 6])
def test_fixed_strings_of_every_padding(tmp_path: Path, same_as_h5py, library, padding, size) -> None:
    path = tmp_path / "a.h5"
    stored = [b"abc   ", b"ab\0xyz", b"abcdef", b"      ", b"\0\0\0\0\0\0"]
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(size)
        kind.set_strpad(padding)
        dataset = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((5,)))
        raw = np.array([s[:size] for s in stored], dtype=f"V{size}")
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, raw, mtype=kind)
    same_as_h5py(path, "x")
    exact = padding == h5py.h5t.STR_NULLPAD or (padding == h5py.h5t.STR_NULLTERM and size == 1)
    assert verdict(library(path), "x") == ("byte ranges" if exact else "decoded")


def test_text_that_is_not_utf8_is_an_error_for_that_chunk_alone(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=[b"fine", b"\xb5m"], dtype=h5py.string_dtype("ascii"), chunks=(1,))
    store = open_store(tmp_path, merge_below=0)
    assert store.key(3, ("a.h5", "x", "c", "0"), wait=True).blob.size
    with pytest.raises(Corrupt, match="UTF-8"):
        store.key(3, ("a.h5", "x", "c", "1"), wait=True)


RECORD = np.dtype([("h", "<i2"), ("ok", "?"), ("value", "<f8"), ("name", "S3")])


def records(dtype: np.dtype, count: int = 300) -> np.ndarray:
    table = np.zeros(count, dtype)
    table["h"], table["value"], table["ok"] = np.arange(count), RNG.random(count), True
    table["name"] = b"ab"
    return table


@pytest.mark.parametrize("align", [False, True], ids=["packed", "aligned"])
@pytest.mark.parametrize("chunks", [None, (100,), (10,)])
def test_flat_records_are_structured_arrays(tmp_path: Path, same_as_h5py, align, chunks) -> None:
    path = tmp_path / "a.h5"
    dtype = np.dtype(RECORD.descr, align=align)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=records(dtype), chunks=chunks, compression="gzip" if chunks else None)
    assert same_as_h5py(path, "x").dtype.names == RECORD.names


def test_big_endian_records(tmp_path: Path, same_as_h5py) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = records(RECORD.newbyteorder(">"))
    same_as_h5py(path, "x")


def test_records_that_zarr_has_no_dtype_for_are_a_group_of_their_fields(tmp_path: Path, library, zarr_format) -> None:
    path = tmp_path / "a.h5"
    inner = np.dtype([("x", "<f4"), ("y", "<f4")])
    dtype = np.dtype([("id", "<i4"), ("where", inner), ("matrix", "<f8", (2, 3)), ("label", h5py.string_dtype())])
    table = np.zeros(5, dtype)
    table["id"] = np.arange(5)
    table["where"]["y"] = 2.5
    table["matrix"] = np.arange(30).reshape(5, 2, 3)
    table["label"] = ["a", "b", "", "µ", "e"]
    plain = np.dtype([("id", "<i4"), ("where", inner), ("matrix", "<f8", (2, 3))])
    with h5py.File(path, "w") as file:
        file["mixed"] = table
        file.create_dataset(
            "plain", data=table[["id", "where", "matrix"]].astype(plain), chunks=(2,), compression="gzip"
        )
    for name in ("mixed", "plain"):
        group = zarr.open_group(library(path), path=name, mode="r", zarr_format=zarr_format)
        np.testing.assert_array_equal(group["id"][...], table["id"])
        np.testing.assert_array_equal(group["matrix"][...], table["matrix"])
    assert group["matrix"].shape == (5, 2, 3)
    group = zarr.open_group(library(path), path="mixed", mode="r", zarr_format=zarr_format)
    assert [str(word) for word in group["label"][...]] == ["a", "b", "", "µ", "e"]
    np.testing.assert_array_equal(group["where"][...]["y"], table["where"]["y"])


@pytest.mark.parametrize("chunks", [None, (4,)])
def test_array_types_become_trailing_axes(tmp_path: Path, library, zarr_format, chunks) -> None:
    path = tmp_path / "a.h5"
    data = np.arange(10 * 2 * 3, dtype="<i4").reshape(10, 2, 3)
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.array_create(h5py.h5t.STD_I32LE, (2, 3))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if chunks:
            plist.set_chunk(chunks)
            plist.set_shuffle()
            plist.set_deflate(3)
        dataset = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((10,)), plist)
        h5py.Dataset(dataset)[...] = data
    array = zarr.open_array(library(path, merge_below=0, shard_below=0), path="x", mode="r", zarr_format=zarr_format)
    np.testing.assert_array_equal(array[...], data)


def test_variable_length_sequences_are_json_text(tmp_path: Path, library, zarr_format) -> None:
    path = tmp_path / "a.h5"
    rows = [np.array([1.5, np.nan]), np.array([]), np.array([3.0])]
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (3,), h5py.vlen_dtype("f8"))
        for i, row in enumerate(rows):
            dataset[i] = row
    texts = zarr.open_array(library(path), path="x", mode="r", zarr_format=zarr_format)[...]
    assert [json.loads(str(text)) for text in texts] == [[1.5, "NaN"], [], [3.0]]


def test_references_are_paths(tmp_path: Path, library, zarr_format) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        target = file.create_dataset("group/target", data=np.arange(20).reshape(4, 5))
        file.create_dataset("objects", data=[target.ref, h5py.Reference()], dtype=h5py.ref_dtype)
        file.create_dataset("regions", data=[target.regionref[1:3, 2:5]], dtype=h5py.regionref_dtype)
    store = library(path)
    texts = [str(t) for t in zarr.open_array(store, path="objects", mode="r", zarr_format=zarr_format)[...]]
    assert texts == ["/group/target", ""]
    texts = [str(t) for t in zarr.open_array(store, path="regions", mode="r", zarr_format=zarr_format)[...]]
    assert texts == ["/group/target[1:3, 2:5]"]


def test_opaque_bytes_and_tagged_datetimes(tmp_path: Path, library, zarr_format) -> None:
    path = tmp_path / "a.h5"
    when = np.array(["2024-05-01T12:00", "1999-12-31T23:59"], dtype="M8[s]")
    with h5py.File(path, "w") as file:
        file["when"] = when.astype(h5py.opaque_dtype(when.dtype))
        file["bytes"] = np.array([b"abc", b"d\0e"], dtype="V3")
    store = library(path)
    np.testing.assert_array_equal(zarr.open_array(store, path="when", mode="r", zarr_format=zarr_format)[...], when)
    raw = zarr.open_array(store, path="bytes", mode="r", zarr_format=zarr_format)[...]
    assert raw.tobytes() == b"abcd\0e"


def test_a_long_double_is_served_as_float64(tmp_path: Path, library, zarr_format) -> None:
    path = tmp_path / "a.h5"
    data = np.array([1.5, -2.25, np.pi], dtype=np.longdouble)
    with h5py.File(path, "w") as file:
        file["x"] = data
    array = zarr.open_array(library(path), path="x", mode="r", zarr_format=zarr_format)
    assert array.dtype == np.dtype("f8")
    np.testing.assert_array_equal(array[...], data.astype("f8"))


def test_integers_with_padding_bits_are_converted(tmp_path: Path, same_as_h5py, library) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.STD_U16LE.copy()
        kind.set_precision(12)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((50,))
        plist.set_deflate(1)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((200,)), plist))
        dataset[...] = np.arange(200) * 20
    same_as_h5py(path, "x")
    assert verdict(library(path), "x") == "decoded"


def test_what_cannot_be_served_is_left_out_and_said_by_inspect(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        h5py.h5d.create(file.id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((3,)))
        file["fine"] = 1
    store = open_store(tmp_path)
    document = json.loads(bytes(store.key(3, ("a.h5", "zarr.json"), wait=True).blob.read()))
    assert list(document["consolidated_metadata"]["metadata"]) == ["fine"]
    with pytest.raises(Unsupported, match="time types"):
        store.key(3, ("a.h5", "when", "zarr.json"), wait=True)
    report = next(r for r in inspect(store, ("a.h5",), lambda: None).members if r.name == "when")
    assert report.facts["verdict"] == "not served"
    assert "time types" in report.notes[0]
