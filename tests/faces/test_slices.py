"""Slices over HTTP are what h5py reads, whatever the type and the layout."""

import csv
import http.client
import io
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import msgpack
import numcodecs.blosc
import numpy as np
import pytest
import tifffile

from chunkserve.datatypes import opaque
from tests.conftest import Serve
from tests.faces.conftest import Reply, Site, StartSite, ask, damage
from tests.faces.messages import answers, assembled, type_dims, unpacked

RNG = np.random.default_rng(11)
STACK = RNG.integers(0, 3000, (20, 70, 90)).astype("u2")
TABLE = np.array(
    [(1, 2.5, b"ab", True), (-3, np.nan, b"c", False)], dtype=[("i", ">i4"), ("f", "<f8"), ("s", "S3"), ("b", "?")]
)
TABLE = np.tile(TABLE, 50)


PIPELINES: dict[str, Any] = {
    "plain": {},
    "gzip": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf"},
    "bitshuffle": hdf5plugin.Bitshuffle(cname="lz4"),
    "zstd": hdf5plugin.Zstd(),
    "fletcher": {"fletcher32": True},
    "scaleoffset": {"scaleoffset": 0},
}


def write(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, filters in PIPELINES.items():
            file.create_dataset(f"chunked/{name}", data=STACK, chunks=(3, 32, 40), **filters)
        file.create_dataset("frames", data=STACK, chunks=(1, 70, 90), compression="gzip")
        file.create_dataset("contiguous", data=STACK.astype(">f4"))
        file.create_dataset("wide", data=np.arange(2_000_000, dtype="f8").reshape(1000, 2000))
        file.create_dataset("line", data=np.arange(3_000_000, dtype="i4"), chunks=(10_000,), compression="gzip")
        sparse = file.create_dataset("sparse", (6, 50, 50), ">i2", chunks=(1, 25, 50), fillvalue=-7, compression=1)
        sparse[2] = np.arange(2500).reshape(50, 50)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I32BE, h5py.h5s.create_simple((4, 5)), dcpl=plist)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(20, dtype="i4").reshape(4, 5))
        for dtype in ("bool", "i1", ">u4", "<u8", "f2", ">f8", "c8", ">c16"):
            file[f"types/{dtype.strip('<>')}{'be' * (dtype[0] == '>')}"] = (RNG.random((7, 9)) * 100).astype(dtype)
        file["types/fixed"] = np.array([[b"ab", b"", b"\xff\xfe"], [b"abc", b"d", b"\xc3\xa4"]], "S3")
        file["types/padded"] = np.array(["xy", "z"], h5py.string_dtype("utf-8", 10))
        file["types/text"] = np.array([["a", "bé"], ["", "long" * 50]], h5py.string_dtype())
        file["types/enum"] = np.array([[0, 5], [5, 0]], h5py.enum_dtype({"OFF": 0, "ON": 5}, "i2"))
        ragged = file.create_dataset("types/vlen", (3,), h5py.vlen_dtype("i4"))
        ragged[0], ragged[2] = [1, 2, 3], [-4]
        file.create_dataset("types/array", data=np.arange(48).reshape(4, 12), dtype="i8")
        inner = file.create_dataset("types/subarray", (5,), np.dtype(("<f4", (2, 3))), chunks=(2,))
        inner[...] = np.arange(30, dtype="f4").reshape(5, 2, 3)
        write_arrays_of_arrays(file)
        file.create_dataset("aligned", data=ALIGNED, chunks=(30,))
        labels = np.repeat(np.arange(4), 1200 * 300).reshape(1200, 1200).astype("u2")
        members = {"none": 0, "cell": 1, "wall": 2, "edge": 3}
        file.create_dataset("labels", data=labels, dtype=h5py.enum_dtype(members, "u2"), chunks=(300, 300))
        file["types/opaque"] = np.array([b"\x01\x02", b"\x03\x00"], "V2")
        file["types/time"] = np.array([1, 2**40], "<M8[us]").astype(h5py.opaque_dtype("<M8[us]"))
        references = file.create_dataset("types/reference", (2, 2), h5py.ref_dtype)
        references[0, 0], references[1, 1] = file["frames"].ref, file["types"].ref
        file.create_dataset("table", data=TABLE, chunks=(30,), compression="gzip")
        mixed = file.create_dataset("mixed", (3,), [("n", "<i8"), ("t", h5py.string_dtype()), ("v", "<f4", (2,))])
        mixed[...] = [(1, "one", [1, 2]), (2, "zwé", [3, 4]), (3, "", [5, 6])]
        outer = np.dtype([("p", [("x", "<f4"), ("y", "<u2")]), ("m", "<i2", (2, 2))], align=True)
        file["nested"] = np.frombuffer(RNG.bytes(outer.itemsize * 6), outer)
        file["scalar"] = 3.25
        file["word"] = "a wörd"
        file["null"] = h5py.Empty(">f4")
        file["empty"] = np.zeros((0, 4), "i2")
        layout = h5py.VirtualLayout(
            (3, 20, 70, 90),
            "u2",
        )
        for i, name in enumerate(("chunked/gzip", "frames")):
            layout[i] = h5py.VirtualSource(".", name, STACK.shape)
        file.create_virtual_dataset("virtual", layout, fillvalue=9)
        file["links/soft"] = h5py.SoftLink("/frames")
        file["links/external"] = h5py.ExternalLink("other.h5", "/x")
        file["links/a#b ?"] = np.arange(3)
        file["frames"].dims[0].label = "frame"
    with h5py.File(path.with_name("other.h5"), "w") as file:
        file["x"] = np.arange(12).reshape(3, 4)


