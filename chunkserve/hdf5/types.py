"""From libhdf5's type identifiers to :class:`~chunkserve.datatypes.DataType`."""

from collections.abc import Callable

from h5py import h5t

from chunkserve.datatypes import DataType, Member, Order, Padding

MAX_DEPTH = 32
"""Levels of nesting in one datatype. Real files have four; deeper ones are attacks on the stack."""

_ORDER: dict[int, Order] = {h5t.ORDER_LE: "<", h5t.ORDER_BE: ">"}
_PADDING: dict[int, Padding] = {
    h5t.STR_NULLTERM: "nullterm",
    h5t.STR_NULLPAD: "nullpad",
    h5t.STR_SPACEPAD: "spacepad",
}
_IEEE = (
    h5t.IEEE_F16LE, h5t.IEEE_F16BE, h5t.IEEE_F32LE, h5t.IEEE_F32BE, h5t.IEEE_F64LE, h5t.IEEE_F64BE,
)  # fmt: skip
_BITFIELDS = (
    h5t.STD_B8LE, h5t.STD_B8BE, h5t.STD_B16LE, h5t.STD_B16BE,
    h5t.STD_B32LE, h5t.STD_B32BE, h5t.STD_B64LE, h5t.STD_B64BE,
)  # fmt: skip


class TooDeep(ValueError):
    """The datatype is nested deeper than :data:`MAX_DEPTH`."""


def describe_type(tid: h5t.TypeID, depth: int = 0) -> DataType:
    """Describe a datatype, recursively.

    Raises:
        TooDeep: More than :data:`MAX_DEPTH` levels.
    """
    if depth > MAX_DEPTH:
        raise TooDeep(f"datatype nested deeper than {MAX_DEPTH} levels")
    return _DESCRIBE[tid.get_class()](tid, depth)


def _integer(tid: h5t.TypeID, _: int) -> DataType:
    size = tid.get_size()
    return DataType(
        "integer",
        size,
        _order(tid),
        signed=tid.get_sign() != h5t.SGN_NONE,
        standard=tid.get_precision() == 8 * size and tid.get_offset() == 0,
    )


def _bitfield(tid: h5t.TypeID, _: int) -> DataType:
    standard = any(tid.equal(whole) for whole in _BITFIELDS)
    return DataType("bitfield", tid.get_size(), _order(tid), standard=standard)


def _float(tid: h5t.TypeID, _: int) -> DataType:
    standard = any(tid.equal(ieee) for ieee in _IEEE)
    return DataType("float", tid.get_size(), _order(tid), standard=standard)


def _complex(tid: h5t.TypeID, depth: int) -> DataType:
    base = describe_type(tid.get_super(), depth + 1)
    return DataType("complex", tid.get_size(), base.order, base=base)


def _string(tid: h5t.TypeID, _: int) -> DataType:
    return DataType(
        "string",
        tid.get_size(),
        charset="utf-8" if tid.get_cset() == h5t.CSET_UTF8 else "ascii",
        padding=_PADDING.get(tid.get_strpad(), "nullterm"),
        variable=bool(tid.is_variable_str()),
    )


def _opaque(tid: h5t.TypeID, _: int) -> DataType:
    return DataType("opaque", tid.get_size(), tag=tid.get_tag().decode("ascii", "replace"))


def _compound(tid: h5t.TypeID, depth: int) -> DataType:
    members = tuple(
        Member(
            tid.get_member_name(i).decode("utf-8", "backslashreplace"),
            tid.get_member_offset(i),
            describe_type(tid.get_member_type(i), depth + 1),
        )
        for i in range(tid.get_nmembers())
    )
    return DataType("compound", tid.get_size(), members=members)


def _reference(tid: h5t.TypeID, _: int) -> DataType:
    return DataType("reference", tid.get_size(), region=tid.equal(h5t.STD_REF_DSETREG))


def _enum(tid: h5t.TypeID, depth: int) -> DataType:
    values = tuple(
        (tid.get_member_name(i).decode("utf-8", "backslashreplace"), int(tid.get_member_value(i)))
        for i in range(tid.get_nmembers())
    )
    base = describe_type(tid.get_super(), depth + 1)
    return DataType("enum", tid.get_size(), base.order, values=values, base=base)


def _vlen(tid: h5t.TypeID, depth: int) -> DataType:
    return DataType("vlen", tid.get_size(), base=describe_type(tid.get_super(), depth + 1))


def _array(tid: h5t.TypeID, depth: int) -> DataType:
    base = describe_type(tid.get_super(), depth + 1)
    return DataType("array", tid.get_size(), base=base, dims=tuple(tid.get_array_dims()))


def _time(tid: h5t.TypeID, _: int) -> DataType:
    return DataType("time", tid.get_size(), standard=False)


def _order(tid: h5t.TypeID) -> Order:
    return _ORDER.get(tid.get_order(), "|")


_DESCRIBE: dict[int, Callable[[h5t.TypeID, int], DataType]] = {
    h5t.INTEGER: _integer,
    h5t.FLOAT: _float,
    h5t.TIME: _time,
    h5t.STRING: _string,
    h5t.BITFIELD: _bitfield,
    h5t.OPAQUE: _opaque,
    h5t.COMPOUND: _compound,
    h5t.REFERENCE: _reference,
    h5t.ENUM: _enum,
    h5t.VLEN: _vlen,
    h5t.ARRAY: _array,
}
if hasattr(h5t, "COMPLEX"):  # HDF5 2.0
    _DESCRIBE[h5t.COMPLEX] = _complex
