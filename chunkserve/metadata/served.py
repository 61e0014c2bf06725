"""How an HDF5 datatype appears in Zarr: the dtype, and whether stored bytes can be passed on."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chunkserve.datatypes import DataType, Member, is_complex, is_exact, numpy_dtype
from chunkserve.grid import Shape

Kind = Literal["number", "bool", "complex", "bytes", "opaque", "datetime", "struct", "text"]


@dataclass(frozen=True)
class Served:
    """A datatype as one Zarr dtype.

    Attributes:
        kind: Which family of Zarr dtypes.
        dtype: numpy's name for it; ``object`` for text.
        dims: Dimensions of an array type, which become trailing dimensions of the Zarr array.
        exact: Stored bytes are the bytes of ``dtype``.
        why: If not exact, what has to be converted.
        members: Names and numbers of an enum.
    """

    kind: Kind
    dtype: np.dtype[Any]
    dims: Shape = ()
    exact: bool = True
    why: str = ""
    members: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Fields:
    """A compound that no Zarr dtype holds: served as a group with one array per field."""

    members: tuple[Member, ...]
    dims: Shape
    why: str


@dataclass(frozen=True)
class LeftOut:
    """A type that cannot be served."""

    why: str


def serve(t: DataType) -> Served | Fields | LeftOut:  # noqa: PLR0911 - one per class of type
    """How to serve a datatype."""
    match t.cls:
        case "integer" | "bitfield" | "float":
            return _number(t)
        case "complex":
            return Served("complex", numpy_dtype(t), exact=is_complex(t), why="half-precision complex")
        case "string":
            return _string(t)
        case "opaque":
            dtype = numpy_dtype(t)
            return Served("datetime" if dtype.kind in "mM" else "opaque", dtype)
        case "enum":
            return _enum(t)
        case "compound":
            return _compound(t)
        case "array":
            return _array(t)
        case "reference":
            return _text("references become paths")
        case "vlen":
            return _text("variable-length sequences become JSON text")
        case _:
            return LeftOut("HDF5 time types have no equivalent")


def _number(t: DataType) -> Served | LeftOut:
    try:
        dtype = numpy_dtype(t)
    except TypeError as error:
        return LeftOut(str(error))
    if is_exact(t):
        return Served("number", dtype)
    what = "long double is read as float64" if t.cls == "float" and t.size > 8 else "non-standard bit layout"
    return Served("number", dtype, exact=False, why=what)


def _string(t: DataType) -> Served:
    if t.variable:
        return _text("variable-length strings")
    return Served("bytes", numpy_dtype(t), exact=is_exact(t), why=f"{t.padding} strings are cut and padded with NUL")


def _text(why: str) -> Served:
    return Served("text", np.dtype(object), exact=False, why=why)


def _enum(t: DataType) -> Served | LeftOut:
    dtype = numpy_dtype(t)
    if dtype == np.bool_:
        return Served("bool", dtype)
    base = _number(t.inner)
    if isinstance(base, LeftOut):
        return base
    return Served("number", base.dtype, exact=base.exact, why=base.why, members=t.values)


def _array(t: DataType) -> Served | Fields | LeftOut:
    match serve(t.inner):
        case Served() as inner:
            dims = t.dims + inner.dims
            return Served(inner.kind, inner.dtype, dims, inner.exact, inner.why, inner.members)
        case Fields(members, dims, why):
            return Fields(members, t.dims + dims, why)
        case left:
            return left


def _compound(t: DataType) -> Served | Fields | LeftOut:
    if is_complex(t):
        return Served("complex", numpy_dtype(t))
    parts = [serve(m.type) for m in t.members]
    if not parts:
        return LeftOut("compound without fields")
    for member, part in zip(t.members, parts, strict=True):
        if not isinstance(part, Served) or part.kind in ("struct", "text", "datetime") or part.dims:
            return Fields(t.members, (), f"field {member.name} has no place in a Zarr structured dtype")
    formats = [part.dtype.newbyteorder("<") for part in parts if isinstance(part, Served)]
    packed = np.dtype([(m.name, f) for m, f in zip(t.members, formats, strict=True)])
    exact = is_exact(t) and numpy_dtype(t) == packed
    return Served("struct", packed, exact=exact, why="fields are packed and made little-endian")


def field(t: DataType, path: tuple[str, ...]) -> DataType | None:
    """The type of a field of a compound (or array of compounds), following ``path``; ``None`` if there is none."""
    for name in path:
        while t.cls == "array":
            t = t.inner
        found = next((m.type for m in t.members if m.name == name), None)
        if found is None:
            return None
        t = found
    return t
