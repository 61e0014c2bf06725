"""Values to indices of a palette."""

from functools import lru_cache

import numpy as np

from chunkserve.errors import Unsupported
from chunkserve.render.palette import palette
from chunkserve.render.scales import SCALES
from chunkserve.render.style import Style

__all__ = ["palette", "shade"]


def shade(values: np.ndarray, valid: np.ndarray | None, style: Style) -> tuple[np.ndarray, np.ndarray | None]:
    """Which of 256 colours each value has.

    Args:
        values: Booleans, integers or floats of any size and byte order, shape (height, width). 64-bit integers are
            compared as float64: steps of less than ``2**-52`` of a value are not told apart.
        valid: bool of the same shape, False where there is no value; ``None``: everywhere is one.
        style: Its window is divided into 256 steps as matplotlib does, so that 8-bit values in a linear window of
            0 to 255 are their own indices. ``inf`` is shown as the top, ``-inf`` as the bottom, with ``log`` also
            what is not positive.

    Returns:
        Indices, uint8 of the same shape, and where neither they nor anything else is to be shown: bool of the same
        shape, True where a value is NaN or not valid; ``None`` if that is nowhere.

    Raises:
        Unsupported: The values are not real numbers.
    """
    if values.dtype.kind not in "buif":
        raise Unsupported(f"values of type {values.dtype} cannot be shown as colours")
    native = (
        values.view(np.uint8) if values.dtype.kind == "b" else values.astype(values.dtype.newbyteorder("="), copy=False)
    )
    indices = _looked_up(native, style) if native.dtype.itemsize <= 2 else _computed(native, style)
    bad = np.isnan(native) if native.dtype.kind == "f" else None
    if valid is not None:
        bad = ~valid if bad is None else bad | ~valid
    return indices, bad if bad is not None and bad.any() else None


def _computed(values: np.ndarray, style: Style) -> np.ndarray:
    with np.errstate(over="ignore"):  # float128 beyond float64 is infinite, hence an end of the window
        wide = values.astype(np.float64)
    # fmax and fmin, not clip: NaN becomes an end, so that its index is always the same
    np.fmin(np.fmax(wide, style.vmin, out=wide), style.vmax, out=wide)
    low, high = style.ends
    steps = SCALES[style.scale](wide, style.vmin, style.vmax)
    steps -= low
    steps /= high - low
    steps *= 256
    # conversion cuts off; rounding may have led a little beyond either end
    return np.clip(steps, 0, 255, out=steps).astype(np.uint8)


def _looked_up(values: np.ndarray, style: Style) -> np.ndarray:
    """For 8 and 16 bits: 0.2 ms for 512 x 512 values on any scale, computed 0.6 (linear) to 0.9 (log)."""
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    return _table(values.dtype, style).take(values.view(unsigned))


@lru_cache(maxsize=64)
def _table(dtype: np.dtype, style: Style) -> np.ndarray:
    """The index of each value that 8 or 16 bits can spell, uint8 of length ``2**bits``; a picture's tiles share it."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    every = np.arange(2 ** (8 * dtype.itemsize), dtype=unsigned).view(dtype)
    table = _computed(every, style)
    table.setflags(write=False)
    return table
