"""Requests are repeated when that may help, and errors say what to do; against a small server that answers badly."""

import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chunkserve_client import (
    Busy,
    ClientError,
    Damaged,
    FileChanged,
    NotAllowed,
    NotFound,
    NotSupported,
    TooMuch,
    Unreachable,
    loop,
)
from chunkserve_client.config import Options
from chunkserve_client.transport import Transport

Answering = Callable[[BaseHTTPRequestHandler, int], None]


class Bad:
    """A server whose n-th answer is decided by a function."""

    def __init__(self, answer: Answering) -> None:
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.times.append(time.monotonic())
                outer.headers.append(dict(self.headers))
                outer.connections.add(self.client_address)
                answer(self, len(outer.times))

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    if "Content_Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def bad() -> Iterator[Callable[..., tuple[Bad, Transport]]]:
    made: list[tuple[Bad, Transport]] = []

    def make(answer: Answering, **options: object) -> tuple[Bad, Transport]:
        server = Bad(answer)
        transport = Transport(Options(server.url, **{"patience": 10.0, **options}))
        made.append((server, transport))
        return made[-1]

    yield make
    for server, transport in made:
        loop.run(transport.close())
        server.close()


def test_a_busy_server_is_asked_again_and_connections_are_kept(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    statuses = {1: 503, 2: 429, 3: 504}
    server, transport = bad(lambda h, n: reply(h, statuses.get(n, 200), b"right" if n > 3 else b""))
    assert loop.run(transport.get("/x")).body == b"right"
    assert len(server.times) == 4
    assert transport.requests == 4
    assert len(server.connections) == 1
    pauses = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert all(pause > 0.04 for pause in pauses)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(bad: Callable[..., tuple[Bad, Transport]], form: str) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        when = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
        reply(handler, 503 if n == 1 else 200, b"", Retry_After=when)

    server, transport = bad(answer)
    loop.run(transport.get("/x"))
    assert server.times[1] - server.times[0] >= 0.9


def test_patience_ends(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    body = b'{"detail": "levels are being made"}'
    server, transport = bad(lambda h, _: reply(h, 503, body), patience=0.5)
    with pytest.raises(Busy, match="levels are being made; try again later, or raise patience="):
        loop.run(transport.get("/x"))
    assert len(server.times) > 1


def test_nobody_waits_longer_than_patience_for_what_the_server_asks(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    server, transport = bad(lambda h, _: reply(h, 429, b"", Retry_After="3600"))
    with pytest.raises(Busy):
        loop.run(transport.get("/x"))
    assert len(server.times) == 1


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (400, ValueError, "what"),
        (401, NotAllowed, "token="),
        (403, NotAllowed, "token="),
        (404, NotFound, "what there is"),
        (404, KeyError, "what there is"),
        (405, NotSupported, "older"),
        (410, FileChanged, "open it again"),
        (413, TooMuch, "less at once"),
        (422, Damaged, "HDF5"),
        (500, ClientError, "log"),
        (501, NotSupported, "what"),
        (502, Damaged, "what"),
        (418, ClientError, "what"),
    ],
)
def test_statuses_become_errors_that_say_what_to_do(
    bad: Callable[..., tuple[Bad, Transport]], status: int, error: type[Exception], advice: str
) -> None:
    server, transport = bad(lambda h, _: reply(h, status, b'{"detail": "what is wrong"}'))
    with pytest.raises(error) as caught:
        loop.run(transport.get("/x"))
    assert "what is wrong" in str(caught.value)
    assert advice in str(caught.value)
    assert server.url in str(caught.value)
    assert len(server.times) == 1


def test_a_body_cut_short_is_asked_for_again(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n > 2:
            reply(handler, 200, b"x" * 200_000)
            return
        reply(handler, 200, b"x" * 150_000, Content_Length="200000")
        handler.close_connection = True

    server, transport = bad(answer)
    assert loop.run(transport.get("/x")).body == b"x" * 200_000
    assert len(server.times) == 3


def test_a_body_that_is_always_cut_short_is_damaged(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        reply(handler, 200, b"x", Content_Length="10")
        handler.close_connection = True

    _, transport = bad(answer)
    with pytest.raises(Damaged, match="ended early 4 times"):
        loop.run(transport.get("/x"))


def test_a_server_that_says_nothing_is_asked_again(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
        if n == 2:
            time.sleep(1.5)
        reply(handler, 200, b"%d" % n)

    server, transport = bad(answer, timeout=0.5)
    assert loop.run(transport.get("/x")).body == b"1"
    assert loop.run(transport.get("/x")).body == b"3"
    assert len(server.times) == 3


def test_a_wrong_address_is_no_matter_of_patience() -> None:
    transport = Transport(Options("http://127.0.0.1:9", patience=60.0))
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="is the server running, and the address right"):
        loop.run(transport.get("/x"))
    assert time.monotonic() - begun < 20
    loop.run(transport.close())


def test_the_token_is_sent_and_never_shown(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    server, transport = bad(lambda h, _: reply(h, 200), token="secret")
    loop.run(transport.get("/x"))
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert "secret" not in repr(transport.options)


def test_so_many_requests_at_once_and_no_more(bad: Callable[..., tuple[Bad, Transport]]) -> None:
    import asyncio  # noqa: PLC0415

    now, most, lock = 0, 0, threading.Lock()

    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        reply(handler, 200)

    _, transport = bad(answer, connections=3)

    async def many() -> None:
        await asyncio.gather(*(transport.get("/x") for _ in range(20)))

    loop.run(many())
    assert 1 <= most <= 3


def test_a_proxy_of_the_environment_is_asked_unless_excepted(
    bad: Callable[..., tuple[Bad, Transport]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, direct = bad(lambda handler, _: reply(handler, 200, handler.path.encode()))
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert loop.run(direct.get("/x")).body == b"/x"
    far = Transport(Options("http://data.invalid:81"))
    assert loop.run(far.get("/x")).body == b"http://data.invalid:81/x"
    loop.run(far.close())
