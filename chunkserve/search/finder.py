"""Questions to the index. What may not be listed is not found: each file is asked for at the door."""

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict

from chunkserve.errors import BadRequest, Busy, ChunkserveError
from chunkserve.search.entries import VALUE
from chunkserve.search.reader import Found, Reader
from chunkserve.search.schema import FIGURES, PENDING
from chunkserve.search.words import matches, terms_of, tiers, words_of
from chunkserve.service.store import Store

SECONDS = 2.0
"""Time one question may take."""

LOOKING = 0.5
"""Seconds after which an answer is given with what was found; its cursor leads on."""

BATCH = 200

LAST = 2**62

KINDS = ("file", "group", "dataset", "link", "other")

_CURSOR = re.compile(r"([0-9])-([0-9]{1,18})\Z")

Matched = Literal["name", "nx_class", "attribute", "value", "place"]


class Result(TypedDict):
    """One thing that was found; ``path`` is that in the file. Sizes are bytes, times seconds since 1970."""

    file: str
    path: str
    kind: str
    name: str
    nx_class: str | None
    shape: list[int] | None
    dtype: str | None
    matched: Matched
    attribute: NotRequired[str]
    value: NotRequired[str]
    size: NotRequired[int]
    modified: NotRequired[float]


class Page(TypedDict):
    """Results, best first.

    ``cursor`` leads to more, if there is more; ``complete`` says whether all files have been looked into once.
    """

    results: list[Result]
    cursor: str | None
    complete: bool


class Finder:
    """Asks the index at a path. Thread-safe."""

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self.path = path
        self._idle: list[Reader] = []

    def page(self, store: Store, question: str, most: int, cursor: str, kind: str = "", below: str = "") -> Page:
        """Things that match a question.

        Args:
            store: Whose files may be found.
            question: Words, or beginnings of words.
            most: Results.
            cursor: Of the page before; empty for the first.
            kind: Only these, of :data:`KINDS`.
            below: Only in this file, or below this folder.

        Raises:
            BadRequest: The question or the cursor is none.
            Busy: It takes too long, or there is no index yet.
        """
        terms, expressions = terms_of(question), tiers(question)
        tier, before = _place_of(cursor)
        door = _Door(store, below.strip("/"))
        ends = time.monotonic() + LOOKING
        results: list[Result] = []
        end: str | None = None
        with self._reader() as reader, reader.within(SECONDS):
            for number, found in _matches(reader, expressions, tier, before):
                if len(results) == most or time.monotonic() > ends:
                    break
                end = f"{number}-{found.id}"
                if (not kind or found.kind == kind) and door.shows(found):
                    results.append(_result(found, terms))
            else:
                end = None
            known = reader.figures()
        complete = known["passes"] > 0 and known[PENDING] == 0
        return Page(results=results, cursor=end, complete=complete)

    def figures(self) -> dict[str, float]:
        """What is told of the index, :data:`chunkserve.search.schema.FIGURES`, its ``bytes``; zeros without one."""
        try:
            with self._reader() as reader:
                return reader.figures() | {"bytes": reader.size()}
        except Busy:
            return dict.fromkeys((*FIGURES, "bytes"), 0.0)

    def close(self) -> None:
        """Let go of the index."""
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Reader]:
        """A connection, for one question.

        Raises:
            Busy: The index cannot be asked at present.
        """
        reader = self._taken()
        try:
            yield reader
        except sqlite3.DatabaseError as error:
            reader.close()
            if "interrupted" in str(error):
                raise Busy("this takes too long to find; add letters or words") from None
            raise Busy(f"the index cannot be read at present: {error}") from None
        except BaseException:
            reader.close()
            raise
        self._idle.append(reader)

    def _taken(self) -> Reader:
        while True:
            try:
                found = self._idle.pop()
            except IndexError:
                break
            if found.is_current():
                return found
            found.close()
        try:
            return Reader(self.path)
        except (OSError, sqlite3.Error):
            raise Busy("there is no index yet; the server is about to make one") from None


class _Door:
    """What may be found. Each file is asked for once per question."""

    def __init__(self, store: Store, below: str) -> None:
        self._store = store
        self._below = below
        self._known: dict[str, bool] = {}

    def shows(self, found: Found) -> bool:
        """Whether a file is served, is there, and is where the question is about, and so is what it draws from."""
        file = found.file
        if self._below and file != self._below and not file.startswith(f"{self._below}/"):
            return False
        served = self._known.get(file)
        if served is None:
            served = self._known[file] = self._is_served(file)
        return served and (not found.outside or self._store.roots.sight is None or self._leads(found))

    def _leads(self, found: Found) -> bool:
        try:
            file, _ = self._store.files.find(tuple(found.file.split("/")))
            self._store.nodes.find(file, tuple(found.path.strip("/").split("/")))
        except ChunkserveError:
            return False
        return True

    def _is_served(self, file: str) -> bool:
        try:
            place, rest = self._store.roots.locate(tuple(file.split("/")))
            return not rest and bool(place.parts) and not self._store.roots.is_folder(place)
        except ChunkserveError:
            return False


def _matches(reader: Reader, expressions: list[str], tier: int, before: int) -> Iterator[tuple[int, Found]]:
    for number in range(tier, len(expressions)):
        while batch := reader.find(expressions[number], before, BATCH):
            for found in batch:
                yield number, found
            before = batch[-1].id
        before = LAST


def _place_of(cursor: str) -> tuple[int, int]:
    if not cursor:
        return 0, LAST
    match = _CURSOR.match(cursor)
    if match is None:
        raise BadRequest(f"cursor={cursor} is not one that was given")
    return int(match[1]), int(match[2])


def _result(found: Found, terms: list[str]) -> Result:
    name = found.file.rpartition("/")[2] if found.kind == "file" else found.path.rpartition("/")[2]
    result = Result(
        file=found.file,
        path=found.path,
        kind=found.kind,
        name=name or "/",
        nx_class=found.nx_class or None,
        shape=None if found.shape is None else json.loads(found.shape),
        dtype=found.dtype or None,
        matched="place",
    )
    if found.kind == "file":
        result |= {"size": found.size, "modified": found.modified}
    if matches(terms, words_of(name)):
        result["matched"] = "name"
    elif matches(terms, found.nx_class):
        result["matched"] = "nx_class"
    else:
        for label, text in found.texts_by_label():
            if matches(terms, text):
                shown = {"attribute": label} if label != VALUE else {}
                return result | {"matched": "attribute" if shown else "value", "value": text} | shown  # type: ignore[return-value]
    return result