ALIGNED = np.frombuffer(RNG.bytes(16 * 3000), np.dtype([("a", "u1"), ("b", "<i8")], align=True))
"""Records with something between their fields."""


def write_arrays_of_arrays(file: h5py.File) -> None:
    """A dataset whose elements are three arrays of two numbers, which h5py cannot create but by hand."""
    inner = h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, (2,))
    space = h5py.h5s.create_simple((4,))
    dataset = h5py.h5d.create(file.id, b"types/arrays", h5py.h5t.array_create(inner, (3,)), space)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(24, dtype="<f4"), dataset.get_type())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("slices")
    write(folder / "run.h5")
    return start_site(folder)


@pytest.fixture(scope="module")
def file(here: Site) -> Any:
    with h5py.File(here.folder / "run.h5") as opened:
        yield opened


def sliced(site: Site, dataset: str, **parameters: str) -> Any:
    query = "&".join(f"{name}={value.replace(' ', '')}" for name, value in parameters.items())
    reply = site.ask(f"/slice/run.h5/{dataset}?{query}")
    assert reply.status == 200, reply.body
    return assembled(unpacked(reply.body))


ALL = [
    "chunked/plain", "chunked/gzip", "chunked/lzf", "chunked/bitshuffle", "chunked/zstd", "chunked/fletcher",
    "chunked/scaleoffset", "frames", "contiguous",
]  # fmt: skip
SELECTIONS = [
    "", "...", "3", "-1", "2:9", "::4,::7,::11", ":,5,7", "1:2,3:4,5:6", "5:5", "...,3:80:6", "7,...,[0,1,44,89]",
    "[0,3,19],10:60:9,2", ":,[5,69],40:41", "0,0,0", "18:99,-3:,:-85", "::19,::69,::89",
]  # fmt: skip


def as_numpy(sel: str) -> tuple[Any, ...]:
    """The same as an index, by Python itself."""
    return eval(f"np.s_[{sel}]") if sel else ()


@pytest.mark.parametrize("dataset", ALL)
@pytest.mark.parametrize("sel", SELECTIONS)
def test_a_slice_is_what_h5py_reads(here: Site, file: h5py.File, dataset: str, sel: str) -> None:
    found = sliced(here, dataset, sel=sel)
    expected = file[dataset][as_numpy(sel)]
    assert found.dtype == file[dataset].dtype
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sel", ["", "0", "1,2:5,::30", ":,3,5,7", "2", "[0,2],...,4"])
def test_virtual_datasets_are_read_through_their_sources(here: Site, file: h5py.File, sel: str) -> None:
    np.testing.assert_array_equal(sliced(here, "virtual", sel=sel), file["virtual"][as_numpy(sel)])


