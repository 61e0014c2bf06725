"""One file with every layout, filter and type that matters."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

FILTERS: dict[str, dict[str, object]] = {
    "plain": {},
    "gzip": {"compression": "gzip"},
    "shuffle": {"shuffle": True},
    "fletcher": {"fletcher32": True},
    "gzip_shuffle": {"compression": "gzip", "shuffle": True},
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
}

TINY, MIDDLE, BIG = (31, 45), (130, 170), (300, 700)
"""Shapes whose chunks are merged, become shards, and are served one by one."""

CHUNKS = {TINY: (16, 16), MIDDLE: (64, 100), BIG: (200, 400)}

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
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "<c8",
    ">c16",
]

RECORD = np.dtype([("h", "<i2"), ("ok", "u1"), ("value", "<f8"), ("name", "S3")])
NESTED = np.dtype([("id", "<i4"), ("where", [("x", "<f4"), ("y", ">f4")]), ("matrix", "<f8", (2, 3))])
PADDED = np.dtype({"names": ["a", "b"], "formats": ["<i2", ">f8"], "offsets": [4, 16], "itemsize": 40})


def write(path: Path) -> None:
    """Write it."""
    rng = np.random.default_rng(7)
    with h5py.File(path, "w") as file:
        for name, options in FILTERS.items():
            for size, shape in {"tiny": TINY, "middle": MIDDLE, "big": BIG}.items():
                values = np.cumsum(rng.integers(-3, 4, shape), axis=1).astype("<i4")
                file.create_dataset(f"filters/{name}/{size}", data=values, chunks=CHUNKS[shape], **options)
        for name in NUMBERS:
            values = rng.integers(0, 100, (20, 30)).astype(name)
            file[f"numbers/contiguous/{_plain(name)}"] = values
            file.create_dataset(
                f"numbers/chunked/{_plain(name)}", data=values, chunks=(7, 30), compression="gzip", shuffle=True
            )
        _layouts(file, rng)
        _types(file, rng)
        _tree(file)


def _plain(name: str) -> str:
    return name.replace("<", "le").replace(">", "be")


def _layouts(file: h5py.File, rng: np.random.Generator) -> None:
    group = file.create_group("layouts")
    group["scalar"] = 5.5
    group["empty"] = h5py.Empty("f4")
    group["none"] = np.zeros((0, 4), "i2")
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((10,))
    h5py.h5d.create(group.id, b"compact", h5py.h5t.STD_I32LE, space, compact)
    group["compact"][...] = np.arange(10)
    group["contiguous"] = rng.integers(0, 9, (500, 700)).astype("<u4")
    sparse = group.create_dataset("sparse", (900, 900), "<f4", chunks=(300, 300), fillvalue=-1.5, compression="gzip")
    sparse[300:400, 300:400] = 3
    growing = group.create_dataset("growing", (100, 30), ">i4", maxshape=(None, 30), chunks=(64, 30), fillvalue=7)
    growing[:50] = 1
    layout = h5py.VirtualLayout((600, 700), "<i4")
    for i in range(2):
        layout[i * 300 : (i + 1) * 300] = h5py.VirtualSource(".", "filters/gzip/big", (300, 700))
    group.create_virtual_dataset("virtual", layout)


def _types(file: h5py.File, rng: np.random.Generator) -> None:
    group = file.create_group("types")
    group["bool"] = rng.integers(0, 2, (30, 5)).astype(bool)
    colours = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype=">i2")
    group.create_dataset("enum", data=rng.choice([0, 1, 42], (9, 4)).astype(">i2"), dtype=colours)
    group["fixed"] = np.array([b"a", b"", b"abcde"], "S5")
    group.create_dataset("fixed_utf8", data=["ä".encode(), b"b"], dtype=h5py.string_dtype("utf-8", 6))
    group.create_dataset("text", data=["some", "tëxt", "", "x" * 500], dtype=h5py.string_dtype())
    group.create_dataset("ascii", data=[b"one", b"two"], dtype=h5py.string_dtype("ascii"))
    group["text_scalar"] = "alone"
    group.create_dataset("text_matrix", data=np.array([["a", "b"], ["c", "d"]], object), dtype=h5py.string_dtype())
    record = np.zeros(40, RECORD)
    record["h"], record["value"], record["name"] = np.arange(40), rng.random(40), b"ab"
    group["record"] = record
    group.create_dataset("record_chunked", data=record, chunks=(16,), compression="gzip", shuffle=True)
    nested = np.zeros((3, 2), NESTED)
    nested["id"], nested["where"]["y"], nested["matrix"] = 4, 2.5, rng.random((2, 3))
    group["nested"] = nested
    padded = np.zeros(6, PADDED)
    padded["a"], padded["b"] = np.arange(6), rng.random(6)
    group["padded"] = padded
    group.create_dataset("array", (4,), np.dtype(("<f8", (2, 3))))[...] = rng.random((4, 2, 3))
    ragged = group.create_dataset("ragged", (3,), h5py.vlen_dtype("<i4"))
    ragged[0], ragged[2] = [1, 2, 3], [7]
    with_text = np.dtype([("id", "<i4"), ("label", h5py.string_dtype())])
    group["record_text"] = np.array([(1, "one"), (2, "zwei")], with_text)
    group["opaque"] = np.frombuffer(rng.bytes(40), "V8")
    group["moment"] = np.array([0, 10**9], "<M8[ns]").astype(h5py.opaque_dtype("<M8[ns]"))
    group.create_dataset("references", data=[group.ref, file["layouts/scalar"].ref], dtype=h5py.ref_dtype)


def _tree(file: h5py.File) -> None:
    group = file.create_group("tree")
    group.attrs.update(
        {
            "text": "tëxt", "bytes": np.bytes_(b"raw"), "number": np.float32(1.5), "vector": np.arange(3, dtype=">i2"),
            "one": np.array([4]), "names": ["a", "bc"], "empty": h5py.Empty("i4"), "flag": True,
        }
    )  # fmt: skip
    group.attrs["where"] = file["layouts/scalar"].ref
    group["again"] = file["layouts/contiguous"]
    group["soft"] = h5py.SoftLink("/layouts/scalar")
    group["dangling"] = h5py.SoftLink("/nowhere")
    group["loop"] = h5py.SoftLink("/tree")
    group["deep/er/x"] = 1
    group["odd name?#%~"] = np.arange(3)
    group["type"] = np.dtype("<f4")
