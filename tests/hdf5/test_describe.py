"""A dataset's header, as h5py and the one who wrote it know it."""

import ctypes
import struct
from dataclasses import replace
from pathlib import Path

import blosc2
import h5py
import hdf5plugin
import numpy as np
import pytest

from chunkserve.hdf5.types import describe_type
from chunkserve.model import Dataset, ExternalSegment, Mapping, Selection, Snapshot


@pytest.fixture
def header(tmp_path: Path, scan_file):
    """Let a function write a dataset ``x``; its description, and h5py's view of it."""
    opened: list[h5py.File] = []

    def describe(write, **how: object) -> tuple[Dataset, h5py.Dataset]:
        path = tmp_path / f"{len(opened)}.h5"
        with h5py.File(path, "w", **how) as file:
            write(file)
        found: Snapshot = scan_file(path)
        assert not found.broken
        (dataset,) = found.datasets.values()
        opened.append(h5py.File(path))
        return dataset, opened[-1]["x"]

    yield describe
    for file in opened:
        file.close()


FILTERS = {
    "none": {},
    "gzip": {"compression": 6, "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "szip": {"compression": "szip"},
    "scaleoffset": {"scaleoffset": 3},
    "zstd": dict(hdf5plugin.Zstd(clevel=7)),
    "bitshuffle": dict(hdf5plugin.Bitshuffle(nelems=256, cname="zstd")),
    "blosc": dict(hdf5plugin.Blosc(cname="lz4hc", shuffle=2)),
}


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("maxshape", [(7, 9), (None, 9), (70, None)], ids=str)
def test_a_chunked_dataset(header, filters, libver, maxshape) -> None:
    def write(file: h5py.File) -> None:
        file.create_dataset("x", (7, 9), "<i4", chunks=(4, 5), maxshape=maxshape, **filters)

    mine, theirs = header(write, libver=libver)
    plist = theirs.id.get_create_plist()
    assert (mine.layout, mine.shape, mine.maxshape, mine.chunks) == ("chunked", (7, 9), maxshape, theirs.chunks)
    assert [(f.id, f.flags, f.values) for f in mine.filters] == [
        plist.get_filter(i)[:3] for i in range(plist.get_nfilters())
    ]
    assert all(f.name for f in mine.filters)
    assert mine.type == describe_type(theirs.id.get_type())


def test_contiguous_data_have_a_place_once_they_are_written(header) -> None:
    written, h5 = header(lambda file: file.create_dataset("x", data=np.arange(6.0).reshape(2, 3)), userblock_size=512)
    assert (written.layout, written.offset, written.stored) == ("contiguous", h5.id.get_offset(), 48)
    raw = Path(h5.file.filename).read_bytes()
    assert struct.unpack_from("<6d", raw, written.offset) == (0, 1, 2, 3, 4, 5)
    virgin, _ = header(lambda file: file.create_dataset("x", (2, 3), "f4"))
    assert (virgin.layout, virgin.offset, virgin.stored) == ("contiguous", None, 0)


def test_compact_scalar_null_and_empty_datasets(header) -> None:
    def compact(file: h5py.File) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((5,)), plist)

    mine, _ = header(compact)
    assert (mine.layout, mine.shape, mine.stored) == ("compact", (5,), 5)
    assert header(lambda file: file.create_dataset("x", data=1.5))[0].shape == ()
    assert header(lambda file: file.create_dataset("x", data=h5py.Empty("f4")))[0].shape is None
    assert header(lambda file: file.create_dataset("x", (0, 3), "f4", chunks=(2, 2), maxshape=(None, 3)))[0].shape == (
        0,
        3,
    )


@pytest.mark.parametrize("dtype", ["<f4", ">i2", "?", "S3", "<c8", [("a", ">i4"), ("b", "<f8")]], ids=str)
@pytest.mark.parametrize("time", ["alloc", "never", "ifset"])
def test_the_fill_value(header, dtype, time) -> None:
    value = np.ones((), dtype) if np.dtype(dtype).kind != "S" else np.array("ab", dtype)
    mine, theirs = header(lambda file: file.create_dataset("x", (2,), dtype, fillvalue=value[()], fill_time=time))
    assert mine.fill.user_defined
    assert mine.fill.time == time
    assert mine.fill.value == np.asarray(theirs.fillvalue, theirs.dtype).tobytes() == value.tobytes()


def test_no_fill_value_is_zero(header) -> None:
    mine, _ = header(lambda file: file.create_dataset("x", (2,), "<f4"))
    assert (mine.fill.value, mine.fill.user_defined) == (None, False)


