"""Words: what names are found by, and questions as expressions of SQLite's full-text search.

https://www.sqlite.org/fts5.html#full_text_query_syntax
"""

import re
import unicodedata

from chunkserve.errors import BadRequest

MOST_TERMS = 16
MOST_QUESTION = 500
"""Characters of a question."""

LEAST_PREFIX = 2
"""Letters of a term that stands for all words beginning with it; a shorter one is a whole word."""

_TERM = re.compile(r"[^\W_]+")
_BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")

_PADDED = re.compile(r"(?<!\d)0+([1-9]\d*)")

FIELDS = "name nx_class texts"
"""Columns that an entry is found by itself, rather than by the file it is in."""


def words_of(name: str) -> str:
    """A name as words: itself, its parts where case changes or digits begin, numbers without leading zeros.

    ``scanRun042`` is found by ``scan``, ``run``, ``042`` and ``42``.
    """
    name = unicodedata.normalize("NFC", name)
    apart = _BORDER.sub(" ", name)
    return " ".join([name, *([] if apart == name else [apart]), *_PADDED.findall(name)])


def terms_of(question: str) -> list[str]:
    """The terms of a question.

    Raises:
        BadRequest: There are none, or too many.
    """
    if len(question) > MOST_QUESTION:
        raise BadRequest(f"q has {len(question)} characters; {MOST_QUESTION} are searched for at most")
    found = _TERM.findall(unicodedata.normalize("NFC", question))
    if not found:
        raise BadRequest("q has no letters or digits to search for")
    if len(found) > MOST_TERMS:
        raise BadRequest(f"q has {len(found)} words; {MOST_TERMS} are searched for at most")
    return found


def tiers(question: str) -> list[str]:
    """A question as expressions, those of better matches first. An entry matches one of them at most.

    Files by name; other entries by whole words of their name, by beginnings of them, by class, by text; files by the
    folders they are in; whatever matches in part itself and in part by the file it is in.

    Raises:
        BadRequest: There is nothing to search for.
    """
    terms = terms_of(question)
    whole = " AND ".join(f'"{term}"' for term in terms)
    begun = [f'"{term}" *' if len(term) >= LEAST_PREFIX else f'"{term}"' for term in terms]
    every, some = " AND ".join(begun), " OR ".join(begun)
    ways = [
        f"({{kind}} : file) AND ({{name}} : ({every}))",
        f"{{name}} : ({whole})",
        f"{{name}} : ({every})",
        f"{{nx_class}} : ({every})",
        f"{{texts}} : ({every})",
        f"({{kind}} : file) AND ({{name place}} : ({every}))",
    ]
    if len(terms) > 1:
        ways.append(f"({{{FIELDS} place}} : ({every})) AND ({{{FIELDS}}} : ({some}))")
    return [ways[0], *(f"({way}) NOT ({' OR '.join(f'({w})' for w in ways[:i])})" for i, way in enumerate(ways) if i)]


def matches(terms: list[str], text: str) -> bool:
    """Whether a text has a word that begins with one of the terms."""
    words = [fold(word) for word in _TERM.findall(text)]
    folded = [(fold(term), len(term) >= LEAST_PREFIX) for term in terms]
    return any(word.startswith(term) if begun else word == term for word in words for term, begun in folded)


def fold(text: str) -> str:
    """A text without case and accents, as the index compares."""
    plain = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in plain if not unicodedata.combining(c))
