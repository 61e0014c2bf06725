"""Files with all that h5grove tells about: every class of type, layout, link and attribute."""

from pathlib import Path

import h5py
import numpy as np

from tests.conformance.conftest import write_zoo


def write_types(path: Path) -> None:
    """Every class of type, as scalar and array, little- and big-endian; attributes of each."""
    with h5py.File(path, "w") as file:
        _write_numbers(file.create_group("numbers"))
        _write_texts(file.create_group("texts"))
        _write_records(file.create_group("records"))
        _write_others(file.create_group("others"))
        _write_attributes(file.create_group("attributes"))
        file["named_type"] = np.dtype("<f8")
        file["named_type"].attrs["why"] = "committed"
        file["named_record"] = np.dtype([("x", "<f4"), ("when", "<i8")])


def _write_numbers(group: h5py.Group) -> None:
    for dtype in ("i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", ">u8", "<f2", "<f4", ">f4", "<f8", ">f8"):
        name = dtype.replace("<", "le_").replace(">", "be_")
        group[name] = np.arange(12).reshape(3, 4).astype(dtype)
        group[f"{name}_scalar"] = np.array(7).astype(dtype)[()]
    group["thirds"] = (np.arange(20) / 3).astype("<f4")
    group["odd"] = np.array([np.nan, np.inf, -np.inf, -0.0, 1.5, 1e300, -1e-300])
    group["nan"] = np.float64("nan")
    group["big"] = np.array([2**63, 2**64 - 1, 0], "<u8")
    group["long"] = np.array([1 / 3, 2], np.longdouble)
    group["bool"] = np.array([[True, False], [False, False]])
    group["bool_scalar"] = np.True_
    for dtype in ("<c8", ">c16"):
        group[f"complex{dtype[-1]}"] = (np.arange(6) / 3 + 1j * np.arange(6)).reshape(2, 3).astype(dtype)
    group["complex_nan"] = np.array([complex(np.nan, 1), 2j])
    group["complex_scalar"] = np.complex128(1.5 - 2j)
    colours = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 42}, basetype="<i2")
    group.create_dataset("enum", data=[[0, 42], [1, 1]], dtype=colours)
    group.create_dataset("array", (4,), np.dtype(("<i8", (2, 3))))[...] = np.arange(24).reshape(4, 2, 3)
    group.create_dataset("empty", data=h5py.Empty("<f4"))
    group.create_dataset("none", (0, 3), "<f4")
    bits = h5py.h5d.create(group.id, b"bits", h5py.h5t.STD_B8LE, h5py.h5s.create_simple((3,)))
    bits.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, 255], "u1"), mtype=h5py.h5t.STD_B8LE)
    large = np.add.outer(np.arange(900), np.arange(1300)).astype("<u2")
    group.create_dataset("large", data=large, chunks=(100, 333), compression="gzip", shuffle=True)
    group.create_dataset("steps", data=large[:60, :80].reshape(3, 20, 80), chunks=(1, 7, 9))


def _write_texts(group: h5py.Group) -> None:
    group["scalar"] = "a wörd"
    group["fixed"] = np.array([b"abc", b"", b"abcde"], "S5")
    group["fixed_scalar"] = np.bytes_(b"one")
    words = [["", "µm"], ["日本", "x" * 300]]
    group.create_dataset("variable", data=words, dtype=h5py.string_dtype())
    group.create_dataset("ascii", data=["a", "b"], dtype=h5py.string_dtype("ascii"))
    group.create_dataset("padded", data=np.array([b"ab", b"c"]), dtype=_spaced(6))
    group.create_dataset("empty", data=h5py.Empty(h5py.string_dtype()))
    group["latin1"] = np.array(["mètre".encode("latin-1")], "S5")


def _spaced(size: int) -> h5py.Datatype:
    found = h5py.h5t.C_S1.copy()
    found.set_size(size)
    found.set_strpad(h5py.h5t.STR_SPACEPAD)
    return h5py.Datatype(found)


def _write_records(group: h5py.Group) -> None:
    dogs = np.array([(b"Rex", 9, 81.0, True), (b"Fido", 3, np.nan, False)],
                    [("name", "S10"), ("age", "<i4"), ("weight", "<f4"), ("good", "?")])  # fmt: skip
    group["dogs"] = dogs
    group["dog"] = dogs[0]
    inner = np.dtype([("x", "<f4"), ("c", "<c8")])
    nested = np.zeros(3, [("id", ">i2"), ("where", inner), ("matrix", "<f8", (2, 2))])
    nested["where"]["x"], nested["matrix"] = 1 / 3, np.arange(4).reshape(2, 2)
    group["nested"] = nested
    aligned = np.dtype([("a", "u1"), ("b", "<f8")], align=True)
    group["aligned"] = np.arange(6 * aligned.itemsize, dtype="u1").view(aligned)  # something between the fields
    group.create_dataset("aligned_chunks", data=group["aligned"][...], chunks=(4,))
    mixed = np.zeros(2, [("text", h5py.string_dtype()), ("n", "<i8"), ("ratio", "<f4")])
    mixed["text"], mixed["ratio"] = ["ä", "b"], [0.5, 0.25]
    group["mixed"] = mixed
    rows = group.create_dataset("table", data=np.resize(dogs, 3000), chunks=(500,), compression="gzip")
    rows.attrs["rows"] = 3000


