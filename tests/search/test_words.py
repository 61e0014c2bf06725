"""Questions become expressions that find what people mean, whatever they type."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.errors import BadRequest
from chunkserve.search.schema import TABLES
from chunkserve.search.words import MOST_QUESTION, MOST_TERMS, matches, terms_of, tiers, words_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scanRun42", "scanRun42 scan Run 42"),
        ("two_theta", "two_theta"),
        ("scan_0042", "scan_0042 42"),
        ("v0.1", "v0.1 v 0.1"),
        ("lysozyme", "lysozyme"),
        ("Größe2", "Größe2 Größe 2"),
        ("NXdata", "NXdata"),
    ],
)
def test_names_are_found_by_their_parts_too(name: str, words: str) -> None:
    assert words_of(name) == words


@pytest.mark.parametrize(
    "question", ["", "  ", "***", '"', "- / _", "a" * (MOST_QUESTION + 1), "ab " * (MOST_TERMS + 1)]
)
def test_what_cannot_be_searched_for_is_refused(question: str) -> None:
    with pytest.raises(BadRequest):
        terms_of(question)


@given(st.text(max_size=60))
def test_any_text_is_a_question_that_sqlite_understands_or_is_refused(question: str) -> None:
    base = sqlite3.connect(":memory:")
    base.executescript(TABLES)
    try:
        expressions = tiers(question)
    except BadRequest:
        return
    for expression in expressions:
        assert base.execute("SELECT rowid FROM words WHERE words MATCH ?", (expression,)).fetchall() == []
    base.close()


def test_what_matched_is_told_without_regard_to_case_and_accents() -> None:
    assert matches(["GRÖ"], "Grösse")
    assert matches(["gro"], "eine Größe")
    assert not matches(["sse"], "Grösse")
    assert not matches(["g"], "Grösse"), "a single letter is a whole word"
    assert matches(["7"], "7 mm")
