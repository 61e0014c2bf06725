"""Dimension names of a group's datasets, by the rules of netCDF-4 and of h5netcdf's ``phony_dims="access"``.

https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html (netCDF-4) and
https://github.com/h5netcdf/h5netcdf/blob/main/h5netcdf/core.py. What xarray shows of the file, it must show of the
store.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from chunkserve.datatypes import numpy_dtype
from chunkserve.grid import Shape
from chunkserve.model import Attribute, Dataset

HIDDEN = frozenset(
    {
        b"REFERENCE_LIST",
        b"CLASS",
        b"DIMENSION_LIST",
        b"NAME",
        b"_Netcdf4Dimid",
        b"_Netcdf4Coordinates",
        b"_nc3_strict",
        b"_NCProperties",
    }
)
"""Attributes that are bookkeeping of HDF5 dimension scales and netCDF, shown to nobody."""

_NOT_A_VARIABLE = b"This is a netCDF dimension but not a netCDF variable."


@dataclass(frozen=True)
class Scope:
    """Dimensions known in a group.

    Attributes:
        own: The group's dimensions and their sizes, in order.
        inherited: Those of the groups above.
        ids: netCDF dimension id to name, over both.
        phony: Dimensions named ``phony_dim_N`` so far on the way from the root to this group.
    """

    own: dict[str, int] = field(default_factory=dict)
    inherited: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[int, str] = field(default_factory=dict)
    phony: int = 0

    def size(self, name: str) -> int | None:
        """The size of a dimension seen from this group."""
        return self.own.get(name, self.inherited.get(name))


def find(attributes: Iterable[Attribute], name: bytes) -> Attribute | None:
    """The attribute with a name."""
    return next((a for a in attributes if a.name == name), None)


def attribute_bytes(dataset: Dataset, name: bytes) -> bytes:
    """A string attribute as bytes, empty if there is none."""
    attribute = find(dataset.attributes, name)
    if attribute is None or not attribute.data:
        return b""
    if isinstance(attribute.data, bytes):
        return attribute.data.rstrip(b"\0") if attribute.type.cls == "string" else b""
    item = attribute.data[0]
    return item.encode() if isinstance(item, str) else item if isinstance(item, bytes) else b""


def is_scale(dataset: Dataset) -> bool:
    """Whether a dataset is an HDF5 dimension scale."""
    return attribute_bytes(dataset, b"CLASS") == b"DIMENSION_SCALE"


def is_variable(dataset: Dataset) -> bool:
    """Whether a dataset is more than the carrier of a dimension's length."""
    return _NOT_A_VARIABLE not in attribute_bytes(dataset, b"NAME")


def scale_paths(dataset: Dataset) -> list[list[str]]:
    """Paths of the scales attached to each axis, from ``DIMENSION_LIST``; empty if there are none at all."""
    attribute = find(dataset.attributes, b"DIMENSION_LIST")
    if attribute is None or not isinstance(attribute.data, list):
        return []
    rows = [[path for path in row if isinstance(path, str)] for row in attribute.data if isinstance(row, list)]
    return rows if len(rows) == len(dataset.shape or ()) else []


def _numbers(dataset: Dataset, name: bytes) -> list[int]:
    attribute = find(dataset.attributes, name)
    if attribute is None or not isinstance(attribute.data, bytes) or attribute.type.cls != "integer":
        return []
    return [int(n) for n in np.frombuffer(attribute.data, numpy_dtype(attribute.type))]


def open_scope(members: Mapping[str, Dataset], above: Scope, sizes: Mapping[str, int]) -> Scope:
    """The dimensions of a group.

    Args:
        members: The group's datasets by name, in the file's order.
        above: The scope of the group above.
        sizes: Current sizes of unlimited dimensions whose scale is a member, by its name.
    """
    own, ids = {}, dict(above.ids)
    labelled: Counter[int | None] = Counter()
    wanted: Counter[int] = Counter()
    for name, dataset in members.items():
        shape = dataset.shape or ()
        if is_scale(dataset):
            unlimited = dataset.maxshape == (None,)
            own[name] = sizes.get(name, shape[0] if shape else 0) if unlimited else (shape[0] if shape else 0)
            labelled[None if unlimited else own[name]] += 1
            for number in _numbers(dataset, b"_Netcdf4Dimid")[:1]:
                ids[number] = name
        elif not any(scale_paths(dataset)):
            wanted |= Counter(shape)
    phony = above.phony
    for size, count in wanted.items():
        for _ in range(labelled[size], count):
            own[f"phony_dim_{phony}"] = size
            phony += 1
    return Scope(own, {**above.inherited, **above.own}, ids, phony)


def dimension_names(name: str, dataset: Dataset, scope: Scope) -> tuple[str, ...]:
    """One name per axis of a dataset, never empty.

    Args:
        name: The dataset's name in its group.
        dataset: Its header.
        scope: Its group's dimensions.
    """
    shape = dataset.shape if dataset.shape is not None else (0,)
    if is_scale(dataset):
        names = [scope.ids.get(number) for number in _numbers(dataset, b"_Netcdf4Coordinates")]
        if len(names) == len(shape) and all(names):
            return tuple(n for n in names if n)
    paths = scale_paths(dataset)
    if paths and all(paths):
        return tuple(path[-1].rsplit("/", 1)[-1] or "root" for path in paths)
    own_name = [name] if shape and (is_scale(dataset) or shape == (scope.size(name),)) else []
    taken: defaultdict[int, int] = defaultdict(int)
    names_found: list[str] = own_name
    for axis in range(len(own_name), len(shape)):
        if paths and paths[axis]:
            names_found.append(paths[axis][0].rsplit("/", 1)[-1])
            continue
        size = shape[axis]
        fitting = [n for n, s in scope.own.items() if s == size]
        names_found.append(fitting[taken[size]] if taken[size] < len(fitting) else anonymous((size,), taken[size])[0])
        taken[size] += 1
    return tuple(names_found)


def anonymous(shape: Shape, first: int = 0) -> tuple[str, ...]:
    """Names that only depend on the size, for axes of which nothing else is known: ``phony_64``, ``phony_64_1``."""
    seen: Counter[int] = Counter()
    names = []
    for n in shape:
        nth = first + seen[n]
        names.append(f"phony_{n}_{nth}" if nth else f"phony_{n}")
        seen[n] += 1
    return tuple(names)
