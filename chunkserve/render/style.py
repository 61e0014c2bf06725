"""How values are shown: a window, a scale, a colormap, a colour for what has no value; read from a request."""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import ImageColor

from chunkserve.errors import BadRequest
from chunkserve.render.palette import palette
from chunkserve.render.scales import SCALES

Rgba = tuple[int, int, int, int]
Window = tuple[float, float]

TRANSPARENT: Rgba = (0, 0, 0, 0)

PARAMETERS = ("vmin", "vmax", "scale", "cmap", "invert", "bad")
"""The names that :func:`parse_style` knows; it ignores others."""

_FLAGS = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_HEX = re.compile(r"#?([0-9a-f]{6})([0-9a-f]{2})?")


@dataclass(frozen=True, slots=True)
class Style:
    """How values become colours. The same for all tiles of a picture: nothing here depends on what a tile contains.

    ``vmin`` and what is below has the first colour of the colormap, ``vmax`` and what is above the last one.

    Raises:
        BadRequest: No picture could be made with these; the message says why.
    """

    vmin: float
    vmax: float
    scale: str = "linear"
    cmap: str = "gray"
    invert: bool = False
    bad: Rgba = TRANSPARENT

    def __post_init__(self) -> None:
        if not (math.isfinite(self.vmin) and math.isfinite(self.vmax)):
            raise BadRequest(f"vmin and vmax must be finite, not {self.vmin:g} and {self.vmax:g}")
        if self.vmin >= self.vmax:
            raise BadRequest(f"vmin must be below vmax; they are {self.vmin:g} and {self.vmax:g}")
        if self.scale not in SCALES:
            raise BadRequest(f"scale must be one of {', '.join(SCALES)}, not {self.scale[:80]!r}")
        if self.scale == "log" and self.vmax <= 0:
            raise BadRequest(f"scale=log shows positive values only, but vmax is {self.vmax:g}; try scale=symlog")
        low, high = self.ends
        if not 0 < high - low < math.inf:
            raise BadRequest(
                f"float64 cannot divide the window from {self.vmin!r} to {self.vmax!r}, scale {self.scale}"
            )
        palette(self.cmap, self.invert)

    @property
    def ends(self) -> Window:
        """Where the scale puts ``vmin`` and ``vmax``."""
        with np.errstate(over="ignore"):  # an infinite distance is refused, not warned of
            ends = np.array([self.vmin, self.vmax], np.float64)
            low, high = SCALES[self.scale](ends, self.vmin, self.vmax).tolist()
        return low, high

    @property
    def key(self) -> str:
        """Equal for styles that show everything alike, however they are spelled; ASCII without spaces or quotes."""
        colours = hashlib.blake2s(palette(self.cmap, self.invert).tobytes(), digest_size=8).hexdigest()
        # + 0.0: -0 is 0
        return f"{self.scale},{float(self.vmin) + 0.0!r},{float(self.vmax) + 0.0!r},{colours},{bytes(self.bad).hex()}"


def parse_style(parameters: Mapping[str, str], window: Window) -> Style:
    """The style that a request asks for.

    Args:
        parameters: Any of ``PARAMETERS``, as they stand in the query. ``bad`` is a CSS name, ``transparent``,
            ``#rrggbb`` or ``#rrggbbaa``, of which the ``#`` may be left out. ``invert`` alone means ``invert=1``.
        window: Stands in for ``vmin`` and ``vmax`` where they are not given. It need not have an extent (constant data)
            nor be finite (no data at all).

    Raises:
        BadRequest: A parameter is malformed, or they do not go together.
    """
    low, high = _widened(*window)
    vmin, vmax = (_number(parameters, name, default) for name, default in (("vmin", low), ("vmax", high)))
    given = [name for name in ("vmin", "vmax") if name in parameters]
    if vmin >= vmax and len(given) == 1:
        raise BadRequest(
            f"{given[0]}={parameters[given[0]][:80]} leaves nothing of the data's {low:g} to {high:g}; give both"
        )
    return Style(
        vmin,
        vmax,
        parameters.get("scale", "linear"),
        parameters.get("cmap", "gray"),
        _flag(parameters.get("invert", "0")),
        _colour(parameters.get("bad", "transparent")),
    )


def _widened(low: float, high: float) -> Window:
    """A window that has an extent."""
    low, high = float(low), float(high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    return (low, high) if low < high else (low, low + max(1.0, abs(low) * 1e-6))


def _number(parameters: Mapping[str, str], name: str, default: float) -> float:
    """A finite number."""
    text = parameters.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRequest(f"{name} must be a finite number, not {text[:80]!r}")
    return value


def _flag(text: str) -> bool:
    """A yes or no."""
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise BadRequest(f"invert must be 1 or 0, not {text[:80]!r}") from None


def _colour(text: str) -> Rgba:
    """A colour as CSS writes it; all that cannot be seen are one."""
    name = text.lower()
    found = _HEX.fullmatch(name)
    if name == "transparent" or (found and found[2] == "00"):
        return TRANSPARENT
    if found:
        red, green, blue = bytes.fromhex(found[1])
        return red, green, blue, int(found[2] or "ff", 16)
    if name not in ImageColor.colormap:
        raise BadRequest(f"bad must be a CSS colour name, rrggbb, rrggbbaa or transparent, not {text[:80]!r}")
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue, 255
