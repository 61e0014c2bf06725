"""HTTP: connections kept, tries repeated with growing pauses, statuses turned into errors.

A request is only ever a read, so that it may be repeated: when the connection breaks, when the body is cut short, and
when the server answers 429, 503 or 504, after the pause it asks for. What goes on for longer than ``patience`` is an
error.
"""

import asyncio
import atexit
import contextlib
import email.utils
import json
import random
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp
import numpy as np
from yarl import URL

from chunkserve_client import loop
from chunkserve_client.config import Options
from chunkserve_client.errors import ClientError, Damaged, NotFound, Unreachable, error_of

AGAIN = frozenset({429, 503, 504})
"""Statuses after which the same request may succeed."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
CONNECT_SECONDS = 10.0
UNKNOWN_SECONDS = 3.0
"""Patience with a server that has not answered yet: its address may be wrong."""

CUT_SHORT = 4
"""Times a body may be cut short; a server does so when stored bytes turn out damaged."""

READ_BUFFER = 2**20
SMALL = 2**16
"""Bytes of bodies that are simply joined."""

Body = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Answer:
    """An answer: status 200, 206, 304 or one that was expected."""

    status: int
    headers: Mapping[str, str]
    body: Body

    @property
    def etag(self) -> str:
        """Its validator, empty if there is none."""
        return self.headers.get("ETag", "")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(bytes(self.body))


@dataclass(frozen=True)
class _Request:
    """A request; see :meth:`Transport.get`."""

    method: str
    path: str
    headers: Mapping[str, str]
    silence: float | None = None
    data: bytes | None = None
    into: memoryview | None = None


@dataclass
class _Tries:
    """How often a request was tried, and for how long it still may be."""

    patience: float
    begun: float = field(default_factory=time.monotonic)
    count: int = 0
    cut: int = 0

    async def pause(self, error: ClientError, at_least: float = 0.0, patience: float | None = None) -> None:
        """Wait before the next try.

        Raises:
            ClientError: ``error``, if there is no time left.
        """
        left = self.begun + (self.patience if patience is None else patience) - time.monotonic()
        wish = min(FIRST_PAUSE * 2**self.count, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        wait = max(wish, at_least)
        if wait > left:
            raise error
        self.count += 1
        await asyncio.sleep(wait)


class Transport:
    """Requests to one server. Its coroutines run in the loop of :mod:`loop` only.

    Attributes:
        requests: Sent so far, repeated ones included.
        received: Bytes of bodies so far.
    """

    def __init__(self, options: Options) -> None:
        """Talk to ``options.url``; nothing is sent yet."""
        self.options = options
        self.requests = 0
        self.received = 0
        self._session: aiohttp.ClientSession | None = None
        self._reached = False

    async def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, expect: frozenset[int] = frozenset(),
        silence: float | None = None, into: memoryview | None = None,
    ) -> Answer:  # fmt: skip
        """Ask for a path.

        Args:
            path: Quoted, with the query, from the server's base URL.
            headers: Further headers.
            expect: Statuses above 206 that are answers rather than errors.
            silence: Seconds without a byte, where the usual is too short.
            into: Where to put the body, which is then the answer's, if it is just as long.

        Raises:
            ClientError: One of its kinds.
        """
        return await self._asked(_Request("GET", path, dict(headers or {}), silence, into=into), expect)

    async def post(self, path: str, headers: Mapping[str, str], data: bytes) -> Answer:
        """Ask a question too long for a URL, in MessagePack.

        Raises:
            ClientError: One of its kinds.
        """
        headers = {**headers, "Content-Type": "application/msgpack"}
        return await self._asked(_Request("POST", path, headers, data=data), frozenset())

    async def _asked(self, request: "_Request", expect: frozenset[int]) -> Answer:
        path = request.path
        tries = _Tries(self.options.patience)
        while True:
            try:
                answer, after = await self._once(request)
            except (aiohttp.ClientConnectorDNSError, aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
                raise Unreachable(f"cannot reach the server: {error}", self._url(path)) from None
            except aiohttp.ClientPayloadError as error:
                await self._after_cut(tries, path, error)
                continue
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                await self._after_break(tries, path, error)
                continue
            self._reached = True
            if answer.status in AGAIN:
                await tries.pause(self._error(answer, path), after)
            elif answer.status in (200, 206) or answer.status in expect:
                return answer
            else:
                raise self._error(answer, path)

    async def json(self, path: str) -> Any:
        """A document."""
        return (await self.get(path, {"Accept": "application/json"})).json()

    async def stream(
        self, path: str, headers: Mapping[str, str], expect: frozenset[int]
    ) -> AsyncIterator[tuple[Answer, bytes]]:
        """Parts of a body as they come, not repeated: whoever keeps them knows where to go on.

        Yields:
            The answer without its body, and a part; at least once.

        Raises:
            ClientError: One of its kinds.
        """
        session = self._open()
        try:
            async with session.get(self._encoded(path), headers=headers) as reply:
                if reply.status not in (200, 206) and reply.status not in expect:
                    raise self._error(Answer(reply.status, reply.headers, await reply.read()), path)
                answer = Answer(reply.status, reply.headers, b"")
                yield answer, b""
                async for part in reply.content.iter_any():
                    yield answer, part
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"the connection broke: {error or type(error).__name__}", self._url(path)) from None

    async def close(self) -> None:
        """Close connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _once(self, request: "_Request") -> tuple[Answer, float]:
        session = self._open()
        self.requests += 1
        silence = request.silence
        patience = aiohttp.ClientTimeout(None, None, silence, CONNECT_SECONDS)
        more: dict[str, Any] = {"timeout": patience} if silence else {}
        url = self._encoded(request.path)
        async with session.request(
            request.method, url, headers=request.headers, data=request.data, **more
        ) as reply:  # fmt: skip
            body = await _read(reply, request.into)
            self.received += len(body)
            return Answer(reply.status, reply.headers, body), _retry_after(reply.headers)

    async def _after_cut(self, tries: _Tries, path: str, error: Exception) -> None:
        tries.cut += 1
        if tries.cut >= CUT_SHORT:
            raise Damaged(
                f"the answer ended early {tries.cut} times ({error}); the server's log says whether stored bytes are "
                "damaged", self._url(path)
            )  # fmt: skip
        await tries.pause(Unreachable("the answer ended early", self._url(path)))

    async def _after_break(self, tries: _Tries, path: str, error: Exception) -> None:
        what = "no byte came in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        known = self._reached
        reason = f"no answer: {what}; is the server running, and the address right?"
        patience = None if known else min(UNKNOWN_SECONDS, self.options.patience)
        await tries.pause(Unreachable(reason, self._url(path)), patience=patience)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            headers = {"Accept-Encoding": "gzip"}
            if self.options.token:
                headers["Authorization"] = f"Bearer {self.options.token}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self.options.connections, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self.options.timeout),
                headers=headers,
                read_bufsize=READ_BUFFER,
                proxy=_proxy_of(self.options.url),
            )
        return self._session

    def _url(self, path: str) -> str:
        return f"{self.options.url}{path}"

    def _encoded(self, path: str) -> URL:
        return URL(self._url(path), encoded=True)

    def _error(self, answer: Answer, path: str) -> ClientError:
        detail = bytes(answer.body[:2000]).decode("utf-8", "replace")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            detail = str(answer.json()["detail"])
        return error_of(answer.status, detail, self._url(path))


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names (``https_proxy``, ``no_proxy``). aiohttp would look at every request."""
    target = URL(url)
    if urllib.request.proxy_bypass(target.host or ""):
        return None
    return urllib.request.getproxies().get(target.scheme)


async def _read(reply: aiohttp.ClientResponse, into: memoryview | None) -> Body:
    """The body; into ``into`` if it fits exactly, and without joining parts where its length is known."""
    length = reply.content_length
    if length is None or "Content-Encoding" in reply.headers or reply.status not in (200, 206):
        return await reply.read()
    if into is None or len(into) != length:
        if length <= SMALL:
            return await reply.read()
        into = np.empty(length, np.uint8).data
    body, at = into, 0
    async for part in reply.content.iter_any():
        body[at : at + len(part)] = part
        at += len(part)
    if at != length:
        raise aiohttp.ClientPayloadError(f"{at} of {length} bytes came")
    return body


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait as Retry-After says (RFC 9110, 10.2.3): a number or a date."""
    value = headers.get("Retry-After", "")
    if value.strip().isdigit():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0


def quoted(*parts: str) -> str:
    """A path from names: each component quoted, slashes within names kept as separators."""
    names = (name for part in parts for name in part.split("/") if name)
    return "/".join(quote(name.encode("utf-8", "surrogateescape"), safe="") for name in names)


def missing(what: str, error: NotFound) -> NoReturn:
    """Raise a :class:`NotFound` that names what was looked for.

    Raises:
        NotFound: Always.
    """
    raise NotFound(what, error.url) from None


# ------------------------------------------------------------- one per set of options

_lock = threading.Lock()
_transports: dict[tuple[int, Options], Transport] = {}


def transport_of(options: Options) -> Transport:
    """The transport that everything with these options shares, in this process."""
    key = (loop.generation, options)
    found = _transports.get(key)
    if found is None:
        with _lock:
            found = _transports.setdefault(key, Transport(options))
    return found


@atexit.register
def _close_all() -> None:
    alive = [found for (generation, _), found in _transports.items() if generation == loop.generation]
    for found in alive:
        with contextlib.suppress(Exception):
            loop.run(asyncio.wait_for(found.close(), 2))
