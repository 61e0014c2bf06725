"""Whether what the client reads is what h5py reads."""

from typing import Any

import h5py
import numpy as np

from chunkserve_client import Array, Dataset


def local_path(reference: Any, near: h5py.Dataset) -> str:
    """Where a reference leads, as the client tells it."""
    if not reference:
        return ""
    name = h5py.h5r.get_name(reference, near.id)
    path = name.decode("utf-8", "backslashreplace") if name else "?"
    if not isinstance(reference, h5py.RegionReference):
        return path
    space = h5py.h5r.get_region(reference, near.id)
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:
        return path
    low, high = space.get_select_bounds()
    return f"{path}[{', '.join(f'{a}:{b + 1}' for a, b in zip(low, high, strict=True))}]"


def same(got: Any, want: Any, near: h5py.Dataset) -> None:
    """Assert that two values are equal to the last bit, of equal types."""
    if isinstance(want, h5py.Empty):
        assert type(got).__name__ == "Empty", got
        return
    assert isinstance(got, np.ndarray) == isinstance(want, np.ndarray), (type(got), type(want))
    if not isinstance(want, np.ndarray | np.generic):
        if isinstance(want, h5py.Reference):
            assert got == local_path(want, near)
            return
        assert got == want
        assert type(got) is type(want) or isinstance(got, bytes)
        return
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    _same(got, want, near)


def _same(got: np.ndarray, want: np.ndarray, near: h5py.Dataset) -> None:
    if want.dtype.names is not None:
        assert got.dtype.names == want.dtype.names
        for name in want.dtype.names:
            _same(got[name], want[name], near)
        return
    if want.dtype.hasobject:
        for mine, theirs in zip(got.reshape(-1), want.reshape(-1), strict=True):
            _same_item(mine, theirs, near)
        return
    if want.dtype.kind == "f" and want.dtype.itemsize > 8:  # long double travels as float64
        want = want.astype("f8")
    assert got.dtype == want.dtype, (got.dtype, want.dtype)
    assert got.tobytes() == want.tobytes(), "elements differ"


def _same_item(mine: Any, theirs: Any, near: h5py.Dataset) -> None:
    if isinstance(theirs, np.ndarray):
        assert mine.shape == theirs.shape, (mine, theirs)
        _same(np.asarray(mine), theirs, near)
    elif isinstance(theirs, h5py.Reference):
        assert mine == local_path(theirs, near)
    elif isinstance(theirs, str):
        assert mine == theirs.encode("utf-8", "surrogateescape")
    elif isinstance(theirs, np.void | tuple):
        for a, b in zip(tuple(mine), tuple(theirs), strict=True):
            _same_item(a, b, near)
    else:
        assert mine == theirs or (mine != mine and theirs != theirs), (mine, theirs)


def check_header(got: Dataset, want: h5py.Dataset) -> None:
    """Assert that a dataset's header is as h5py has it."""
    assert got.shape == want.shape
    assert got.chunks == want.chunks
    assert got.maxshape == want.maxshape
    string = h5py.check_string_dtype(want.dtype)
    if string is not None:
        assert got.type.string is not None
        assert (got.type.string.encoding, got.type.string.length) == tuple(string)
        assert h5py.check_string_dtype(got.dtype) == string
    assert got.type.enum == h5py.check_enum_dtype(want.dtype)


def both_ways(array: Array, key: Any, want: Any, near: h5py.Dataset) -> None:
    """Read a selection by the way the client chooses, and as the server picks it."""
    same(array[key], want, near)
    kept = array._chunkless
    array._chunkless = True
    try:
        same(array[key], want, near)
    finally:
        array._chunkless = kept
