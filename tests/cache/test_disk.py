"""The disk cache: whole entries or none, shared by processes, bounded, and never a reason for a request to fail."""

import logging
import multiprocessing
import os
import resource
import stat
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkserve.cache.disk import DiskCache

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    """A cache of a megabyte."""
    return DiskCache(str(tmp_path), 2**20)


def files_of(cache: DiskCache) -> list[str]:
    return [path for path, _ in cache.entries()]


@given(st.binary(max_size=200), st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_survive_a_restart(tmp_path: Path, payload: bytes, key: str) -> None:
    DiskCache(str(tmp_path), 2**20).put("kind", key, payload)
    again = DiskCache(str(tmp_path), 2**20)
    assert bytes(again.get("kind", key) or b"") == payload
    assert again.get("other", key) is None
    assert (again.hits, again.misses) == (1, 1)


def test_only_the_owner_may_look_into_the_folder(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "new"), 2**20)
    cache.put("kind", "key", b"secret")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_new_value_replaces_the_old_one_under_the_reader(cache: DiskCache) -> None:
    cache.put("kind", "key", b"old" * 5000)
    old = cache.get("kind", "key")
    cache.put("kind", "key", b"new")
    assert old == b"old" * 5000
    assert cache.get("kind", "key") == b"new"
    assert len(files_of(cache)) == 1


def flip(data: bytearray) -> None:
    data[-1] ^= 1


def cut(data: bytearray) -> None:
    del data[-1]


def cut_short(data: bytearray) -> None:
    del data[5:]


def empty(data: bytearray) -> None:
    data.clear()


def wrong_magic(data: bytearray) -> None:
    data[7] ^= 1


def wrong_checksum(data: bytearray) -> None:
    data[9] ^= 1


@pytest.mark.parametrize("damage", [flip, cut, cut_short, empty, wrong_magic, wrong_checksum], ids=lambda f: f.__name__)
def test_a_damaged_entry_is_removed_and_made_again(cache: DiskCache, caplog, damage: Callable) -> None:
    cache.put("kind", "key", b"payload")
    path = Path(cache.path("kind", "key"))
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert cache.get("kind", "key") is None
    assert str(path) in caplog.text
    assert cache.damaged == 1
    assert not path.exists()
    assert cache.get_or_make("kind", "key", lambda: b"payload") == b"payload"
    assert cache.get("kind", "key") == b"payload"


def test_sweeping_removes_what_was_not_used_for_longest(cache: DiskCache) -> None:
    limit, cache.limit = cache.limit, 2**30
    for i in range(12):
        cache.put("kind", f"key{i}", bytes(100_000))
        at = time.time() - 10_000 + i
        os.utime(cache.path("kind", f"key{i}"), (at, at))
    assert cache.get("kind", "key0") is not None  # used: now the youngest
    cache.limit = limit
    cache.sweep()
    kept = [i for i in range(12) if os.path.exists(cache.path("kind", f"key{i}"))]
    assert kept == [0, *range(4, 12)]
    assert sum(info.st_size for _, info in cache.entries()) <= 0.9 * 2**20
    assert cache.evictions == 3


def test_a_folder_over_its_bound_is_swept_after_a_restart(cache: DiskCache, tmp_path: Path) -> None:
    for i in range(20):
        cache.put("kind", str(i), bytes(100_000))
    again = DiskCache(str(tmp_path), 2**20)
    again.put("kind", "new", b"x")
    assert sum(info.st_size for _, info in again.entries()) <= 2**20


def test_the_bound_holds_while_entries_are_written(cache: DiskCache) -> None:
    for i in range(40):
        cache.put("kind", str(i), bytes(100_000))
    assert sum(info.st_size for _, info in cache.entries()) <= 2 * cache.limit


def test_locks_are_neither_entries_nor_swept(cache: DiskCache) -> None:
    cache.limit = 10
    with cache.making("kind", "key"):
        cache.put("kind", "key", bytes(100))
        cache.sweep()
    assert files_of(cache) == []
    assert len(list(Path(cache.folder, "locks").iterdir())) == 1


def test_a_value_that_cannot_be_made_leaves_nothing(cache: DiskCache) -> None:
    def fail() -> bytes:
        raise OSError("no such luck")

    with pytest.raises(OSError, match="no such luck"):
        cache.get_or_make("kind", "key", fail)
    assert files_of(cache) == []
    assert cache.get_or_make("kind", "key", lambda: b"made") == b"made"


def make_slowly(folder: str, log: str) -> bytes:
    def make() -> bytes:
        with open(log, "a", encoding="utf-8") as file:
            file.write("x")
        time.sleep(0.2)
        return b"made"

    return bytes(DiskCache(folder, 2**20).get_or_make("kind", "key", make))


def write_and_read(folder: str, seed: int) -> set[bytes]:
    cache = DiskCache(folder, 40_000)
    seen = set()
    for i in range(150):
        key = str((i * seed) % 5)
        cache.put("kind", key, key.encode() * 3000)
        found = cache.get("kind", str(i % 5))
        if found is not None:
            seen.add(bytes(found))
        if i % 10 == 0:
            cache.sweep()
    return seen if not cache.damaged else {b"damaged"}


@pytest.fixture(scope="module")
def processes():
    """Two processes that share nothing but the disk."""
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        yield pool


def test_of_two_processes_one_makes_and_both_get(tmp_path: Path, processes) -> None:
    log = tmp_path / "log"
    calls = [processes.submit(make_slowly, str(tmp_path), str(log)) for _ in range(2)]
    assert [call.result() for call in calls] == [b"made", b"made"]
    assert log.read_text() == "x"


def test_two_processes_that_write_and_sweep_see_whole_entries_only(tmp_path: Path, processes) -> None:
    whole = {str(i).encode() * 3000 for i in range(5)}
    for call in [processes.submit(write_and_read, str(tmp_path), seed) for seed in (3, 7)]:
        assert call.result() <= whole


def fill_up(folder: str) -> tuple[bytes, bytes, list[str], int]:
    """Use a cache on a disk with room for a thousand bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    complaints: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("chunkserve.cache").addHandler(handler)
    cache = DiskCache(folder, 2**20)
    small = bytes(cache.get_or_make("kind", "small", lambda: b"s" * 500))
    large = [bytes(cache.get_or_make("kind", f"large{i}", lambda: b"l" * 100_000)) for i in range(3)]
    return small, large[-1], complaints, len(list(cache.entries()))


def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        small, large, complaints, entries = pool.submit(fill_up, str(tmp_path)).result()
    assert (small, large) == (b"s" * 500, b"l" * 100_000)
    assert entries == 1  # no halves
    assert len(complaints) == 1
    assert "continuing without" in complaints[0]


@pytest.mark.parametrize("what", ["file", "missing parent is a file"])
def test_a_folder_that_cannot_be_made_is_done_without(tmp_path: Path, caplog, what) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(str(tmp_path / ("file" if what == "file" else "file/below")), 2**20)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert cache.get_or_make("kind", "key", lambda: b"made") == b"made"
    assert [record.getMessage() for record in caplog.records if "continuing without" in record.getMessage()] != []
    assert len(caplog.records) == 1
