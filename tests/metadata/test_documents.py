"""Documents are what zarr-python's own classes read, and chunks written as they say come back as what they were."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import cpu
from zarr.core.group import GroupMetadata
from zarr.core.metadata.v2 import ArrayV2Metadata
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import MemoryStore

from chunkserve.codecs.encode import blosc_zstd, text
from chunkserve.metadata.documents import (
    ArrayView,
    Document,
    array_v2,
    array_v3,
    attributes_v2,
    consolidated_v2,
    enum_attribute,
    group_v2,
    group_v3,
)
from chunkserve.metadata.keys import chunk_name
from chunkserve.metadata.present import Blosc, Plan, Presentation
from chunkserve.metadata.served import Served

pytestmark = [
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
]
RECORD = np.dtype([("a", "<i4"), ("b", "<f8"), ("s", "S3")])
SERVED = [
    *(Served("number", np.dtype(d)) for d in ("i1", "<u2", ">i4", "<u8", "<f2", ">f4", "<f8")),
    Served("bool", np.dtype("?")),
    Served("complex", np.dtype("<c8")),
    Served("complex", np.dtype(">c16")),
    Served("bytes", np.dtype("S3")),
    Served("opaque", np.dtype("V5")),
    Served("datetime", np.dtype("<M8[10ms]")),
    Served("datetime", np.dtype("<m8[h]")),
    Served("struct", RECORD),
    Served("text", np.dtype(object)),
]
SHAPE, CHUNK = (4, 6), (2, 6)


def values_of(served: Served) -> np.ndarray:
    """An array of the type without anything special in it."""
    dtype = served.dtype
    count = np.arange(24).reshape(SHAPE)
    if served.kind == "text":
        return np.array([f"é{n}" for n in range(24)], object).reshape(SHAPE)
    if served.kind == "struct":
        return np.array([(n, n / 7, f"s{n}".encode()) for n in range(24)], RECORD).reshape(SHAPE)
    if dtype.kind == "V":
        return np.frombuffer(np.random.default_rng(0).bytes(24 * dtype.itemsize), dtype).reshape(SHAPE)
    return (count % 2 if dtype.kind == "b" else count).astype(dtype)


def view_of(served: Served, encoding: str = "raw", **changes: Any) -> ArrayView:
    encoding = "text" if served.kind == "text" else encoding
    blosc = Blosc(typesize=min(served.dtype.itemsize, 255))
    fill = None if served.kind == "text" else np.zeros((), served.dtype)
    shown = Presentation(SHAPE, CHUNK, encoding, Plan.DECODED, blosc=blosc)
    return replace(ArrayView(served, shown, {"units": "mm"}, ("y", "x"), fill), **changes)


def stored(values: np.ndarray, encoding: str) -> bytes:
    if encoding == "text":
        return text(list(values.reshape(-1)))
    return blosc_zstd(values) if encoding == "blosc" else values.tobytes()


def read_back(documents: dict[str, Document], values: np.ndarray, encoding: str, zarr_format: int) -> zarr.Array:
    """Documents and the chunks of an array, as zarr-python opens them."""
    files = {key: json.dumps(document, allow_nan=False).encode() for key, document in documents.items()}
    for i in range(2):
        files[chunk_name((i, 0), zarr_format)] = stored(values[2 * i : 2 * i + 2], encoding)
    store = MemoryStore({key: cpu.Buffer.from_bytes(data) for key, data in files.items()})
    return zarr.open_array(store, mode="r", zarr_format=zarr_format)


@pytest.mark.parametrize("encoding", ["raw", "blosc"])
@pytest.mark.parametrize("served", SERVED, ids=lambda s: f"{s.kind} {s.dtype.str}")
@pytest.mark.parametrize("zarr_format", [3, 2])
def test_chunks_written_as_the_document_says_are_read_back(served: Served, encoding, zarr_format) -> None:
    view, values = view_of(served, encoding), values_of(served)
    documents = {"zarr.json": array_v3(view)} if zarr_format == 3 else {
        ".zarray": array_v2(view), ".zattrs": attributes_v2(view)
    }  # fmt: skip
    array = read_back(documents, values, view.presentation.encoding, zarr_format)
    got = array[...]
    if served.kind == "text":
        assert got.astype(object).tolist() == values.tolist()
    else:
        assert got.dtype.newbyteorder("=") == served.dtype.newbyteorder("=")
        assert got.astype(served.dtype).tobytes() == values.tobytes()
    assert (array.shape, array.chunks) == (SHAPE, CHUNK)
    assert array.attrs["units"] == "mm"


@pytest.mark.parametrize("encoding", ["raw", "blosc"])
@pytest.mark.parametrize("served", SERVED, ids=lambda s: f"{s.kind} {s.dtype.str}")
def test_zarrs_own_class_spells_a_v3_document_the_same(served: Served, encoding) -> None:
    mine = array_v3(view_of(served, encoding))
    theirs = json.loads(json.dumps(ArrayV3Metadata.from_dict(dict(mine)).to_dict()))
    assert theirs.keys() - {"storage_transformers"} == mine.keys()
    records = served.kind == "struct"  # zarr-python 3.4 spells out what 3.1 gives, and both read, as base64
    for key in mine.keys() - {"codecs", "data_type"} - ({"fill_value"} if records else set()):
        assert theirs[key] == mine[key], key
    again = ArrayV3Metadata.from_dict(theirs)
    assert again == ArrayV3Metadata.from_dict(dict(mine))


@pytest.mark.parametrize("served", SERVED, ids=lambda s: f"{s.kind} {s.dtype.str}")
def test_zarrs_own_class_reads_a_v2_document(served: Served) -> None:
    document = array_v2(view_of(served, "blosc"))
    metadata = ArrayV2Metadata.from_dict(dict(document))
    assert (metadata.shape, metadata.chunks, metadata.dimension_separator) == (SHAPE, CHUNK, ".")
    if served.kind != "text":
        assert metadata.dtype.to_native_dtype() == served.dtype


def test_a_shard_has_its_index_at_the_end_and_the_codecs_of_its_chunks() -> None:
    view = view_of(SERVED[2], "blosc")
    plain = array_v3(view)["codecs"]
    sharded = array_v3(replace(view, presentation=replace(view.presentation, inner=(1, 3))))
    metadata = ArrayV3Metadata.from_dict(dict(sharded))
    (codec,) = metadata.codecs
    assert (metadata.shards, metadata.chunks, codec.chunk_shape) == (CHUNK, (1, 3), (1, 3))
    assert codec.to_dict()["configuration"]["index_location"] == "end"
    assert sharded["codecs"][0]["configuration"]["codecs"] == plain


@pytest.mark.parametrize(
    ("fill", "expected"),
    [(np.array(np.nan, "<f4"), np.nan), (np.array(-np.inf, "<f4"), -np.inf), (np.array(7.5, "<f4"), 7.5)],
    ids=str,
)
def test_missing_chunks_read_as_the_fill_value(fill, expected) -> None:
    view = view_of(Served("number", np.dtype("<f4")), fill=fill)
    document = json.dumps(array_v3(view), allow_nan=False).encode()
    array = zarr.open_array(MemoryStore({"zarr.json": cpu.Buffer.from_bytes(document)}), mode="r")
    np.testing.assert_array_equal(array[...], np.full(SHAPE, expected, "f4"))


def test_a_v2_fill_is_written_only_to_be_masked() -> None:
    view = view_of(Served("number", np.dtype("<i2")), fill=np.array(-9, "<i2"))
    assert array_v2(view)["fill_value"] is None
    assert array_v2(replace(view, masked=True))["fill_value"] == -9


@pytest.mark.parametrize("shuffle", ["noshuffle", "shuffle", "bitshuffle"])
@pytest.mark.parametrize("cname", ["blosclz", "lz4", "lz4hc", "zlib", "zstd"])
def test_the_blosc_configuration_is_the_same_in_both_formats(cname, shuffle) -> None:
    view = view_of(SERVED[2])
    view = replace(view, presentation=replace(view.presentation, encoding="blosc", blosc=Blosc(cname, shuffle, 5, 4)))
    codec = ArrayV3Metadata.from_dict(dict(array_v3(view))).codecs[-1]
    old = ArrayV2Metadata.from_dict(dict(array_v2(view))).compressor
    written = codec.to_dict()["configuration"]
    assert (written["cname"], written["shuffle"], written["typesize"]) == (cname, shuffle, 4)
    assert (old.cname, old.shuffle) == (cname, {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[shuffle])


@pytest.mark.parametrize("shape", [(), (0, 3)], ids=str)
def test_scalars_and_empty_arrays_have_documents(shape) -> None:
    view = view_of(SERVED[2])
    chunk = tuple(max(1, n) for n in shape)
    view = replace(
        view, presentation=Presentation(shape, chunk, "raw", Plan.STORED), dimensions=("a", "b")[: len(shape)]
    )
    assert ArrayV3Metadata.from_dict(dict(array_v3(view))).shape == shape
    assert ArrayV2Metadata.from_dict(dict(array_v2(view))).shape == shape


def test_a_consolidated_v3_group_has_its_members() -> None:
    members = {"g": group_v3({"a": 1}, {}), "g/x": array_v3(view_of(SERVED[0]))}
    document = json.loads(json.dumps(group_v3({"title": "t"}, members)))
    metadata = GroupMetadata.from_dict(document)
    assert metadata.attributes == {"title": "t"}
    found = metadata.consolidated_metadata.flattened_metadata
    assert set(found) == {"g", "g/x"}
    assert found["g/x"].shape == SHAPE
    assert "consolidated_metadata" not in group_v3({}, None)


def test_a_consolidated_v2_group_has_its_members() -> None:
    view = view_of(SERVED[0])
    members = {
        ".zgroup": group_v2(),
        ".zattrs": {"title": "t"},
        "x/.zarray": array_v2(view),
        "x/.zattrs": attributes_v2(view),
    }
    files = {".zgroup": group_v2(), ".zattrs": {"title": "t"}, ".zmetadata": consolidated_v2(members)}
    store = MemoryStore({key: cpu.Buffer.from_bytes(json.dumps(doc).encode()) for key, doc in files.items()})
    group = zarr.open_consolidated(store, zarr_format=2)
    assert group["x"].shape == SHAPE
    assert group["x"].attrs["_ARRAY_DIMENSIONS"] == ["y", "x"]


def test_an_enum_says_what_its_numbers_are_called() -> None:
    served = Served("number", np.dtype("i1"), members=(("RED", -1), ("GREEN", 2)))
    assert enum_attribute(served) == {"_nc_enum_members": {"RED": -1, "GREEN": 2}}
    assert enum_attribute(SERVED[0]) == {}
