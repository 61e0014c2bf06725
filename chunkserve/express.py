"""uvicorn's HTTP protocol with a shorter way for answers that are at hand.

A GET whose answer the application can give at once (``Faces.at_once``) is written straight from the parser's callback:
no task, no scope, no messages. That is half the cost of a small chunk. Everything else, and everything that is not
plain HTTP/1.1 keep-alive, takes uvicorn's ordinary way.
"""

from http import HTTPStatus
from typing import cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chunkserve.faces.asgi import TRIED
from chunkserve.faces.respond import WANTED, Headers
from chunkserve.sources.localfile import WouldBlock

_STATUS_LINE = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_ORDINARY = frozenset({b"connection", b"content-length", b"expect", b"transfer-encoding", b"upgrade"})
"""Headers that make a request take the ordinary way; ``Connection: keep-alive`` does not."""


class ExpressProtocol(HttpToolsProtocol):
    """One connection."""

    _answered = False

    def on_headers_complete(self) -> None:
        """Answer now if that is possible, else let uvicorn start a task."""
        if self._is_plain():
            try:
                url = httptools.parse_url(self.url)
            except httptools.HttpParserInvalidURLError:
                url = None
            if url is not None and url.path is not None:
                headers = {name: value for name, value in self.headers if name in WANTED}
                peer = self.client[0] if self.client else ""
                try:
                    found = self.app.at_once(url.path, url.query or b"", headers, peer)  # Faces.at_once
                except WouldBlock:
                    found = None
                    cast("dict[str, object]", self.scope)[TRIED] = True
                if found is not None:
                    self._answered = True
                    reply, body = found
                    self.transport.writelines([self._head(reply.status, reply.head), body])
                    return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Requests answered here have none."""
        if not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request on the connection, for as long as uvicorn would."""
        if not self._answered:
            super().on_message_complete()
            return
        self._answered = False
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _is_plain(self) -> bool:
        """Whether nothing about the request or the connection asks for the ordinary way."""
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1" or self.root_path:
            return False
        if (self.cycle is not None and not self.cycle.response_complete) or self.pipeline or self.flow.write_paused:
            return False
        for name, value in self.headers:
            if name in _ORDINARY and not (name == b"connection" and value.lower() == b"keep-alive"):
                return False
        return self.limit_concurrency is None and not self.transport.is_closing()

    def _head(self, status: int, headers: Headers) -> bytes:
        parts: list[bytes] = [_STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)
