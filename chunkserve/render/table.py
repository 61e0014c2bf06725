"""Numbers as files to take home: ``.npy``, CSV, TIFF."""

import io
import math
from typing import Any

import numpy as np
import tifffile


def npy_head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What is in front of the C-order bytes of an array in ``.npy`` files."""
    buffer = io.BytesIO()
    described = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(buffer, {"descr": described, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def csv(values: np.ndarray) -> bytes:
    """Rows of numbers with 19 digits each, as :func:`numpy.savetxt` writes them.

    Args:
        values: Numbers of one or two dimensions; of one, each is a row.

    Raises:
        ValueError: They have more.
    """
    buffer = io.BytesIO()
    np.savetxt(buffer, values, delimiter=",")
    return buffer.getvalue()


def tiff(values: np.ndarray) -> bytes:
    """An uncompressed TIFF; dimensions before the last two are its pages.

    Args:
        values: Numbers of two or more dimensions.

    Raises:
        ValueError: TIFF has no such pictures.
    """
    if values.ndim < 2 or not math.prod(values.shape):
        raise ValueError(f"there are no pictures of shape {values.shape}, only of two or more dimensions")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="minisblack")
    return buffer.getvalue()
