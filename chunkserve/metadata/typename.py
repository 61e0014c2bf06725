"""Datatypes in a word or two, for people."""

from chunkserve.datatypes import DataType, is_bool, numpy_dtype


def type_name(t: DataType) -> str:
    """A datatype's name: numpy's where there is one."""
    if t.cls == "compound":
        return "compound{" + ", ".join(f"{m.name}: {type_name(m.type)}" for m in t.members) + "}"
    if t.cls in ("vlen", "reference"):
        return t.cls if t.base is None else f"vlen of {type_name(t.base)}"
    if t.cls == "string" and t.variable:
        return "text"
    if t.cls == "enum" and not is_bool(t):
        return f"enum {type_name(t.inner)}"
    try:
        return str(numpy_dtype(t))
    except TypeError:
        return t.cls
