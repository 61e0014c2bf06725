"""Extremes are those of valid elements, and what they rule out is not there."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkserve.pyramid.span import filled, merged_span, span_of

DTYPES = st.sampled_from(["?", "u1", "i1", "u2", "i4", "u8", "i8", "f2", "f4", "f8"]).map(np.dtype)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_side=1, max_side=6)))


@given(values=ARRAYS, data=st.data())
def test_extremes_are_those_of_valid_elements(values: np.ndarray, data: st.DataObject) -> None:
    valid = data.draw(st.none() | hnp.arrays(np.bool_, values.shape))
    kept = values.reshape(-1) if valid is None else values[valid]
    span = span_of(values, valid)
    assert (span.total, span.valid) == (values.size, kept.size)
    if not kept.size:
        assert (span.least, span.greatest) == (None, None)
        return
    np.testing.assert_equal((span.least, span.greatest), (kept.min().item(), kept.max().item()))
    assert all(span.may_hold(value) for value in kept)
    limit = data.draw(st.integers(-300, 300) | st.floats())
    assert span.may_exceed(limit) or not (kept > limit).any()
    assert span.may_fall_below(limit) or not (kept < limit).any()


def test_what_lies_beyond_the_extremes_is_ruled_out() -> None:
    span = span_of(np.array([3, 7], "u4"))
    assert not span.may_hold(np.uint32(2**32 - 1))
    assert not span.may_exceed(7)
    assert not span.may_fall_below(3)


def test_nan_rules_nothing_out() -> None:
    span = span_of(np.array([1, np.nan]))
    assert span.may_hold(-999)
    assert span.may_exceed(1e9)
    assert span.may_fall_below(-1e9)


@given(values=ARRAYS.filter(lambda a: a.dtype.kind != "f"), at=st.integers(0, 5))
def test_spans_of_parts_are_merged(values: np.ndarray, at: int) -> None:
    parts = [part for part in (values[:at], values[at:]) if part.size]
    assert merged_span(span_of(part) for part in parts) == span_of(values)


@given(values=ARRAYS, data=st.data())
def test_what_does_not_count_is_replaced(values: np.ndarray, data: st.DataObject) -> None:
    valid = data.draw(hnp.arrays(np.bool_, values.shape))
    np.testing.assert_array_equal(filled(values, valid, 0), np.where(valid, values, values.dtype.type(0)))
