"""What all answers share: errors as problem documents, validators, ranges, content codings, CORS, bodies in parts."""

import asyncio
import functools
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import deflate
import numcodecs.zstd

from chunkserve import errors
from chunkserve.cache.memory import MemoryCache
from chunkserve.service.blob import Blob
from chunkserve.service.store import AbsentChunk, Answer, ForeignChunk
from chunkserve.sources.localfile import WouldBlock

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

PART = 2**20
"""Bytes read and sent at once; what a slow reader holds in memory."""

STATUS: dict[type[errors.ChunkserveError], int] = {
    ForeignChunk: 410,
    AbsentChunk: 404,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.BadRequest: 400,
    errors.TooLarge: 413,
    errors.Unsupported: 501,
    errors.Quarantined: 422,
    errors.Unreadable: 422,
    errors.Corrupt: 502,
    errors.MissingSource: 502,
    errors.SourceChanged: 503,
    errors.StorageFault: 503,
    errors.Busy: 503,
    errors.TryAgain: 503,
}
"""Error to status. A chunk's 404 makes readers put the fill value, so only a chunk that is truly absent gets one."""

TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    410: "Gone",
    413: "Too large",
    416: "Range not satisfiable",
    422: "Unreadable file",
    500: "Internal error",
    501: "Not supported",
    502: "Damaged or missing data",
    503: "Try again",
}

EXPOSED = b"Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Retry-After, X-Chunkserve-Version"
ALLOWED_HEADERS = b"Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range"

_RANGE = re.compile(rb"bytes=(?:([0-9]+)-([0-9]*)|-([0-9]+))\Z")

log = logging.getLogger("chunkserve.http")


@dataclass(frozen=True)
class Policy:
    """How answers may be cached and who may read them."""

    cache_control: bytes
    pinned_cache_control: bytes
    origins: frozenset[bytes]


