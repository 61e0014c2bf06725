"""Light work goes before heavy work, and nobody waits for all that another one wants."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from chunkserve.faces.crew import Crew

Make = Callable[[int, int], Crew]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Crew] = []

    def start(threads: int, heavy: int) -> Crew:
        made.append(Crew(threads, heavy))
        return made[-1]

    yield start
    for crew in made:
        crew.shutdown()


class Gate:
    """Work that waits until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self) -> None:
        self.entered.release()
        assert self.open.wait(20)


def test_everybody_is_served_in_turn(make: Make) -> None:
    crew, gate, order = make(1, 1), Gate(), []
    crew.put("x", gate, heavy=True)
    assert gate.entered.acquire(timeout=20)
    jobs = [crew.put(user, lambda u=user: order.append(u), heavy=True) for user in ("a", "a", "a", "b", "b", "c")]
    gate.open.set()
    for job in jobs:
        job.result(20)
    assert order == ["a", "b", "c", "a", "b", "a"]


def test_light_work_does_not_wait_for_heavy_work(make: Make) -> None:
    crew, gate = make(3, 2), Gate()
    heavy = [crew.put(n, gate, heavy=True) for n in range(5)]
    assert gate.entered.acquire(timeout=20)
    assert gate.entered.acquire(timeout=20)
    assert crew.put("light", lambda: 7, heavy=False).result(20) == 7
    assert not gate.entered.acquire(timeout=0.1), "no more than two at a time"
    gate.open.set()
    for job in heavy:
        job.result(20)


def test_light_work_goes_first(make: Make) -> None:
    crew, gate, order = make(1, 1), Gate(), []
    crew.put("x", gate, heavy=False)
    assert gate.entered.acquire(timeout=20)
    jobs = [crew.put("a", lambda w=w: order.append(w), heavy=w) for w in (True, True, False)]
    gate.open.set()
    for job in jobs:
        job.result(20)
    assert order == [False, True, True]


def test_an_error_is_that_of_who_asked_and_the_thread_lives_on(make: Make) -> None:
    crew = make(1, 1)
    with pytest.raises(ZeroDivisionError):
        crew.seat("a", heavy=True).submit(lambda: 1 / 0).result(20)
    assert crew.seat("a", heavy=True).submit(max, 3, 4).result(20) == 4


def test_what_is_cancelled_is_not_done(make: Make) -> None:
    crew, gate, done = make(1, 1), Gate(), []
    first = crew.put("x", gate, heavy=True)
    assert gate.entered.acquire(timeout=20)
    second = crew.put("x", lambda: done.append(1), heavy=True)
    assert second.cancel()
    gate.open.set()
    first.result(20)
    crew.put("x", lambda: None, heavy=True).result(20)
    assert done == []


def test_at_the_end_what_waits_is_cancelled_and_threads_end(make: Make) -> None:
    crew, gate = make(2, 1), Gate()
    first = crew.put("x", gate, heavy=True)
    assert gate.entered.acquire(timeout=20)
    second = crew.put("x", lambda: None, heavy=True)
    crew.shutdown()
    assert second.cancelled()
    gate.open.set()
    first.result(20)
    with pytest.raises(RuntimeError, match="shutdown"):
        crew.put("x", lambda: None, heavy=True)
    deadline = time.monotonic() + 20
    while any(thread.is_alive() for thread in crew._threads):
        assert time.monotonic() < deadline
        time.sleep(0.01)
