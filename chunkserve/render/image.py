"""Indices to picture files: the same bytes for the same input, always."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from chunkserve.errors import BadRequest
from chunkserve.render.png import indexed_png, rgba_png
from chunkserve.render.style import TRANSPARENT, Rgba

MEDIA = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg", "npy": "application/octet-stream"}
"""Media type by the suffix of a tile."""

JPEG_QUALITY = 85
WEBP_QUALITY = 85
WEBP_METHOD = 0
"""Of 0 to 6, the fastest: method 4 takes four times as long for a tenth of the bytes."""

Bad = np.ndarray | None


def encode(
    indices: np.ndarray,
    bad: Bad,
    palette: np.ndarray,
    bad_colour: Rgba,
    format: str,  # noqa: A002
    size: tuple[int, int] | None = None,
) -> bytes:
    """A picture file.

    PNG is exact. WebP is lossy: small files that can be transparent. (Without loss it takes four times as long as PNG
    and is hardly smaller.) JPEG is lossy and opaque: ``bad_colour`` is laid over black.

    Args:
        indices: uint8 (height, width), both at least 1.
        bad: bool (height, width), True where ``bad_colour`` is to be shown, or ``None``.
        palette: uint8 (256, 3), red, green, blue.
        bad_colour: Red, green, blue, alpha, 0 to 255.
        format: ``png``, ``webp`` or ``jpg``.
        size: Height and width of a larger picture, of which this is the upper left part. The rest is transparent, in
            JPEG black.

    Raises:
        BadRequest: Another format.
    """
    if format not in _ENCODERS:
        raise BadRequest(f"pictures are {', '.join(_ENCODERS)}, not {format[:80]!r}")
    if size is None or size == indices.shape:
        return _ENCODERS[format](indices, bad, palette, bad_colour)
    if bad is None:
        bad, bad_colour = np.zeros(indices.shape, np.bool_), TRANSPARENT
    if bad_colour != TRANSPARENT:
        pixels = _painted(indices, bad, _opaque(palette), bad_colour)
        return _PAINTED[format](_enlarged(pixels, size, 0))
    return _ENCODERS[format](_enlarged(indices, size, 0), _enlarged(bad, size, fill=True), palette, TRANSPARENT)


def _enlarged(part: np.ndarray, size: tuple[int, int], fill: int) -> np.ndarray:
    """An array whose upper left is ``part``."""
    out = np.full((*size, *part.shape[2:]), fill, part.dtype)
    out[: part.shape[0], : part.shape[1]] = part
    return out


def _png(indices: np.ndarray, bad: Bad, palette: np.ndarray, bad_colour: Rgba) -> bytes:
    colours = _opaque(palette)
    if bad is None:
        return indexed_png(indices, colours)
    unused = np.flatnonzero(np.bincount(indices[~bad], minlength=256) == 0)
    if not len(unused):  # 257 colours
        return rgba_png(_painted(indices, bad, colours, bad_colour))
    free = unused[-1]
    colours[free] = bad_colour
    return indexed_png(np.where(bad, np.uint8(free), indices), colours)


def _webp(indices: np.ndarray, bad: Bad, palette: np.ndarray, bad_colour: Rgba) -> bytes:
    return _webp_of(
        palette.take(indices, axis=0) if bad is None else _painted(indices, bad, _opaque(palette), bad_colour)
    )


def _webp_of(pixels: np.ndarray) -> bytes:
    return _saved(pixels, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD)


def _jpg(indices: np.ndarray, bad: Bad, palette: np.ndarray, bad_colour: Rgba) -> bytes:
    *rgb, alpha = bad_colour
    flat = [round(c * alpha / 255) for c in rgb]
    grey = (palette == palette[:, :1]).all() and (bad is None or len(set(flat)) == 1)
    pixels = palette[:, 0].take(indices) if grey else palette.take(indices, axis=0)
    if bad is not None:
        pixels[bad] = flat[0] if grey else flat
    return _saved(pixels, "JPEG", quality=JPEG_QUALITY)


def _jpg_of(pixels: np.ndarray) -> bytes:
    return _saved(np.rint(pixels[..., :3] * (pixels[..., 3:] / 255)).astype(np.uint8), "JPEG", quality=JPEG_QUALITY)


_ENCODERS: dict[str, Callable[[np.ndarray, Bad, np.ndarray, Rgba], bytes]] = {"png": _png, "webp": _webp, "jpg": _jpg}
_PAINTED: dict[str, Callable[[np.ndarray], bytes]] = {"png": rgba_png, "webp": _webp_of, "jpg": _jpg_of}


def _opaque(palette: np.ndarray) -> np.ndarray:
    """The palette with alpha: uint8 (256, 4)."""
    return np.column_stack([palette, np.full(len(palette), 255, np.uint8)])


def _painted(indices: np.ndarray, bad: np.ndarray, colours: np.ndarray, bad_colour: Rgba) -> np.ndarray:
    """Pixels, uint8 (height, width, 4)."""
    pixels = colours.take(indices, axis=0)
    pixels[bad] = bad_colour
    return pixels


def _saved(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()