@pytest.mark.parametrize("sel", ["", "1", "...,2", "1:,1:2"])
@pytest.mark.parametrize("dataset", ["sparse", "compact"])
def test_what_is_not_stored_is_filled(here: Site, file: h5py.File, dataset: str, sel: str) -> None:
    found, expected = sliced(here, dataset, sel=sel), file[dataset][as_numpy(sel)]
    assert found.dtype == file[dataset].dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sel", ["", "0", "::2", "-1:", "...,0:1"])
def test_every_number_keeps_its_type_and_byte_order(here: Site, file: h5py.File, sel: str) -> None:
    names = [name for name, d in file["types"].items() if d.dtype.kind in "biufcSV" and d.dtype.subdtype is None]
    assert len(names) > 9
    for name in names:
        found, expected = sliced(here, f"types/{name}", sel=sel), file["types"][name][as_numpy(sel)]
        stored = file["types"][name].dtype
        assert found.dtype == stored, name
        assert found.tobytes() == np.asarray(expected, stored).tobytes(), name


def test_text_and_sequences_come_as_items(here: Site, file: h5py.File) -> None:
    assert sliced(here, "types/text").tolist() == file["types/text"].asstr()[...].tolist()
    assert sliced(here, "types/text", sel="1,0").tolist() == ""
    assert [list(row) for row in sliced(here, "types/vlen")] == [[1, 2, 3], [], [-4]]
    assert sliced(here, "types/reference").tolist() == [["/frames", ""], ["", "/types"]]
    assert sliced(here, "mixed").tolist() == [[1, "one", [1.0, 2.0]], [2, "zwé", [3.0, 4.0]], [3, "", [5.0, 6.0]]]
    assert sliced(here, "word")[()] == "a wörd"


def test_array_types_add_their_dimensions(here: Site, file: h5py.File) -> None:
    reply = unpacked(here.ask("/slice/run.h5/types/subarray?sel=1:4").body)
    assert reply[0]["shape"] == [3]
    assert type_dims(reply[0]["type"]) == (2, 3)
    np.testing.assert_array_equal(assembled(reply), file["types/subarray"][1:4])


def test_arrays_of_arrays_are_arrays_of_more_dimensions(here: Site) -> None:
    expected = np.arange(24, dtype="<f4").reshape(4, 3, 2)
    np.testing.assert_array_equal(sliced(here, "types/arrays"), expected)
    file = here.ask("/slice/run.h5/types/arrays?format=npy&sel=::2").body
    np.testing.assert_array_equal(np.load(io.BytesIO(file)), expected[::2])


@pytest.mark.parametrize("sel", ["", "7", "3:500", "::5", "::700"])
@pytest.mark.parametrize("path", ["/slice/run.h5/aligned?format=npy&sel=", "/h5grove/data?file=run.h5&path=/aligned"])
def test_what_is_between_fields_is_the_files_and_not_of_our_memory(here: Site, path: str, sel: str) -> None:
    if "h5grove" in path:
        path += "&format=bin" + ("&selection=" if sel else "")
    body = here.ask(path + sel).body
    assert body.endswith(opaque(ALIGNED)[as_numpy(sel)].tobytes())


def test_what_is_between_fields_is_kept_in_messages(here: Site) -> None:
    _, *blocks, _ = unpacked(here.ask("/slice/run.h5/aligned?sel=::2").body)
    data = [numcodecs.blosc.decompress(each["data"]) for each in blocks if each["codec"] == "blosc"]
    data += [each["data"] for each in blocks if each["codec"] == "raw"]
    assert b"".join(data) == opaque(ALIGNED)[::2].tobytes()


def test_records_come_whole_or_by_field(here: Site, file: h5py.File) -> None:
    whole = sliced(here, "table", sel="20:70:3")
    assert whole.dtype == file["table"].dtype
    assert whole.tobytes() == file["table"][20:70:3].tobytes()
    np.testing.assert_array_equal(sliced(here, "table", sel="5:9", field="f"), TABLE["f"][5:9])
    both = assembled(unpacked(here.ask("/slice/run.h5/table?field=s&field=i").body))
    assert both.dtype.names == ("s", "i")
    assert both["s"].tolist() == TABLE["s"].tolist()
    assert both["i"].tolist() == TABLE["i"].tolist()
    nested = sliced(here, "nested")
    assert (nested == file["nested"][...]).all()  # what lies between fields is nobody's business
    assert nested.dtype == file["nested"].dtype
    assert sliced(here, "nested", field="m").tobytes() == file["nested"]["m"].tobytes()