def _write_others(group: h5py.Group) -> None:
    group["opaque"] = np.array([b"\x01\x02", b"ab"], "V2")
    group["opaque_scalar"] = np.void(b"\x00")
    days = np.array(["2021-03-04", "1969-12-31"], "<M8[s]")
    group["when"] = days.astype(h5py.opaque_dtype(days.dtype))
    ragged = group.create_dataset("ragged", (3,), h5py.vlen_dtype("<i4"))
    ragged[0], ragged[2] = [1, 2, 3], [4]
    floats = group.create_dataset("ragged_floats", (2,), h5py.vlen_dtype("<f4"))
    floats[0] = [0.1, 1 / 3]
    target = group.create_dataset("target", data=np.arange(10))
    references = group.create_dataset("references", (2,), h5py.ref_dtype)
    references[0] = target.ref
    regions = group.create_dataset("regions", (1,), h5py.regionref_dtype)
    regions[0] = target.regionref[2:5]


def _write_attributes(group: h5py.Group) -> None:
    a = group.attrs
    a["zeta"], a["alpha"] = "last", "first"
    a["int"], a["float"], a["single"], a["bool"] = 5, 1.5, np.float32(0.1), True
    a["huge"], a["nan"] = np.uint64(2**64 - 1), np.nan
    a["array"], a["matrix"] = np.arange(3), np.arange(6).reshape(2, 3) / 3
    a["complex"], a["complexes"] = 1 + 2j, np.array([1 + 2j, 3j])
    a["bytes"], a["words"] = np.bytes_(b"fixed"), ["a", "bé"]
    a["fixed_words"] = np.array([b"ab", b"c"])
    a["empty"], a["empty_text"] = h5py.Empty("<f8"), h5py.Empty(h5py.string_dtype())
    a["none"] = np.zeros(0)
    a["record"] = np.array((1, 2.5, b"x"), [("a", "<i4"), ("b", "<f8"), ("c", "S3")])
    a["big_endian"] = np.arange(3, dtype=">i4")
    a["enum"] = np.array([1], h5py.enum_dtype({"A": 0, "B": 1}))
    a["bools"] = np.array([True, False])
    a["opaque"] = np.void(b"ab")
    a["reference"] = group.ref
    a.create("long", np.longdouble(1) / 3)
    group.create_dataset("quiet", data=1)
    image = group.create_dataset("image", data=np.ones((4, 5), "f4"))
    image.attrs["_FillValue"], image.attrs["valid_min"] = np.array([1e20], "f4"), np.float32(0)
    image.attrs["valid_max"] = np.float32("nan")
    tracked = group.create_group("tracked", track_order=True)
    for name in ("second", "first", "a third"):
        tracked.attrs[name] = name
        tracked[name] = 1


def write_links(folder: Path) -> None:
    """Every kind of link, good, broken, cyclic, and out of the folder."""
    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    with h5py.File(outside / "secret.h5", "w") as file:
        file["x"] = np.full(4, 0x5EC2E7, "<i4")
    with h5py.File(folder / "other.h5", "w") as file:
        file["data"] = np.arange(5.0)
        file["deep/er"] = 3
        file["back"] = h5py.ExternalLink("links.h5", "/group/data")
    with h5py.File(folder / "links.h5", "w") as file:
        group = file.create_group("group")
        group.attrs["NX_class"] = "NXentry"
        group["data"] = np.arange(6)
        group["hard"] = group["data"]
        group["up"] = file["/"]
        group["self"] = h5py.SoftLink("/group")
        group["beside"] = h5py.SoftLink("data")
        file["soft"] = h5py.SoftLink("/group/data")
        file["soft_group"] = h5py.SoftLink("/group")
        file["soft_twice"] = h5py.SoftLink("soft")
        file["loop"] = h5py.SoftLink("loop")
        file["broken"] = h5py.SoftLink("/nope")
        file["external"] = h5py.ExternalLink("other.h5", "/data")
        file["external_group"] = h5py.ExternalLink("other.h5", "/deep")
        file["external_root"] = h5py.ExternalLink("other.h5", "/")
        file["round"] = h5py.ExternalLink("other.h5", "/back")
        file["no_file"] = h5py.ExternalLink("gone.h5", "/data")
        file["no_path"] = h5py.ExternalLink("other.h5", "/nope")
        file["tree/branch/fruit"] = "apple"
        file["tree/branch/Fruit"] = 2
        file["tree/type"] = np.dtype("<i4")
    with h5py.File(folder / "escapes.h5", "w") as file:
        file["relative"] = h5py.ExternalLink("../outside/secret.h5", "/x")
        file["absolute"] = h5py.ExternalLink(str(outside / "secret.h5"), "/x")
        layout = h5py.VirtualLayout((4,), "<i4")
        layout[:] = h5py.VirtualSource(str(outside / "secret.h5"), "x", (4,))
        file.create_virtual_dataset("virtual", layout, fillvalue=-1)
        file.create_dataset("raw", (4,), "<i4", external=[(str(outside / "secret.h5"), 0, 16)])
    (folder / "linked.h5").symlink_to(outside / "secret.h5")


def write_folder(folder: Path) -> None:
    """All files."""
    write_types(folder / "types.h5")
    write_links(folder)
    write_zoo(folder)
    with h5py.File(folder / "many.h5", "w") as file:
        for k in range(300):
            group = file.create_group(f"entry/g{k:03d}")
            group.attrs["NX_class"] = "NXcollection"
            group["value"] = k
    (folder / "notes.txt").write_text("not HDF5\n" * 100)
    (folder / "sub").mkdir()
    with h5py.File(folder / "sub" / "small.h5", "w") as file:
        file["x"] = np.arange(3)
