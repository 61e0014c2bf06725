"""Files that instruments, facilities and projects published: every readable dataset equals what h5py reads."""

import base64
import fnmatch
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial

import h5py
import hdf5plugin  # noqa: F401 - registers the filters that h5py reads with
import numpy as np
import pytest
import zarr

import chunkserve
from chunkserve.errors import ChunkserveError
from chunkserve.library import HdfStore
from chunkserve.metadata.keys import Format
from chunkserve.metadata.names import node_name
from tests.conftest import REALDATA, needs_realdata

pytestmark = [
    needs_realdata,
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
]

MALFORMED = "malformed-cve/"
"""Never opened in this process: see test_hostile.py."""

FILES = sorted(
    str(path.relative_to(REALDATA))
    for path in (REALDATA.rglob("*") if REALDATA.is_dir() else ())
    if path.is_file() and path.name not in ("INDEX.tsv", "README.md")
)
READABLE = [name for name in FILES if not name.startswith(MALFORMED)]

WHOLE = 4 << 20
"""Datasets of up to so many bytes are compared whole, others chunk by chunk: the first, one in the middle, the last."""

SAMPLE = 1 << 18
"""Elements compared of one chunk."""

Box = tuple[slice, ...]
Read = Callable[[Box], np.ndarray]

# ------------------------------------------------------- what h5py's values are


