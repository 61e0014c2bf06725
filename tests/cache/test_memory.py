"""The memory cache: bounded in bytes, the least recently used go first, whatever is asked in whatever order."""

import sys
import threading
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkserve.cache.memory import MemoryCache

KEYS = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("put"), KEYS, st.integers(0, 14)),
    st.tuples(st.just("drop"), KEYS),
)


@given(st.lists(STEPS, max_size=60))
def test_it_behaves_like_a_list_in_order_of_use(steps: list[tuple]) -> None:
    cache: MemoryCache[int] = MemoryCache(10)
    model: OrderedDict[int, tuple[int, int]] = OrderedDict()
    for i, (verb, key, *size) in enumerate(steps):
        if verb == "get":
            expected = model.get(key)
            assert cache.get(key) == (expected and expected[0])
            if expected:
                model.move_to_end(key)
        else:
            model.pop(key, None)
        if verb == "drop":
            cache.drop(key)
        if verb == "put":
            cache.put(key, i + 1, size[0])
            if size[0] <= 10:
                model[key] = i + 1, size[0]
            while sum(weight for _, weight in model.values()) > 10:
                model.popitem(last=False)
        assert cache.used == sum(weight for _, weight in model.values()) <= 10
        assert len(cache) == len(model)


def test_hits_misses_and_evictions_are_counted() -> None:
    cache: MemoryCache[str] = MemoryCache(2)
    for key in "abc":
        cache.put(key, key, 1)
    assert [cache.get(key) for key in "abc"] == [None, "b", "c"]
    assert (cache.hits, cache.misses, cache.evictions) == (2, 1, 1)


@pytest.mark.parametrize("old", [1, 10])
def test_a_value_too_large_replaces_what_was_there_by_nothing(old) -> None:
    cache: MemoryCache[str] = MemoryCache(10)
    cache.put("x", "old", old)
    cache.put("x", "new", 11)
    assert cache.get("x") is None
    assert cache.used == 0


def test_many_threads_leave_the_books_balanced() -> None:
    cache: MemoryCache[int] = MemoryCache(100)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(seed: int) -> None:
        for i in range(800):
            cache.put((seed * i) % 37, i, i % 30)
            cache.get(i % 37)
            cache.drop((i * 7) % 37)

    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in (3, 5, 7, 11)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert cache.used == sum(size for _, size in cache._items.values()) <= 100
