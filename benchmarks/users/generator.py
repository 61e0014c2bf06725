"""The load generator: a process with many users, each with a connection of its own (uvloop, no HTTP library).

    python -m benchmarks.users.generator PLAN RESULT

A user goes through sessions; a session is a list of *operations* (a picture, a slice); an operation is one or more
*requests*, sent one after the other. Closed loop: the next operation begins when the last one is complete. Open loop:
operations begin at times fixed beforehand, whether or not the server keeps up; one that has to wait for its user's last
is timed from when it should have begun, so that queueing shows.
"""

import asyncio
import json
import random
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import uvloop

from benchmarks.common.processes import HOST

BUFFER = bytearray(1 << 20)
"""All connections read into this one: what arrives is counted, not kept."""

VIEW = memoryview(BUFFER)
CONNECTING = 64
"""Connections being opened at a time."""

BROKEN = 0
"""Status of a request whose connection failed."""

UNFINISHED = 1
"""Status of a request that was not answered in time."""

OTHER_LENGTH = 2
"""Status of an answer that is not as long as the same answer was before."""

GOOD = 200
"""Status of every answer that is as it should be."""

PAUSE = 0.05
"""Seconds after a failed connection."""


@dataclass(frozen=True)
class Plan:
    """What a generator is to do.

    Attributes:
        port: Of the server.
        users: Their numbers; a user's number decides about everything it does.
        sessions: Of operations: a kind, then indices of targets.
        targets: Path, value of a Range header or nothing, length of the answer or -1 if it is not known.
        seconds: How long operations are begun.
        grace: Seconds after that for answers under way.
        rate: Operations per second and user; 0 for a closed loop.
        once: Each user goes through one session, from its beginning.
        seed: Of everything random.
        headers: Of every request.
    """

    port: int
    users: list[int]
    sessions: list[list[list[int]]]
    targets: list[tuple[str, str, int]]
    seconds: float
    grace: float
    rate: float = 0.0
    once: bool = False
    seed: int = 1
    headers: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))


class Record:
    """Columns of numbers, a row per request or operation."""

    def __init__(self) -> None:
        """Empty."""
        self.user, self.kind, self.status = array("l"), array("b"), array("h")
        self.start, self.end, self.size = array("d"), array("d"), array("q")

    def add(self, user: int, kind: int, start: float, end: float, size: int, status: int) -> None:
        """A row."""
        self.user.append(user)
        self.kind.append(kind)
        self.start.append(start)
        self.end.append(end)
        self.size.append(size)
        self.status.append(status)

    def columns(self, prefix: str) -> dict[str, np.ndarray]:
        """For numpy."""
        return {f"{prefix}_{name}": np.array(column) for name, column in vars(self).items()}


class Crowd:
    """All users of a process."""

    def __init__(self, plan: Plan) -> None:
        """Follow ``plan``."""
        self.plan = plan
        self.wire = [_request(path, byte_range, plan.headers) for path, byte_range, _ in plan.targets]
        self.lengths = [length for *_, length in plan.targets]
        self.requests, self.operations = Record(), Record()
        self.late = array("d")
        self.users = [User(self, number) for number in plan.users]
        self.left = len(self.users)
        self.loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        self.until = float("inf")
        self.begin = self.end = self.cpu = 0.0

    async def run(self) -> None:
        """Connect everybody, wait for the word, go, and stop."""
        for first in range(0, len(self.users), CONNECTING):
            await asyncio.gather(*(user.connect() for user in self.users[first : first + CONNECTING]))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        before = time.process_time()
        self.begin = time.perf_counter()
        self.until = self.begin + self.plan.seconds
        for user in self.users:
            user.go()
        try:
            await asyncio.wait_for(self.done.wait(), self.plan.seconds + self.plan.grace)
        except TimeoutError:
            for user in self.users:
                user.give_up()
        self.end, self.cpu = time.perf_counter(), time.process_time() - before
        for user in self.users:
            user.leave()

    def one_is_done(self) -> None:
        """A user will do nothing any more."""
        self.left -= 1
        if not self.left:
            self.done.set()