def number(value: object) -> object:
    """A number as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return [number(value.real), number(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def plain(value: object, dtype: np.dtype, near: h5py.Dataset) -> object:
    """One element as the JSON in which it is served, if Zarr has no dtype for it."""
    if dtype.subdtype is not None:
        return nested(np.asarray(value, dtype.base), partial(plain, dtype=dtype.base, near=near))
    if h5py.check_string_dtype(dtype) and dtype.hasobject:
        return value.decode("utf-8") if isinstance(value, bytes) else value or ""
    base = h5py.check_vlen_dtype(dtype)
    if base is not None:
        return [plain(item, base, near) for item in np.asarray(value).reshape(-1)]
    if h5py.check_ref_dtype(dtype) is not None:
        return target(value, near)
    if dtype.names:
        return {name: plain(value[name], dtype[name], near) for name in dtype.names}
    if dtype.kind == "V":
        return base64.b64encode(np.asarray(value).tobytes()).decode()
    if dtype.kind == "S":
        return value.decode("utf-8")
    return number(value)


def nested(values: np.ndarray, spell: Callable[[object], object]) -> object:
    return spell(values[()]) if values.ndim == 0 else [nested(np.asarray(item), spell) for item in values]


def target(reference: object, near: h5py.Dataset) -> str:
    """Where a reference leads."""
    if not reference:
        return ""
    name = h5py.h5r.get_name(reference, near.id)
    path = name.decode() if name else "?"
    if not isinstance(reference, h5py.RegionReference):
        return path
    space = h5py.h5r.get_region(reference, near.id)
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:
        return path
    low, high = space.get_select_bounds()
    return f"{path}[{', '.join(f'{a}:{b + 1}' for a, b in zip(low, high, strict=True))}]"


# ---------------------------------------------------------------- comparisons


def boxes(dataset: h5py.Dataset, array: zarr.Array) -> Iterator[Box]:
    """Parts of a dataset to compare."""
    shape = dataset.shape
    if not shape or 0 in shape:
        yield (Ellipsis,) if not shape else tuple(slice(0, n) for n in shape)
        return
    if math.prod(shape) * max(dataset.dtype.itemsize, 16 if dataset.dtype.hasobject else 1) <= WHOLE:
        yield tuple(slice(0, n) for n in shape)
        return
    chunk = array.chunks[: len(shape)]
    last = [(n - 1) // c for n, c in zip(shape, chunk, strict=True)]
    for position in dict.fromkeys((tuple(0 for _ in last), tuple(i // 2 for i in last), tuple(last))):
        room, extent = SAMPLE, []
        for i, c, n in reversed(list(zip(position, chunk, shape, strict=True))):
            length = max(1, min(c, n - i * c, room))
            room = max(1, room // length)
            extent.append(slice(i * c, i * c + length))
        yield tuple(reversed(extent))


def compare(node: zarr.Array | zarr.Group, want: np.ndarray, dtype: np.dtype, box: Box, near: h5py.Dataset) -> None:
    """Assert that a box of a dataset, or of a field of it, is as h5py read it.

    ``dtype`` is h5py's, whose marks tell text, sequences and references apart.
    """
    if isinstance(node, zarr.Group):
        inner = dtype.base
        assert {node_name(name.encode()) for name in inner.names} >= set(node)
        for name in inner.names:
            member = node[node_name(name.encode()) or ""]
            compare(member, want[name], inner[name], box, near)
        return
    got = np.asarray(node[box] if near.shape else node[()])
    element = dtype.base
    if element.hasobject:
        values = want.reshape(-1)
        assert got.size == values.size
        for mine, theirs in zip(got.reshape(-1), values, strict=True):
            form = plain(theirs, element, near)
            assert str(mine) == form if isinstance(form, str) else json.loads(str(mine)) == form
    elif element.names:
        assert got.dtype.names == element.names
        assert got.shape == want.shape
        for name in element.names:
            same(got[name], want[name])
    else:
        same(got, want)


def same(got: np.ndarray, want: np.ndarray) -> None:
    assert got.shape == want.shape
    if want.dtype.kind == "V":
        assert got.tobytes() == want.tobytes()
        return
    if want.dtype.kind == "f" and want.dtype.itemsize > 8:
        want = want.astype("f8")
    assert got.dtype.kind == want.dtype.kind
    assert got.dtype.itemsize == want.dtype.itemsize or want.dtype.kind == "S"  # numpy trims scalar strings
    np.testing.assert_array_equal(got, want)


# -------------------------------------------------------------------- the walk


RENAMED = "_nc4_non_coord_"
"""netCDF-C puts this before a variable that has the name of a dimension without being its coordinate."""


def datasets(file: h5py.File) -> list[str]:
    """Paths of all datasets that the file itself holds."""
    found: list[str] = []

    def look(name: str | bytes) -> None:
        if isinstance(file.get(name), h5py.Dataset):
            found.append(name)

    file.visit(look)
    hidden = {name.replace(RENAMED, "") for name in found if RENAMED in name}  # dimensions, by the variables
    return [name for name in found if name not in hidden]


def spelled(path: str) -> str:
    """A path of node names."""
    names = [node_name(part.removeprefix(RENAMED).encode("utf-8", "surrogateescape")) for part in path.split("/")]
    assert all(names), path
    return "/".join(name or "" for name in names)


def failure(read: Callable[[], object]) -> Exception | None:
    """What goes wrong, if anything."""
    try:
        read()
    except Exception as error:  # noqa: BLE001 - any of h5py's
        return error
    return None


def check(store: HdfStore, root: zarr.Group, file: h5py.File, path: str) -> str:
    """Compare a dataset; what is wrong, or nothing."""
    try:
        node = root[spelled(path)]
    except KeyError:  # it carries the length of a dimension, or is not served
        try:
            node = zarr.open(store, path=spelled(path), mode="r", zarr_format=store.zarr_format)
        except ChunkserveError as error:
            return f"{type(error).__name__}: {error}"
    unreadable = failure(lambda: file[path].dtype)
    if unreadable:
        return f"served, but h5py: {unreadable}"
    dataset = file[path]
    if dataset.shape is None:
        return "" if isinstance(node, zarr.Array) and node.shape == (0,) else "a null dataspace has elements"
    first = node
    while isinstance(first, zarr.Group):
        first = next(iter(first.members()))[1]
    for box in boxes(dataset, first):
        wrong = check_box(node, dataset, box)
        if wrong:
            return wrong
    return ""


def check_box(node: zarr.Array | zarr.Group, dataset: h5py.Dataset, box: Box) -> str:
    """Compare a part; what is wrong, or nothing."""
    cannot = failure(lambda: dataset[box])
    try:
        compare(node, np.asarray(dataset[box]) if cannot is None else np.zeros(0), dataset.dtype, box, dataset)
    except AssertionError as error:
        return f"differs: {' '.join(str(error).split())[:160]}" if cannot is None else f"served, but h5py: {cannot}"
    except (ChunkserveError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


NO_FILTER = r"Unsupported: .* filter \d+ \(.*\) is not available"
NO_EXTERNAL = r"MissingSource: .* external file .* cannot be read"
NO_SOURCE = r"MissingSource: .* (draws from .*|decides an extent and) cannot be read"
NO_TIME = "Unsupported: .* HDF5 time types have no equivalent"
BIT_PATTERNS = "served, but h5py: .*no appropriate function for conversion path"

EXCEPTIONS = [
    # filters that nobody has here
    ("filters/hdf5_plugins__h5ex_d_bitgroom.h5", "DS1", NO_FILTER),
    ("filters/hdf5_plugins__h5ex_d_granularbr.h5", "DS1", NO_FILTER),
    ("filters/hdf5_plugins__h5ex_d_jpeg.h5", "DS1", NO_FILTER),
    ("filters/hdf5plugin__sample_ref.h5", "image", NO_FILTER),
    ("genomics/fast5-vbz/single_reads/*", "Raw/Reads/*/Signal", NO_FILTER),
    ("genomics/fast5-vbz/unlinked/batch0.fast5", "*/Raw/Signal", NO_FILTER),
    ("hdf5-conformance/*/H5FLT/tfiles/h5ex_d_jpeg.h5", "DS1", NO_FILTER),
    ("hdf5-conformance/*/tfilters.h5", "myfilter", NO_FILTER),
    ("hdf5-conformance/*/h5stat_filters.h5", "myfilter", NO_FILTER),
    ("hdf5-conformance/pytables/tests/Tables_lzo2_shuffle.h5", "*tuple*", NO_FILTER),
    # data in files that are not there
    ("astro-particle/lofar-dal/L30042_*", "*/STOKES_0", NO_EXTERNAL),
    ("astro-particle/lofar-dal/L59640_*", "*/DIPOLE_*", NO_EXTERNAL),
    ("astro-particle/lofar-dal/L63876_*", "*/STOKES_0", NO_EXTERNAL),
    ("hdf5-conformance/*/tfilters.h5", "external", NO_EXTERNAL),
    ("hdf5-conformance/*/h5stat_filters.h5", "external", NO_EXTERNAL),
    # virtual datasets whose sources are not there: h5py shows fill values
    ("hdf5-conformance/*/vds/3_1_vds.h5", "vds_dset", NO_SOURCE),
    ("synchrotron/mx-bluesky__dummy_2*", "entry/data/data", NO_SOURCE),
    ("synchrotron/mx-bluesky__ins_8_5.nxs", "entry/data/data", NO_SOURCE),
    ("synchrotron/mx-bluesky__rotation_scan_test_nexus_0.nxs", "entry/data/data", NO_SOURCE),
    ("synchrotron/nexgen__xrc_209_master.h5", "entry/data/data", NO_SOURCE),
    # types that Zarr has nothing for
    ("hdf5-conformance/pytables/tests/times-nested-be.h5", "earr*", NO_TIME),
    # types that numpy has nothing for
    ("hdf5-conformance/pytables/tests/times-nested-be.h5", "tbl", "served, but h5py: No NumPy equivalent"),
    ("hdf5-conformance/*tattr2.h5", "g2/opaque*", BIT_PATTERNS),
    ("hdf5-conformance/*/h5repack_objs.h5", "opaque*", BIT_PATTERNS),
    ("hdf5-conformance/opendap-hdf5_handler/data/t_unsupported.h5", "opaque", BIT_PATTERNS),
    # BUG: sequences that were never written are '', which is not JSON
    ("hdf5-conformance/h5serv/sample.h5", "dset3", "ValueError|Expecting value"),
    # BUG: arrays of sequences are flattened
    ("climate/tds__test_vlen4.nc", "v1", "ValueError: cannot reshape"),
]
"""Datasets that are not as h5py reads them: file, dataset, and in what way."""


@pytest.mark.parametrize("name", READABLE, ids=[name.encode("ascii", "replace").decode() for name in READABLE])
def test_every_dataset_equals_h5py(name: str, zarr_format: Format) -> None:
    path = REALDATA / name
    with h5py.File(path, locking=False) as file, chunkserve.open_store(path, zarr_format=zarr_format) as store:
        root = zarr.open_group(store, mode="r", zarr_format=zarr_format)
        names = datasets(file)
        found = {path: wrong for path in names if (wrong := check(store, root, file, path))}
    known = [(pattern, reason) for where, pattern, reason in EXCEPTIONS if fnmatch.fnmatch(name, where)]
    unknown = {
        path: wrong
        for path, wrong in found.items()
        if not any(fnmatch.fnmatch(path, pattern) and re.search(reason, wrong) for pattern, reason in known)
    }
    assert unknown == {}
    for pattern, _ in known:
        assert fnmatch.filter(found, pattern), f"{pattern} of {name} is no exception any more: take it from the table"
