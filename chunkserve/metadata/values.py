"""HDF5 values as JSON that every reader accepts: no bare NaN or Infinity, no digits lost.

Non-finite floats are the strings ``NaN``, ``Infinity`` and ``-Infinity``, as Zarr spells fill values.
"""

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from chunkserve.datatypes import DataType, numpy_dtype
from chunkserve.model import Attribute

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def attribute_json(attribute: Attribute) -> Json:
    """An attribute's value, as xarray's h5netcdf engine would show it.

    One-element arrays are unwrapped once, string arrays become lists, a null dataspace is ``""`` or ``[]``.

    Raises:
        ValueError: The value was not read; the message says why.
    """
    if attribute.omitted:
        raise ValueError(attribute.omitted)
    if attribute.shape is None:
        return "" if attribute.type.cls == "string" and attribute.type.size == 1 else []
    value = _nested(attribute)
    return value[0] if isinstance(value, list) and attribute.shape and len(value) == 1 else value


def _nested(attribute: Attribute) -> Json:
    t, shape = attribute.type, attribute.shape or ()
    if isinstance(attribute.data, bytes):
        base = numpy_dtype(t)
        dtype, dims = base.subdtype or (base, ())
        values = np.frombuffer(attribute.data, dtype=dtype).reshape(shape + dims)
        if dtype.kind == "S" and dtype.itemsize > 1 and values.ndim > 1:
            values = values.reshape(-1)
        return array_json(values)
    items = [item_json(item, t) for item in attribute.data or []]
    return _fold(items, shape)


def _fold(items: list[Json], shape: tuple[int, ...]) -> Json:
    """Nest a flat list to a shape."""
    if not shape:
        return items[0] if items else None
    if len(shape) == 1:
        return items
    step = math.prod(shape[1:])
    return [_fold(items[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def array_json(values: np.ndarray) -> Json:
    """A numeric, string, opaque or compound array as nested lists."""
    kind = values.dtype.kind
    if values.dtype.names is not None:
        return _map(values, lambda record: {n: array_json(np.asarray(record[n])) for n in values.dtype.names or ()})
    if kind == "f":
        data = values.astype(np.float64).tolist()
        return data if np.isfinite(values).all() else _finite(data)
    if kind == "c":
        return array_json(np.stack([values.real, values.imag], -1))
    if kind == "S":
        return _map(values, lambda item: decode_text(bytes(item)))
    if kind == "V":
        return _map(values, lambda item: base64.b64encode(item.tobytes()).decode())
    if kind in "mM":
        return _map(values, str)
    return values.tolist()  # type: ignore[no-any-return]  # ints and bools


def _map(values: np.ndarray, spell: Callable[[Any], Json]) -> Json:
    if values.ndim == 0:
        return spell(values[()])
    return [_map(item, spell) if isinstance(item, np.ndarray) else spell(item) for item in values]


def _finite(data: object) -> Json:
    if isinstance(data, list):
        return [_finite(item) for item in data]
    assert isinstance(data, float)
    return data if math.isfinite(data) else float_json(data)


def float_json(value: float) -> Json:
    """A float as a JSON number, or Zarr's string for one that is none."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def item_json(item: object, t: DataType) -> Json:
    """One element that numpy keeps as an object, as ``chunkserve.hdf5.values.plain`` made it."""
    if isinstance(item, bytes):
        return base64.b64encode(item).decode() if t.cls == "opaque" else decode_text(item)
    if isinstance(item, float):
        return float_json(item)
    if isinstance(item, list):
        if t.cls == "compound" and len(item) == len(t.members):
            return {m.name: item_json(value, m.type) for m, value in zip(t.members, item, strict=True)}
        inner = t.base or t
        return [item_json(value, inner if t.cls == "vlen" else _element(t)) for value in item]
    return item  # type: ignore[return-value]  # str, int, bool, None


def _element(t: DataType) -> DataType:
    return t.inner if t.cls == "array" else t


def item_text(item: object, t: DataType) -> str:
    """One element of a text array: strings and paths as they are, sequences as JSON.

    Raises:
        UnicodeDecodeError: A string is not UTF-8.
    """
    if isinstance(item, bytes):
        return item.decode("utf-8")
    if isinstance(item, str):
        return item
    return json.dumps(item_json(item, t), ensure_ascii=False, separators=(",", ":"))


def decode_text(data: bytes) -> str:
    """Bytes of an attribute as text: UTF-8, or what nearly all else in old files is, Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def fill_json(value: np.ndarray, zarr_format: int) -> Json:
    """A scalar of a served dtype as a Zarr fill value. Format 3 keeps the bits of unusual NaNs."""
    kind, size = value.dtype.kind, value.dtype.itemsize
    if kind == "f":
        return _float_fill(value, zarr_format)
    if kind == "c":
        parts = value.reshape(1).view(value.real.dtype)
        return [_float_fill(part.reshape(()), zarr_format) for part in parts]
    if kind in "SV":
        data = value.tobytes()
        return base64.b64encode(data.rstrip(b"\0") if kind == "S" and zarr_format == 3 else data[:size]).decode()
    if kind in "mM":
        return int(value.view(np.int64))
    return value.item()  # type: ignore[no-any-return]


def _float_fill(value: np.ndarray, zarr_format: int) -> Json:
    number = float(value)
    native = value.astype(value.dtype.newbyteorder("="))
    if math.isnan(number) and zarr_format == 3 and native.tobytes() != np.array(np.nan, native.dtype).tobytes():
        return f"0x{native.astype(native.dtype.newbyteorder('>')).tobytes().hex()}"
    return float_json(number)


def encoded_fill_attribute(value: np.ndarray) -> Json:
    """``_FillValue`` as xarray stores it in Zarr v3 attributes: floats as base64 of a little-endian double.

    ``None`` where xarray has no encoding for the dtype; it would refuse the whole store.
    """
    kind = value.dtype.kind
    if kind == "b":
        return bool(value)
    if kind in "iu":
        return int(value)
    if kind == "f":
        return _double(float(value))
    if kind == "c":
        return [_double(float(value.real)), _double(float(value.imag))]
    return None


def _double(value: float) -> str:
    return base64.b64encode(struct.pack("<d", value)).decode()
