"""Keys have one spelling; whatever else is asked for is no key."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.metadata.keys import ChunkKey, DocumentKey, chunk_name, in_grid, parse_key, split_chunk

POSITIONS = st.lists(st.integers(0, 10**18), max_size=4).map(tuple)
NAMES = st.lists(st.sampled_from(["c", "0", "1", "x", "1.5", "zarr.json", "é"]), max_size=3).map(tuple)
PARTS = st.lists(
    st.sampled_from(
        ["c", "0", "00", "1", "-1", "+1", "1_0", " 1", "٣", "", "x", "1.2", "1.", ".zarray", "1\n", "9" * 25]
    ),
    max_size=5,
).map(tuple)
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


@FORMATS
@given(NAMES, POSITIONS)
def test_a_chunk_is_found_by_its_name(zarr_format, path, position) -> None:
    key = parse_key((*path, *chunk_name(position, zarr_format).split("/")), zarr_format)
    assert isinstance(key, ChunkKey)
    written = position or ((0,) if zarr_format == 2 else ())
    assert (key.path, key.position) == (path, written)


@FORMATS
@given(PARTS)
def test_what_is_taken_for_a_chunk_is_spelled_as_we_spell_it(zarr_format, parts) -> None:
    key = parse_key(parts, zarr_format)
    if isinstance(key, ChunkKey):
        assert (*key.path, *chunk_name(key.position, zarr_format).split("/")) == parts
    elif isinstance(key, DocumentKey):
        assert (*key.path, key.name) == parts


@FORMATS
@given(PARTS)
def test_splitting_a_raw_path_agrees_with_parsing_its_parts(zarr_format, parts) -> None:
    split = split_chunk("/".join(parts).encode(), zarr_format)
    key = parse_key(parts, zarr_format)
    if split is not None:
        array, position = split
        assert key == ChunkKey(tuple(array.decode().split("/")), position)
    elif isinstance(key, ChunkKey):  # left to the long way: no array's path in front, or a scalar
        assert not key.path or not key.position


@pytest.mark.parametrize(
    ("parts", "zarr_format", "expected"),
    [
        (("a", "b", "zarr.json"), 3, DocumentKey(("a", "b"), "zarr.json")),
        (("zarr.json",), 3, DocumentKey((), "zarr.json")),
        (("a", ".zarray"), 2, DocumentKey(("a",), ".zarray")),
        ((".zmetadata",), 2, DocumentKey((), ".zmetadata")),
        (("a", "c"), 3, ChunkKey(("a",), ())),
        (("a", "c", "1", "20"), 3, ChunkKey(("a",), (1, 20))),
        (("c", "0", "c", "0"), 3, ChunkKey(("c", "0"), (0,))),
        (("a", "1.20"), 2, ChunkKey(("a",), (1, 20))),
        (("a", "0"), 2, ChunkKey(("a",), (0,))),
        (("1", "2"), 2, ChunkKey(("1",), (2,))),
        ((), 3, None),
        (("a",), 3, None),
        (("a", "1", "2"), 3, None),
        (("a", "c", "01"), 3, None),
        (("a", "c", "-0"), 3, None),
        (("a", "c", "1", ""), 3, None),
        (("a", "c", "1.2"), 3, None),
        (("a", "c/1"), 3, None),
        (("a", "C", "1"), 3, None),
        (("a", "1."), 2, None),
        (("a", "1.02"), 2, None),
        (("a", "c"), 2, None),
        (("a", "0\n"), 2, None),
        (("a", "c", "0\n"), 3, None),
        (("a", "c", "٣"), 3, None),
        (("a", "zarr.json"), 2, None),
        (("a", ".zarray"), 3, None),
    ],
)
def test_keys_are_read_like_this(parts, zarr_format, expected) -> None:
    assert parse_key(parts, zarr_format) == expected


@FORMATS
@pytest.mark.parametrize("grid", [(), (1,), (3,), (0,), (2, 3)], ids=str)
def test_positions_outside_the_grid_are_no_chunks(zarr_format, grid) -> None:
    inside = set(itertools.product(*map(range, grid)))
    if zarr_format == 2 and not grid:
        inside = {(0,)}
    for rank in range(4):
        for position in itertools.product(range(4), repeat=rank):
            assert in_grid(position, grid, zarr_format) is (position in inside)
