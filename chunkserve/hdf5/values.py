"""Values that numpy keeps as objects (text, references, vlen arrays), turned into plain Python."""

import math
from typing import Any, TypeAlias

import numpy as np
from h5py import h5d, h5f, h5g, h5r, h5s, h5t, string_dtype

from chunkserve.datatypes import DataType, has_objects, is_exact, numpy_dtype

Location: TypeAlias = h5f.FileID | h5g.GroupID | h5d.DatasetID | h5t.TypeID


def plain(value: object, t: DataType, where: Location) -> object:
    """One element as plain Python: text, path, number, or lists of them (compounds: a list in member order).

    Bytes that are not UTF-8 stay bytes.
    """
    match t.cls:
        case "string":
            return _text(value)
        case "reference":
            return reference_path(value, where)
        case "vlen":
            return [plain(item, t.inner, where) for item in np.asarray(value).reshape(-1)]
        case "array":
            return _nested(np.asarray(value), t.inner, where, len(t.dims))
        case "compound" if isinstance(value, np.void):
            return [plain(value[m.name], m.type, where) for m in t.members]
        case "opaque" if isinstance(value, np.void):
            return value.tobytes()
    if isinstance(value, np.generic):
        value = value.item()
    return [value.real, value.imag] if isinstance(value, complex) else value


def _nested(values: np.ndarray, t: DataType, where: Location, depth: int) -> object:
    if depth == 0:
        return plain(values[()] if values.ndim == 0 else values, t, where)
    return [_nested(item, t, where, depth - 1) if depth > 1 else plain(item, t, where) for item in values]


def _text(value: object) -> str | bytes:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value
    return value if isinstance(value, str) else ""


def reference_path(reference: object, where: Location) -> str:
    """The path a reference points to, with the selection in brackets for a region; empty for a null reference."""
    if not isinstance(reference, h5r.Reference) or not reference:
        return ""
    name = h5r.get_name(reference, where)
    path = name.decode("utf-8", "backslashreplace") if name else "?"
    if not isinstance(reference, h5r.RegionReference):
        return path
    space = h5r.get_region(reference, where)
    if space.get_select_type() != h5s.SEL_HYPERSLABS:
        return path
    low, high = space.get_select_bounds()
    return f"{path}[{', '.join(f'{a}:{b + 1}' for a, b in zip(low, high, strict=True))}]"


def memory_layout(tid: h5t.TypeID, t: DataType) -> tuple[np.dtype[Any], h5t.TypeID]:
    """The dtype of the array to read into, and the memory type to ask libhdf5 for.

    Where the file's bytes already are what numpy holds, nothing is converted.
    """
    if has_objects(t):
        dtype = tid.dtype  # h5py's own, since only it carries the marks that make vlen members readable
        return dtype, h5t.py_create(dtype)
    if is_exact(t):
        return np.dtype((f"V{t.inner.size}", t.dims)) if t.cls == "array" else np.dtype(f"V{t.size}"), tid
    dtype = _marked(t)
    return dtype, h5t.py_create(dtype)


def _marked(t: DataType) -> np.dtype[Any]:
    """``numpy_dtype(t)`` with h5py's mark on UTF-8 strings, which libhdf5 does not convert to ASCII ones."""
    if t.cls == "string" and t.charset == "utf-8":
        marked: np.dtype[Any] = string_dtype("utf-8", t.size)
        return marked
    if t.cls == "array":
        return np.dtype((_marked(t.inner), t.dims))
    dtype = numpy_dtype(t)
    if t.cls != "compound" or dtype.names is None:
        return dtype
    return np.dtype(
        {
            "names": dtype.names,
            "formats": [_marked(m.type) for m in t.members],
            "offsets": [m.offset for m in t.members],
            "itemsize": dtype.itemsize,
        }
    )


def element_data(values: np.ndarray, t: DataType, where: Location, shape: tuple[int, ...]) -> bytes | list[object]:
    """What was read, as C-order bytes of ``numpy_dtype(t)``, or as plain items where that has objects."""
    if not has_objects(t):
        return values.tobytes()
    if t.cls == "array":  # the array's own dimensions follow the dataspace's
        rows = values.reshape(math.prod(shape), *t.dims)
        return [[plain(value, t.inner, where) for value in row.reshape(-1)] for row in rows]
    return [plain(value, t, where) for value in values.reshape(-1)]
