"""Indexing rules are h5py's, and cutting by chunks loses nothing."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve_client.selection import grid_runs, select, touched


def apply(values: np.ndarray, key: Any) -> Any:
    """Read a selection from an array in memory, as the client reads one from a server."""
    found = select(key, values.shape)
    out = values
    for axis, picked in enumerate(found.picked):
        out = out.take(np.asarray(picked, dtype=np.intp), axis)
    if found.mask is not None:
        return out[found.mask]
    out = out.reshape(found.shape)
    return out[()] if found.scalar else out


@st.composite
def words(draw: st.DrawFn, extent: int) -> Any:
    """What may stand for one axis."""
    kind = draw(st.sampled_from(["int", "slice", "slice", "list", "mask", "bad"]))
    edge = st.integers(-extent - 2, extent + 2)
    if kind == "int":
        return draw(edge)
    if kind == "slice":
        none = st.none()
        return slice(draw(none | edge), draw(none | edge), draw(none | st.integers(1, extent + 1)))
    if kind == "list":
        return sorted(draw(st.lists(st.integers(0, max(0, extent - 1)), max_size=6, unique=True)))
    if kind == "mask":
        return np.array(draw(st.lists(st.booleans(), min_size=extent, max_size=extent)), bool)
    return draw(st.sampled_from([[2, 1], [0, 0], slice(None, None, -1), [extent + 1], 1.5]))


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """What may stand in brackets."""
    count = draw(st.integers(0, len(shape)))
    found: list[Any] = [draw(words(extent)) for extent in shape[:count]]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(found)))
        tail = shape[len(shape) - (count - at) :]
        found = [*found[:at], ..., *(draw(words(extent)) for extent in tail)] if count else [...]
    return tuple(found)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with h5py.File(tmp_path_factory.mktemp("selection") / "a.h5", "w") as file:
        yield file.create_dataset("x", data=np.arange(6 * 5 * 7).reshape(6, 5, 7))


@given(keys((6, 5, 7)))
def test_a_selection_is_what_h5py_makes_of_it(dataset: Any, key: Any) -> None:
    values = dataset[()]
    try:
        want = dataset[key]
    except (IndexError, TypeError, ValueError):
        with pytest.raises((IndexError, TypeError, ValueError)):
            apply(values, key)
        return
    got = apply(values, key)
    assert np.shape(got) == np.shape(want)
    assert isinstance(got, np.ndarray) == isinstance(want, np.ndarray)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (6, IndexError),
        ((0, 0, 0, 0), ValueError),
        (slice(None, None, -1), ValueError),
        ([2, 1], TypeError),
        (([0, 1], [0, 1]), TypeError),
        (None, TypeError),
        ((..., ...), ValueError),
        (np.ones((6, 5), bool), TypeError),
        (np.ones((2, 2, 2), bool), TypeError),
        ("x", ValueError),
    ],
)
def test_what_h5py_refuses_is_refused(dataset: Any, key: Any, error: type[Exception]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - any of h5py's
        dataset[key]
    with pytest.raises(error):
        select(key, (6, 5, 7))


def test_a_mask_of_the_whole_shape_gives_a_list(dataset: Any) -> None:
    mask = dataset[()] % 11 == 3
    np.testing.assert_array_equal(apply(dataset[()], mask), dataset[mask])
    assert apply(dataset[()], np.zeros((6, 5, 7), bool)).shape == (0,)


def test_scalars_have_two_spellings(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        scalar = file.create_dataset("x", data=5)
        for key in ((), ..., (...,)):
            assert select(key, ()).scalar == (not isinstance(scalar[key], np.ndarray))
    with pytest.raises(ValueError, match=r"\[\(\)\]"):
        select(0, ())


@given(keys((6, 5, 7)), st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 8)))
def test_chunk_by_chunk_gives_the_same(key: Any, chunk: tuple[int, ...]) -> None:
    shape = (6, 5, 7)
    values = np.arange(6 * 5 * 7).reshape(shape)
    try:
        found = select(key, shape)
    except (IndexError, TypeError, ValueError):
        return
    padded = np.full([-(-n // c) * c for n, c in zip(shape, chunk, strict=True)], -1)
    padded[: shape[0], : shape[1], : shape[2]] = values
    out = np.full(found.full, -2)
    seen = set()
    for runs in grid_runs(found, chunk):
        position = tuple(run.chunk for run in runs)
        assert position not in seen
        seen.add(position)
        part = padded[tuple(slice(p * c, (p + 1) * c) for p, c in zip(position, chunk, strict=True))]
        for axis, run in enumerate(runs):
            part = part[(slice(None),) * axis + (run.source,)]
        out[tuple(run.target for run in runs)] = part
    want = values
    for axis, picked in enumerate(found.picked):
        want = want.take(np.asarray(picked, dtype=np.intp), axis)
    np.testing.assert_array_equal(out, want)
    counts = [touched(picked, c) for picked, c in zip(found.picked, chunk, strict=True)]
    assert len(seen) == np.prod(counts, dtype=int)
