"""Fields picked out of records that were read whole."""

from typing import Any

import numpy as np

from chunkserve.datatypes import DataType, has_objects, numpy_dtype
from chunkserve.errors import Corrupt


def pick(values: np.ndarray, record: DataType, wanted: DataType, fields: tuple[str, ...]) -> np.ndarray:
    """Some fields of records.

    Args:
        values: Records as :class:`chunkserve.service.elements.Elements` reads them.
        record: Their type.
        wanted: The field's type, or that of a packed record of several.
        fields: Their names.

    Returns:
        The shape of ``values``, then the dimensions of an array type.
    """
    if not has_objects(record):
        if len(fields) == 1:
            return values[fields[0]]
        return values[list(wanted_names(wanted))].astype(numpy_dtype(wanted))
    places = {member.name: i for i, member in enumerate(record.members)}
    chosen = [places[name] for name in dict.fromkeys(fields)]
    items = [_list(item) for item in values.reshape(-1)]
    found: list[object] = [[item[i] for i in chosen] for item in items]
    if len(fields) == 1:
        found = [item[chosen[0]] for item in items]
    if not has_objects(wanted):
        return _array(found, wanted, values.shape)
    out = np.empty(len(found), dtype=object)
    for i, item in enumerate(found):
        out[i] = item
    return out.reshape(values.shape)


def wanted_names(t: DataType) -> tuple[str, ...]:
    """Names of a record's fields, in order."""
    return tuple(member.name for member in t.members)


def _array(items: list[object], t: DataType, shape: tuple[int, ...]) -> np.ndarray:
    """Plain objects as an array of their type."""
    dtype = numpy_dtype(t)
    base, dims = dtype.subdtype or (dtype, ())
    out = np.empty(len(items), dtype)
    for i, item in enumerate(items):
        out[i] = _element(item, t)
    return out.reshape(shape + dims).astype(base, copy=False)


def _element(item: object, t: DataType) -> Any:
    """A plain object as numpy takes it for its type."""
    if isinstance(item, str):
        return item.encode()
    if not isinstance(item, list):
        return item
    if t.cls == "array":
        return [_element(part, t.inner) for part in item]
    if numpy_dtype(t).kind == "c":
        return complex(*item)
    return tuple(_element(part, m.type) for part, m in zip(item, t.members, strict=True))


def _list(item: object) -> list[object]:
    if not isinstance(item, list):
        raise Corrupt("a reader process answered in an unexpected form")
    return item
