"""The model in the words of h5grove 4: what ``/meta`` says of groups, datasets, types and links.

https://github.com/silx-kit/h5grove (``h5grove.models``). Viewers compare these documents with what they know of each
type, so nothing is added to them.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from chunkserve.datatypes import DataType, numpy_dtype
from chunkserve.metadata.h5grove_values import attribute_value
from chunkserve.model import Attribute, Dataset, Group, Link, NamedType

Document = dict[str, Any]

CLASSES = {
    "integer": 0, "float": 1, "time": 2, "string": 3, "bitfield": 4, "opaque": 5, "compound": 6, "reference": 7,
    "enum": 8, "vlen": 9, "array": 10, "complex": 11,
}  # fmt: skip
"""Numbers of H5T_class_t."""

ORDERS = {"<": 0, ">": 1, "|": 4}
"""Numbers of H5T_order_t."""

CHARSETS = {"ascii": 0, "utf-8": 1}
PADDINGS = {"nullterm": 0, "nullpad": 1, "spacepad": 2}

LIMITS = frozenset({b"_FillValue", b"valid_min", b"valid_max"})
"""Attributes by which H5Web masks data. It wants each as a finite scalar."""


def text(name: bytes) -> str:
    """A name as it is written in answers."""
    return name.decode("utf-8", "backslashreplace")


# ---------------------------------------------------------------------- types


def type_document(t: DataType) -> Document:
    """A datatype."""
    found: Document = {"class": CLASSES[t.cls], "dtype": _dtype(t), "size": t.size}
    match t.cls:
        case "integer":
            found |= {"order": ORDERS[t.order], "sign": int(t.signed)}
        case "float" | "bitfield":
            found["order"] = ORDERS[t.order]
        case "string":
            found |= {"cset": CHARSETS[t.charset], "strpad": PADDINGS[t.padding], "vlen": t.variable}
        case "opaque":
            found["tag"] = t.tag
        case "compound":
            found["members"] = [{"name": m.name, **type_document(m.type)} for m in t.members]
        case "enum":
            found |= {"members": dict(t.values), "base": type_document(t.inner)}
        case "vlen":
            found["base"] = type_document(t.inner)
        case "array":
            found |= {"dims": list(t.dims), "base": type_document(t.inner)}
    return found


def _dtype(t: DataType) -> str | Document:
    """What numpy calls a type; of a compound, each of its members."""
    if _is_long_double(t):
        return f"{t.order}f16"
    parts = [m.name for m in t.members if _is_long_double(m.type)]
    if t.cls == "compound" and parts == ["r", "i"] == [m.name for m in t.members]:
        return f"{t.members[0].type.order}c32"
    try:
        found = numpy_dtype(t)
    except TypeError:
        return f"|V{t.size}"
    return _spelled(found, t)


def _is_long_double(t: DataType) -> bool:
    return t.cls == "float" and not t.standard and t.size > 8


def _spelled(dtype: np.dtype[Any], t: DataType) -> str | Document:
    if dtype.names is not None and t.cls == "compound":
        return {m.name: _dtype(m.type) for m in t.members}
    return dtype.str


# ------------------------------------------------------------------ attributes


def attribute_documents(attributes: Iterable[Attribute]) -> list[Document]:
    """Names, shapes and types of attributes, by name."""
    found = [
        {"name": text(a.name), "shape": None if a.shape is None else list(_shape(a)), "type": type_document(a.type)}
        for a in attributes
        if not _is_no_limit(a)
    ]
    return sorted(found, key=lambda document: document["name"])


def attribute_values(attributes: Iterable[Attribute]) -> Document:
    """Values of attributes by name, without those that were not read."""
    found: Document = {}
    for attribute in attributes:
        if not attribute.omitted:
            value = attribute_value(attribute)
            found[text(attribute.name)] = value[0] if attribute.shape == (1,) and _shape(attribute) == () else value
    return found


def _shape(attribute: Attribute) -> tuple[int, ...]:
    """An attribute's shape. netCDF writes limits as arrays of one element, which H5Web would pass over."""
    shape = attribute.shape or ()
    return () if attribute.name in LIMITS and shape == (1,) else shape


def _is_no_limit(attribute: Attribute) -> bool:
    """Whether it is a limit that is NaN or infinite. JSON has no such number, and H5Web shows nothing without it."""
    if attribute.name not in LIMITS or not isinstance(attribute.data, bytes) or attribute.type.cls != "float":
        return False
    values = np.frombuffer(attribute.data, numpy_dtype(attribute.type))
    return len(values) == 1 and not math.isfinite(values[0])


# -------------------------------------------------------------------- entities


def group_document(name: str, group: Group, children: list[Document] | None) -> Document:
    """A group; with its children, or as a child itself (``None``)."""
    found: Document = {"attributes": attribute_documents(group.attributes)}
    if children is not None:
        found["children"] = children
    return found | {"kind": "group", "name": name}


def dataset_document(name: str, dataset: Dataset, shape: tuple[int, ...] | None) -> Document:
    """A dataset of a shape, ``None`` for a null dataspace."""
    stages = [{"id": stage.id, "name": stage.name} for stage in dataset.filters]
    return {
        "attributes": attribute_documents(dataset.attributes),
        "chunks": list(dataset.chunks) or None,
        "filters": stages or None,
        "kind": "dataset",
        "name": name,
        "shape": None if shape is None else list(shape),
        "type": type_document(dataset.type),
    }


def named_type_document(name: str, found: NamedType) -> Document:
    """A committed datatype."""
    return {
        "attributes": attribute_documents(found.attributes),
        "kind": "datatype",
        "name": name,
        "type": type_document(found.type),
    }


def link_document(name: str, link: Link | None) -> Document:
    """A link that is not followed, or leads to nothing."""
    if link is not None and link.kind == "soft":
        return {"kind": "soft_link", "name": name, "target_path": text(link.path)}
    if link is not None and link.kind == "external":
        return {
            "kind": "external_link", "name": name, "target_file": text(link.file), "target_path": text(link.path),
        }  # fmt: skip
    return {"kind": "other", "name": name}


def described_link(link: Link) -> str:
    """A link in messages, as h5py shows it (an external one without the last bracket)."""
    if link.kind == "external":
        return f'<ExternalLink to "{text(link.path)}" in file "{text(link.file)}"'
    return f'<SoftLink to "{text(link.path)}">' if link.kind == "soft" else f"<link {text(link.name)}>"