class User:
    """One user, who has one connection."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        """User ``number``."""
        self.crowd, self.number = crowd, number
        self.dice = random.Random(f"{crowd.plan.seed}/{number}")
        self.connection: Connection | None = None
        self.retried = False
        self.session: list[list[int]] = []
        self.at = 0  # in the session
        self.operation: list[int] = []  # kind, targets
        self.part = 0  # of the operation; 0 while there is none
        self.began = self.asked = 0.0
        self.next = 0.0  # arrival, in an open loop
        self.size = 0
        self.status = GOOD
        self.finished = False

    def go(self) -> None:
        """Begin the first session somewhere in its middle, so that not everybody does the same."""
        sessions, plan = self.crowd.plan.sessions, self.crowd.plan
        if plan.once:
            self.session = sessions[self.number % len(sessions)]
        else:
            self.session = self.dice.choice(sessions)
            self.at = self.dice.randrange(len(self.session))
        self.next = self.crowd.begin + (self.dice.expovariate(plan.rate) if plan.rate else 0.0)
        self._rest()

    def _rest(self) -> None:
        """Between two operations."""
        plan = self.crowd.plan
        now = time.perf_counter()
        if self.at == len(self.session):
            if plan.once:
                self._finish()
                return
            self.session, self.at = self.dice.choice(plan.sessions), 0
        if (self.next if plan.rate else now) >= self.crowd.until:
            self._finish()
        elif plan.rate and self.next > now:
            self.crowd.loop.call_later(self.next - now, self._begin, self.next, True)
        else:
            self._begin(self.next if plan.rate else now, False)

    def _begin(self, due: float, rested: bool) -> None:
        """An operation that is due; ``rested`` if its user was idle, so that only a timer can be late."""
        plan, now = self.crowd.plan, time.perf_counter()
        if plan.rate:
            self.next = due + self.dice.expovariate(plan.rate)
            if rested:
                self.crowd.late.append(max(0.0, now - due))
        self.operation = self.session[self.at]
        self.at += 1
        self.part, self.size, self.status = 1, 0, GOOD
        self.began = self.asked = now if rested or not plan.rate else due
        self._ask()

    def _ask(self) -> None:
        self.retried = False
        if self.connection is None:
            self.crowd.loop.create_task(self._ask_anew())
        else:
            self.connection.ask(self.crowd.wire[self.operation[self.part]])

    async def _ask_anew(self) -> None:
        """The server closed an idle connection: the time to open another is part of the request's."""
        await self.connect()
        if self.part and self.connection is not None:
            self.connection.ask(self.crowd.wire[self.operation[self.part]])
        elif self.part:
            await asyncio.sleep(PAUSE)
            self.answered(BROKEN, 0)

    async def connect(self) -> None:
        """Open the connection; a failure is found when something is asked."""
        try:
            await self.crowd.loop.create_connection(lambda: Connection(self), HOST, self.crowd.plan.port)
        except OSError:
            self.connection = None

    def lost(self, begun: bool) -> None:
        """The server closed the connection; ``begun`` if part of an answer is here."""
        self.connection = None
        if self.part and not begun and not self.retried:  # it did so while our request was on its way
            self.retried = True
            self.crowd.loop.create_task(self._ask_anew())
        elif self.part:
            self.crowd.loop.call_later(PAUSE, self.answered, BROKEN, 0)

    def answered(self, status: int, size: int) -> None:
        """The answer to a request is complete, or there will be none."""
        if not self.part:
            return
        crowd, kind, target = self.crowd, self.operation[0], self.operation[self.part]
        status = GOOD if 200 <= status < 300 else status
        if status == GOOD and crowd.lengths[target] not in (-1, size):
            status = OTHER_LENGTH
        now = time.perf_counter()
        crowd.requests.add(self.number, kind, self.asked, now, size, status)
        self.size += size
        self.status = self.status if self.status != GOOD else status
        self.part += 1
        if self.part < len(self.operation):
            self.asked = now
            self._ask()
            return
        crowd.operations.add(self.number, kind, self.began, now, self.size, self.status)
        self.part = 0
        self._rest()

    def _finish(self) -> None:
        if not self.finished:
            self.finished = True
            self.crowd.one_is_done()

    def give_up(self) -> None:
        """Time is up: what was not answered is told as such."""
        if self.part:
            now, kind = time.perf_counter(), self.operation[0]
            self.crowd.requests.add(self.number, kind, self.asked, now, 0, UNFINISHED)
            self.crowd.operations.add(self.number, kind, self.began, now, self.size, UNFINISHED)
        self.part, self.finished = 0, True

    def leave(self) -> None:
        """Close the connection."""
        self.finished, self.part = True, 0
        if self.connection is not None:
            self.connection.close()


