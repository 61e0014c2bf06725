"""Single flight: one makes it, all get it, errors included, and nothing stays behind."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chunkserve.cache.flight import Flight

N = 8


class Slow:
    """Something that is made when the gate opens; counts how often."""

    def __init__(self, result: Callable[[], object]) -> None:
        self.gate, self.calls, self.result = threading.Event(), 0, result

    def __call__(self) -> object:
        self.calls += 1
        assert self.gate.wait(10)
        return self.result()


def waiting(flight: Flight, key: str, count: int) -> None:
    """Wait until a call is under way and ``count`` others wait for it."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        call = flight._calls.get(key)
        if call is not None and len(call._condition._waiters) >= count:
            return
        time.sleep(0.001)
    raise AssertionError("nobody came")


def fail() -> object:
    raise OSError("no such luck")


def test_of_many_threads_one_makes_and_all_get_the_same_object() -> None:
    flight, slow = Flight(), Slow(object)
    with ThreadPoolExecutor(N) as pool:
        futures = [pool.submit(flight.run, "key", slow) for _ in range(N)]
        waiting(flight, "key", N - 1)
        slow.gate.set()
        results = {id(future.result()) for future in futures}
    assert slow.calls == len(results) == 1


def test_an_error_is_everybodys_and_forgotten_at_once() -> None:
    flight, slow = Flight(), Slow(fail)
    with ThreadPoolExecutor(N) as pool:
        futures = [pool.submit(flight.run, "key", slow) for _ in range(N)]
        waiting(flight, "key", N - 1)
        slow.gate.set()
        errors = {id(future.exception()) for future in futures}
    assert slow.calls == len(errors) == 1
    assert flight.run("key", lambda: "better") == "better"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_no_kind_of_error_leaves_a_call_under_way(error) -> None:
    flight = Flight()

    def interrupted() -> None:
        raise error

    with pytest.raises(error):
        flight.run("key", interrupted)
    assert flight.run("key", lambda: 1) == 1


def test_other_keys_do_not_wait() -> None:
    flight, slow = Flight(), Slow(lambda: "late")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flight.run, "slow", slow)
        waiting(flight, "slow", 0)
        assert flight.run("fast", lambda: flight.run("inner", lambda: "soon")) == "soon"
        assert not first.done()
        slow.gate.set()
        assert first.result() == "late"


def test_results_are_not_remembered() -> None:
    flight = Flight()
    assert [flight.run("key", lambda n=n: n) for n in range(3)] == [0, 1, 2]
    assert not flight._calls