def test_fields_of_records_with_text_are_numbers_again(here: Site) -> None:
    assert sliced(here, "mixed", field="n").tolist() == [1, 2, 3]
    assert sliced(here, "mixed", field="t", sel="1").tolist() == "zwé"
    assert sliced(here, "mixed", field="v").tolist() == [[1, 2], [3, 4], [5, 6]]
    numbers = assembled(unpacked(here.ask("/slice/run.h5/mixed?field=v&field=n").body))
    assert numbers["v"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert numbers["n"].tolist() == [1, 2, 3]


def test_scalars_nulls_and_empty_datasets(here: Site) -> None:
    assert sliced(here, "scalar").tolist() == sliced(here, "scalar", sel="...").tolist() == 3.25
    assert sliced(here, "null") is None
    assert sliced(here, "empty").shape == (0, 4)
    assert sliced(here, "empty", sel=":,2").shape == (0,)
    assert here.ask("/slice/run.h5/null?sel=0").status == 400


def test_the_header_says_what_was_picked(here: Site) -> None:
    header = unpacked(here.ask("/slice/run.h5/frames?sel=-1,2:99:4").body)[0]
    assert header["selection"] == [19, [2, 70, 4], [0, 90, 1]]
    assert header["axes"] == [1, 2]
    assert header["shape"] == [17, 90]
    assert header["dims"] == [None, None]
    assert unpacked(here.ask("/slice/run.h5/frames?sel=:,0,[1,2]").body)[0]["dims"] == ["frame", None]
    assert header["version"] == here.ask("/slice/run.h5/frames?sel=0,0").headers["x-chunkserve-version"]


def test_links_are_followed_and_names_are_those_of_hdf5(here: Site) -> None:
    np.testing.assert_array_equal(sliced(here, "links/soft", sel="3"), STACK[3])
    np.testing.assert_array_equal(sliced(here, "links/external"), np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(sliced(here, "links/a%23b%20%3F"), np.arange(3))
    np.testing.assert_array_equal(sliced(here, "links/a~23b%20~3F"), np.arange(3))


def test_large_slices_come_in_blocks(here: Site, file: h5py.File) -> None:
    for dataset, sel in (("wide", ""), ("wide", "::2,::3"), ("line", ""), ("line", "5:2999990"), ("chunked/gzip", "")):
        reply = here.ask(f"/slice/run.h5/{dataset}?sel={sel}")
        messages = unpacked(reply.body)
        assert len(messages) > 3 or dataset == "chunked/gzip"
        np.testing.assert_array_equal(assembled(messages), file[dataset][as_numpy(sel)])


def test_a_level_is_sliced_like_a_dataset(here: Site) -> None:
    whole = sliced(here, "wide", level="1")
    expected = np.arange(2_000_000, dtype="f8").reshape(500, 2, 1000, 2).mean((1, 3))
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(sliced(here, "wide", level="1", sel="3,::9"), expected[3, ::9])
    largest = np.arange(2_000_000, dtype="f8").reshape(500, 2, 1000, 2).max((1, 3))
    np.testing.assert_array_equal(sliced(here, "wide", level="1", method="max"), largest)
    assert here.ask("/slice/run.h5/wide?level=9").status == 404
    labels = unpacked(here.ask("/slice/run.h5/labels?level=1").body)
    assert labels[0]["type"]["members"] == {"none": 0, "cell": 1, "wall": 2, "edge": 3}
    np.testing.assert_array_equal(assembled(labels)[:, 0], np.repeat(np.arange(4), 150))
    assert here.ask("/slice/run.h5/types/text?level=1").status == 501
    assert here.ask("/slice/run.h5/table?level=1&field=i").status == 400


# ------------------------------------------------------------------- questions


def posted(site: Site, question: Any, form: str = "json") -> Reply:
    body = json.dumps(question).encode() if form == "json" else msgpack.packb(question)
    return site.ask("/slice/run.h5/frames", "POST", body, Content_Type=f"application/{form}")


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_several_selections_are_answered_in_order(here: Site, form: str) -> None:
    question = {"selections": ["0:2,:,5", {"sel": "3"}, "", {"sel": "0:3,0:8", "level": 0}, "19,69,89"]}
    reply = posted(here, question, form)
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    found = [assembled(one) for one in answers(unpacked(reply.body))]
    assert len(found) == 5
    np.testing.assert_array_equal(found[0], STACK[0:2, :, 5])
    np.testing.assert_array_equal(found[1], STACK[3])
    np.testing.assert_array_equal(found[2], STACK)
    np.testing.assert_array_equal(found[3], STACK[0:3, 0:8])
    assert found[4].tolist() == STACK[19, 69, 89]


def test_a_thousand_points_are_one_question(here: Site) -> None:
    points = [(int(i) % 20, int(i) % 70, int(i) % 90) for i in RNG.integers(0, 10**6, 1000)]
    reply = posted(here, {"selections": [f"{a},{b},{c}" for a, b, c in points]})
    found = [int(assembled(one)) for one in answers(unpacked(reply.body))]
    assert found == [int(STACK[point]) for point in points]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b'{"selections": []}', 400), (b'{"selections": [5]}', 400), (b'{"wrong": []}', 400),
        (b'{"selections": ["0", "99"]}', 400), (b'{"selections": [{"sel": "0", "colour": "red"}]}', 400),
        (b"[" * 100_000, 400), (b" " * (2**20 + 1), 413),
    ],
)  # fmt: skip
def test_questions_that_make_no_sense_are_refused(here: Site, body: bytes, status: int) -> None:
    reply = here.ask("/slice/run.h5/frames", "POST", body, Content_Type="application/json")
    assert reply.status == status, reply.body
    assert json.loads(reply.body)["status"] == status


