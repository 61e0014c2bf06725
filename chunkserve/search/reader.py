"""The index, for all who ask."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from typing import NamedTuple

from chunkserve.search.schema import BUSY_SECONDS, FIGURES, SEPARATOR

STEPS = 10_000
"""Of SQLite's virtual machine, between two looks at the clock."""


class Found(NamedTuple):
    """An entry that matches."""

    id: int
    file: str
    size: int
    modified: float
    kind: str
    path: str
    nx_class: str
    labels: str
    texts: str
    shape: str | None
    dtype: str
    outside: int

    def texts_by_label(self) -> Iterator[tuple[str, str]]:
        """Attribute names with their values."""
        return zip(self.labels.split(SEPARATOR), self.texts.split(SEPARATOR), strict=False)


class Reader:
    """The index, for one question at a time."""

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            OSError, sqlite3.OperationalError: It is not there.
        """
        info = os.stat(path)
        self._base = sqlite3.connect(
            f"file:{_quoted(path)}?mode=rw", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
        )
        self._base.execute("PRAGMA query_only = 1")
        self._file = info.st_dev, info.st_ino
        self._path = path

    def is_current(self) -> bool:
        """Whether the path still names the file that is open."""
        try:
            info = os.stat(self._path)
        except OSError:
            return False
        return (info.st_dev, info.st_ino) == self._file

    def figures(self) -> dict[str, float]:
        """All of :data:`FIGURES`; zeros as long as an index is being set up."""
        return dict.fromkeys(FIGURES, 0.0) | dict(self._base.execute("SELECT name, value FROM figures"))

    def size(self) -> int:
        """Bytes of the index."""
        pages, size = (self._base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * size)

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Have questions that take longer fail."""
        ends = time.monotonic() + seconds
        self._base.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
        try:
            yield
        finally:
            self._base.set_progress_handler(None, STEPS)

    def find(self, expression: str, before: int, most: int) -> list[Found]:
        """Entries that match, those indexed last first.

        Args:
            expression: Of FTS5.
            before: Only those with smaller identifiers.
            most: So many at most.
        """
        rows = self._base.execute(
            "SELECT entries.id, files.path, size, modified, entries.kind, entries.path, entries.nx_class, labels, "
            "entries.texts, shape, dtype, outside FROM words CROSS JOIN entries ON entries.id = words.rowid "
            "CROSS JOIN files ON files.id = entries.file "
            "WHERE words MATCH ? AND words.rowid < ? ORDER BY words.rowid DESC LIMIT ?",
            (expression, before, most),
        )
        return [Found(*row) for row in rows]

    def close(self) -> None:
        """Let go of it."""
        self._base.close()


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