def test_external_storage(header) -> None:
    segments = [("one.raw", 4, 16), ("zwö.raw", 0, h5py.h5f.UNLIMITED)]
    mine, _ = header(lambda file: file.create_dataset("x", (8,), "<f4", maxshape=(None,), external=segments))
    assert mine.layout == "external"
    assert mine.external == (ExternalSegment(b"one.raw", 4, 16), ExternalSegment("zwö.raw".encode(), 0, None))


def test_names_of_external_files_need_not_be_utf8(header) -> None:
    mine, _ = header(lambda file: file.create_dataset("x", (8,), "u1", external=[(b"t\xffo.raw", 0, 8)]))
    assert len(mine.external) == 1


def test_partial_edge_chunks_without_filters(header) -> None:
    def write(file: h5py.File, options: int) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_deflate(1)
        _chunk_opts(plist, options)
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((5,)), plist)

    for options in (0, 2):
        mine, _ = header(lambda file, options=options: write(file, options), libver="latest")
        assert mine.plain_edges is bool(options)


def _chunk_opts(plist: h5py.h5p.PropDCID, options: int) -> None:
    """H5Pset_chunk_opts, which h5py does not wrap, of the libhdf5 that h5py is linked to."""
    library = ctypes.CDLL(h5py.h5p.__file__)
    assert library.H5Pset_chunk_opts(ctypes.c_int64(plist.id), ctypes.c_uint(options)) >= 0


@pytest.mark.parametrize("blocks", [(4, 8), (8, 8), None])
def test_the_block_shape_of_blosc2_chunks(header, blocks) -> None:
    data = np.arange(256, dtype="<u2").reshape(16, 16)

    def write(file: h5py.File) -> None:
        dataset = file.create_dataset("x", data.shape, data.dtype, chunks=(16, 16), **hdf5plugin.Blosc2())
        if blocks is None:
            return
        array = blosc2.asarray(data, chunks=(16, 16), blocks=blocks)
        dataset.id.write_direct_chunk((0, 0), array.to_cframe())

    mine, theirs = header(write)
    assert mine.blocks == (blocks or ())
    if blocks:
        assert (theirs[...] == data).all()


def virtual(layout: h5py.VirtualLayout):
    return lambda file: file.create_virtual_dataset("x", layout)


def test_the_mappings_of_a_virtual_dataset(header) -> None:
    layout = h5py.VirtualLayout((4, 10), "u2")
    layout[0] = h5py.VirtualSource("a.h5", "/d", (10,))
    layout[1:4:2, 2:6] = h5py.VirtualSource(".", "é", (20, 8))[3:5, ::2]
    mine, theirs = header(virtual(layout))
    assert (mine.layout, mine.shape) == ("virtual", (4, 10))
    assert tuple(replace(m, source_extent=()) for m in mine.mappings) == (
        Mapping("a.h5", "/d", Selection((0, 0), (1, 1), (1, 1), (1, 10)), Selection(), ()),
        Mapping(
            ".",
            "é",
            Selection((1, 2), (2, 1), (2, 1), (1, 4)),
            Selection((3, 0), (1, 2), (1, 4), (2, 1)),
            (),
        ),
    )
    assert [(m.file, m.dataset) for m in mine.mappings] == [
        (s.file_name, s.dset_name) for s in theirs.virtual_sources()
    ]


def test_an_unlimited_mapping_has_no_count(header) -> None:
    layout = h5py.VirtualLayout((3, 4), "u2", maxshape=(None, 4))
    source = h5py.VirtualSource("a.h5", "d", (3, 4), maxshape=(None, 4))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    mine, _ = header(virtual(layout))
    (mapping,) = mine.mappings
    assert None in (mapping.target.count[0], mapping.target.block[0])
    assert mine.maxshape == (None, 4)
    assert mine.shape[1] == 4


def test_an_irregular_selection_is_a_list_of_boxes(header) -> None:
    def write(file: h5py.File) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.VIRTUAL)
        space = h5py.h5s.create_simple((10,))
        target = space.copy()
        target.select_hyperslab((6,), (1,), block=(3,))
        target.select_hyperslab((1,), (1,), block=(2,), op=h5py.h5s.SELECT_OR)
        plist.set_virtual(target, b"a.h5", b"d", h5py.h5s.create_simple((5,)))
        h5py.h5d.create(file.id, b"x", h5py.h5t.STD_U8LE, space, plist)

    mine, _ = header(write)
    assert mine.mappings[0].target == Selection(boxes=(((1,), (3,)), ((6,), (9,))))
