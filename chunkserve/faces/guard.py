"""The decision, before every face and page: who asks, what may they see; and what caches may do with the answer."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp

from chunkserve.access.principal import Action
from chunkserve.errors import BadRequest, ChunkserveError, NotFound, Unauthenticated
from chunkserve.faces.doors import Doors, Guest, View
from chunkserve.faces.paths import parameters_of
from chunkserve.faces.respond import SECRET, STORE, WANTED, Face, Headers, Reply, Request, Responder
from chunkserve.identity.identify import NOBODY, Credentials
from chunkserve.sources.localfile import WouldBlock

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CHALLENGE = b'Bearer realm="chunkserve"'

_DOCUMENTS = frozenset({b"", b"zarr.json", b".zarray", b".zattrs", b".zgroup", b".zmetadata"})
_QUERY = re.compile(rb"(?:\A|&)(token|sessionId|signed)=([^&]*)")
_NAMES = (b"token=", b"sessionId=", b"signed=")


def _zarr(request: Request) -> Action:
    """Documents and listings are metadata; whatever else there may be is not."""
    return "metadata" if request.path.rsplit(b"/", 1)[-1] in _DOCUMENTS else "data"


def _h5grove(request: Request) -> Action:
    what = request.path.rstrip(b"/").rsplit(b"/", 1)[-1]
    return "metadata" if what in (b"attr", b"h5grove", b"meta", b"paths") else "data"


ACTIONS: Mapping[bytes, Callable[[Request], Action]] = {
    b"": lambda _: "metadata",
    b"api": lambda _: "metadata",
    b"apps": lambda _: "metadata",
    b"assets": lambda _: "metadata",
    b"embed": lambda _: "metadata",
    b"view": lambda _: "metadata",
    b"line": lambda _: "data",
    b"zarr": _zarr,
    b"zarr2": _zarr,
    b"ome": lambda _: "data",  # its documents tell the range of values
    b"ome2": lambda _: "data",
    b"tiles": lambda _: "data",
    b"dzi": lambda _: "data",
    b"meta": lambda _: "metadata",
    b"reduce": lambda _: "data",
    b"slice": lambda _: "data",
    b"stats": lambda _: "data",
    b"geometry": lambda _: "data",
    b"files": lambda _: "download",
    b"h5grove": _h5grove,
    b"refs": lambda _: "metadata",
}
"""What each face is asked for. A face that is not here cannot be served under access control."""

PAGES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Pages that know of access control: what is not here is not there."""


class Guarded:
    """A face, as each who asks may see it."""

    def __init__(self, name: bytes, doors: Doors, respond: Responder) -> None:
        """Guard the face called ``name``."""
        self._name = name
        self._action = ACTIONS[name]
        self._doors = doors
        self._respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        asked, guest, view, action = self._enter(request, wait=wait)
        audit = self._doors.audit
        try:
            reply = view.faces[self._name](asked, wait=wait)
        except NotFound as error:
            if audit is not None:
                audit.record(asked, guest.principal, action, error)
            raise
        if audit is not None:
            audit.record(asked, guest.principal, action, reply)
        if reply.status == 308:
            _keep_secrets(request, reply.head)
        _limit(reply.head, guest, view, self._doors)
        return reply

    def error(self, request: Request, error: Exception) -> Reply:
        """An error as the face says it."""
        if isinstance(error, Unauthenticated):
            return _refusal(request, error, self._doors, self._respond)
        try:
            asked, _, view, _ = self._enter(request, wait=False)
            say = getattr(view.faces[self._name], "error", self._respond.error)
        except (ChunkserveError, WouldBlock):
            asked, say = without_secrets(request)[0], self._respond.error
        reply: Reply = say(asked, error)
        reply.head += self._doors.vary
        return reply

    def _enter(self, request: Request, *, wait: bool) -> tuple[Request, Guest, View, Action]:
        """The request without credentials, who asks, what they see, and what for."""
        asked, secrets = without_secrets(request)
        guest = self._doors.admit(_credentials(request, secrets, asked), wait=wait)
        action = self._action(asked)
        asked = asked._replace(who=guest.name)
        if b"/@" in asked.path or b"file=@" in asked.query:
            asked = self._doors.by_path(asked, guest, wait=wait)
        return asked, guest, self._doors.view(guest, action), action


def guarded_faces(names: Iterable[bytes], doors: Doors, respond: Responder) -> dict[bytes, Face]:
    """A guard for each face.

    Raises:
        KeyError: Nobody has decided what a face is asked for.
    """
    found: dict[bytes, Face] = {name: Guarded(name, doors, respond) for name in names}
    found[b"api"] = Signing(found[b"api"], doors, respond)
    return found


class GuardedPages:
    """The pages beside the faces (plain ASGI): a bad credential is refused, and each sees what it may."""

    def __init__(self, pages: ASGIApp, doors: Doors, respond: Responder) -> None:
        """Guard ``pages``."""
        self._pages = pages
        self._doors = doors
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (https://asgi.readthedocs.io/)."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        headers = {name: value for name, value in scope["headers"] if name in WANTED}
        client = scope.get("client")
        request = Request(scope["raw_path"], scope["query_string"], headers, peer=client[0] if client else "")
        asked, secrets = without_secrets(request)
        try:
            shown = _credentials(request, secrets, asked)
            try:
                guest = self._doors.admit(shown, wait=False)
            except WouldBlock:
                guest = await asyncio.to_thread(self._doors.admit, shown, wait=True)
            found = await asyncio.to_thread(self._doors.view, guest, "metadata")
        except ChunkserveError as error:
            reply = _refusal(request, error, self._doors, self._respond)
            await send({"type": "http.response.start", "status": reply.status, "headers": reply.head})
            await send({"type": "http.response.body", "body": bytes(reply.blob.read())})
            return
        path = scope["path"]
        if path not in PAGES or (path == "/metrics" and not self._doors.shows_metrics(guest)):
            scope = {**scope, "path": "/-", "raw_path": b"/-"}

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._doors.vary, (b"cache-control", b"private, no-cache")]
            await send(message)

        await self._pages({**scope, "query_string": asked.query, STORE: found.store}, receive, sent)