class Responder:
    """Runs questions to the store, and writes what comes back."""

    def __init__(self, policy: Policy, threads: ThreadPoolExecutor, memory: int) -> None:
        """Answer under ``policy``, waiting in ``threads``, keeping ``memory`` bytes of compressed documents."""
        self.policy = policy
        self.threads = threads
        self._coded: MemoryCache[bytes] = MemoryCache(memory)
        self._open: Headers = [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED)]

    async def ask(self, question: Callable[..., T]) -> T:
        """Ask at once; if that would block, in a thread; if a file changed meanwhile, once more.

        Args:
            question: Takes the keyword ``wait``.
        """
        try:
            return question(wait=False)
        except WouldBlock:
            pass
        except errors.SourceChanged:
            pass
        try:
            return await self.run(functools.partial(question, wait=True))
        except errors.SourceChanged:
            return await self.run(functools.partial(question, wait=True))

    async def run(self, work: Callable[[], T]) -> T:
        """Do something that takes time."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    # ---------------------------------------------------------------- headers

    def cross_origin(self, scope: Scope) -> Headers:
        """CORS headers for a request."""
        origins = self.policy.origins
        if b"*" in origins:
            return self._open
        origin = header(scope, b"origin")
        vary = (b"vary", b"Origin")
        if origin in origins and origin:
            return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", EXPOSED), vary]
        return [vary]

    # ---------------------------------------------------------------- answers

    async def answer(self, scope: Scope, send: Send, answer: Answer, *, pinned: bool = False) -> None:
        """Send an answer of the store: validators, ranges, HEAD, codings."""
        policy = self.policy
        head: Headers = [
            (b"cache-control", policy.pinned_cache_control if pinned else policy.cache_control),
            (b"x-chunkserve-version", answer.version.encode()),
            *self.cross_origin(scope),
        ]
        ranged = header(scope, b"range")
        blob, tag = answer.blob, answer.etag
        if answer.json:
            head += [(b"content-type", b"application/json"), (b"vary", b"Accept-Encoding")]
            coding = "" if ranged else preferred_coding(header(scope, b"accept-encoding"))
            if coding:
                tag = f"{tag}-{coding}"
                head.append((b"content-encoding", coding.encode()))
        else:
            coding = ""
            head.append((b"content-type", b"application/octet-stream"))
        quoted = f'"{tag}"'.encode()
        head.append((b"etag", quoted))
        if matches(header(scope, b"if-none-match"), quoted):
            await self.empty(send, 304, head)
            return
        if coding:
            data = await self._code(blob, tag, coding)
            await self._whole(scope, send, head, data)
            return
        await self.body(scope, send, head, blob, quoted)

    async def body(self, scope: Scope, send: Send, head: Headers, blob: Blob, quoted: bytes) -> None:
        """Send a blob, or the range asked for."""
        start, stop, status = 0, blob.size, 200
        head.append((b"accept-ranges", b"bytes"))
        wanted = header(scope, b"range")
        if wanted and header(scope, b"if-range") in (b"", quoted):
            found = parse_range(wanted, blob.size)
            if found is not None:
                start, stop = found
                if start >= stop:
                    await self._unsatisfiable(scope, send, blob.size)
                    return
                status = 206
                head.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, blob.size)))
        head.append((b"content-length", b"%d" % (stop - start)))
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": b""})
            return
        first = await self._read(blob, start, min(stop, start + PART))
        await send({"type": "http.response.start", "status": status, "headers": head})
        at = start + len(first)
        await send({"type": "http.response.body", "body": first, "more_body": at < stop})
        while at < stop:
            try:
                part = await self._read(blob, at, min(stop, at + PART))
            except errors.ChunkserveError as error:
                log.warning("answer cut short: %s", error)
                return  # the server closes the connection: the client sees too few bytes, never wrong ones
            at += len(part)
            await send({"type": "http.response.body", "body": part, "more_body": at < stop})

    async def _read(self, blob: Blob, start: int, stop: int) -> bytearray:
        try:
            return blob.read(start, stop, wait=False)
        except WouldBlock:
            return await self.run(functools.partial(blob.read, start, stop))

    async def _code(self, blob: Blob, tag: str, coding: str) -> bytes:
        found = self._coded.get(tag)
        if found is None:
            found = await self.run(lambda: _CODINGS[coding](bytes(blob.read())))
            self._coded.put(tag, found, len(found))
        return found

    async def _whole(self, scope: Scope, send: Send, head: Headers, data: bytes, status: int = 200) -> None:
        head.append((b"content-length", b"%d" % len(data)))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})

    async def text(self, scope: Scope, send: Send, data: bytes, media: str, status: int = 200) -> None:
        """Send a small document made for this request."""
        head: Headers = [(b"content-type", media.encode()), (b"cache-control", b"no-cache"), *self.cross_origin(scope)]
        await self._whole(scope, send, head, data, status)

    async def empty(self, send: Send, status: int, head: Headers) -> None:
        """Send a status without a body."""
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b""})

    async def preflight(self, scope: Scope, send: Send) -> None:
        """Answer OPTIONS."""
        head = [
            *self.cross_origin(scope),
            (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", b"86400"),
        ]
        await self.empty(send, 204, head)

    # ----------------------------------------------------------------- errors

    async def error(self, scope: Scope, send: Send, error: Exception) -> None:
        """Send an error as a problem document (RFC 9457)."""
        status = status_of(error)
        if status >= 500 and status != 503:
            log.warning("%s %s: %s", status, scope.get("path"), error, exc_info=error if status == 500 else None)
        detail = str(error) if status != 500 else "an unexpected error; the server's log has it"
        if status in (404, 410) and isinstance(error, errors.NotFound):
            detail = "nothing is served under this name"  # the same whatever the reason
        await self.problem(scope, send, status, detail, getattr(error, "retry_after", None))

    async def problem(
        self, scope: Scope, send: Send, status: int, detail: str, retry_after: int | None = None
    ) -> None:
        """Send a problem document."""
        head: Headers = [
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-cache" if status in (404, 410) else b"no-store"),
            *self.cross_origin(scope),
        ]
        if retry_after is not None:
            head.append((b"retry-after", b"%d" % retry_after))
        document = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail}
        await self._whole(scope, send, head, json.dumps(document).encode(), status)

    async def _unsatisfiable(self, scope: Scope, send: Send, size: int) -> None:
        head: Headers = [(b"content-range", b"bytes */%d" % size), *self.cross_origin(scope)]
        head.append((b"content-type", b"application/problem+json"))
        document = {"type": "about:blank", "title": TITLES[416], "status": 416, "detail": f"there are {size} bytes"}
        await self._whole(scope, send, head, json.dumps(document).encode(), 416)


def status_of(error: Exception) -> int:
    """The status of an error, by its nearest class in the table."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def header(scope: Scope, name: bytes) -> bytes:
    """A request header, empty if it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return value  # type: ignore[no-any-return]
    return b""


def matches(condition: bytes, quoted: bytes) -> bool:
    """Whether an If-None-Match condition names a tag (weak comparison, RFC 9110, 13.1.2)."""
    if not condition:
        return False
    return condition == quoted or any(
        tag.strip().removeprefix(b"W/") in (quoted, b"*") for tag in condition.split(b",")
    )


def parse_range(value: bytes, size: int) -> tuple[int, int] | None:
    """The (start, stop) of a single byte range, ``None`` to ignore it; empty if it cannot be satisfied (RFC 9110, 14.1.2)."""
    match = _RANGE.match(value)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        count = min(int(suffix), size)
        return size - count, size
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return (start, stop) if start < size else (size, size)


def preferred_coding(accept: bytes) -> str:
    """The content coding to use for a document: ``zstd``, ``gzip`` or none."""
    offered = {}
    for item in accept.lower().split(b","):
        name, _, parameters = item.partition(b";")
        offered[name.strip()] = parameters.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return next((name for name in _CODINGS if offered.get(name.encode())), "")


_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: bytes(numcodecs.zstd.compress(data, 3)),
    "gzip": lambda data: bytes(deflate.gzip_compress(data, 6)),
}