class Connection(asyncio.BufferedProtocol):
    """A connection to the server, for one request at a time."""

    def __init__(self, user: User) -> None:
        """Of ``user``."""
        self.user = user
        self.answer = Answer()
        self.transport: asyncio.Transport

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self.answer = Answer()
        self.transport.write(request)

    def close(self) -> None:
        """Close it from here."""
        if self.user.connection is self:
            self.user.connection = None
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = transport  # type: ignore[assignment]
        self.user.connection = self

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what arrives."""
        del sizehint
        return VIEW

    def buffer_updated(self, nbytes: int) -> None:
        """Something arrived."""
        answer = self.answer
        if answer.take(nbytes):
            if answer.closes:
                self.close()
            self.user.answered(answer.status, answer.size)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed."""
        del exc
        if self.user.connection is self:
            self.user.lost(begun=self.answer.status != 0)


class Answer:
    """An answer that is arriving, over HTTP/1.1."""

    __slots__ = ("chunked", "closes", "head", "left", "size", "status")

    def __init__(self) -> None:
        """Nothing is here yet."""
        self.head = b""
        self.status = self.size = 0
        self.left = -1  # bytes of the body, or of a chunk with its end
        self.chunked = self.closes = False

    def take(self, n: int) -> bool:
        """``n`` bytes are in the buffer; whether the answer is complete now."""
        at = 0
        if not self.status:
            self.head += VIEW[:n]
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            at = n - (len(self.head) - end - 4)
            self._understand(self.head[:end].lower())
        if not self.chunked:
            self.size += n - at
            self.left -= n - at
            return self.left <= 0
        return self._unchunk(at, n)

    def _understand(self, head: bytes) -> None:
        self.status = int(head[9:12])
        self.closes = b"\r\nconnection: close" in head
        self.chunked = b"\r\ntransfer-encoding: chunked" in head
        self.head = b""
        if not self.chunked:
            at = head.find(b"\r\ncontent-length:")
            self.left = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0

    def _unchunk(self, at: int, n: int) -> bool:
        """Chunks: ``left`` is what is still to come of one and its line end, ``head`` a part of a size line."""
        while at < n:
            if self.left > 0:
                step = min(self.left, n - at)
                self.left -= step
                at += step
                continue
            end = BUFFER.find(b"\n", at, n)
            if end < 0:
                self.head += VIEW[at:n]
                return False
            line = (self.head + VIEW[at:end]).strip()
            self.head = b""
            at = end + 1
            if self.left == -2:  # the trailer's empty line
                return True
            length = int(line.split(b";")[0], 16)
            self.size += length
            self.left = length + 2 if length else -2
        return False


def _request(path: str, byte_range: str, headers: dict[str, str]) -> bytes:
    every = {"Host": HOST, "Accept": "*/*"} | headers | ({"Range": byte_range} if byte_range else {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in every.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def main(plan: Path, result: Path) -> None:
    """Follow the plan at a path, and write what came of it to another."""
    orders = Plan(**json.loads(plan.read_text()))

    async def go() -> Crowd:
        crowd = Crowd(orders)
        await crowd.run()
        return crowd

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(go())
    np.savez(
        result, **found.requests.columns("requests"), **found.operations.columns("operations"),
        late=np.array(found.late), begin=found.begin, end=found.end, cpu=found.cpu,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
