"""The index: an SQLite file with a full-text table. One process writes it, any number read it at the same time.

It belongs to one host and one set of roots. All it holds can be made again: one that is damaged is begun anew.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from chunkserve.errors import Busy
from chunkserve.settings import Settings
from chunkserve.sources.roots import Roots
from chunkserve.versions import digest

VERSION = 2
"""Changes with the tables below."""

PENDING, DONE, OFFLINE, FAILED, OTHER = "pending", "done", "offline", "failed", "other"
STATES = (PENDING, DONE, OFFLINE, FAILED, OTHER)
"""Of a file: to be looked into; looked into; not to be opened; cannot be read; no HDF5 by its name."""

BUSY_SECONDS = 5.0
"""For which a process waits for another one that is writing."""

SEPARATOR = "\n"
"""Between the texts of an entry, and between their labels."""

TABLES = """
CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, seen INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, path TEXT NOT NULL UNIQUE, place TEXT NOT NULL,
    size INTEGER NOT NULL, modified REAL NOT NULL, state TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS files_by_folder ON files (folder);
CREATE INDEX IF NOT EXISTS files_to_do ON files (modified, id) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL,
    nx_class TEXT NOT NULL, labels TEXT NOT NULL, texts TEXT NOT NULL, shape TEXT, dtype TEXT NOT NULL,
    outside INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_file ON entries (file);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    kind, name, nx_class, texts, place, content='', tokenize='unicode61 remove_diacritics 2', prefix='2 3');
CREATE TABLE IF NOT EXISTS figures (name TEXT PRIMARY KEY, value REAL NOT NULL);
CREATE TRIGGER IF NOT EXISTS entry_begins AFTER INSERT ON entries BEGIN
    INSERT INTO words (rowid, kind, name, nx_class, texts, place) SELECT
        new.id, new.kind, new.name, new.nx_class, new.texts, place || ' ' || new.path FROM files WHERE id = new.file;
    UPDATE figures SET value = value + 1 WHERE name = 'entries';
END;
CREATE TRIGGER IF NOT EXISTS entry_ends AFTER DELETE ON entries BEGIN
    INSERT INTO words (words, rowid, kind, name, nx_class, texts, place) SELECT
        'delete', old.id, old.kind, old.name, old.nx_class, old.texts, place || ' ' || old.path
        FROM files WHERE id = old.file;
    UPDATE figures SET value = value - 1 WHERE name = 'entries';
END;
CREATE TRIGGER IF NOT EXISTS file_begins AFTER INSERT ON files BEGIN
    UPDATE figures SET value = value + 1 WHERE name = new.state;
END;
CREATE TRIGGER IF NOT EXISTS file_changes AFTER UPDATE OF state ON files BEGIN
    UPDATE figures SET value = value - 1 WHERE name = old.state;
    UPDATE figures SET value = value + 1 WHERE name = new.state;
END;
CREATE TRIGGER IF NOT EXISTS file_ends AFTER DELETE ON files BEGIN
    UPDATE figures SET value = value - 1 WHERE name = old.state;
END;
"""

FIGURES = (*STATES, "entries", "passes", "updated")
"""What is told of an index: files by state, entries, passes over all folders, and when the last one ended."""


def path_of(settings: Settings, roots: Roots) -> str:
    """The file with the index of what is served. Hosts that share a folder do not share an index."""
    folder = settings.search_dir or os.path.join(settings.cache_folder(), "search")
    served = sorted((root.name, os.fsdecode(root.path), os.fsdecode(root.only)) for root in roots.roots if root.listed)
    return os.path.join(folder, f"{socket.gethostname()}-{digest(VERSION, *served)}.db")


@contextlib.contextmanager
def locked(path: str, *, wait: bool) -> Iterator[None]:
    """Be the only process that writes an index.

    Raises:
        Busy: Not ``wait``, and another one is.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy("another process, probably a server, is indexing these folders") from None
        yield
    finally:
        os.close(fd)


def remove(path: str) -> int:
    """Remove an index; the bytes that were freed."""
    freed = 0
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            freed += os.stat(path + end).st_size
            os.unlink(path + end)
    return freed


def indexes(settings: Settings) -> list[str]:
    """All indexes in the folder that the settings name."""
    folder = settings.search_dir or os.path.join(settings.cache_folder(), "search")
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".db"))
    except OSError:
        return []
