"""ICAT: sessions, and data files by identifier or location, through its REST interface (icat.server 5 and 6).

What a session may read is decided by ICAT's own rules. Options: ``prefix``, the folder that the roots are at in ICAT's
locations (``/data/visitor``); ``anonymous``, the authentication plug-in to look up release dates with, for those who
have no session.
"""

import json
import math
import threading
import time
from typing import Any

from chunkserve.access.options import ResolverOptions, moment
from chunkserve.access.pattern import Parts, split_path
from chunkserve.access.principal import ACTIONS, Principal
from chunkserve.errors import Unauthenticated
from chunkserve.identity.resolvers import Answer, Catalogue, CatalogueFault

_QUERY = "SELECT f FROM Datafile f WHERE f.{} INCLUDE f.dataset d, d.investigation"
_WAY = "session of "


class Icat:
    """A resolver (see :class:`chunkserve.identity.resolvers.Resolver`)."""

    def __init__(self, options: ResolverOptions) -> None:
        """Ask nothing yet."""
        self._http = Catalogue(options, frozenset({"prefix", "anonymous"}))
        self._prefix = split_path(options.options.get("prefix", ""))
        self._plugin = options.options.get("anonymous", "")
        self._way = f"{_WAY}{options.name}"
        self._lock = threading.Lock()
        self._anonymous = ""

    def principal(self, credential: str) -> Principal | None:
        """Whose session it is."""
        if len(credential) > 100 or not credential.replace("-", "").isalnum():
            return None  # sessions are UUIDs
        try:
            found = self._http.ask("GET", f"session/{credential}")
        except Unauthenticated:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("userName"), str):
            return None
        minutes = found.get("remainingMinutes")
        left = 60.0 * minutes if isinstance(minutes, int | float) else 0.0
        return Principal(found["userName"], way=self._way, expires=time.time() + left, credential=credential)

    def by_path(self, principal: Principal, path: Parts) -> Answer | None:
        """What ICAT says of the data file at a location."""
        location = "/".join((*self._prefix, *path))
        return self._answer(principal, f"location = {_quoted(location)}")

    def by_identifier(self, principal: Principal, identifier: str) -> Answer | None:
        """What ICAT says of a ``datafileId``."""
        if not (identifier.isascii() and identifier.isdigit() and len(identifier) < 19):
            return None
        return self._answer(principal, f"id = {identifier}")

    def _answer(self, principal: Principal, condition: str) -> Answer | None:
        own = principal.way.startswith(self._way)
        found = self._search(principal.credential, condition) if own else self._search_anonymously(condition)
        if not found:
            return None
        try:
            file = found[0]["Datafile"]
            parts = split_path(file["location"])
            release = file.get("dataset", {}).get("investigation", {}).get("releaseDate")
        except (KeyError, TypeError, AttributeError):
            raise CatalogueFault(f"catalogue {self._http.options.name} answers in words that are not ICAT's") from None
        if parts[: len(self._prefix)] != self._prefix:
            return None
        return Answer(parts[len(self._prefix) :], ACTIONS if own else frozenset(), _date(release))

    def _search(self, session: str, condition: str) -> Any:
        query = {"sessionId": session, "query": _QUERY.format(condition)}
        return self._http.ask("GET", "entityManager", params=query)

    def _search_anonymously(self, condition: str) -> Any:
        if not self._plugin:
            return None
        with self._lock:
            for _ in range(2):  # once more with a new session, should the old one have ended
                if not self._anonymous:
                    login = json.dumps({"plugin": self._plugin, "credentials": []})
                    self._anonymous = str((self._http.ask("POST", "session", data={"json": login}) or {})["sessionId"])
                try:
                    return self._search(self._anonymous, condition)
                except Unauthenticated:
                    self._anonymous = ""
        return None


def _quoted(text: str) -> str:
    """A string of ICAT's query language."""
    return "'" + text.replace("'", "''") + "'"


def _date(value: object) -> float:
    """When something is released; never, if that cannot be read."""
    try:
        return moment(value) if isinstance(value, str) else math.nan
    except ValueError:
        return math.nan
