"""One file with every layout, filter and type that matters, a server over it, and what readers must find there."""

import ctypes
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from chunkserve.metadata.keys import Format
from tests.conftest import Server

GROUP: dict[Format, str] = {3: "zarr", 2: "zarr2"}
"""The face of each format."""

TINY, MIDDLE, BIG = (31, 45), (130, 170), (300, 700)
"""Shapes whose chunks are merged, become shards, and are served one by one."""

CHUNKS = {TINY: (16, 16), MIDDLE: (64, 100), BIG: (200, 400)}

FILTERS: dict[str, dict[str, object]] = {
    "plain": {},
    "gzip": {"compression": "gzip"},
    "shuffle": {"shuffle": True},
    "fletcher": {"fletcher32": True},
    "gzip_shuffle_fletcher": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf", "shuffle": True},
    "scaleoffset": {"scaleoffset": 0},
    "lz4": dict(hdf5plugin.LZ4()),
    "zstd": {**hdf5plugin.Zstd(), "shuffle": True},
    "bitshuffle": dict(hdf5plugin.Bitshuffle(cname="none")),
    "bitshuffle_lz4": dict(hdf5plugin.Bitshuffle(cname="lz4")),
    "bitshuffle_zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
    "blosc_lz4": dict(hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.BITSHUFFLE)),
    "blosc_zlib": dict(hdf5plugin.Blosc(cname="zlib", shuffle=hdf5plugin.Blosc.SHUFFLE)),
    "blosc_snappy": dict(hdf5plugin.Blosc(cname="snappy")),
    "blosc2_zstd": dict(hdf5plugin.Blosc2(cname="zstd", filters=hdf5plugin.Blosc2.SHUFFLE)),
    "blosc2_lz4": dict(hdf5plugin.Blosc2(cname="lz4", filters=hdf5plugin.Blosc2.BITSHUFFLE)),
    "bzip2": dict(hdf5plugin.BZip2()),
    "zfp": dict(hdf5plugin.Zfp(reversible=True)),
}

NUMBERS = ["i1", "u1", "<i2", ">i2", "<u2", ">u4", "<i4", "<i8", ">u8", "<u8", "<f2", "<f4", ">f4", "<f8", ">f8"]

RECORD = np.dtype([("h", "<i2"), ("ok", "u1"), ("value", "<f8"), ("name", "S3")])
NESTED = np.dtype([("id", "<i4"), ("where", [("x", "<f4"), ("y", "<f4")]), ("matrix", "<f8", (2, 3))])


@dataclass(frozen=True)
class Zoo:
    """The file, and the server over its folder."""

    path: Path
    server: str

    def url(self, zarr_format: Format, name: str = "") -> str:
        """Of a node."""
        return f"{self.server}/{GROUP[zarr_format]}/{self.path.name}{'/' + name if name else ''}"

    def values(self, name: str) -> np.ndarray:
        """What h5py reads."""
        with h5py.File(self.path) as file:
            return expected(file[name])


