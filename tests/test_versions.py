"""Versions are the same for the same things and differ for different ones, in every process."""

import subprocess
import sys

import pytest

from chunkserve.versions import combined, digest, file_version

BASE = ("raw/scan.h5", 1000, 1_700_000_000_000_000_001, "settings")


@pytest.mark.parametrize(
    "other",
    [
        ("raw/scan2.h5", *BASE[1:]),
        (BASE[0], 1001, *BASE[2:]),
        (*BASE[:2], BASE[2] + 1, BASE[3]),  # a nanosecond later
        (*BASE[:3], "other settings"),
        ("raw/scan.h5\x001000", *BASE[2:3], 0, ""),
    ],
)
def test_a_version_changes_with_everything_it_is_made_from(other) -> None:
    assert file_version(*other) != file_version(*BASE)


def test_a_version_is_the_same_in_another_process() -> None:
    code = f"from chunkserve.versions import file_version; print(file_version(*{BASE!r}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == file_version(*BASE)
    assert len(printed) == 20


def test_parts_are_told_apart_by_where_they_end() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("abc", "")}) == 4


def test_names_that_are_not_utf8_have_versions() -> None:
    assert digest("f\udcff") != digest("f\udcfe")


def test_a_combination_depends_on_the_set_alone() -> None:
    assert combined(["a", "b", "a"]) == combined(iter(["b", "a"])) != combined(["a", "c"])
    assert combined(["a", "a"]) == "a"