def _refusal(request: Request, error: ChunkserveError, doors: Doors, respond: Responder) -> Reply:
    """The answer to a credential that is not good, or of which nobody can say at the moment."""
    asked = without_secrets(request)[0]
    reply = respond.error(asked, error)
    if isinstance(error, Unauthenticated):
        doors.refused(asked, error)
        reply.head.append((b"www-authenticate", CHALLENGE))
    reply.head += doors.vary
    return reply


def without_secrets(request: Request) -> tuple[Request, dict[bytes, str]]:
    """A request as if its URL carried no credentials, and these: a share link's ``token``, a ``sessionId``.

    And ``signed``, the seal of a signed URL.
    """
    path, query = request.path, request.query
    if b"token=" not in path and b"sessionId=" not in path and (not query or not _QUERY.search(query)):
        return request, {}
    end = path.find(b"/", 1)
    first = path if end < 0 else path[:end]
    found = SECRET.findall(first) + _QUERY.findall(query)
    path = SECRET.sub(b"", first) + path[len(first) :]
    query = b"&".join(part for part in query.split(b"&") if not part.startswith(_NAMES))
    secrets: dict[bytes, str] = {}
    for name, value in found:
        text = unquote_to_bytes(value).decode("latin-1")
        secrets[name] = text if secrets.get(name, text) == text else "several"  # which is none
    return request._replace(path=path, query=query), secrets


def _credentials(request: Request, secrets: dict[bytes, str], asked: Request) -> Credentials:
    """What a request shows; ``asked`` is the same without what is in its URL."""
    if b"signed" in secrets:
        return Credentials(seal=secrets[b"signed"], target=target_of(asked) if asked.method != "POST" else "")
    headers = request.headers
    if not secrets and b"authorization" not in headers and b"x-forwarded-user" not in headers:
        return NOBODY
    return Credentials(
        headers.get(b"authorization", b"").decode("latin-1"),
        secrets.get(b"token", ""),
        headers.get(b"x-forwarded-user", b"").decode("utf-8", "replace"),
        headers.get(b"x-forwarded-groups", b"").decode("utf-8", "replace"),
        request.peer,
        secrets.get(b"sessionId", ""),
    )


def target_of(asked: Request) -> str:
    """What a signed URL is for: path and query as they are spelled, without credentials."""
    return f"{asked.path.decode('latin-1')}?{asked.query.decode('latin-1')}"


class Signing:
    """``/api/sign?url=``: a URL that shows the credentials of who asks, for this one URL and a few minutes."""

    def __init__(self, others: Face, doors: Doors, respond: Responder) -> None:
        """Sign, and leave all else below ``/api`` to ``others``."""
        self._others = others
        self._doors = doors
        self._respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        if request.path.rstrip(b"/") != b"/api/sign":
            return self._others(request, wait=wait)
        if not wait:
            raise WouldBlock
        asked, secrets = without_secrets(request)
        shown = _credentials(request, secrets, asked)
        self._doors.admit(shown, wait=wait)
        if shown.seal:
            raise BadRequest("a signed URL is good for itself, not for signing others")
        path, _, query = parameters_of(asked.query, {}, {"url"}).get("url", "").lstrip("/").partition("?")
        if not path:
            raise BadRequest("url= is missing: a path below this server, with its query")
        found: dict[str, object] = {"url": f"{path}?{query}" if query else path, "expires": None}
        if not shown.is_empty:
            wanted = without_secrets(asked._replace(path=b"/" + path.encode(), query=query.encode()))[0]
            seal, until = self._doors.identity.seal(shown, target_of(wanted))
            plain = target_of(wanted)[1:].removesuffix("?")
            found = {"url": f"{plain}{'&' if wanted.query else '?'}signed={seal}", "expires": until}
        reply = self._respond.fleeting(request, json.dumps(found).encode(), b"application/json")
        reply.head += self._doors.vary
        return reply

    def error(self, request: Request, error: Exception) -> Reply:
        """An error as the guard says it."""
        say: Callable[[Request, Exception], Reply] = getattr(self._others, "error", self._respond.error)
        return say(request, error)


def _keep_secrets(request: Request, head: Headers) -> None:
    """Have a redirection lead on with the credentials of the query."""
    shown = b"&".join(b"%s=%s" % pair for pair in _QUERY.findall(request.query))
    if shown:
        head[:] = [(n, v + b"?" + shown if n == b"location" else v) for n, v in head]


def _limit(head: Headers, guest: Guest, view: View, doors: Doors) -> None:
    """Have no cache keep an answer for others, or beyond the next date at which what may be seen changes."""
    for i, (name, value) in enumerate(head):
        if name != b"cache-control" or value == b"no-store":
            continue
        if guest.principal.way:
            head[i] = name, b"private, no-cache"
        elif b"max-age=" in value:
            head[i] = name, b"public, max-age=%d" % doors.lifetime(view)
    head += doors.vary
