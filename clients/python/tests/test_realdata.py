"""Files that instruments, facilities and projects published: every readable dataset equals what h5py reads."""

import fnmatch
import math
import re
from collections.abc import Iterator
from typing import Any

import h5py
import pytest

from chunkserve_client import ClientError, Dataset, File, Server
from clients.python.tests.compare import check_header, same
from clients.python.tests.conftest import REALDATA, serving

MALFORMED = "malformed-cve/"

WHOLE = 4 << 20
"""Datasets of up to so many bytes are compared whole, others in three places."""

SAMPLE = 1 << 18
"""Elements compared in one place."""

FILES = sorted(
    str(path.relative_to(REALDATA))
    for path in (REALDATA.rglob("*") if REALDATA.is_dir() else ())
    if path.is_file() and path.name not in ("INDEX.tsv", "README.md")
)
READABLE = [name for name in FILES if not name.startswith(MALFORMED)]

NO_SOURCE = (
    r"Damaged: .*(draws from .*|decides an extent and) ?cannot be read|Damaged: .*draws from .*, which cannot be"
)
BIT_PATTERNS = "read, but h5py: .*no appropriate function for conversion path"

EXCEPTIONS = [
    # virtual datasets whose sources are not there: h5py shows fill values
    ("hdf5-conformance/*/vds/3_1_vds.h5", "vds_dset", NO_SOURCE),
    ("synchrotron/mx-bluesky__dummy_2*", "entry/data/data", NO_SOURCE),
    ("synchrotron/mx-bluesky__ins_8_5.nxs", "entry/data/data", NO_SOURCE),
    ("synchrotron/mx-bluesky__rotation_scan_test_nexus_0.nxs", "entry/data/data", NO_SOURCE),
    ("synchrotron/nexgen__xrc_209_master.h5", "entry/data/data", NO_SOURCE),
    # types that numpy has nothing for
    ("hdf5-conformance/*tattr2.h5", "g2/opaque*", BIT_PATTERNS),
    ("hdf5-conformance/*/h5repack_objs.h5", "opaque*", BIT_PATTERNS),
    ("hdf5-conformance/opendap-hdf5_handler/data/t_unsupported.h5", "opaque", BIT_PATTERNS),
]
"""Datasets that are not as h5py reads them: file, dataset, and in what way."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(REALDATA) as running:
        yield running.connect(patience=60.0)


def datasets(file: h5py.File) -> list[str]:
    """Paths of all datasets that the file itself holds."""
    found: list[str] = []

    def look(name: str | bytes) -> None:
        if isinstance(file.get(name), h5py.Dataset):
            found.append(name)

    file.visit(look)
    return found


def boxes(dataset: h5py.Dataset) -> Iterator[Any]:
    """Selections to compare."""
    shape = dataset.shape
    if not shape or 0 in shape:
        yield ...
        return
    itemsize = max(dataset.dtype.itemsize, 16 if dataset.dtype.hasobject else 1)
    if math.prod(shape) * itemsize <= WHOLE:
        yield ...
        yield tuple(n // 2 for n in shape)
        yield tuple(slice(0, n, 3) for n in shape)
        return
    chunk = dataset.chunks or shape
    last = [(n - 1) // c for n, c in zip(shape, chunk, strict=True)]
    for position in dict.fromkeys((tuple(0 for _ in last), tuple(i // 2 for i in last), tuple(last))):
        room, extent = SAMPLE // max(1, itemsize // 8), []
        for i, c, n in reversed(list(zip(position, chunk, shape, strict=True))):
            length = max(1, min(c, n - i * c, room))
            room = max(1, room // length)
            extent.append(slice(i * c, i * c + length))
        yield tuple(reversed(extent))


def check(remote: File, local: h5py.File, path: str) -> str:
    """Compare a dataset; what is wrong, or nothing."""
    try:
        want = local[path]
        want.dtype  # noqa: B018 - may have no numpy equal
    except Exception:  # noqa: BLE001 - h5py cannot, so there is nothing to compare with
        return ""
    try:
        got = remote[path]
        assert isinstance(got, Dataset)
        check_header(got, want)
        for box in boxes(want):
            try:
                values = want[box]
            except Exception as error:  # noqa: BLE001 - any of h5py's
                try:
                    got[box]
                except ClientError:
                    continue
                return f"read, but h5py: {error}"
            same(got[box], values, want)
    except AssertionError as error:
        return f"differs: {' '.join(str(error).split())[:160]}"
    except (ClientError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.skipif(not REALDATA.is_dir(), reason=f"no real files in {REALDATA} (CHUNKSERVE_REALDATA)")
@pytest.mark.parametrize("name", READABLE, ids=[name.encode("ascii", "replace").decode() for name in READABLE])
def test_every_dataset_equals_h5py(name: str, server: Server) -> None:
    remote = server[name]
    with h5py.File(REALDATA / name, locking=False) as file:
        names = datasets(file)
        found = {path: wrong for path in names if (wrong := check(remote, file, path))}
        assert set(remote) == set(file)
    known = [(pattern, reason) for where, pattern, reason in EXCEPTIONS if fnmatch.fnmatch(name, where)]
    unknown = {
        path: wrong
        for path, wrong in found.items()
        if not any(fnmatch.fnmatch(path, pattern) and re.search(reason, wrong) for pattern, reason in known)
    }
    assert unknown == {}
    for pattern, _ in known:
        assert fnmatch.filter(found, pattern), f"{pattern} of {name} is no exception any more: take it from the table"
