"""What a viewer must show, from the array alone, and the comparison with what it does show: pixel by pixel."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

BACKGROUND = 255
"""What is around an image. No value is drawn so bright."""

TOLERANCE = 2
"""Grey levels by which rounding in a viewer may differ."""

STRAY = 0.004
"""Share of pixels that may differ all the same: a voxel's edge may fall between two pixels."""


def image_values() -> np.ndarray:
    """A float32 image from 0 to 1 with no symmetry: grey quadrants, an L, two grains, checkers of 1, 2 and 4 pixels.

    A checker is black and white on levels whose pixels fit its squares, and grey on coarser ones.
    """
    height, width = 1037, 813
    row, column = np.ogrid[:height, :width]
    values = 0.15 + 0.4 * (row >= height // 2) + 0.2 * (column >= width // 2)
    values = values + _grain((height, width), 3) * 0.08
    values[100:400, 150:210] = values[340:400, 150:350] = 0.92
    for at, edge in ((480, 1), (560, 2), (640, 4)):
        part = np.s_[at : at + 64, 376:440]
        values[part] = 0.05 + 0.85 * ((row[part[:1]] // edge + column[:, part[1]] // edge) % 2)
    return values.astype("f4")


def volume_values() -> np.ndarray:
    """A uint16 volume from 0 to 3800 with no symmetry: octants, three bars of different lengths, grains, checkers."""
    shape = (97, 161, 225)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    values = 300 + 1600 * (z >= 48) + 800 * (y >= 80) + 400 * (x >= 112)
    values = values + _grain(shape, 4) * 150
    values[44:52, 30:36, 40:120] = values[44:52, 30:90, 40:46] = values[10:52, 30:36, 40:46] = 3700
    for at, edge in ((96, 1), (120, 2), (144, 4)):
        part = np.s_[40:56, 56:72, at : at + 16]
        squares = z[part[:1]] // edge + y[:, part[1]] // edge + x[:, :, part[2]] // edge
        values[part] = 100 + 3600 * (squares % 2)
    return values.astype("u2")


def _grain(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random numbers from -1 to 1: half of it differs from element to element, half between blocks of 4."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-0.5, 0.5, [-(-n // 4) for n in shape])
    for axis, n in enumerate(shape):
        coarse = coarse.repeat(4, axis).take(range(n), axis)
    return coarse + rng.uniform(-0.5, 0.5, shape)


def level_of(values: np.ndarray, level: int) -> np.ndarray:
    """Means of blocks of ``2**level`` elements along each axis, of those that exist; rounded half to even."""
    total, count = values.astype("f8"), np.ones(values.shape)
    for axis, n in enumerate(values.shape):
        starts = np.arange(0, n, 2**level)
        total, count = np.add.reduceat(total, starts, axis), np.add.reduceat(count, starts, axis)
    mean = total / count
    return np.rint(mean).astype(values.dtype) if values.dtype.kind == "u" else mean.astype(values.dtype)


def grey(values: np.ndarray, low: float, high: float, steps: int = 256) -> np.ndarray:
    """Grey levels of values in a window: cut into 256 steps, as tiles are, or rounded to 255, as shaders do."""
    part = (values.astype("f8") - low) / (high - low)
    found = np.floor(part * 256) if steps == 256 else np.rint(part * 255)
    return np.clip(found, 0, 255).astype("u1")


def view(
    plane: np.ndarray, centre: tuple[float, float], scale: tuple[float, float], size: tuple[int, int]
) -> np.ndarray:
    """A window onto a plane of grey levels, nearest neighbour.

    Args:
        plane: uint8 (rows, columns).
        centre: The point in the middle of the window, row and column; 0 is the outer edge of the first one.
        scale: Pixels of the window per row and column.
        size: Height and width of the window.
    """
    at = [np.floor(c + (np.arange(n) + 0.5 - n / 2) / s) for c, s, n in zip(centre, scale, size, strict=True)]
    rows, columns = (i.astype(int).clip(-1, n) + 1 for i, n in zip(at, plane.shape, strict=True))
    return np.pad(plane, 1, constant_values=BACKGROUND)[np.ix_(rows, columns)]


def assert_shows(picture: bytes, want: np.ndarray, name: Path, slack: int = 0, stray: float = STRAY) -> None:
    """A screenshot, kept as ``name``, is what the array says: grey, at the same places, equally bright.

    ``slack``: pixels by which a viewer may misplace what it draws. ``stray``: share of pixels that may differ.
    """
    name.with_suffix(".png").write_bytes(picture)
    shown = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    assert shown.shape[:2] == want.shape, f"a picture of {shown.shape[:2]} instead of {want.shape}"
    assert len(np.unique(want)) > 30, "the view is too empty to prove anything"
    around = np.pad(want.astype(int), slack, mode="edge")
    wrong = np.ones(want.shape, bool)
    for y, x in np.ndindex(2 * slack + 1, 2 * slack + 1):
        near = around[y : y + want.shape[0], x : x + want.shape[1], None]
        wrong &= (np.abs(shown - near) > TOLERANCE).any(axis=-1)
    if wrong.mean() > stray:
        Image.fromarray(want).save(name.with_suffix(".expected.png"))
        guess = _guess(shown[..., 0], want)
        raise AssertionError(f"{wrong.mean():.2%} of {name.stem} is not what the data are; {guess}")


def _guess(shown: np.ndarray, want: np.ndarray) -> str:
    """How it differs, for people who look into it."""
    reach = range(-12, 13)
    inner = np.s_[16:-16, 16:-16]
    moved = {
        (dy, dx): np.abs(np.roll(shown, (dy, dx), (0, 1))[inner] - want[inner]).mean() for dy in reach for dx in reach
    }
    best = min(moved, key=moved.__getitem__)
    return f"mean difference {moved[0, 0]:.1f}, moved by {best} it would be {moved[best]:.1f}"
