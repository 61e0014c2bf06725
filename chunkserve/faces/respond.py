"""What all answers share: errors as problem documents, validators, ranges, content codings, CORS.

A face is a function from a :class:`Request` to a :class:`Reply`; nothing here sends anything (see ``asgi``).
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chunkserve import errors
from chunkserve.cache.memory import MemoryCache
from chunkserve.faces.conditions import matches, parse_range
from chunkserve.faces.negotiation import CODINGS, preferred_coding
from chunkserve.faces.problems import failure, problem
from chunkserve.service.blob import Blob, blob_of
from chunkserve.service.store import Answer
from chunkserve.sources.localfile import WouldBlock

Headers = list[tuple[bytes, bytes]]

WANTED = frozenset(
    {b"accept", b"accept-encoding", b"content-type", b"host", b"if-none-match", b"if-range", b"origin", b"range"}
) | {b"authorization", b"x-forwarded-user", b"x-forwarded-groups"}
"""Request headers that matter; the second row to those who tell who asks."""

STORE = "chunkserve.store"
"""Where in a page's scope is what may be seen of the store, if that is not all."""

ALLOW = b"GET, HEAD, OPTIONS"
ALLOW_POST = b"GET, HEAD, OPTIONS, POST"

CODED_AT_ONCE = 16 * 2**10
"""Bytes that are compressed without going into a thread."""

_EXPOSED = (
    b"Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Retry-After, X-Chunkserve-Approximate, "
    b"X-Chunkserve-Version"
)
_ALLOWED = b"Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range"
_OF_THE_BODY = frozenset({b"cache-control", b"content-disposition", b"content-type"})

SECRET = re.compile(rb";(token|sessionId)=([^;/]*)")
"""A credential in a path: in its first segment."""


class Request(NamedTuple):
    """What matters of a request.

    Attributes:
        path: Raw, as in the URL, without the query.
        query: Raw.
        headers: Those in :data:`WANTED`, by lower-case name.
        method: ``GET``, ``HEAD``, or ``POST`` where a face takes questions that are too long for a URL.
        scheme: ``http`` or ``https``.
        body: Of a ``POST``.
        peer: Address it comes from.
        who: Who asks, where that is known.
    """

    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    method: str = "GET"
    scheme: str = "http"
    body: bytes = b""
    peer: str = ""
    who: str = ""

    @property
    def shown(self) -> str:
        """The request for logs: its path without secrets, and who asks."""
        path = SECRET.sub(rb";\1=...", self.path).decode("latin-1")
        return f"{path} ({self.who})" if self.who else path

    def known(self) -> str:
        """The ETag the client has, if it names just one."""
        return self.headers.get(b"if-none-match", b"").strip(b'W/"').decode("latin-1")


@dataclass(eq=False, slots=True)
class Stream:
    """A body that is made, in threads, while it is sent; nobody knows its length before.

    Attributes:
        parts: What makes the parts, in order; looked at one by one as there is room.
        ahead: Parts that may be under way at a time.
        failed: Makes the last part when one could not be made; without it the answer is cut short.
    """

    parts: Iterator[Callable[[], bytes]]
    ahead: int
    failed: Callable[[Exception], bytes] | None = None


@dataclass(eq=False, slots=True)
class Reply:
    """A status, headers, and the bytes of a blob from ``start`` to ``stop``, or a stream."""

    status: int
    head: Headers
    blob: Blob = field(default_factory=blob_of)
    start: int = 0
    stop: int = 0
    stream: Stream | None = None


class Face(Protocol):
    """Answers requests. With ``wait`` false, at once or by raising ``WouldBlock``."""

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """The reply.

        Raises:
            WouldBlock: Not ``wait``, and something is not at hand.
            ChunkserveError: To be turned into a reply by :meth:`Responder.error`.
        """


