"""Elements in JSON and CSV as h5grove writes them.

Numbers that JSON does not have (NaN, infinities) are null; complex ones are pairs, records are lists.
"""

import io
import math
from typing import Any

import msgspec
import numpy as np

from chunkserve.datatypes import DataType, is_complex, numpy_dtype
from chunkserve.metadata.values import decode_text
from chunkserve.model import Attribute

REFERENCES = {False: "<HDF5 object reference>", True: "<HDF5 region reference>"}
NULL_REFERENCES = {False: "<HDF5 object reference (null)>", True: "<HDF5 region reference (null)>"}

PART = 2**18
"""Elements that are Python objects at a time."""


def dumps(value: object) -> bytes:
    """JSON of what :func:`attribute_value` gives, and of documents."""
    return msgspec.json.encode(value)


def elements_json(values: np.ndarray, t: DataType) -> bytes:
    """Elements of a type as JSON.

    Args:
        values: The elements; the dimensions of an array type are the last ones.
        t: Their datatype.

    Raises:
        UnicodeDecodeError: A text is not UTF-8.
    """
    if not values.ndim or values.size <= PART:
        return dumps(_plain(values, t))
    step = max(1, PART * len(values) // values.size)
    if values.ndim > 1 and values.size > PART * len(values):
        return b"[%s]" % b",".join(elements_json(row, t) for row in values)
    parts = (elements_json(values[at : at + step], t)[1:-1] for at in range(0, len(values), step))
    return b"[%s]" % b",".join(parts)


def elements_csv(values: np.ndarray) -> bytes:
    """Numbers as CSV, 19 digits each, as :func:`numpy.savetxt` writes them.

    Args:
        values: Of one or two dimensions; of one, each is a row.

    Raises:
        ValueError: They have more.
    """
    buffer = io.BytesIO()
    np.savetxt(buffer, values, delimiter=",")
    return buffer.getvalue()


def _plain(values: np.ndarray, t: DataType, *, single: bool = True) -> Any:
    """Nested lists of what JSON has. ``single``: write single precision with no more digits than it has."""
    while t.cls == "array":
        t = t.inner
    if values.dtype == object:
        return _nested(values, t)
    if values.dtype.names is not None:
        return _records(values, t)
    if values.dtype.kind == "m":
        values = values.astype(np.int64)
    match values.dtype.kind:
        case "c":
            parts = np.stack([values.real, values.imag], -1)
            return _plain(parts, t, single=single and not values.ndim)
        case "f" if single and values.dtype.itemsize <= 4:
            return values.astype(np.float32).astype("U").astype(np.float64).tolist()
        case "S":
            return np.char.decode(values, "utf-8").tolist()
        case "V":
            return _decoded(values.tolist(), bytes.decode)
        case "M":
            return _decoded_times(values.astype("M8[us]").tolist())
    return values.tolist()


def _records(values: np.ndarray, t: DataType) -> Any:
    flat = values.reshape(-1)
    columns = [_plain(flat[m.name], m.type, single=False) for m in t.members]
    return _folded([list(row) for row in zip(*columns, strict=True)], values.shape)


def _folded(items: list[Any], shape: tuple[int, ...]) -> Any:
    """Nest a flat list to a shape."""
    if not shape:
        return items[0]
    for n in reversed(shape[1:]):
        items = [items[at : at + n] for at in range(0, len(items), n)] if n else [[] for _ in range(shape[0])]
    return items


def _decoded(value: Any, decode: Any) -> Any:
    """Nested lists with text in place of bytes."""
    if isinstance(value, bytes):
        return decode(value)
    if isinstance(value, list | tuple):
        return [_decoded(item, decode) for item in value]
    return value


def _decoded_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded_times(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


# --------------------------------------------------------------------- objects


def _nested(values: np.ndarray, t: DataType) -> Any:
    if not values.ndim:
        return _item(values[()], t)
    return [_nested(part, t) if isinstance(part, np.ndarray) else _item(part, t) for part in values]


def _item(item: Any, t: DataType) -> Any:
    """One element that numpy keeps as an object, as a reader process gives it."""
    if isinstance(item, bytes):
        return item.decode()
    match t.cls:
        case "reference":
            return (REFERENCES if item else NULL_REFERENCES)[t.region]
        case "vlen":
            return _sequence(item, t.inner)
        case "array":
            return _block(item, t.inner)
        case "compound" if not is_complex(t):
            return [_item(part, m.type) for part, m in zip(item, t.members, strict=True)]
    return item


def _block(item: Any, t: DataType) -> Any:
    """An array-typed element in nested lists."""
    if isinstance(item, list) and t.cls not in ("vlen", "compound", "array"):
        return [_block(part, t) for part in item]
    return [_item(part, t) for part in item] if isinstance(item, list) else _item(item, t)


def _sequence(items: Any, t: DataType) -> Any:
    if t.cls == "float" and t.size <= 4:
        return _plain(np.array(items, numpy_dtype(t).newbyteorder("=")), t)
    return [_item(item, t) for item in items]


# ------------------------------------------------------------------ attributes


def attribute_value(attribute: Attribute) -> Any:
    """An attribute's value. Old files have text in Latin-1, which is read as such."""
    if attribute.shape is None:
        return None
    t, shape = attribute.type, attribute.shape
    if isinstance(attribute.data, bytes):
        base = numpy_dtype(t)
        dtype, dims = base.subdtype or (base, ())
        values = np.frombuffer(attribute.data, dtype).reshape(shape + dims)
        return _decoded(values.tolist(), decode_text) if dtype.kind in "SV" and not dtype.names else _plain(values, t)
    items = np.empty(math.prod(shape), dtype=object)
    for i, item in enumerate(attribute.data or ()):
        items[i] = _decoded(item, decode_text)
    return _nested(items.reshape(shape), t)
