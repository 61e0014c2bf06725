"""HDF5 datatypes as plain data, and what numpy calls them.

The tree mirrors H5T: one :class:`DataType` per node. It is written by a reader process and read by everybody else.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

TypeClass = Literal[
    "integer",
    "float",
    "complex",
    "string",
    "bitfield",
    "opaque",
    "compound",
    "reference",
    "enum",
    "vlen",
    "array",
    "time",
]
Order = Literal["<", ">", "|"]
Padding = Literal["nullterm", "nullpad", "spacepad"]

BOOL_VALUES = (("FALSE", 0), ("TRUE", 1))
"""The enum h5py and PyTables write for booleans."""

DATETIME_TAG = "NUMPY:"
"""Opaque types with this tag prefix hold a numpy datetime or timedelta (h5py's convention)."""


@dataclass(frozen=True)
class Member:
    """One field of a compound type; ``offset`` in bytes from the start of the record."""

    name: str
    offset: int
    type: "DataType"


@dataclass(frozen=True)
class DataType:
    """One node of an HDF5 datatype.

    Attributes:
        cls: The H5T class.
        size: Bytes of one element in the file.
        order: Byte order, ``|`` where it has no meaning.
        signed: Integers only.
        standard: The bits are laid out as numpy's are (IEEE floats, integers without padding bits).
        charset, padding, variable: Strings only.
        members: Compound only.
        values: Enum only: names and numbers.
        base: Enum, array, vlen and complex only.
        dims: Array only.
        tag: Opaque only.
        region: References only: region rather than object.
    """

    cls: TypeClass
    size: int
    order: Order = "|"
    signed: bool = False
    standard: bool = True
    charset: Literal["ascii", "utf-8"] = "ascii"
    padding: Padding = "nullpad"
    variable: bool = False
    members: tuple[Member, ...] = ()
    values: tuple[tuple[str, int], ...] = ()
    base: "DataType | None" = None
    dims: tuple[int, ...] = ()
    tag: str = ""
    region: bool = False

    @property
    def inner(self) -> "DataType":
        """The base type, for classes that have one."""
        if self.base is None:
            raise TypeError(f"an HDF5 {self.cls} type has no base type")
        return self.base


def is_bool(t: DataType) -> bool:
    """Whether an enum is the boolean of h5py."""
    return t.cls == "enum" and t.inner.size == 1 and tuple(sorted(t.values)) == BOOL_VALUES


def is_complex(t: DataType) -> bool:
    """Whether numpy reads the type as complex: the native class, or h5py's compound of two equal floats r, i."""
    if t.cls == "complex":
        return t.inner.size in (4, 8) and t.inner.standard
    if t.cls != "compound" or len(t.members) != 2:
        return False
    r, i = t.members
    return (
        (r.name, i.name) == ("r", "i")
        and r.type == i.type
        and r.type.cls == "float"
        and r.type.standard
        and r.type.size in (4, 8)
        and (r.offset, i.offset, t.size) == (0, r.type.size, 2 * r.type.size)
    )


def numpy_dtype(t: DataType) -> np.dtype[Any]:
    """The dtype h5py gives the type, with offsets and padding of compounds as in the file.

    Variable strings, references and vlen arrays are ``object``. An array type becomes a subarray dtype.

    Raises:
        TypeError: numpy has no equal (H5T_TIME).
    """
    return _NUMPY[t.cls](t)


def _integer(t: DataType) -> np.dtype[Any]:
    return np.dtype(f"{t.order if t.size > 1 else '|'}{'i' if t.signed else 'u'}{_container(t.size)}")


def _container(size: int) -> int:
    """The numpy integer width that holds ``size`` bytes."""
    for width in (1, 2, 4, 8):
        if size <= width:
            return width
    raise TypeError(f"no numpy integer has {size} bytes")


def _float(t: DataType) -> np.dtype[Any]:
    if t.standard and t.size in (2, 4, 8):
        return np.dtype(f"{t.order}f{t.size}")
    return np.dtype(f"{t.order}f4") if t.size <= 4 else np.dtype(f"{t.order}f8")


def _complex(t: DataType) -> np.dtype[Any]:
    return np.dtype(f"{t.inner.order}c{16 if t.inner.size > 4 else 8}")


def _string(t: DataType) -> np.dtype[Any]:
    return np.dtype(object) if t.variable else np.dtype(f"S{t.size}")


def _opaque(t: DataType) -> np.dtype[Any]:
    if t.tag.startswith(DATETIME_TAG):
        try:
            dtype = np.dtype(t.tag.removeprefix(DATETIME_TAG))
        except TypeError:
            return np.dtype(f"V{t.size}")
        if dtype.itemsize == t.size and dtype.kind in "mM":
            return dtype
    return np.dtype(f"V{t.size}")


def _compound(t: DataType) -> np.dtype[Any]:
    if is_complex(t):
        r = t.members[0].type
        return np.dtype(f"{r.order}c{2 * r.size}")
    return np.dtype(
        {
            "names": [m.name for m in t.members],
            "formats": [numpy_dtype(m.type) for m in t.members],
            "offsets": [m.offset for m in t.members],
            "itemsize": t.size,
        }
    )


def _enum(t: DataType) -> np.dtype[Any]:
    return np.dtype(bool) if is_bool(t) else numpy_dtype(t.inner)


def _array(t: DataType) -> np.dtype[Any]:
    inner = numpy_dtype(t.inner)
    return np.dtype((inner.base, t.dims + inner.shape))


def _object(_: DataType) -> np.dtype[Any]:
    return np.dtype(object)


def _time(_: DataType) -> np.dtype[Any]:
    raise TypeError("HDF5 time types have no numpy equivalent")


_NUMPY = {
    "integer": _integer,
    "bitfield": _integer,
    "float": _float,
    "complex": _complex,
    "string": _string,
    "opaque": _opaque,
    "compound": _compound,
    "enum": _enum,
    "array": _array,
    "vlen": _object,
    "reference": _object,
    "time": _time,
}


def is_exact(t: DataType) -> bool:
    """Whether the file's bytes of one element are the memory of :func:`numpy_dtype` as h5py would fill it."""
    match t.cls:
        case "integer" | "bitfield":
            return t.standard and t.size in (1, 2, 4, 8)
        case "float":
            return t.standard and t.size in (2, 4, 8)
        case "complex":
            return is_complex(t)
        case "string":
            # conversion cuts at the first NUL (nullterm) or strips blanks (spacepad); one nullterm char cannot change
            return not t.variable and (t.padding == "nullpad" or (t.padding == "nullterm" and t.size == 1))
        case "opaque":
            return True
        case "enum" | "array":
            return is_exact(t.inner)
        case "compound":
            return all(is_exact(m.type) for m in t.members)
        case _:
            return False


def has_objects(t: DataType) -> bool:
    """Whether numpy can only point at elements: text, references, sequences, and compounds with such."""
    match t.cls:
        case "vlen" | "reference":
            return True
        case "string":
            return t.variable
        case "array" | "enum":
            return has_objects(t.inner)
        case "compound":
            return any(has_objects(m.type) for m in t.members)
        case _:
            return False


def number_type(dtype: np.dtype[Any]) -> DataType:
    """The datatype of plain numbers of a numpy dtype."""
    order: Order = ">" if dtype.str[0] == ">" else "<"
    if dtype.kind == "f":
        return DataType("float", dtype.itemsize, order)
    return DataType("integer", dtype.itemsize, order, signed=dtype.kind == "i")


def opaque(values: np.ndarray) -> np.ndarray:
    """Records as opaque bytes, others as they are: copies then have what is between the fields, too, not any memory."""
    return values.view(f"V{values.dtype.itemsize}") if values.dtype.names is not None else values