def test_only_slices_take_questions_in_a_body(here: Site) -> None:
    assert "POST" in here.ask("/slice/run.h5/frames", "OPTIONS").headers["access-control-allow-methods"]
    for face in ("meta", "reduce", "zarr", "stats"):
        reply = here.ask(f"/{face}/run.h5/frames", "POST", b"{}")
        assert reply.status == 405
        assert "POST" not in reply.headers["allow"]
    assert here.ask("/slice/run.h5/frames", "PUT", b"{}").status == 405
    assert here.ask("/slice/run.h5/frames?format=csv", "POST", b'{"selections": ["0"]}').status == 400


# --------------------------------------------------------------------- formats


def test_npy_is_the_array_as_the_file_has_it(here: Site, file: h5py.File) -> None:
    names = ("frames", "contiguous", "wide", "line", "table", "nested", "types/subarray", "scalar", "empty", "virtual")
    for name in names:
        reply = here.ask(f"/slice/run.h5/{name}?format=npy")
        found = np.load(io.BytesIO(reply.body))
        stored = np.asarray(file[name][()])
        assert (found == stored).all() if name == "nested" else found.tobytes() == stored.tobytes(), name
        assert found.shape == np.shape(file[name][()])
        assert found.dtype.itemsize == np.asarray(file[name][()]).dtype.itemsize
    picked = np.load(io.BytesIO(here.ask("/slice/run.h5/wide?format=npy&sel=::3,[5,900]").body))
    np.testing.assert_array_equal(picked, file["wide"][::3, [5, 900]])


def test_csv_has_lines_and_columns(here: Site, file: h5py.File) -> None:
    def rows(query: str) -> list[list[str]]:
        reply = here.ask(f"/slice/run.h5/{query}&format=csv")
        assert reply.status == 200, reply.body
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        return list(csv.reader(io.StringIO(reply.body.decode())))

    assert np.array_equal(np.array(rows("frames?sel=3"), "u2"), STACK[3])
    contiguous = np.array(rows("contiguous?sel=3,0:5"), "f4")
    assert np.array_equal(contiguous, file["contiguous"][3, 0:5])
    table = rows("table?sel=0:2")
    assert table == [["i", "f", "s", "b"], ["1", "2.5", "ab", "True"], ["-3", "nan", "c", "False"]]
    assert rows("types/text?sel=0") == [["a"], ["bé"]]
    assert rows("scalar?sel=") == [["3.25"]]
    assert here.ask("/slice/run.h5/frames?format=csv").status == 400


