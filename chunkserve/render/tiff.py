"""Values as TIFF files."""

import io
import math

import numpy as np
import tifffile


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
