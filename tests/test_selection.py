"""Selections pick what numpy picks, and parts of them are all of it, each from few chunks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.errors import BadRequest
from chunkserve.selection import Selection, parse, relative, rows, runs, split

EXTENTS = st.integers(0, 40)


@st.composite
def words(draw: st.DrawFn, extent: int, *, listed: bool) -> tuple[str, object]:
    """A word of a selection, and the numpy index it stands for."""
    kinds = ["slice"] + ["number"] * (extent > 0) + ["list"] * listed
    kind = draw(st.sampled_from(kinds))
    if kind == "number":
        at = draw(st.integers(-extent, extent - 1))
        return str(at), at
    if kind == "list":
        chosen = sorted(draw(st.sets(st.integers(0, max(0, extent - 1)), max_size=extent)))
        return f"[{','.join(str(n if draw(st.booleans()) else n - extent) for n in chosen)}]", chosen
    ends = st.none() | st.integers(-extent - 3, extent + 3)
    start, stop, step = draw(ends), draw(ends), draw(st.none() | st.integers(1, 50))
    parts = ["" if n is None else str(n) for n in (start, stop, step)]
    return ":".join(parts if step is not None else parts[:2]), slice(start, stop, step)


@st.composite
def selections(draw: st.DrawFn) -> tuple[str, tuple[int, ...], tuple[object, ...]]:
    """A selection as text, the shape it is of, and the numpy indices."""
    shape = tuple(draw(st.lists(EXTENTS, max_size=4)))
    list_axis = draw(st.integers(0, 8))
    found = [draw(words(n, listed=axis == list_axis)) for axis, n in enumerate(shape)]
    texts, indices = [text for text, _ in found], [index for _, index in found]
    given_axes = draw(st.integers(0, len(shape)))
    if draw(st.booleans()):  # an ellipsis in place of some axes
        stop = draw(st.integers(given_axes, len(shape)))
        texts[given_axes:stop] = ["..."]
        indices[given_axes:stop] = [slice(None)] * (stop - given_axes)
    else:
        texts, indices = texts[:given_axes], indices[:given_axes] + [slice(None)] * (len(shape) - given_axes)
    return ",".join(texts), shape, tuple(indices)


def picked_by_numpy(array: np.ndarray, indices: tuple[object, ...]) -> np.ndarray:
    """One axis after the other, so that a list stays in its place, as in h5py."""
    axis = 0
    for index in indices:
        array = array[(slice(None),) * axis + (index if not isinstance(index, list) else np.array(index, int),)]
        axis += not isinstance(index, int)
    return array


def picked(array: np.ndarray, selection: Selection) -> np.ndarray:
    return array[np.ix_(*selection.indices)].reshape(selection.shape) if array.ndim else array


@given(selections())
def test_a_selection_picks_what_numpy_picks(case: tuple[str, tuple[int, ...], tuple[object, ...]]) -> None:
    text, shape, indices = case
    array = np.arange(math.prod(shape)).reshape(shape)
    found = parse(text, shape)
    expected = picked_by_numpy(array, indices)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(picked(array, found), expected)


def respelled(selection: Selection) -> str:
    """A selection in words again, from its document."""
    found = []
    for word in selection.document():
        if isinstance(word, int):
            found.append(str(word))
        elif len(word) == 1:
            found.append(f"[{','.join(map(str, word[0]))}]")
        else:
            found.append(":".join(map(str, word)))
    return ",".join(found)


@given(selections())
def test_the_document_of_a_selection_says_the_same_again(
    case: tuple[str, tuple[int, ...], tuple[object, ...]],
) -> None:
    found = parse(*case[:2])
    again = parse(respelled(found), case[1])
    assert [list(picked) for picked in again.indices] == [list(picked) for picked in found.indices]
    assert again.dropped == found.dropped


CUTS = st.tuples(st.lists(st.integers(1, 45), min_size=4, max_size=4), st.integers(1, 5000), st.integers(1, 20000))


@given(selections(), CUTS)
def test_parts_are_all_of_a_selection_and_small(
    case: tuple[str, tuple[int, ...], tuple[object, ...]], cuts: tuple[list[int], int, int]
) -> None:
    text, shape, _ = case
    chunk, most, touched = tuple(cuts[0][: len(shape)]), cuts[1], cuts[2]
    selection = parse(text, shape)
    parts = split(selection, chunk, (1, 1), (most, touched))
    seen = np.zeros(tuple(map(len, selection.indices)), int)
    array = np.arange(math.prod(shape)).reshape(shape)
    expected = array[np.ix_(*selection.indices)] if shape else array
    for part in parts:
        where = tuple(slice(a, a + n) for a, n in zip(part.at, part.shape, strict=True))
        seen[where] += 1
        if shape:
            np.testing.assert_array_equal(expected[where], array[np.ix_(*part.indices)])
        chunks = [{i // c for i in axis} for axis, c in zip(part.indices, chunk, strict=True)]
        count = math.prod(map(len, chunks))
        assert count == 1 or count * math.prod(chunk) <= touched
        assert count == 1 or math.prod(part.shape) <= most
    assert (seen == 1).all()
    assert len(parts) == len(list(parts))


@given(selections(), CUTS)
def test_rows_one_after_the_other_are_in_c_order(
    case: tuple[str, tuple[int, ...], tuple[object, ...]], cuts: tuple[list[int], int, int]
) -> None:
    text, shape, _ = case
    selection = parse(text, shape)
    array = np.arange(math.prod(shape)).reshape(shape)
    expected = (array[np.ix_(*selection.indices)] if shape else array).reshape(-1)
    chunk = tuple(cuts[0][: len(shape)])
    found: list[int] = []
    for part in rows(selection, chunk, 1, (cuts[1], cuts[2])):
        values = (array[np.ix_(*part.indices)] if shape else array).reshape(-1)
        assert len(values) <= max(cuts[1], cuts[2], math.prod(chunk))
        found.extend(values)
    assert found == list(expected)


@pytest.mark.parametrize(
    ("text", "chunk", "parts"),
    [
        ("", (10, 100, 100), 10),  # a slab of chunks is more than usual, and not too much
        ("5:95", (10, 100, 100), 10),  # parts end where chunks do
        ("", (1, 100, 100), 50),  # several chunks
        ("", (100, 100, 100), 1),  # one chunk is always decoded whole
        ("", (50, 50, 100), 4),  # slabs of chunks are too many: as many rows as there may be
        ("::10", (10, 100, 100), 5),
        ("0:2", (100, 100, 100), 1),
    ],
)
def test_rows_are_whole_chunks_where_these_are_not_too_many(text: str, chunk: tuple[int, ...], parts: int) -> None:
    found = rows(parse(text, (100, 100, 100)), chunk, 1, (20_000, 100_000))
    assert len(found) == parts


@given(st.sets(st.integers(0, 500), min_size=1), st.integers(1, 60))
def test_runs_leave_out_whole_chunks_and_nothing_else(chosen: set[int], chunk: int) -> None:
    indices = tuple(sorted(chosen))
    found = runs(indices, chunk)
    assert [index for _, run in found for index in run] == list(indices)
    touched = {index // chunk for index in indices}
    read = {at for _, run in found for at in range(run[0] // chunk, run[-1] // chunk + 1)}
    assert read == touched


def test_a_sparse_stride_reads_only_the_chunks_it_touches() -> None:
    assert len(runs(range(0, 1000, 100), 10)) == 10
    assert len(runs(range(0, 1000, 5), 10)) == 1


def test_picked_indices_are_relative_to_where_a_box_begins() -> None:
    array = np.arange(30)
    assert list(array[10:][relative(range(12, 20, 3), 10)]) == [12, 15, 18]
    assert list(array[10:][relative((11, 17), 10)]) == [11, 17]


@pytest.mark.parametrize(
    ("text", "shape", "says"),
    [
        ("5", (5,), "index 5 is beyond axis 0, which has 5 elements"),
        ("-6", (5,), "beyond axis 0"),
        ("0", (0,), "beyond axis 0"),
        ("0,0", (5,), "has 2 axes, the dataset has 1"),
        ("0", (), "has 1 axes, the dataset has 0"),
        ("...,...", (5,), "only one '...'"),
        ("::0", (5,), "step is 1 or more"),
        ("::-1", (5,), "step is 1 or more"),
        ("1:2:3:4", (5,), "more than start:stop:step"),
        ("a", (5,), "neither a number"),
        ("1.5", (5,), "neither a number"),
        ("1:b", (5,), "neither a number"),
        ("", (5, 5), None),
        ("0,", (5, 5), "neither a number"),
        ("[3,1]", (5,), "must rise"),
        ("[1,1]", (5,), "must rise"),
        ("[1,5]", (5,), "beyond axis 0"),
        ("[1,2],[3]", (5, 5), "only one axis may have a list"),
        ("[1,2", (5,), "is not a selection"),
        ("[[1]]", (5,), "is not a selection"),
        ("1]2", (5,), "is not a selection"),
        ("9" * 30, (5,), "neither a number"),
        (",".join(["0"] * 100), (5,), "is not a selection"),
    ],
)
def test_what_is_wrong_with_a_selection_is_said(text: str, shape: tuple[int, ...], says: str | None) -> None:
    if says is None:
        assert parse(text, shape).shape == shape
        return
    with pytest.raises(BadRequest, match=says.replace("(", r"\(").replace(".", r"\.")):
        parse(text, shape)


def test_blanks_do_not_matter() -> None:
    assert parse(" 0 : 3 , [1, 2] ", (5, 5)) == parse("0:3,[1,2]", (5, 5))