def expected(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset as h5py reads it, objects in the form in which they are served."""
    if dataset.shape is None:
        return np.zeros(0, dataset.dtype)
    if h5py.check_string_dtype(dataset.dtype) and dataset.dtype == object:
        return np.asarray(dataset.asstr()[()], dtype=object)
    if h5py.check_vlen_dtype(dataset.dtype):
        return _each(dataset, lambda row: json.dumps(row.tolist(), separators=(",", ":")))
    if h5py.check_ref_dtype(dataset.dtype) is h5py.Reference:
        return _each(dataset, lambda ref: h5py.h5r.get_name(ref, dataset.id).decode() if ref else "")
    values = np.asarray(dataset[()])
    return values.astype("f8") if values.dtype.itemsize == 16 and values.dtype.kind == "f" else values


def _each(dataset: h5py.Dataset, spell: Callable[[object], str]) -> np.ndarray:
    found = np.asarray(dataset[()], dtype=object)
    out = np.empty(found.shape, object)
    for at in np.ndindex(found.shape):
        out[at] = spell(found[at])
    return out


def assert_same(got: object, want: np.ndarray, where: str = "") -> None:
    """Shapes and all elements are equal; NaN is NaN, text is compared as text, records field by field."""
    got = np.asarray(got)
    assert got.shape == want.shape, where
    if want.dtype == object:
        assert [str(item) for item in got.reshape(-1)] == list(want.reshape(-1)), where
    elif want.dtype.names:
        assert got.dtype.names == want.dtype.names, where
        for name in want.dtype.names:
            assert_same(got[name], want[name], f"{where}/{name}")
    elif want.dtype.kind == "V":
        assert got.tobytes() == want.tobytes(), where
    else:
        assert got.dtype.newbyteorder("=") == want.dtype.newbyteorder("="), where
        np.testing.assert_array_equal(got, want, err_msg=where)


# ------------------------------------------------------------------ the file


def ramp(shape: tuple[int, ...], dtype: str = "<i4") -> np.ndarray:
    """Numbers that compress, and differ from their neighbours."""
    values = np.arange(np.prod(shape), dtype="i8").reshape(shape)
    return (values % 251 + values // 1000).astype(dtype)


def numbers(dtype: np.dtype) -> np.ndarray:
    """700 numbers, extreme ones among them."""
    rng = np.random.default_rng(5)
    if dtype.kind == "c":
        return (rng.random(700) + 1j * rng.random(700)).astype(dtype)
    if dtype.kind == "f":
        return np.concatenate([rng.normal(size=696), [np.nan, np.inf, -np.inf, -0.0]]).astype(dtype)
    info = np.iinfo(dtype)
    return np.concatenate([rng.integers(0, 100, 698), [0, 0]]).astype(dtype) + np.array(
        [0] * 698 + [info.min, info.max], dtype
    )


def write_zoo(folder: Path) -> Path:
    """Write ``zoo.h5`` and the files it draws from."""
    path = folder / "zoo.h5"
    with h5py.File(path, "w", libver=("earliest", "v114")) as file:
        file.attrs["title"] = "zoo"
        file.attrs["limits"] = np.array([np.nan, np.inf, -np.inf, 1.5])
        for shape, size in ((TINY, "tiny"), (MIDDLE, "middle"), (BIG, "big")):
            for name, filters in FILTERS.items():
                even = size == "big" and name.startswith("blosc2")  # then its blocks divide the chunk
                chunks = (256, 512) if even else CHUNKS[shape]
                file.create_dataset(f"{size}/{name}", data=ramp(shape), chunks=chunks, **filters)
        _write_numbers(file.create_group("numbers"))
        _write_layouts(file.create_group("layouts"), folder)
        _write_masks(file.create_group("masks"))
        _write_objects(file.create_group("objects"))
    return path


def _write_numbers(group: h5py.Group) -> None:
    for dtype in NUMBERS:
        name = dtype.replace("<", "le_").replace(">", "be_")
        group.create_dataset(name, data=numbers(np.dtype(dtype)), chunks=(300,), compression="gzip", shuffle=True)
        group.create_dataset(f"{name}_contiguous", data=numbers(np.dtype(dtype)))


def _write_layouts(group: h5py.Group, folder: Path) -> None:
    group["contiguous"] = ramp((700, 600), "<f4")
    group["scalar"] = np.float64(2.5)
    group["one"] = np.array([7], "<i2")
    for name, shape in (("empty_1d", (0,)), ("empty_2d", (3, 0))):
        group.create_dataset(name, shape, "f4")
        group.create_dataset(f"{name}_chunked", shape, "f4", chunks=(2,) * len(shape), maxshape=(None,) * len(shape))
    group.create_dataset("rank5", data=ramp((3, 2, 4, 3, 5)), chunks=(2, 2, 3, 2, 5), compression="gzip")
    group.create_dataset("never_written", (400, 500), "<f4", chunks=(200, 500), fillvalue=-1.5, compression="gzip")
    group.create_dataset("never_written_contiguous", (40, 50), "<i4", fillvalue=9)
    for name, fill in (("sparse", 7), ("sparse_zero", 0), ("sparse_nan", np.nan)):
        sparse = group.create_dataset(
            name, (4, 300, 300), "<f4", chunks=(1, 300, 300), fillvalue=fill, compression="gzip", shuffle=True
        )
        sparse[2] = ramp((300, 300), "<f4")
    growing = group.create_dataset("unlimited", (0, 30), "<i8", chunks=(16, 30), maxshape=(None, None))
    growing.resize((100, 30))
    growing[:90] = ramp((90, 30), "<i8")
    _write_compact(group)
    _write_plain_edges(group)
    raw = folder / "external.raw"
    raw.write_bytes(b"skip" + ramp((50, 60), "<u2").tobytes())
    group.create_dataset("external", (50, 60), "<u2", external=[(str(raw), 4, 6000)])
    _write_virtual(group, folder)


def _write_compact(group: h5py.Group) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((5, 4))
    h5py.Dataset(h5py.h5d.create(group.id, b"compact", h5py.h5t.IEEE_F64BE, space, plist))[...] = ramp((5, 4))


def _write_plain_edges(group: h5py.Group) -> None:
    """H5Pset_chunk_opts is not wrapped by h5py; the library that its module is linked to has it."""
    set_options = ctypes.CDLL(h5py.h5p.__file__).H5Pset_chunk_opts
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(CHUNKS[BIG])
    plist.set_shuffle()
    plist.set_deflate(4)
    assert set_options(ctypes.c_int64(plist.id), ctypes.c_uint(2)) >= 0
    space = h5py.h5s.create_simple(BIG)
    h5py.Dataset(h5py.h5d.create(group.id, b"plain_edges", h5py.h5t.STD_I32LE, space, plist))[...] = ramp(BIG)


def _write_virtual(group: h5py.Group, folder: Path) -> None:
    shape = (4, 200, 300)
    for i in range(2):
        with h5py.File(folder / f"part{i}.h5", "w") as part:
            data = ramp(shape, "<u2") + np.uint16(i)
            part.create_dataset("x", data=data, chunks=(1, 200, 300), compression="gzip", shuffle=True)
    aligned, composed = h5py.VirtualLayout((8, 200, 300), "<u2"), h5py.VirtualLayout((4, 100, 450), "<u2")
    for i in range(2):
        source = h5py.VirtualSource(folder / f"part{i}.h5", "x", shape)
        aligned[4 * i : 4 * i + 4] = source
        composed[:, :, 200 * i : 200 * i + 150] = source[:, ::2, ::2]
    group.create_virtual_dataset("virtual_aligned", aligned)
    group.create_virtual_dataset("virtual_composed", composed, fillvalue=3)


def _write_masks(group: h5py.Group) -> None:
    """Chunks that each went past other filters of their pipeline."""
    shape, chunks = (4, 100, 400), (1, 100, 400)
    data = ramp(shape)
    for name, filters, last in (
        ("gzip_shuffle", {"compression": "gzip", "shuffle": True}, 2),
        ("gzip_fletcher", {"compression": "gzip", "fletcher32": True}, 2),
        ("bitshuffle", dict(hdf5plugin.Bitshuffle(cname="lz4")), 1),
        ("lzf", {"compression": "lzf"}, 1),
    ):
        dataset = group.create_dataset(name, data=data, chunks=chunks, **filters)
        everything = (1 << last) - 1
        dataset.id.write_direct_chunk((1, 0, 0), (data[1] + 1).tobytes(), everything)
        if name == "gzip_shuffle":  # shuffled, not deflated
            shuffled = np.frombuffer((data[2] + 2).tobytes(), "u1").reshape(-1, 4).T.tobytes()
            dataset.id.write_direct_chunk((2, 0, 0), shuffled, 0b10)


def _write_objects(group: h5py.Group) -> None:
    group["bool"] = np.array([True, False, True])
    colours = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype="i2")
    group.create_dataset("enum", data=[0, 42, 1], dtype=colours)
    for dtype in ("c8", "c16"):
        group.create_dataset(dtype, data=numbers(np.dtype(dtype)), chunks=(300,), compression="gzip")
    group["fixed_text"] = np.array([b"abc", b"", b"abcde"], "S5")
    words = ["", "µm", "日本" * 300, "x" * 5000]
    group.create_dataset("text", data=words, dtype=h5py.string_dtype(), chunks=(3,), compression="gzip")
    group.create_dataset("text_scalar", data="a wörd", dtype=h5py.string_dtype())
    table = np.zeros(300, RECORD)
    table["h"], table["value"], table["name"] = np.arange(300), np.linspace(0, 1, 300), b"ab"
    group.create_dataset("records", data=table, chunks=(100,), compression="gzip", shuffle=True)
    group["records_aligned"] = table.astype(np.dtype(RECORD.descr, align=True))
    nested = np.zeros(5, NESTED)
    nested["id"], nested["where"]["y"], nested["matrix"] = np.arange(5), 2.5, np.arange(30).reshape(5, 2, 3)
    group["nested"] = nested
    kind = h5py.h5t.array_create(h5py.h5t.STD_I32LE, (2, 3))
    array = h5py.h5d.create(group.id, b"array_type", kind, h5py.h5s.create_simple((10,)))
    h5py.Dataset(array)[...] = ramp((10, 2, 3))
    when = np.array(["2024-05-01T12:00", "1999-12-31T23:59"], "M8[s]")
    group["datetime"] = when.astype(h5py.opaque_dtype(when.dtype))
    group["opaque"] = np.array([b"abc", b"d\0e"], "V3")
    group["longdouble"] = np.array([1.5, -2.25, np.pi], np.longdouble)
    group["null"] = h5py.Empty("f4")
    rows = group.create_dataset("vlen", (3,), h5py.vlen_dtype("f8"))
    for i, row in enumerate(([1.5, 2.0], [], [3.0])):
        rows[i] = row
    group.create_dataset("references", data=[group["opaque"].ref, h5py.Reference()], dtype=h5py.ref_dtype)


def names_in(path: Path) -> list[str]:
    """Paths of all datasets."""
    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def is_plain(dataset: h5py.Dataset) -> bool:
    """Whether every Zarr reader has the dtype."""
    dtype = dataset.dtype
    return dtype.kind in "iuf" and dtype.itemsize <= 8 and dtype != np.dtype("f2") and dataset.shape is not None


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory, _own_cache: None) -> Iterator[Zoo]:
    """The file behind a server that the whole session uses."""
    folder = tmp_path_factory.mktemp("zoo")
    path = write_zoo(folder)
    server = Server((str(folder),), {"settle": 0, "workers": 1})
    yield Zoo(path, server.url)
    server.stop()


@pytest.fixture(params=[3, 2], ids=["v3", "v2"])
def zarr_format(request: pytest.FixtureRequest) -> Format:
    """Both Zarr formats."""
    return request.param
