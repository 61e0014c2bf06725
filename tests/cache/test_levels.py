"""Levels on disk: whole or not at all, checked when read, bounded, removed as wholes."""

import os
from pathlib import Path

import pytest

from chunkserve.cache.levels import LevelCache

ONE = (1,)
"""A shard of one chunk."""

DOCUMENT, GROUP = b'{"node_type": "array"}', b'{"node_type": "group"}'


def test_a_chunk_is_found_before_and_after_its_level_is_published(tmp_path: Path) -> None:
    cache = LevelCache(str(tmp_path), 2**20)
    tiles = (2, 2)
    assert cache.get("p", 1, (0, 2), tiles) is None
    cache.put("p", 1, tiles, {(0, 2): b"chunk", (1, 3): b"another"})
    for _ in range(2):
        assert cache.get("p", 1, (0, 2), tiles) == b"chunk"
        assert cache.get("p", 1, (1, 3), tiles) == b"another"
        assert cache.get("p", 1, (0, 3), tiles) is None
        assert cache.get("p", 1, (0, 1), tiles) is None
        assert (tmp_path / "levels").exists() == cache.is_published("p", 1)
        cache.publish("p", 1, DOCUMENT, GROUP)
    assert b"chunk" in (tmp_path / "levels/p/1/c.0.1").read_bytes()


def test_documents_are_plain_json(tmp_path: Path) -> None:
    cache = LevelCache(str(tmp_path), 2**20)
    cache.put("p", 1, ONE, {(0,): b"chunk"})
    cache.publish("p", 1, DOCUMENT, GROUP)
    assert (tmp_path / "levels/p/1/zarr.json").read_bytes() == DOCUMENT
    assert (tmp_path / "levels/p/zarr.json").read_bytes() == GROUP


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[:-1],
        lambda d: b"",
        lambda d: d.replace(b"chunk", b"chumk"),
        lambda d: d[:-20] + bytes([d[-20] ^ 1]) + d[-19:],
        lambda d: d[:-20],
    ],
    ids=["cut", "empty", "flipped", "index flipped", "without index"],
)
def test_a_damaged_chunk_is_removed_and_its_level_no_longer_shown(tmp_path: Path, damage) -> None:
    cache = LevelCache(str(tmp_path), 2**20)
    for at in range(2):
        cache.put("p", 1, ONE, {(at,): b"chunk %d" % at})
    cache.publish("p", 1, DOCUMENT, GROUP)
    path = tmp_path / "levels/p/1/c.0"
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("p", 1, (0,), ONE) is None
    assert cache.damaged == 1
    assert not (tmp_path / "levels/p/1").exists()
    assert cache.get("p", 1, (1,), ONE) == b"chunk 1"
    cache.put("p", 1, ONE, {(0,): b"chunk 0"})
    cache.publish("p", 1, DOCUMENT, GROUP)
    assert (tmp_path / "levels/p/1/zarr.json").exists()


def test_whole_levels_go_the_least_used_first_and_finest_first(tmp_path: Path) -> None:
    cache = LevelCache(str(tmp_path), 100_000)
    for pyramid, used in (("new", 2000), ("old", 1000)):
        for level in (1, 2):
            for at in range(10):
                cache._written = 0
                cache.put(pyramid, level, ONE, {(at,): bytes(2500)})
            cache.publish(pyramid, level, DOCUMENT, GROUP)
        os.utime(tmp_path / "levels" / pyramid, (used, used))
        os.utime(tmp_path / "making" / pyramid, (used, used))
    cache.sweep()
    left = {(part.pyramid, part.level) for part in cache.parts()}
    assert left == {("old", "2"), ("new", "1"), ("new", "2")}
    assert cache.evictions == 1
    assert sum(part.size for part in cache.parts()) <= 90_000


def test_writing_sweeps_now_and_then(tmp_path: Path) -> None:
    cache = LevelCache(str(tmp_path), 50_000)
    for level in range(1, 40):
        cache.put("p", level, ONE, {(0,): bytes(5000)})
    assert sum(part.size for part in cache.parts()) <= 60_000


def test_what_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = LevelCache(str(tmp_path / "file"), 2**20)
    for at in range(3):
        cache.put("p", 1, ONE, {(at,): b"chunk"})
        cache.put_block("p", 1, (at,), b"block")
    assert cache.get("p", 1, (0,), ONE) is None
    assert len(caplog.records) == 1


@pytest.mark.parametrize("damage", [lambda d: b"nonsense", lambda d: d.replace(b"chunk", b"chumk"), lambda d: d[:9]])
def test_verify_reads_everything(tmp_path: Path, damage) -> None:
    cache = LevelCache(str(tmp_path), 2**20)
    for at in range(3):
        cache.put("p", 1, ONE, {(at,): b"chunk"})
    cache.put_block("p", 1, (0,), b"block")
    cache.publish("p", 1, DOCUMENT, GROUP)
    shard = tmp_path / "levels/p/1/c.1"
    shard.write_bytes(damage(shard.read_bytes()))
    found = list(cache.verify())
    assert len(found) == 4
    assert [Path(path).name for path, sound in found if not sound] == ["c.1"]
    assert all(sound for _, sound in cache.verify())
    cache.clear()
    assert not list(cache.parts())