def test_json_is_nested_lists(here: Site, file: h5py.File) -> None:
    def loaded(query: str) -> Any:
        return json.loads(here.ask(f"/slice/run.h5/{query}&format=json").body)

    assert loaded("frames?sel=2,0:3") == STACK[2, 0:3].tolist()
    assert loaded("table?sel=1") == {"i": -3, "f": "NaN", "s": "c", "b": False}
    assert loaded("types/text?sel=") == [["a", "bé"], ["", "long" * 50]]
    assert loaded("mixed?sel=1:2") == [{"n": 2, "t": "zwé", "v": [3.0, 4.0]}]
    assert loaded("scalar?sel=") == 3.25


def test_tiff_has_a_page_for_every_frame(here: Site, file: h5py.File) -> None:
    for query, expected in (
        ("frames?sel=", STACK),
        ("frames?sel=4", STACK[4]),
        ("contiguous?sel=0:3", file["contiguous"][0:3]),
        ("frames?sel=:,:,0:3", STACK[:, :, 0:3]),  # three columns are no colours
        ("types/f2?sel=", file["types/f2"][...]),
        ("types/bool?sel=", file["types/bool"][...].astype("u1")),
    ):
        reply = here.ask(f"/slice/run.h5/{query}&format=tiff")
        assert reply.status == 200, reply.body
        with tifffile.TiffFile(io.BytesIO(reply.body)) as tiff:
            found = tiff.asarray()
            assert len(tiff.pages) == (len(expected) if expected.ndim == 3 else 1)
        np.testing.assert_array_equal(found, expected)
    assert here.ask("/slice/run.h5/line?format=tiff").status == 400
    assert here.ask("/slice/run.h5/types/text?format=tiff").status == 400


def test_a_download_has_a_name(here: Site) -> None:
    reply = here.ask("/slice/run.h5/links/a%23b%20%3F?format=npy&download=1")
    assert reply.headers["content-disposition"].startswith('attachment; filename="run_links_a_b__.npy"')
    assert "filename*=UTF-8''run_links_a%23b%20%3F.npy" in reply.headers["content-disposition"]
    assert "content-disposition" not in here.ask("/slice/run.h5/frames?sel=0").headers


def test_objects_have_no_npy_form(here: Site) -> None:
    reply = here.ask("/slice/run.h5/types/text?format=npy")
    assert reply.status == 400
    assert b"ask for json or msgpack" in reply.body


# -------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("frames?sel=20", 400), ("frames?sel=0,0,0,0", 400), ("frames?sel=::-1", 400), ("frames?sel=x", 400),
        ("frames?format=xls", 400), ("frames?level=-1", 400), ("frames?level=one", 400), ("frames?colour=red", 400),
        ("frames?field=a", 400), ("table?field=nope", 400), ("nothing", 404), ("links", 404), ("", 404),
        ("frames?sel=0&v=123", 410),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused(here: Site, query: str, status: int) -> None:
    reply = here.ask(f"/slice/run.h5/{query}")
    assert reply.status == status, reply.body
    assert reply.headers["access-control-allow-origin"] == "*"
    assert json.loads(reply.body)["status"] == status


def test_too_large_slices_are_refused_with_advice(
    tmp_path_factory: pytest.TempPathFactory, start_site: StartSite
) -> None:
    folder = tmp_path_factory.mktemp("limits")
    write(folder / "run.h5")
    site = start_site(folder, max_slice="100KiB")
    for query in ("frames", "frames?format=npy", "frames?sel=0:9"):
        reply = site.ask(f"/slice/run.h5/{query}")
        assert reply.status == 413
        assert b"max_slice" in reply.body
        assert b"ask for less" in reply.body
    assert site.ask("/slice/run.h5/frames?sel=0:8").status == 200
    many = json.dumps({"selections": ["0:5", "5:10"]}).encode()
    assert site.ask("/slice/run.h5/frames", "POST", many, Content_Type="application/json").status == 413


