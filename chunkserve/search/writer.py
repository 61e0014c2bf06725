"""The index, for the one process that writes it."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chunkserve.search.entries import Entry, file_entry
from chunkserve.search.schema import BUSY_SECONDS, FIGURES, OFFLINE, SEPARATOR, TABLES, remove
from chunkserve.search.words import words_of
from chunkserve.sources.roots import Entry as Member


class Todo(NamedTuple):
    """A file to be looked into."""

    id: int
    path: str
    modified: float


class Writer:
    """The index, for the process that writes it."""

    def __init__(self, path: str, limit: int) -> None:
        """Open it, made if need be, for at most ``limit`` bytes. Call it inside :func:`locked`."""
        self.path = path
        self.limit = limit
        try:
            self._open()
        except sqlite3.DatabaseError:
            self.discard()

    def _open(self) -> None:
        self._base = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        os.chmod(self.path, 0o600)  # it tells of files that not all may read
        self._base.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {TABLES}")
        self._base.executemany("INSERT OR IGNORE INTO figures VALUES (?, 0)", [(name,) for name in FIGURES])

    def discard(self) -> None:
        """Begin anew: what is there is damaged."""
        with contextlib.suppress(sqlite3.Error, AttributeError):
            self._base.close()
        remove(self.path)
        self._open()

    def follow(self) -> None:
        """Begin anew if somebody removed the file."""
        if not os.path.exists(self.path):
            self.discard()

    def close(self) -> None:
        """Let go of it."""
        self._base.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what is written inside whole or not at all."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def has_room(self) -> bool:
        """Whether more may be added."""
        pages, free, size = (
            self._base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return bool((pages - free) * size < self.limit)

    def figure(self, name: str) -> float:
        """One of :data:`FIGURES`."""
        return float(self._base.execute("SELECT value FROM figures WHERE name = ?", (name,)).fetchone()[0])

    def tell(self, name: str, value: float) -> None:
        """Set a figure."""
        self._base.execute("UPDATE figures SET value = ? WHERE name = ?", (value, name))

    # ---------------------------------------------------------------- names

    def set_folder(self, path: str, members: Iterable[tuple[Member, str]], seen: int, *, room: int) -> None:
        """Bring a folder's files up to date.

        Args:
            path: The folder's.
            members: Its files, with the state that a new or changed one is in.
            seen: The number of the pass.
            room: Files that may be added.
        """
        with self.together():
            self._base.execute(
                "INSERT INTO folders (path, seen) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET seen = excluded.seen",
                (path, seen),
            )
            (folder,) = self._base.execute("SELECT id FROM folders WHERE path = ?", (path,)).fetchone()
            rows = self._base.execute("SELECT path, id, size, modified, state FROM files WHERE folder = ?", (folder,))
            known = {name: row for name, *row in rows}
            for member, state in members:
                name = f"{path}/{member.name}" if path else member.name
                before = known.pop(name, None)
                if before is None and room > 0:
                    room -= 1
                    self._add(folder, name, member, state)
                elif before is not None and before[1:3] != [member.size, member.mtime]:
                    self._base.execute(
                        "UPDATE files SET size = ?, modified = ?, state = ? WHERE id = ?",
                        (member.size, member.mtime, state, before[0]),
                    )
                elif before is not None and before[3] == OFFLINE:  # perhaps it has come back
                    self._base.execute("UPDATE files SET state = ? WHERE id = ?", (state, before[0]))
            for number, *_ in known.values():
                self._remove(number)

    def _add(self, folder: int, path: str, member: Member, state: str) -> None:
        added = self._base.execute(
            "INSERT INTO files (folder, path, place, size, modified, state) VALUES (?, ?, ?, ?, ?, ?)",
            (folder, path, words_of(path), member.size, member.mtime, state),
        )
        assert added.lastrowid is not None
        self._insert(added.lastrowid, [file_entry(member.name)])

    def _remove(self, file: int) -> None:
        self._base.execute("DELETE FROM entries WHERE file = ?", (file,))
        self._base.execute("DELETE FROM files WHERE id = ?", (file,))

    def keep(self, path: str, seen: int) -> None:
        """Leave a folder, and what is below it, as it was: it cannot be listed at present."""
        self._base.execute(
            "UPDATE folders SET seen = ? WHERE path = ? OR (path >= ? AND path < ?) OR ? = ''",
            (seen, path, f"{path}/", f"{path}0", path),  # 0 follows / in ASCII
        )

    def forget_unseen(self, seen: int) -> None:
        """Forget folders that were not seen in a pass, with their files."""
        gone = self._base.execute("SELECT id FROM folders WHERE seen <> ?", (seen,)).fetchall()
        for (folder,) in gone:
            with self.together():
                for (file,) in self._base.execute("SELECT id FROM files WHERE folder = ?", (folder,)).fetchall():
                    self._remove(file)
                self._base.execute("DELETE FROM folders WHERE id = ?", (folder,))

    # -------------------------------------------------------------- content

    def todo(self) -> Iterator[Todo]:
        """Files to be looked into, those modified last first; each once."""
        before: tuple[float, int] = (float("inf"), 0)
        while True:
            rows = self._base.execute(
                "SELECT id, path, modified FROM files WHERE state = 'pending' AND (modified, id) < (?, ?) "
                "ORDER BY modified DESC, id DESC LIMIT 100",
                before,
            ).fetchall()
            if not rows:
                return
            for row in rows:
                yield Todo(*row)
            before = rows[-1][2], rows[-1][0]

    def set_content(self, file: int, entries: Iterable[Entry], state: str) -> None:
        """What is in a file, in place of what was known."""
        with self.together():
            self._base.execute("DELETE FROM entries WHERE file = ?", (file,))
            self._insert(file, entries)
            self._base.execute("UPDATE files SET state = ? WHERE id = ?", (state, file))

    def _insert(self, file: int, entries: Iterable[Entry]) -> None:
        rows = (
            (
                file, e.kind, e.path, e.name, e.nx_class,
                SEPARATOR.join(label.replace(SEPARATOR, " ") for label, _ in e.texts),
                SEPARATOR.join(shown for _, shown in e.texts),
                None if e.shape is None else json.dumps(e.shape), e.dtype, e.outside,
            )
            for e in entries
        )  # fmt: skip
        self._base.executemany(
            "INSERT INTO entries (file, kind, path, name, nx_class, labels, texts, shape, dtype, outside) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
