"""How values are spread over the colours: monotone functions of float64, one per name.

Each maps values within ``[vmin, vmax]``; what is shown is where the result lies between those of ``vmin`` and ``vmax``.
They may write into the array they are given: a new one for each step would take most of the time.
"""

import math
from collections.abc import Callable

import numpy as np

LOG_FLOOR = 1e-5
"""Where a logarithmic window begins whose ``vmin`` is not positive, as a fraction of ``vmax``: five decades."""

SYMLOG_LINEAR = 1e-3
"""Half the width of the linear middle of ``symlog``, as a fraction of ``max(|vmin|, |vmax|)``."""

_LINEAR = math.log(10) * 10 / 9
"""The linear middle beside a factor of e, as matplotlib's SymmetricalLogTransform has it with linscale 1, base 10."""

Scale = Callable[[np.ndarray, float, float], np.ndarray]


def _linear(values: np.ndarray, vmin: float, vmax: float) -> np.ndarray:  # noqa: ARG001 - one signature for all
    return values


def _sqrt(values: np.ndarray, vmin: float, vmax: float) -> np.ndarray:  # noqa: ARG001
    """As ``matplotlib.colors.PowerNorm(0.5)``: the square root of the distance from ``vmin``."""
    values -= vmin
    np.sqrt(values, out=values)
    return values


def _log(values: np.ndarray, vmin: float, vmax: float) -> np.ndarray:
    """Needs ``vmax > 0``; values below ``vmin``, or below the floor where that is not positive, are the floor."""
    floor = vmin if vmin > 0 else max(vmax * LOG_FLOOR, math.ulp(0.0))
    np.log(np.maximum(values, floor, out=values), out=values)
    return values


def _symlog(values: np.ndarray, vmin: float, vmax: float) -> np.ndarray:
    """As ``matplotlib.colors.SymLogNorm(linthresh, linscale=1, base=10)``: logarithmic around a linear middle."""
    middle = max(max(abs(vmin), abs(vmax)) * SYMLOG_LINEAR, math.ulp(0.0))
    ratio = np.abs(values)
    ratio /= middle
    near: np.ndarray = np.minimum(ratio, 1)
    near *= _LINEAR
    # nothing is added to what is near, since its logarithm is that of 1
    near += np.log(np.maximum(ratio, 1, out=ratio), out=ratio)
    np.copysign(near, values, out=near)
    return near


SCALES: dict[str, Scale] = {"linear": _linear, "log": _log, "sqrt": _sqrt, "symlog": _symlog}
