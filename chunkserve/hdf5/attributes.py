"""Read the attributes of one object, within limits."""

import math

import numpy as np
from h5py import h5, h5a, h5p, h5t

from chunkserve.datatypes import DataType, has_objects
from chunkserve.hdf5.faults import raise_storage_fault
from chunkserve.hdf5.types import TooDeep, describe_type
from chunkserve.hdf5.values import Location, element_data, memory_layout
from chunkserve.model import Attribute

MAX_COUNT = 10_000
"""Attributes read per object; the rest is noted and left out."""

SKIPPED = frozenset({b"REFERENCE_LIST"})
"""Attributes whose values nobody shows and that grow with the number of variables in a netCDF file."""


def read_attributes(where: Location, max_bytes: int) -> tuple[tuple[Attribute, ...], tuple[str, ...]]:
    """All attributes of an object in the file's order, and notes on what was left out.

    An attribute over ``max_bytes``, or one that libhdf5 cannot read, keeps its name and type but has no data.
    """
    if not h5a.get_num_attrs(where):
        return (), ()
    names: list[bytes] = []
    tracked = where.get_create_plist().get_attr_creation_order() & h5p.CRT_ORDER_TRACKED
    h5a.iterate(where, names.append, index_type=h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME)
    notes = (f"{len(names) - MAX_COUNT} of {len(names)} attributes left out",) if len(names) > MAX_COUNT else ()
    return tuple(_read(where, name, max_bytes) for name in names[:MAX_COUNT]), notes


def _read(where: Location, name: bytes, max_bytes: int) -> Attribute:
    unknown = DataType("opaque", 1)
    try:
        attribute = h5a.open(where, name)
        tid = attribute.get_type()
        t = describe_type(tid)
    except (TooDeep, OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise_storage_fault(error)
        return Attribute(name, unknown, None, omitted=str(error))
    shape = tuple(attribute.shape) if attribute.get_space().get_simple_extent_type() != 2 else None  # H5S_NULL
    if shape is None:
        return Attribute(name, t, None)
    size = math.prod(shape) * t.size
    if name in SKIPPED or size > max_bytes:
        return Attribute(name, t, shape, omitted=f"{size} bytes" if size > max_bytes else "bookkeeping of libhdf5")
    try:
        return Attribute(name, t, shape, _data(where, attribute, tid, t))
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise_storage_fault(error)
        return Attribute(name, t, shape, omitted=f"unreadable: {error}")


def _data(where: Location, attribute: h5a.AttrID, tid: h5t.TypeID, t: DataType) -> bytes | list[object]:
    shape = tuple(attribute.shape)
    if not math.prod(shape):
        return [] if has_objects(t) else b""
    dtype, memory = memory_layout(tid, t)
    base, dims = dtype.subdtype or (dtype, ())
    values = np.zeros(shape + dims, dtype=base)
    attribute.read(values, mtype=memory)
    return element_data(values, t, where, shape)
