"""Values to colours: the right step, for every type, at every end."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkserve.errors import Unsupported
from chunkserve.render.colour import shade
from chunkserve.render.scales import LOG_FLOOR, SCALES, SYMLOG_LINEAR
from chunkserve.render.style import Style
from tests.render.conftest import DTYPES

WINDOWS = {"linear": (-3.0, 200.0), "log": (0.5, 200.0), "sqrt": (-3.0, 200.0), "symlog": (-100.0, 200.0)}
dtypes = st.sampled_from(DTYPES)


def expected(value: float, style: Style) -> int:
    """The step of one value, by the definitions, in plain arithmetic."""
    linear = SYMLOG_LINEAR * max(abs(style.vmin), abs(style.vmax))
    floor = style.vmin if style.vmin > 0 else style.vmax * LOG_FLOOR

    def symlog(v: float) -> float:
        a = abs(v) / linear
        return math.copysign(a / 0.9 if a <= 1 else 1 / 0.9 + math.log10(a), v)

    scale = {
        "linear": lambda v: v,
        "sqrt": lambda v: math.sqrt(v - style.vmin),
        "log": lambda v: math.log(max(v, floor)),
        "symlog": symlog,
    }[style.scale]
    low, high = scale(style.vmin), scale(style.vmax)
    inside = min(max(value, style.vmin), style.vmax)
    return min(255, int((scale(inside) - low) / (high - low) * 256))


def one(value: object, dtype: str, style: Style) -> int:
    return int(shade(np.array([[value]], dtype), None, style)[0][0, 0])


@pytest.mark.parametrize("scale", sorted(SCALES))
def test_every_value_of_every_type_has_its_step(dtype: str, scale: str) -> None:
    style = Style(*WINDOWS[scale], scale)
    lowest, highest = (0, 1) if dtype == "?" else (-100, 127)
    start = max(lowest, 0) if np.dtype(dtype).kind == "u" else lowest
    values = np.arange(start, highest + 1).astype(dtype).reshape(1, -1)
    indices, bad = shade(values, None, style)
    assert (indices.dtype, bad) == (np.uint8, None)
    wanted = [expected(float(v), style) for v in values[0]]
    assert np.abs(indices[0].astype(int) - wanted).max() <= 1  # values may lie on the edge of a step
    assert (indices[0] == wanted).mean() > 0.97


def test_bytes_in_their_own_window_are_their_own_indices() -> None:
    every = np.arange(256, dtype="u1").reshape(16, 16)
    for values in (every, every.astype("<u4"), every.astype(">f4"), every.astype("f8")):
        assert (shade(values, None, Style(0, 255))[0] == every).all()
    words = np.arange(65536, dtype="u2").reshape(256, 256)
    assert (shade(words, None, Style(0, 65535))[0] == np.minimum(words / 65535 * 256, 255).astype("u1")).all()


@pytest.mark.parametrize("scale", sorted(SCALES))
def test_the_ends_of_the_window_have_the_ends_of_the_palette(scale: str) -> None:
    style = Style(*WINDOWS[scale], scale)
    values = np.array([[-np.inf, -1e300, style.vmin, style.vmax, 1e300, np.inf]])
    indices, bad = shade(values, None, style)
    assert indices.tolist() == [[0, 0, 0, 255, 255, 255]]
    assert bad is None


@pytest.mark.parametrize("name", ["i1", "u1", "<i2", ">u2", "<i4", ">u4", "<i8", ">i8", "<u8", ">u8"])
def test_integers_never_overflow(name: str) -> None:
    limits = np.iinfo(name)
    style = Style(float(limits.min), float(limits.max))
    assert one(limits.min, name, style) == 0
    assert one(limits.max, name, style) == 255
    middle = limits.min // 2 + limits.max // 2
    assert one(middle, name, style) in (127, 128)
    narrow = Style(-1.5, 1.5)
    assert one(limits.max, name, narrow) == 255
    assert one(limits.min, name, narrow) == (0 if limits.min < 0 else 128)
    assert one(1, name, narrow) == 213


def test_booleans_are_0_and_1() -> None:
    indices, _ = shade(np.array([[False, True]]), None, Style(0, 1))
    assert indices.tolist() == [[0, 255]]


@pytest.mark.parametrize("name", ["<f2", ">f2", "<f4", "<f8", "g"])
def test_nan_is_bad_and_infinity_is_not(name: str) -> None:
    values = np.array([[np.nan, 1, np.inf], [-np.inf, 0, -np.nan]], name)
    indices, bad = shade(values, None, Style(0, 1))
    assert bad is not None
    assert bad.tolist() == [[True, False, False], [False, False, True]]
    assert indices[~bad].tolist() == [255, 255, 0, 0]
    assert indices[bad].tolist() == [0, 0]  # the same on every machine


def test_what_is_not_valid_is_bad(dtype: str) -> None:
    values = np.array([[1, 0], [1, 0]], dtype)
    valid = np.array([[True, True], [False, True]])
    _, bad = shade(values, valid, Style(0, 1))
    assert bad is not None
    assert (bad == ~valid).all()
    assert shade(values, np.ones((2, 2), bool), Style(0, 1))[1] is None


def test_not_valid_and_nan_come_together() -> None:
    _, bad = shade(np.array([[np.nan, 1.0, 2.0]]), np.array([[True, False, True]]), Style(0, 1))
    assert bad is not None
    assert bad.tolist() == [[True, True, False]]


@pytest.mark.parametrize("vmin", [-10.0, 0.0])
def test_log_shows_what_is_not_positive_at_the_bottom(vmin: float) -> None:
    style = Style(vmin, 1000.0, "log")
    assert [one(v, "<f8", style) for v in (-5, 0, 1e-300, 1000 * LOG_FLOOR)] == [0, 0, 0, 0]
    decades = [one(10.0**k, "<f8", style) for k in (-1, 0, 1, 2)]
    assert decades == [51, 102, 153, 204]
    assert one(-5, "<i2", style) == 0


def test_symlog_is_even_about_zero() -> None:
    style = Style(-100.0, 100.0, "symlog")
    for value in (0.01, 0.09, 0.5, 7.0, 99.0):
        assert one(value, "<f8", style) + one(-value, "<f8", style) == 255


@given(
    dtypes.flatmap(lambda d: hnp.arrays(d, (1, 24))),
    st.sampled_from(sorted(SCALES)),
    st.floats(-1e9, 1e9),
    st.floats(1e-6, 1e9),
)
def test_a_greater_value_never_has_a_lower_step(values: np.ndarray, scale: str, vmin: float, extent: float) -> None:
    vmin = abs(vmin) if scale == "log" else vmin
    style = Style(vmin, vmin + max(extent, abs(vmin) * 1e-6), scale)
    indices, bad = shade(values, None, style)
    kept = np.ones(values.shape, bool) if bad is None else ~bad
    assert (kept == ~np.isnan(values)).all()
    order = np.argsort(values[kept], kind="stable")
    assert (np.diff(indices[kept][order].astype(int)) >= 0).all()


@given(dtypes.flatmap(lambda d: hnp.arrays(d, (3, 5))), st.sampled_from(sorted(SCALES)))
def test_the_table_of_narrow_types_says_what_arithmetic_says(values: np.ndarray, scale: str) -> None:
    style = Style(*WINDOWS[scale], scale)
    narrow, wide = (shade(v, None, style) for v in (values, values.astype("f8")))
    assert (narrow[0] == wide[0]).all()
    assert (narrow[1] is None) == (wide[1] is None)


def test_views_are_read_as_they_lie_and_nothing_is_changed(dtype: str) -> None:
    values = np.arange(48).astype(dtype).reshape(6, 8)
    view = values[::-2, 1::3].T
    before = values.copy()
    values.setflags(write=False)
    style = Style(0, 50)
    assert (shade(view, None, style)[0] == shade(view.copy(), None, style)[0]).all()
    assert (values == before).all()


def test_inversion_and_colours_do_not_change_the_step() -> None:
    values = np.arange(12.0).reshape(3, 4)
    plain = Style(0, 11)
    other = dataclasses.replace(plain, cmap="jet", invert=True, bad=(1, 2, 3, 4))
    assert (shade(values, None, plain)[0] == shade(values, None, other)[0]).all()


@pytest.mark.parametrize("values", [np.zeros((1, 1), complex), np.array([["a"]]), np.zeros((1, 1), "M8[s]")])
def test_what_is_not_a_real_number_has_no_colour(values: np.ndarray) -> None:
    with pytest.raises(Unsupported, match="cannot be shown as colours"):
        shade(values, None, Style(0, 1))