@dataclass(frozen=True)
class Policy:
    """How answers may be cached and who may read them."""

    cache_control: bytes
    pinned_cache_control: bytes
    origins: frozenset[bytes]

    def cross_origin(self, request: Request) -> Headers:
        """CORS headers."""
        if b"*" in self.origins:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
        origin = request.headers.get(b"origin", b"")
        vary = (b"vary", b"Origin")
        if origin and origin in self.origins:
            return [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _EXPOSED),
                vary,
            ]
        return [vary]


class Responder:
    """Makes replies under one policy."""

    def __init__(self, policy: Policy, memory: int) -> None:
        """Keep at most ``memory`` bytes of compressed documents."""
        self.policy = policy
        self._coded: MemoryCache[bytes] = MemoryCache(memory)

    def answer(self, request: Request, answer: Answer, *, wait: bool, pinned: bool = False) -> Reply:
        """A reply with an answer of the store."""
        policy = self.policy
        head = policy.cross_origin(request)
        head.append((b"cache-control", policy.pinned_cache_control if pinned else policy.cache_control))
        if answer.version:
            head.append((b"x-chunkserve-version", answer.version.encode()))
        if answer.json:
            return self._document(request, head, answer, wait=wait)
        head.append((b"content-type", answer.media.encode() or b"application/octet-stream"))
        return self.body(request, head, answer.blob, answer.etag)

    def _document(self, request: Request, head: Headers, answer: Answer, *, wait: bool) -> Reply:
        """A metadata document: compressed if the client can, never when it asks for a range."""
        head += ((b"content-type", b"application/json"), (b"vary", b"Accept-Encoding"))
        coding = "" if b"range" in request.headers else preferred_coding(request.headers.get(b"accept-encoding", b""))
        if not coding:
            return self.body(request, head, answer.blob, answer.etag)
        tag = f"{answer.etag}-{coding}"
        head.append((b"content-encoding", coding.encode()))
        data = self._coded.get(tag)
        if data is None:
            if not wait and answer.blob.size > CODED_AT_ONCE:
                raise WouldBlock
            data = CODINGS[coding](bytes(answer.blob.read()))
            self._coded.put(tag, data, len(data))
        return self.body(request, head, blob_of(data), tag)

    def body(self, request: Request, head: Headers, blob: Blob, tag: str) -> Reply:
        """A reply with a blob, or the range asked for, or word that the client has it already."""
        quoted = f'"{tag}"'.encode()
        head.append((b"etag", quoted))
        headers = request.headers
        if b"if-none-match" in headers and matches(headers[b"if-none-match"], quoted):
            return Reply(304, head)
        head.append((b"accept-ranges", b"bytes"))
        start, stop, status = 0, blob.size, 200
        if b"range" in headers and headers.get(b"if-range", quoted) == quoted:
            found = parse_range(headers[b"range"], blob.size)
            if found is not None:
                start, stop = found
                status = 206
                if start >= stop:
                    kept = [field for field in head if field[0] not in _OF_THE_BODY]
                    kept.append((b"content-range", b"bytes */%d" % blob.size))
                    return self._problem(416, f"there are {blob.size} bytes", kept)
                head.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, blob.size)))
        head.append((b"content-length", b"%d" % (stop - start)))
        return Reply(status, head, blob, start, stop)

    def unchanged(self, request: Request, tag: str, *, pinned: bool = False) -> Reply | None:
        """Word that the client has an answer already, in whatever coding; ``None`` if it has not."""
        condition = request.headers.get(b"if-none-match")
        if condition is None:
            return None
        for known in (tag, *(f"{tag}-{coding}" for coding in CODINGS)):
            quoted = f'"{known}"'.encode()
            if matches(condition, quoted):
                head = self.policy.cross_origin(request)
                kept = self.policy.pinned_cache_control if pinned else self.policy.cache_control
                head += ((b"cache-control", kept), (b"vary", b"Accept-Encoding"), (b"etag", quoted))
                return Reply(304, head)
        return None

    def unkept(self, request: Request, blob: Blob, media: bytes) -> Reply:
        """A reply of any size that nobody must keep."""
        head = self.policy.cross_origin(request)
        head += ((b"content-type", media), (b"cache-control", b"no-store"), (b"content-length", b"%d" % blob.size))
        return Reply(200, head, blob, 0, blob.size)

    def complaint(self, request: Request, error: Exception, status: int, document: bytes) -> Reply:
        """An error as a JSON document of a face's own."""
        head = self.policy.cross_origin(request)
        if isinstance(error, errors.TryAgain):
            head.append((b"retry-after", b"%d" % error.retry_after))
        return _refusal(status, head, document, b"application/json")

    def stream(
        self, request: Request, stream: Stream, media: bytes, tag: str, *, version: str = "", pinned: bool = False
    ) -> Reply:
        """A reply that is made while it is sent. Without a ``tag`` nobody must keep it."""
        policy = self.policy
        head = policy.cross_origin(request)
        kept = policy.pinned_cache_control if pinned else policy.cache_control
        head += ((b"content-type", media), (b"cache-control", kept if tag else b"no-store"))
        if version:
            head.append((b"x-chunkserve-version", version.encode()))
        if tag:
            quoted = f'"{tag}"'.encode()
            head.append((b"etag", quoted))
            if matches(request.headers.get(b"if-none-match", b""), quoted):
                return Reply(304, head)
        return Reply(200, head, stream=stream)

    def text(self, request: Request, data: bytes, media: str) -> Reply:
        """A reply with a small document made for this request."""
        head = self.policy.cross_origin(request)
        head += ((b"content-type", media.encode()), (b"cache-control", b"no-cache"))
        head.append((b"content-length", b"%d" % len(data)))
        return Reply(200, head, blob_of(data), 0, len(data))

    def fleeting(
        self, request: Request, data: bytes, media: bytes = b"application/octet-stream", *, approximate: bool = False
    ) -> Reply:
        """A reply that nobody must keep: an approximation, or of data that are being written."""
        head = self.policy.cross_origin(request)
        head += ((b"content-type", media), (b"cache-control", b"no-store"))
        if approximate:
            head.append((b"x-chunkserve-approximate", b"1"))
        head.append((b"content-length", b"%d" % len(data)))
        return Reply(200, head, blob_of(data), 0, len(data))

    def redirect(self, request: Request, location: bytes) -> Reply:
        """To another URL for good."""
        head = self.policy.cross_origin(request)
        head += ((b"location", location), (b"content-length", b"0"))
        return Reply(308, head)

    def preflight(self, request: Request, allowed: bytes = ALLOW) -> Reply:
        """The answer to OPTIONS."""
        head = self.policy.cross_origin(request)
        head += (
            (b"access-control-allow-methods", allowed),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", b"86400"),
        )
        return Reply(204, head)

    def error(self, request: Request, error: Exception) -> Reply:
        """An error as a problem document (RFC 9457)."""
        status, detail = failure(request.shown, error)
        head = self.policy.cross_origin(request)
        if isinstance(error, errors.TryAgain):
            head.append((b"retry-after", b"%d" % error.retry_after))
        return self._problem(status, detail, head)

    def not_allowed(self, request: Request, allowed: bytes = ALLOW) -> Reply:
        """The answer to methods that change things."""
        head = [*self.policy.cross_origin(request), (b"allow", allowed)]
        return self._problem(405, f"only {allowed.decode()} are served here", head)

    def _problem(self, status: int, detail: str, head: Headers) -> Reply:
        return _refusal(status, head, json.dumps(problem(status, detail)).encode(), b"application/problem+json")


def _refusal(status: int, head: Headers, document: bytes, media: bytes) -> Reply:
    head += (
        (b"content-type", media),
        (b"cache-control", b"no-cache" if status in (404, 410) else b"no-store"),
        (b"content-length", b"%d" % len(document)),
    )
    return Reply(status, head, blob_of(document), 0, len(document))
