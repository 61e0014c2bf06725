"""Faces over ASGI: ask at once, else in a thread."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.types import ASGIApp

from chunkserve import errors
from chunkserve.faces.crew import Crew
from chunkserve.faces.respond import ALLOW, ALLOW_POST, WANTED, Face, Reply, Request, Responder
from chunkserve.faces.sending import PART, Sending
from chunkserve.faces.traffic import Tally, Traffic
from chunkserve.faces.turns import ClientLeft, Turns
from chunkserve.faces.visit import Receive, Send, Visit
from chunkserve.service.builder import Building
from chunkserve.sources.localfile import WouldBlock

Scope = MutableMapping[str, Any]

READING = frozenset({"GET", "HEAD"})

HEAVY = frozenset({b"dzi", b"line", b"ome", b"ome2", b"reduce", b"slice", b"stats", b"tiles"})
"""Faces that compute."""

LIGHT = (b"/h5grove/attr", b"/h5grove/meta", b"/h5grove/paths")

TRIED = "chunkserve.tried"
"""In the scope of a request that cannot be answered at once."""

MOST_BODY = 2**20
"""Bytes of a request's body."""


def peer_of(scope: Scope) -> str:
    """The address a request comes from."""
    client = scope.get("client")
    return client[0] if client else ""


class Faces:
    """An ASGI application: the first segment of the path names the face; what is left is Starlette's."""

    def __init__(
        self,
        faces: Mapping[bytes, Face],
        others: ASGIApp,
        respond: Responder,
        crew: Crew,
        patience: float = 20.0,
        posting: frozenset[bytes] = frozenset(),
    ) -> None:
        """Serve ``faces`` by first segment, and ``others``; have a ``crew`` wait, ``patience`` seconds for levels.

        Those in ``posting`` also take questions in the body of a ``POST``.
        """
        self.traffic = Traffic(faces)
        self.faces = {name: (face, self.traffic.tallies[name]) for name, face in faces.items()}
        self._posting = posting
        self.others = others
        self.respond = respond
        self.crew = crew
        self.patience = patience
        self._turns = Turns()
        self._send = Sending(self._error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (https://asgi.readthedocs.io/)."""
        found = self.face(scope["raw_path"]) if scope["type"] == "http" else None
        if found is None:
            await self.others(scope, receive, send)
            return
        face, tally = found
        began = time.perf_counter()
        headers = {name: value for name, value in scope["headers"] if name in WANTED}
        path, query = scope["raw_path"], scope["query_string"]
        request = Request(path, query, headers, scope["method"], scope["scheme"], peer=peer_of(scope))
        with contextlib.suppress(ClientLeft):
            visit = Visit(receive, send, self.crew.seat(scope.get("client"), heavy=is_heavy(path)))
            reply = await self._reply(face, request, visit, tried=TRIED in scope)
            tally.count(reply.status, time.perf_counter() - began)
            await self._send(request, reply, visit)

    def face(self, path: bytes) -> tuple[Face, Tally] | None:
        """The face that answers a raw path, and where its requests are counted."""
        return self.faces.get(_first(path))

    def at_once(
        self, path: bytes, query: bytes, headers: dict[bytes, bytes], peer: str = ""
    ) -> tuple[Reply, memoryview] | None:
        """The answer to a GET with its body, if it is small and at hand: for servers that can use it without ASGI.

        Raises:
            WouldBlock: It is not at hand. A request with ``TRIED`` in its scope is not tried like this again.
        """
        found = self.face(path)
        if found is None:
            return None
        face, tally = found
        began = time.perf_counter()
        request = Request(path, query, headers, peer=peer)
        try:
            reply = face(request, wait=False)
            if reply.stream is not None or reply.stop - reply.start > PART:
                return None
            body = reply.blob.read(reply.start, reply.stop, wait=False)
        except errors.SourceChanged:
            return None
        except errors.ChunkserveError as error:
            reply = self._error(request, error)
            body = reply.blob.read()
        tally.count(reply.status, time.perf_counter() - began)
        return reply, body

    async def _reply(self, face: Face, request: Request, visit: Visit, *, tried: bool) -> Reply:
        """Ask at once, if that was not ``tried``; if it would block, in a thread; if a file changed, once more."""
        posting = _first(request.path) in self._posting
        allowed = ALLOW_POST if posting else ALLOW
        if request.method == "OPTIONS":
            return self.respond.preflight(request, allowed)
        if request.method not in READING and not (posting and request.method == "POST"):
            return self.respond.not_allowed(request, allowed)
        try:
            if request.method == "POST":
                request = request._replace(body=await _body(visit.receive))
            with contextlib.suppress(WouldBlock, errors.SourceChanged):
                if not tried:
                    return face(request, wait=False)
            try:
                return await self._asked(face, request, visit)
            except errors.SourceChanged:
                return await self._asked(face, request, visit)
            except Building as building:
                await self._built(building)
                return await self._asked(face, request, visit)
        except ClientLeft:
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes a reply
            return self._error(request, error)

    async def _built(self, building: Building) -> None:
        """Wait for a level as long as our patience lasts; whether it was made shows when it is asked for again."""
        done = asyncio.wrap_future(building.done)
        done.add_done_callback(lambda known: known.cancelled() or known.exception())
        await asyncio.wait([done], timeout=self.patience)

    async def _asked(self, face: Face, request: Request, visit: Visit) -> Reply:
        """Ask in a thread."""
        return await self._turns.ask(
            (request.method, request.path, request.query, request.body),
            functools.partial(face, request, wait=True),
            functools.partial(face, request, wait=False),
            visit,
        )

    def _error(self, request: Request, error: Exception) -> Reply:
        """An error as the face that was asked says it, or as all do."""
        found = self.face(request.path)
        say = getattr(found[0] if found else None, "error", self.respond.error)
        reply: Reply = say(request, error)
        return reply


def is_heavy(path: bytes) -> bool:
    """Whether what a path names may take much decoding: pictures, slices, sums, levels, values."""
    first = _first(path)
    return first in HEAVY or (first == b"h5grove" and not path.startswith(LIGHT))


def _first(path: bytes) -> bytes:
    """The first segment of a raw path, without matrix parameters."""
    end = path.find(b"/", 1)
    return (path[1:end] if end > 0 else path[1:]).partition(b";")[0]


async def _body(receive: Receive) -> bytes:
    """The body of a request.

    Raises:
        ClientLeft: It did not come.
        TooLarge: It is longer than is read.
    """
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        data += message.get("body", b"")
        if len(data) > MOST_BODY:
            raise errors.TooLarge("the body of the request", len(data), MOST_BODY, advice="ask in several requests")
        if not message.get("more_body", False):
            return bytes(data)
