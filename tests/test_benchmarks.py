"""What benchmarks are made of says what it should: models, the load generator's HTTP, traces."""

import asyncio
import io
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import capacity
from benchmarks.users import generator, trace
from benchmarks.users.data import FULL
from benchmarks.users.workloads import WORKLOADS

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n" + bytes(16) + b"\r\n0\r\n\r\n"
)
PLAIN = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 7\r\nConnection: close\r\n\r\n1234567"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("wire", "size", "status"), [(CHUNKED, 21, 200), (PLAIN, 7, 206)])
def test_an_answer_is_complete_when_its_last_byte_is_here_however_it_is_cut(
    wire: bytes, size: int, status: int, step: int
) -> None:
    answer = generator.Answer()
    parts = [wire[k : k + step] for k in range(0, len(wire), step)]
    done = []
    for part in parts:
        generator.VIEW[: len(part)] = part
        done.append(answer.take(len(part)))
    assert done == [False] * (len(parts) - 1) + [True]
    assert (answer.status, answer.size) == (status, size)


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(404 if self.path == "/absent" else 200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"body")
        self.close_connection = self.path == "/closing"

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    _Server.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


async def test_every_user_goes_through_a_session_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("go\n"))
    targets = [("/a", "", 4), ("/closing", "", -1), ("/absent", "", -1), ("/long", "", 5)]
    plan = generator.Plan(port, list(range(5)), [[[0, 0, 1], [1, 2], [2, 3], [0, 0]]], targets, 20.0, 1.0, once=True)
    crowd = generator.Crowd(plan)
    await crowd.run()
    statuses = sorted(crowd.requests.status)
    assert statuses == sorted([200, 200, 404, generator.OTHER_LENGTH, 200] * 5)
    assert len(crowd.operations.user) == 20
    assert _Server.asked == 25
    await asyncio.sleep(0.05)  # connections close


def test_waiting_on_paper_is_waiting_in_a_simulation() -> None:
    dice = random.Random(3)
    services = [dice.expovariate(10) for _ in range(20_000)]
    mean = sum(services) / len(services)
    for workers in (1, 4):
        paper = capacity.waiting(workers, 0.7 * workers / mean, mean, 1.0)
        simulated = capacity.simulated_waiting(workers, 0.7 * workers / mean, services, 200_000)
        assert paper == pytest.approx(simulated, rel=0.1)


def test_hit_ratios_on_paper_are_those_of_a_cache() -> None:
    for exponent in (0.8, 1.2):
        chances = capacity.zipf(2000, exponent)
        for slots in (20, 400):
            simulated = capacity.simulated_hit_ratio(chances, slots, 100_000)
            assert capacity.hit_ratio(chances, slots) == pytest.approx(simulated, abs=0.02)
    assert capacity.hit_ratio(chances, 2000) == 1.0


def test_sessions_are_the_same_each_time_and_differ_among_users() -> None:
    for workload in WORKLOADS:
        if workload.person is not None:
            first, again = (trace.sessions(workload.person, FULL, 1) for _ in range(2))
            assert first == again
            assert all(first)
    assert len({str(session) for session in trace.sessions(trace.viewer, FULL, 1)}) == trace.SESSIONS
