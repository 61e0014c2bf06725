"""Datatypes, values and headers as messages: what ``/meta`` and ``/slice`` say of HDF5, with nothing left out.

The form is documented in docs/slices.md; clients build numpy dtypes from it without HDF5 at hand.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from chunkserve.codecs.filters import NAMES
from chunkserve.datatypes import DataType, has_objects, is_bool, is_complex, numpy_dtype
from chunkserve.metadata.dimensions import find, is_scale, scale_paths
from chunkserve.metadata.names import node_name
from chunkserve.model import Attribute, Dataset, Filter

Message = dict[str, Any]

OBJECT = "|O"
"""The dtype of elements that are sent as items."""


def type_message(t: DataType) -> Message:
    """A datatype: its class, the numpy descr of one element (of an array type: of its base), and what the class has."""
    cls = "bool" if is_bool(t) else "complex" if is_complex(t) else t.cls
    found: Message = {"class": cls, "dtype": descr(t), "size": t.size}
    more = _MORE.get(cls)
    return found | more(t) if more is not None else found


def dtype_message(dtype: np.dtype[Any]) -> Message:
    """A datatype known by its numpy dtype only: booleans, integers, floats."""
    cls = {"b": "bool", "f": "float"}.get(dtype.kind, "integer")
    return {"class": cls, "dtype": dtype.str, "size": dtype.itemsize}


def _string(t: DataType) -> Message:
    return {"encoding": t.charset, "length": None if t.variable else t.size, "padding": t.padding}


def _enum(t: DataType) -> Message:
    return {"base": type_message(t.inner), "members": dict(t.values)}


def _compound(t: DataType) -> Message:
    return {"fields": [{"name": m.name, "type": type_message(m.type), "offset": m.offset} for m in t.members]}


def _array(t: DataType) -> Message:
    return {"base": type_message(t.inner), "shape": list(t.dims)}


_MORE: dict[str, Callable[[DataType], Message]] = {
    "string": _string,
    "enum": _enum,
    "compound": _compound,
    "array": _array,
    "vlen": lambda t: {"base": type_message(t.inner)},
    "reference": lambda t: {"kind": "region" if t.region else "object"},
    "opaque": lambda t: {"tag": t.tag},
}


def descr(t: DataType) -> Any:
    """The numpy descr of one element as its bytes are sent; ``|O`` if it is sent as an item.

    Fields of a compound come in the order in which they lie, gaps as unnamed ``|V``. What numpy has no name for is
    ``|V`` of its size.
    """
    if has_objects(t):
        return OBJECT
    try:
        dtype = numpy_dtype(t)
    except TypeError:
        return f"|V{t.size}"
    dtype = (dtype.subdtype or (dtype, ()))[0]
    if dtype.names is not None:
        dtype = _in_order(dtype)
    return _plain(np.lib.format.dtype_to_descr(dtype))


def _in_order(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A record with its fields in the order in which they lie, also in records and arrays within it."""
    assert dtype.fields is not None
    fields = sorted(dtype.fields.items(), key=lambda field: field[1][1])
    formats = [_inner_in_order(row[0]) for _, row in fields]
    offsets = [row[1] for _, row in fields]
    names = [name for name, _ in fields]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize})


def _inner_in_order(dtype: np.dtype[Any]) -> np.dtype[Any]:
    base, dims = dtype.subdtype or (dtype, ())
    if base.names is None:
        return dtype
    return np.dtype((_in_order(base), dims))


def _plain(found: Any) -> Any:
    """A descr as lists, as it comes out of a message."""
    return [_plain(part) for part in found] if isinstance(found, list | tuple) else found


# ---------------------------------------------------------------------- values


def value_message(t: DataType, shape: tuple[int, ...] | None, data: bytes | list[object] | None, why: str) -> Message:
    """A value with its type. ``shape`` is that of the dataspace, ``None`` for a null one."""
    found: Message = {"type": type_message(t), "shape": None if shape is None else list(shape)}
    if why:
        return found | {"omitted": why}
    if isinstance(data, bytes):
        return found | {"data": data}
    if has_objects(t):
        return found | {"items": data or []}
    return found | {"data": b""}


def attribute_messages(attributes: tuple[Attribute, ...]) -> Message:
    """All attributes by name, in order."""
    return {text(a.name): value_message(a.type, a.shape, a.data, a.omitted) for a in attributes}


def text(name: bytes) -> str:
    """A name as text: as it is, or escaped (see :mod:`chunkserve.metadata.names`) where it is not UTF-8."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return node_name(name) or name.decode("utf-8", "backslashreplace")


# --------------------------------------------------------------------- headers


def dataset_message(dataset: Dataset, name: bytes, shape: tuple[int, ...] | None) -> Message:
    """A dataset's header.

    Args:
        dataset: The header.
        name: Of the link that led to it.
        shape: Its true extent, which the header of a virtual dataset does not know.
    """
    return {
        "kind": "dataset",
        "attributes": attribute_messages(dataset.attributes),
        "type": type_message(dataset.type),
        "shape": None if shape is None else list(shape),
        "maxshape": None if shape is None else list(dataset.maxshape),
        "layout": dataset.layout,
        "chunks": list(dataset.chunks) or None,
        "filters": [_filter(stage) for stage in dataset.filters],
        "fill": _fill(dataset),
        "stored": dataset.stored if dataset.layout in ("contiguous", "compact") else None,
        "dims": dimension_labels(dataset, name),
        "notes": list(dataset.notes),
    }


def _filter(stage: Filter) -> Message:
    return {"id": stage.id, "name": NAMES.get(stage.id) or stage.name, "values": list(stage.values)}


def _fill(dataset: Dataset) -> Message | None:
    if dataset.fill.value is None:
        return None
    return value_message(dataset.type, (), dataset.fill.value, "")


def dimension_labels(dataset: Dataset, name: bytes) -> list[str | None]:
    """Per axis its label (``DIMENSION_LABELS``), or the name of the scale attached to it, or ``None``."""
    rank = len(dataset.shape or ())
    if is_scale(dataset) and rank == 1:
        return [text(name)]
    labels = find(dataset.attributes, b"DIMENSION_LABELS")
    given = labels.data if labels is not None and isinstance(labels.data, list) and len(labels.data) == rank else []
    scales = scale_paths(dataset)
    found: list[str | None] = []
    for axis in range(rank):
        label = given[axis] if given else ""
        attached = scales[axis][0].rsplit("/", 1)[-1] if scales and scales[axis] else ""
        found.append(label if isinstance(label, str) and label else attached or None)
    return found
