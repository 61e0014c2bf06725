"""Who comes in by which door: credentials to a principal, principal and action to the faces of what they may see."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import quote, unquote

from chunkserve.access.principal import ANONYMOUS, Action, Principal
from chunkserve.access.rulefile import RuleFile
from chunkserve.access.sight import Sight
from chunkserve.cache.recent import Recent
from chunkserve.errors import Unauthenticated
from chunkserve.faces.audit import Audit
from chunkserve.faces.respond import Face, Headers, Request
from chunkserve.identity.identify import CONFIRMED_FOR, NOBODY, Credentials, Identity, fingerprint
from chunkserve.service.store import Store
from chunkserve.sources.localfile import WouldBlock

VIEWS = 256
"""Views remembered, per worker: there is one for all whom the rules treat alike."""

GUESTS = 4096
"""Credentials remembered, per worker."""

_IDENTIFIER = re.compile(rb"(?<=.)/@([A-Za-z0-9_-]+)(?::|%3A)([^/]+)")
_IN_QUERY = re.compile(rb"file=@([A-Za-z0-9_-]+)(?::|%3A)([^&;]+)")

log = logging.getLogger("chunkserve.access")

Faces = Mapping[bytes, Face]


@dataclass(frozen=True, eq=False)
class View:
    """What can be seen by those whom the rules treat alike.

    Attributes:
        store: The data.
        faces: Over them.
        since: Seconds since 1970 since when it is as it is.
        until: When it may be another one.
    """

    store: Store
    faces: Faces
    since: float
    until: float

    def holds(self, now: float) -> bool:
        """Whether it still is as it was; nor does a clock that is turned back leave open what was not yet."""
        return self.since <= now < self.until


@dataclass(eq=False)
class Guest:
    """Somebody who was let in.

    Attributes:
        principal: Who.
        confirmed: When, by the monotonic clock, the credentials were last looked at.
        views: What was seen, by action.
    """

    principal: Principal
    confirmed: float
    views: dict[Action, View] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """For logs."""
        return str(self.principal)


class Doors:
    """Lets principals in. Thread-safe."""

    def __init__(
        self,
        store: Store,
        open_faces: Callable[[Store], Faces],
        rules: RuleFile,
        identity: Identity,
        audit: Audit | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet.

        Args:
            store: All data.
            open_faces: Makes the faces of a store.
            rules: What holds at present.
            identity: Tells who asks.
            audit: Where is noted who read what.
            clock: Seconds since 1970.
        """
        self.rules = rules
        self.identity = identity
        self._store = store
        self._open_faces = open_faces
        self._clock = clock
        self.audit = audit
        by_proxy = [b"X-Forwarded-User", b"X-Forwarded-Groups"] if identity.has_proxies else []
        self.vary: Headers = [(b"vary", b", ".join([b"Authorization", *by_proxy]))]
        self._forget()

    def refresh(self) -> None:
        """Take changed rules, with which all views end; write what the audit log has."""
        if self.rules.refresh():
            self._forget()
        if self.audit is not None:
            self.audit.flush()

    def close(self) -> None:
        """Write what the audit log has; close files."""
        if self.audit is not None:
            self.audit.flush()
        self.identity.close()

    def _forget(self) -> None:
        self._views: Recent[View] = Recent(VIEWS)
        self._guests: Recent[Guest] = Recent(GUESTS)
        self._anonymous = Guest(ANONYMOUS, float("inf"))

    def admit(self, shown: Credentials, *, wait: bool) -> Guest:
        """Who shows these credentials.

        Raises:
            Unauthenticated: They are not good.
            WouldBlock: Not ``wait``, and they have to be looked at.
        """
        if shown is NOBODY or shown.is_empty:
            return self._anonymous
        name = fingerprint(shown)
        known = self._guests.get(name)
        now = time.monotonic()
        if known is not None and now - known.confirmed < CONFIRMED_FOR:
            if not self._clock() < known.principal.expires:
                raise Unauthenticated("expired")
            return known
        if not wait:
            raise WouldBlock
        principal = self.identity.principal(shown)
        if not self._clock() < principal.expires:
            raise Unauthenticated("expired")
        if not principal.is_authenticated and principal.grant is None:
            return self._anonymous
        if known is not None and known.principal == principal:
            known.principal, known.confirmed = principal, now
            return known
        guest = Guest(principal, now)
        self._guests.put(name, guest)
        return guest

    def by_path(self, request: Request, guest: Guest, *, wait: bool) -> Request:
        """A request with the path in place of a catalogue's identifier: ``@name:identifier``.

        Raises:
            WouldBlock: Not ``wait``, and the catalogue has to be asked.
            NotFound: There is no such identifier.
        """
        in_path = _IDENTIFIER.search(request.path)
        found = in_path or _IN_QUERY.search(request.query)
        if found is None:
            return request
        name, identifier = (unquote(part.decode("latin-1")) for part in found.groups())
        if not wait:
            raise WouldBlock
        parts = self.identity.place(name, identifier, guest.principal)
        path = "/".join(quote(part, safe="") for part in parts).encode()
        if in_path is not None:
            end = in_path.end()
            return request._replace(path=request.path[: in_path.start() + 1] + path + request.path[end:])
        query = request.query[: found.start() + 5] + path + request.query[found.end() :]
        return request._replace(query=query)

    def refused(self, request: Request, error: Unauthenticated) -> None:
        """Tell the log why somebody was not let in."""
        log.info("401 %s from %s: %s", request.shown, request.peer, error.reason)

    def shows_metrics(self, guest: Guest) -> bool:
        """Whether somebody may read the figures."""
        level = self.rules.current.options.metrics
        return level == "anonymous" or guest.principal.is_authenticated

    def lifetime(self, view: View) -> int:
        """Seconds that caches may keep what everybody may see."""
        most = self.rules.current.options.public_lifetime
        return max(0, int(min(most, view.until - self._clock())))

    def view(self, guest: Guest, action: Action) -> View:
        """What somebody may see."""
        known = guest.views.get(action)
        now = self._clock()
        if known is not None and known.holds(now):
            return known
        sight = Sight(self.rules.current.rules, guest.principal, action, now, self.identity.ask)
        key = sight.key
        found = self._views.get(key)
        if found is None or not found.holds(now):
            until = min(sight.until, now + self.identity.remember)
            store = self._store.seen_with(sight, key)
            found = View(store, self._open_faces(store), sight.since, until)
            self._views.put(key, found)
        guest.views[action] = found if found.until <= sight.until else replace(found, until=sight.until)
        return guest.views[action]
