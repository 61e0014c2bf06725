"""Globs over paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.access.pattern import Pattern, split_path

NAMES = st.text("ab", min_size=1, max_size=3)
PATHS = st.lists(NAMES, max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("p42/**", "p42", True),
        ("p42/**", "p42/a/b.h5", True),
        ("p42/**", "p421/a.h5", False),
        ("p42/**", "x/p42/a.h5", False),
        ("p42/*", "p42/a.h5", True),
        ("p42/*", "p42/a/b.h5", False),
        ("p42/*.h5", "p42/a.nxs", False),
        ("**/open/**", "x/y/open/a.h5", True),
        ("**/open/**", "open", True),
        ("**/open/**", "x/opened/a.h5", False),
        ("**", "", True),
        ("**", "a/b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/x/y", False),
        ("p[0-9]?/x", "p42/x", True),
        ("p[0-9]?/x", "pA2/x", False),
        ("/mnt/**", "mnt/x", False),
        ("/mnt/**", "/mnt/x", True),
        ("A/**", "a/x", False),
        ("a.b", "aXb", False),
    ],
)
def test_a_pattern_means_these_paths(pattern: str, path: str, matches: bool) -> None:
    assert Pattern.parse(pattern).matches(split_path(path)) is matches


@pytest.mark.parametrize("text", ["", "/", "a/../b", "./a"])
def test_what_can_match_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no pattern of paths"):
        Pattern.parse(text)


@given(PATHS.filter(bool))
def test_a_path_is_a_pattern_that_means_itself_alone(path: tuple[str, ...]) -> None:
    pattern = Pattern(path)
    assert pattern.matches(path)
    assert not pattern.matches((*path, "a"))
    assert not pattern.matches(path[:-1])


@given(st.lists(st.sampled_from(["a", "b", "*", "**", "?", "a*"]), min_size=1, max_size=5).map(tuple), PATHS)
def test_all_folders_above_a_match_lead_to_it(components: tuple[str, ...], path: tuple[str, ...]) -> None:
    pattern = Pattern(components)
    if pattern.matches(path):
        assert all(pattern.leads_below(path[:n]) for n in range(len(path)))


@given(PATHS, PATHS)
def test_two_stars_at_the_end_mean_the_folder_and_all_below(folder: tuple[str, ...], rest: tuple[str, ...]) -> None:
    assert Pattern((*folder, "**")).matches(folder + rest)


def test_only_what_is_written_out_is_spelled() -> None:
    pattern = Pattern.parse("a/b/*/c")
    assert [pattern.spells(split_path(p)) for p in ("", "a", "a/b", "a/b/x", "b")] == [True, True, True, False, False]