def test_text_is_limited_more_than_numbers(here: Site) -> None:
    reply = here.ask("/slice/run.h5/line?format=csv")
    assert reply.status == 413
    assert b"format=npy" in reply.body


# --------------------------------------------------------------------- caching


@pytest.mark.parametrize("query", ["frames?sel=3", "wide", "frames?sel=0:2&format=npy", "wide?format=npy"])
def test_what_the_client_has_is_not_sent_again(here: Site, query: str) -> None:
    first = here.ask(f"/slice/run.h5/{query}")
    again = here.ask(f"/slice/run.h5/{query}", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = here.ask("/slice/run.h5/frames?sel=4", If_None_Match=first.headers["etag"])
    assert other.status == 200
    assert other.headers["etag"] != first.headers["etag"]


def test_pinned_slices_are_kept_and_gone_when_the_file_changes(tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = np.arange(10)
    site = start_site(tmp_path)
    version = site.ask("/slice/run.h5/x").headers["x-chunkserve-version"]
    pinned = site.ask(f"/slice;v={version}/run.h5/x?sel=2:4")
    assert assembled(unpacked(pinned.body)).tolist() == [2, 3]
    assert "immutable" in pinned.headers["cache-control"]
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["x"] = np.arange(10) * 10
    os.replace(tmp_path / "new.h5", tmp_path / "run.h5")
    assert site.ask(f"/slice;v={version}/run.h5/x?sel=2:4").status == 410
    assert assembled(unpacked(site.ask("/slice/run.h5/x?sel=2:4").body)).tolist() == [20, 30]


def test_a_file_that_is_written_is_not_kept(tmp_path: Path, start_site: StartSite) -> None:
    site = start_site(tmp_path, settle=1000)
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = np.arange(10)
    time.sleep(0.6)
    reply = site.ask("/slice/run.h5/x?sel=1:3")
    assert assembled(unpacked(reply.body)).tolist() == [1, 2]
    assert reply.headers["cache-control"] == "no-store"
    assert unpacked(reply.body)[0]["version"] == ""


def test_head_costs_nothing_and_says_the_same(here: Site) -> None:
    for query in ("frames?sel=3", "wide"):
        head, got = here.ask(f"/slice/run.h5/{query}", "HEAD"), here.ask(f"/slice/run.h5/{query}")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["etag"] == got.headers["etag"]
        assert head.headers["content-type"] == got.headers["content-type"] == "application/msgpack"


# -------------------------------------------------------------------- mishaps


def write_damaged(path: Path) -> None:
    data = RNG.integers(0, 2**16, (100, 512, 512)).astype("u2")
    with h5py.File(path, "w") as file:
        file.create_dataset("late", data=data, chunks=(1, 512, 512), fletcher32=True)
        file.create_dataset("early", data=data[:8], chunks=(1, 512, 512), fletcher32=True)
    damage(path, "late", 90, 100)
    damage(path, "early", 0, 100)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("damaged")
    write_damaged(folder / "run.h5")
    return start_site(folder)


def test_damage_that_is_met_first_is_an_error(damaged: Site) -> None:
    for query in ("early", "early?sel=0,0", "early?format=npy"):
        reply = damaged.ask(f"/slice/run.h5/{query}")
        assert reply.status == 502
        assert b"chunk (0, 0, 0)" in reply.body


def test_damage_that_is_met_late_takes_the_place_of_the_end(damaged: Site) -> None:
    reply = damaged.ask("/slice/run.h5/late")
    assert reply.status == 200
    *_, last = unpacked(reply.body)
    assert last["error"]["status"] == 502
    assert "chunk (90, 0, 0)" in last["error"]["detail"]
    assert damaged.ask("/slice/run.h5/late?sel=0:90").status == 200


def test_a_numpy_file_that_cannot_be_completed_is_cut_off(damaged: Site) -> None:
    with pytest.raises(http.client.IncompleteRead):
        damaged.ask("/slice/run.h5/late?format=npy")


def computations(site: Site) -> float:
    """Processor time of the server so far, in seconds."""
    fields = Path(f"/proc/{site.pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{site.pid}/task/{site.pid}/children").read_text().split()
    return own + sum(
        sum(map(int, Path(f"/proc/{c}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        for c in children
    )


@pytest.mark.parametrize("path", ["/slice/run.h5/long", "/reduce/run.h5/long?op=std"])
def test_nothing_is_done_for_a_client_that_left(path: str, tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        data = file.create_dataset("long", (600, 1024, 1024), "u2", chunks=(1, 1024, 1024), compression=1)
        stored = None
        for i in range(600):
            if stored is None:
                data[0] = RNG.integers(0, 200, (1024, 1024))
                stored = data.id.read_direct_chunk((0, 0, 0))[1]
            else:
                data.id.write_direct_chunk((i, 0, 0), stored)
    site = start_site(tmp_path)
    with socket.create_connection(site.address) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.5)
    deadline = time.monotonic() + 30
    before, now = -1.0, computations(site)
    while now - before > 0.02:  # what is under way is finished
        assert time.monotonic() < deadline
        time.sleep(0.3)
        before, now = now, computations(site)
    with socket.create_connection(site.address) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200" in sock.recv(100)


def test_a_slow_client_holds_the_work_up(tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.create_dataset("long", (400, 1024, 1024), "u1", chunks=(1, 1024, 1024))[...] = 1
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        for i in range(0, 400, 50):
            file["long"][i] = RNG.integers(0, 256, (1024, 1024))
    site = start_site(tmp_path)

    def memory() -> int:
        status = Path(f"/proc/{site.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    site.ask("/slice/run.h5/long?sel=0:8")
    before = memory()
    with socket.create_connection(site.address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /slice/run.h5/long?format=npy HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(1000)
        time.sleep(1.5)
        assert memory() - before < 250 * 2**20  # of 400


# ------------------------------------------------------------------ NeXus files


def test_a_selection_is_saved_as_a_nexus_file(tmp_path: Path, serve: Serve) -> None:
    stack = np.arange(3 * 8 * 10, dtype="i4").reshape(3, 8, 10)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        scan = file.create_group("scan")
        scan.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["angle", "y", "x"]})
        scan["data"] = stack
        scan["data"].attrs["units"] = "V"
        scan["angle"], scan["y"], scan["x"] = [0.0, 1.5, 3], np.arange(8) * 2.0, np.arange(11) * 0.5
        scan["x"].attrs["units"] = "mm"
        file["text"] = ["a", "bé"]
        file["lists"] = np.array([np.array([1, 2]), np.array([3])], object).astype(h5py.vlen_dtype("i4"))
        file["record"] = np.array([(1, 2.5)], [("n", "i4"), ("x", "f8")])
    url = serve(tmp_path)
    reply = ask(f"{url}/slice/a.h5/scan/data?sel=1,2:8:2,3:6&format=h5&download=1")
    assert reply.status == 200, reply.body
    assert 'filename="a_scan_data.h5"' in reply.headers["content-disposition"]
    with h5py.File(io.BytesIO(reply.body)) as file:
        data = file["entry/data"]
        np.testing.assert_array_equal(data["data"][...], stack[1, 2:8:2, 3:6])
        assert data["data"].dtype == "i4"
        assert list(data.attrs["axes"]) == ["y", "x"]
        np.testing.assert_array_equal(data["y"][...], [4, 8, 12])
        np.testing.assert_array_equal(data["x"][...], [1.5, 2, 2.5, 3])  # edges
        assert (data["data"].attrs["units"], data["x"].attrs["units"]) == ("V", "mm")
    with h5py.File(io.BytesIO(ask(f"{url}/slice/a.h5/text?format=h5").body)) as file:
        assert file["entry/data/text"].asstr()[...].tolist() == ["a", "bé"]
    with h5py.File(io.BytesIO(ask(f"{url}/slice/a.h5/record?format=h5").body)) as file:
        assert file["entry/data/record"][0].tolist() == (1, 2.5)
    assert ask(f"{url}/slice/a.h5/lists?format=h5").status == 400
