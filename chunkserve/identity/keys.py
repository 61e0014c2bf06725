"""API keys and the secrets that links are signed with, in an SQLite file that all workers share.

A key is ``cs_`` and its name, which is shown in lists and logs, ``_`` and 256 random bits, of which only the SHA-256 is
kept: with that many bits there is nothing to guess, so no slow hash is needed.
"""

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chunkserve.access.pattern import Pattern
from chunkserve.access.principal import ACTIONS, Action, Principal, Scope
from chunkserve.errors import BadRequest, NotFound, Unauthenticated

PREFIX = "cs_"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY, hash BLOB NOT NULL, user TEXT NOT NULL, groups TEXT NOT NULL, actions TEXT NOT NULL,
    paths TEXT, created REAL NOT NULL, expires REAL NOT NULL, revoked REAL, note TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS revoked (link TEXT PRIMARY KEY, expires REAL NOT NULL);
"""


@dataclass(frozen=True)
class Key:
    """An API key, without what makes it secret.

    Attributes:
        name: Shown in lists and logs.
        user: In whose name it speaks.
        groups: Of that user.
        actions: What it is good for.
        paths: Which paths; ``None`` for all that the user may see.
        created: Seconds since 1970, as are the others.
        expires: When it ends.
        revoked: When it was, ``None`` if it is good.
        note: For people.
    """

    name: str
    user: str
    groups: frozenset[str]
    actions: frozenset[Action]
    paths: tuple[str, ...] | None
    created: float
    expires: float
    revoked: float | None = None
    note: str = ""

    @property
    def principal(self) -> Principal:
        """Who shows it."""
        paths = None if self.paths is None else tuple(Pattern.parse(path) for path in self.paths)
        return Principal(self.user, self.groups, f"key {self.name}", Scope(self.actions, paths), None, self.expires)


class KeyStore:
    """The file. Thread-safe, and safe between processes."""

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def create(
        self,
        user: str,
        groups: frozenset[str] = frozenset(),
        *,
        seconds: float,
        actions: frozenset[Action] = ACTIONS,
        paths: tuple[str, ...] | None = None,
        note: str = "",
    ) -> tuple[str, Key]:
        """A new key: the text to be handed over, which nobody can find out later, and what is kept of it.

        Raises:
            BadRequest: It would be good for nothing.
        """
        if not user or seconds <= 0 or not actions <= ACTIONS or not actions:
            raise BadRequest(f"a key needs a user, a time to live and some of the actions {', '.join(sorted(ACTIONS))}")
        try:
            for path in paths or ():
                Pattern.parse(path)
        except ValueError as error:
            raise BadRequest(str(error)) from None
        text = f"{PREFIX}{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
        now = time.time()
        key = Key(_name(text), user, groups, actions, paths, now, now + seconds, None, note)
        row = (
            key.name, _hash(text), user, json.dumps(sorted(groups)), json.dumps(sorted(actions)),
            None if paths is None else json.dumps(paths), key.created, key.expires, None, note,
        )  # fmt: skip
        with self._open() as database:
            database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return text, key

    def find(self, text: str) -> Key:
        """The key that somebody shows.

        Raises:
            Unauthenticated: It is none, has expired or was revoked.
        """
        with self._open() as database:
            row = database.execute("SELECT * FROM keys WHERE name = ?", (_name(text),)).fetchone()
        if not hmac.compare_digest(_hash(text), row[1] if row else bytes(32)):
            raise Unauthenticated("no such key")
        key = _key(row)
        if key.revoked is not None or not time.time() < key.expires:
            raise Unauthenticated(f"key {key.name} has expired or was revoked")
        return key

    def all(self) -> list[Key]:
        """All keys, those that are no longer good too, the oldest first."""
        with self._open() as database:
            return [_key(row) for row in database.execute("SELECT * FROM keys ORDER BY created")]

    def revoke(self, name: str) -> None:
        """End a key, by its name or as it was handed over.

        Raises:
            NotFound: There is none of that name.
        """
        with self._open() as database:
            found = database.execute("UPDATE keys SET revoked = ? WHERE name = ?", (time.time(), _name(name)))
        if not found.rowcount:
            raise NotFound(f"key {_name(name)}")

    # ------------------------------------------------------------------- links

    def secret(self, name: str = "") -> tuple[str, bytes]:
        """A secret by name, or the newest, made if there is none yet.

        Raises:
            Unauthenticated: There is none of that name.
        """
        with self._open() as database:
            if name:
                row = database.execute("SELECT name, value FROM secrets WHERE name = ?", (name,)).fetchone()
            else:
                database.execute(
                    "INSERT INTO secrets SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM secrets)",
                    (secrets.token_hex(4), secrets.token_bytes(32), time.time()),
                )
                row = database.execute("SELECT name, value FROM secrets ORDER BY created DESC LIMIT 1").fetchone()
        if row is None:
            raise Unauthenticated("signed with a secret that is not ours")
        return row[0], row[1]

    def revoke_link(self, link: str, expires: float) -> None:
        """End a link; it is forgotten when it would have ended by itself."""
        with self._open() as database:
            database.execute("DELETE FROM revoked WHERE expires < ?", (time.time(),))
            database.execute("INSERT OR REPLACE INTO revoked VALUES (?, ?)", (link, expires))

    def is_revoked(self, link: str) -> bool:
        """Whether a link was ended."""
        with self._open() as database:
            return database.execute("SELECT 1 FROM revoked WHERE link = ?", (link,)).fetchone() is not None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The database, within a transaction."""
        with self._lock:
            if self._connection is None:
                os.makedirs(os.path.dirname(os.path.abspath(self.path)), mode=0o700, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))  # nobody else's, from the start
                self._connection = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
                self._connection.executescript(_SCHEMA)
            with self._connection:
                yield self._connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _name(text: str) -> str:
    return text.removeprefix(PREFIX).partition("_")[0]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _key(row: tuple[str, bytes, str, str, str, str | None, float, float, float | None, str]) -> Key:
    name, _, user, groups, actions, paths, created, expires, revoked, note = row
    listed = None if paths is None else tuple(json.loads(paths))
    whose = user, frozenset(json.loads(groups)), frozenset(json.loads(actions))
    return Key(name, *whose, listed, created, expires, revoked, note)
