"""Elements as h5grove writes them in JSON: what :func:`chunkserve.metadata.h5grove_values.dumps` takes.

Numbers that JSON does not have (NaN, infinities) are null; complex ones are pairs, records are lists.
"""

import math
from typing import Any

import numpy as np
import orjson

from chunkserve.datatypes import DataType, numpy_dtype
from chunkserve.metadata.values import decode_text
from chunkserve.model import Attribute

REFERENCES = {False: "<HDF5 object reference>", True: "<HDF5 region reference>"}
NULL_REFERENCES = {False: "<HDF5 object reference (null)>", True: "<HDF5 region reference (null)>"}


def dumps(value: object) -> bytes:
    """JSON.

    Raises:
        UnicodeDecodeError: A text is not UTF-8.
        TypeError: JSON has no such value.
    """
    try:
        return orjson.dumps(value, default=_default, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise


def _default(value: object) -> object:
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"JSON has no {type(value).__name__}")


def ready(values: np.ndarray, t: DataType) -> object:
    """Elements of a type as something that :func:`dumps` takes.

    Args:
        values: The elements; the dimensions of an array type are the last ones.
        t: Their datatype.

    Raises:
        UnicodeDecodeError: A text is not UTF-8.
    """
    while t.cls == "array":
        t = t.inner
    if values.dtype == object:
        return _nested(values, t)
    kind = values.dtype.kind
    if kind == "c":
        if not values.ndim:
            return [ready(values.real, t), ready(values.imag, t)]
        values = np.stack([values.real, values.imag], -1).astype(np.float64)
    elif kind == "m":
        values = values.astype(np.int64)
    if kind in "biufcmM":
        native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
        return native if values.ndim else values.astype(native.dtype)[()]
    return values.tolist()


def _nested(values: np.ndarray, t: DataType) -> object:
    if values.ndim == 0:
        return _item(values[()], t)
    return [_nested(part, t) if isinstance(part, np.ndarray) else _item(part, t) for part in values]


def _item(item: object, t: DataType) -> object:
    """One element that numpy keeps as an object, as a reader process gives it."""
    match t.cls:
        case "reference":
            return (REFERENCES if item else NULL_REFERENCES)[t.region]
        case "vlen" if isinstance(item, list):
            return _sequence(item, t.inner)
        case "array" if isinstance(item, list):
            return [_item(part, t if isinstance(part, list) and _depth(t) > 1 else t.inner) for part in item]
        case "compound" if isinstance(item, list):
            return [_item(part, m.type) for part, m in zip(item, t.members, strict=True)] if t.members else item
    return item


def _sequence(items: list[object], t: DataType) -> object:
    """A sequence of variable length: of single precision as such, so that no digits appear that nobody measured."""
    if t.cls == "float" and t.size <= 4:
        return np.array(items, numpy_dtype(t).newbyteorder("="))
    return [_item(item, t) for item in items]


def _depth(t: DataType) -> int:
    return len(t.dims)


def attribute_value(attribute: Attribute) -> Any:
    """An attribute's value. Old files have text in Latin-1, which is read as such."""
    if attribute.shape is None:
        return None
    t, shape = attribute.type, attribute.shape
    if isinstance(attribute.data, bytes):
        base = numpy_dtype(t)
        dtype, dims = base.subdtype or (base, ())
        values = np.frombuffer(attribute.data, dtype)
        return _decoded(ready(values.reshape(shape + dims), t))
    items = np.empty(math.prod(shape), dtype=object)
    for i, item in enumerate(attribute.data or ()):
        items[i] = _decoded(item)
    return _nested(items.reshape(shape), t)


def _decoded(value: object) -> object:
    """Nested values with text in place of bytes."""
    if isinstance(value, bytes):
        return decode_text(value)
    if isinstance(value, list | tuple):
        return [_decoded(item) for item in value]
    return value
