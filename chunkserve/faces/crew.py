"""Threads for what takes its time: light work first, heavy work a few at a time, and among equals everybody in turn."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")

Job = tuple[Future[Any], Callable[[], Any]]


class _Line:
    """Jobs that wait, by who wants them; each who waits is served once before anybody is served again."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Hashable, deque[Job]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def append(self, user: Hashable, job: Job) -> None:
        self._jobs.setdefault(user, deque()).append(job)

    def pop(self) -> Job:
        user, jobs = self._jobs.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._jobs[user] = jobs
        return job


class Crew:
    """Worker threads. Thread-safe."""

    def __init__(self, threads: int, heavy: int) -> None:
        """Start nothing yet.

        Args:
            threads: How many there are.
            heavy: How many of them may do heavy work at a time.
        """
        self._size = threads
        self._most_heavy = heavy
        self._heavy = 0
        self._light_line, self._heavy_line = _Line(), _Line()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._ended = False

    def seat(self, user: Hashable, *, heavy: bool) -> "Seat":
        """An executor for what somebody asks for."""
        return Seat(self, user, heavy=heavy)

    def put(self, user: Hashable, work: Callable[[], T], *, heavy: bool) -> Future[T]:
        """Have something done when its turn comes.

        Raises:
            RuntimeError: The crew has gone home.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if not self._threads:
                self._start()
            (self._heavy_line if heavy else self._light_line).append(user, (future, work))
            self._changed.notify()
        return future

    def shutdown(self) -> None:
        """Let what is being done end, and cancel what waits."""
        with self._changed:
            self._ended = True
            for line in (self._light_line, self._heavy_line):
                while line:
                    line.pop()[0].cancel()
            self._changed.notify_all()

    def _start(self) -> None:
        for n in range(self._size):
            thread = threading.Thread(target=self._work, name=f"chunkserve-{n}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (ready := self._light_line or self._may_be_heavy()):
                    if self._ended:
                        return
                    self._changed.wait()
                heavy = ready is self._heavy_line
                self._heavy += heavy
                future, work = ready.pop()
            _do(future, work)
            del future, work
            if heavy:
                with self._changed:
                    self._heavy -= 1
                    self._changed.notify()

    def _may_be_heavy(self) -> _Line | None:
        """The line of heavy work, if somebody stands in it and may be let in."""
        return self._heavy_line if self._heavy_line and self._heavy < self._most_heavy else None


class Seat(Executor):
    """What one who asks may use."""

    def __init__(self, crew: Crew, user: Hashable, *, heavy: bool) -> None:
        """Have work done by ``crew``."""
        self._crew = crew
        self._user = user
        self._heavy = heavy

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have ``fn(*args, **kwargs)`` done when its turn comes."""
        return self._crew.put(self._user, lambda: fn(*args, **kwargs), heavy=self._heavy)


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    """Do something, unless nobody wants it any more."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
        future.set_exception(error)
    else:
        future.set_result(result)
