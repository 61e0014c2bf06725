"""Values as numpy files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""

import io

import numpy as np

from chunkserve.errors import Unsupported

_LARGE = 65_000
"""Characters of a description from which on it does not fit version 1.0."""


def npy_header(descr: object, shape: tuple[int, ...]) -> bytes:
    """What stands in front of the elements, in C order.

    Args:
        descr: Of an element, as :func:`numpy.lib.format.dtype_to_descr` gives it; its fields may be lists.
        shape: Of all of them.
    """
    about = {"descr": _tuples(descr), "fortran_order": False, "shape": shape}
    out = io.BytesIO()
    large = len(repr(about)) > _LARGE
    write = np.lib.format.write_array_header_2_0 if large else np.lib.format.write_array_header_1_0
    write(out, about)
    return out.getvalue()


def _tuples(descr: object) -> object:
    """A descr with its fields as tuples, as numpy wants it."""
    if not isinstance(descr, list):
        return descr
    return [(name, _tuples(inner), *(tuple(dims) for dims in more)) for name, inner, *more in descr]


def npy(values: np.ndarray) -> bytes:
    """A whole file: C order, little-endian. Any shape.

    Raises:
        Unsupported: The values are not of one size each (variable-length text, references).
    """
    if values.dtype.hasobject:
        raise Unsupported("values of variable length have no .npy form")
    plain = np.asarray(values, values.dtype.newbyteorder("<"), order="C")
    return npy_header(np.lib.format.dtype_to_descr(plain.dtype), plain.shape) + plain.tobytes()
