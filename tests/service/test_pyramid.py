"""Levels against numpy on the source: every dtype, mask and layout; made once, kept, never of another version."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
import zarr

from chunkserve.cache.levels import LevelCache
from chunkserve.errors import BadRequest, Corrupt, NotFound, Unsupported
from chunkserve.grid import Box, whole
from chunkserve.service.builder import Building
from chunkserve.service.pyramid import Pyramid
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import Settings

Open = Callable[..., Store]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Stores over this test's folder, with a cache folder beside it."""
    with contextlib.ExitStack() as stack:

        def start(**settings: object) -> Store:
            made = Settings(**({"settle": 0.0, "cache_dir": str(tmp_path / "cache")} | settings))
            store = Store(made, open_roots(made, (str(tmp_path),)))
            stack.callback(store.close)
            return store

        yield start


def pyramid(store: Store, name: str, **wish: str) -> Pyramid:
    return store.pyramids.find(store.node(("a.h5", *name.split("/"))), Wish(**wish))


def level_of(p: Pyramid, level: int) -> np.ndarray:
    return p.region(level, whole(p.plan.extent(level)))


def mean_of(values: np.ndarray, halved: tuple[bool, ...], level: int, valid: np.ndarray | None = None) -> np.ndarray:
    """The mean of every cell's valid voxels in float64, NaN where there are none."""
    valid = np.ones(values.shape, bool) if valid is None else valid
    total, count = np.where(valid, values, 0).astype(np.float64), valid.astype(np.float64)
    for axis, h in enumerate(halved):
        if h:
            starts = range(0, values.shape[axis], 2**level)
            total = np.add.reduceat(total, starts, axis)
            count = np.add.reduceat(count, starts, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count


VOLUME = (100, 150, 130)


def write(path: Path, values: np.ndarray, name: str = "x", **options: object) -> None:
    with h5py.File(path / "a.h5", "a") as file:
        file.create_dataset(name, data=values, **options)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", ">u2", "<u4", ">i4", "<i8", "<u8", "<f2", "<f4", ">f8"])
def test_every_dtype_is_averaged_and_rounded_once(tmp_path: Path, open_store: Open, dtype: str) -> None:
    rng = np.random.default_rng(1)
    values = (rng.random(VOLUME) * (1 if dtype == "?" else 100)).round().astype(dtype)
    write(tmp_path, values, chunks=(32, 32, 32), compression="gzip")
    p = pyramid(open_store(), "x")
    assert p.plan.count >= 2
    assert p.dtype == np.dtype(dtype).newbyteorder("=")
    for level in range(1, p.plan.count + 1):
        want = mean_of(values, p.plan.halved, level)
        got = level_of(p, level)
        if p.dtype.kind == "f":
            np.testing.assert_allclose(got.astype("f8"), want, rtol=float(np.finfo(p.dtype).eps), atol=0)
        else:
            np.testing.assert_array_equal(got, np.rint(want).astype(p.dtype))


@pytest.mark.parametrize("method", ["max", "min", "stride"])
def test_methods(tmp_path: Path, open_store: Open, method: str) -> None:
    values = np.random.default_rng(2).integers(0, 2**16, (1300, 1100), "u2")
    write(tmp_path, values, chunks=(200, 300), **hdf5plugin.Bitshuffle())
    p = pyramid(open_store(sentinel="off"), "x", method=method)
    for level in (1, 2):
        if method == "stride":
            want = values[:: 2**level, :: 2**level]
        else:
            reduce = np.maximum if method == "max" else np.minimum
            want = reduce.reduceat(reduce.reduceat(values, range(0, 1300, 2**level), 0), range(0, 1100, 2**level), 1)
        np.testing.assert_array_equal(level_of(p, level), want)


def test_labels_take_the_most_frequent(tmp_path: Path, open_store: Open) -> None:
    labels = h5py.enum_dtype({"air": 0, "bone": 3, "skin": 7}, basetype="u1")
    values = np.zeros((700, 700), "u1")
    values[::2, ::2] = 3  # a quarter of every cell
    values[300:, 300:] = 7
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, dtype=labels)
    p = pyramid(open_store(), "x")
    assert p.method == "mode"
    assert np.unique(level_of(p, 1)).tolist() == [0, 7]


def test_complex_numbers_have_levels_of_magnitudes(tmp_path: Path, open_store: Open) -> None:
    values = np.full((600, 600), 3 + 4j, "c8")
    write(tmp_path, values)
    p = pyramid(open_store(), "x")
    assert (p.dtype, p.same) == (np.dtype("f4"), False)
    assert (level_of(p, 1) == 5).all()


def test_a_stack_of_frames_halves_frames_only(tmp_path: Path, open_store: Open) -> None:
    values = np.arange(6 * 700 * 800, dtype="u4").reshape(6, 700, 800)
    write(tmp_path, values, chunks=(1, 700, 800))
    p = pyramid(open_store(), "x")
    assert p.plan.halved == (False, True, True)
    assert p.plan.source_box(p.plan.first, (2, 0, 0)) == Box((2, 0, 0), (3, 700, 800))  # a frame is decoded once
    np.testing.assert_array_equal(level_of(p, 1), np.rint(mean_of(values, p.plan.halved, 1)))


# ---------------------------------------------------------------------------- validity


def test_fill_values_are_not_averaged_in(tmp_path: Path, open_store: Open) -> None:
    values = np.random.default_rng(3).integers(0, 100, (700, 900)).astype("i2")
    values[np.random.default_rng(4).random(values.shape) < 0.5] = -999
    values[:64, :64] = -999
    write(tmp_path, values)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["x"].attrs["_FillValue"] = np.int16(-999)
    p = pyramid(open_store(), "x")
    for level in range(1, p.plan.count + 1):
        want = mean_of(values, p.plan.halved, level, values != -999)
        np.testing.assert_array_equal(level_of(p, level), np.where(np.isnan(want), -999, np.rint(np.nan_to_num(want))))


def test_nan_is_not_averaged_in(tmp_path: Path, open_store: Open) -> None:
    values = np.random.default_rng(5).random((700, 900)).astype("f4")
    values[np.random.default_rng(6).random(values.shape) < 0.5] = np.nan
    values[:64, :64] = np.nan
    write(tmp_path, values)
    p = pyramid(open_store(), "x")
    for level in range(1, p.plan.count + 1):
        want = mean_of(np.nan_to_num(values), p.plan.halved, level, ~np.isnan(values))
        np.testing.assert_allclose(level_of(p, level), want, rtol=1e-6)


def detector(path: Path, values: np.ndarray, **beside: object) -> None:
    with h5py.File(path / "a.h5", "w") as file:
        group = file.create_group("det")
        group.attrs["NX_class"] = "NXdetector"
        group.create_dataset("x", data=values, chunks=(1, *values.shape[1:]), **hdf5plugin.Bitshuffle())
        for name, value in beside.items():
            group[name] = value


def test_dead_and_masked_and_saturated_pixels_are_not_averaged_in(tmp_path: Path, open_store: Open) -> None:
    rng = np.random.default_rng(7)
    frames = rng.poisson(3, (3, 600, 640)).astype("u4")
    mask = np.zeros((600, 640), "u4")
    mask[100:120, :] = 2
    frames[:, 100:120, :] = 77
    frames[rng.random(frames.shape) < 0.01] = 2**32 - 1
    frames[rng.random(frames.shape) < 0.01] = 60_000
    detector(tmp_path, frames, pixel_mask=mask, saturation_value=50_000)
    p = pyramid(open_store(), "det/x")
    valid = (frames <= 50_000) & (mask == 0)
    want = mean_of(frames, p.plan.halved, 1, valid)
    got = level_of(p, 1)
    np.testing.assert_array_equal(got, np.where(np.isnan(want), 2**32 - 1, np.rint(np.nan_to_num(want))))
    assert (got[:, 50:60] == 2**32 - 1).all()


@pytest.mark.parametrize(("sentinel", "expected"), [("auto", 0), ("on", 0), ("off", 2**30)])
def test_the_sentinel_is_a_setting(tmp_path: Path, open_store: Open, sentinel: str, expected: int) -> None:
    frames = np.zeros((1, 600, 640), "u4")
    frames[:, ::2, ::2] = 2**32 - 1
    detector(tmp_path, frames)
    assert (level_of(pyramid(open_store(sentinel=sentinel), "det/x"), 1) == expected).all()


def test_no_default_is_guessed_from_an_unsigned_dtype(tmp_path: Path, open_store: Open) -> None:
    values = np.full((600, 640), 2**16 - 1, "u2")
    values[::2] = 0
    write(tmp_path, values)
    p = pyramid(open_store(), "x")
    assert (p.method, p.validity.marks) == ("mean", ())
    assert (level_of(p, 1) == 2**15).all()  # 32767.5, to even


# ------------------------------------------------------------------------- once, kept


def big(path: Path) -> np.ndarray:
    values = np.random.default_rng(8).integers(0, 1000, (1100, 2300), "u2")
    write(path, values, chunks=(128, 128), compression="gzip")
    return values


def test_a_thousand_wishes_for_one_chunk_are_one_computation(
    tmp_path: Path, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    big(tmp_path)
    p = pyramid(open_store(), "x")
    made: list[object] = []
    make = Pyramid._make

    def counted(self: Pyramid, *where: object) -> object:
        made.append(where)
        time.sleep(0.3)
        return make(self, *where)

    monkeypatch.setattr(Pyramid, "_make", counted)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(p.chunk(1, (0, 0)))) for _ in range(1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1000
    assert len(set(found)) == 1
    assert len(made) == 1


def test_levels_are_kept_for_the_next_process_and_read_without_it(tmp_path: Path, open_store: Open) -> None:
    values = big(tmp_path)
    p = pyramid(open_store(), "x")
    wanted = {level: level_of(p, level) for level in range(1, p.plan.count + 1)}
    again = pyramid(open_store(), "x")
    assert again.missing(p.plan.count, (0, 0)) == 0
    (folder,) = (tmp_path / "cache/levels").iterdir()
    group = zarr.open_group(folder, mode="r")  # offline, by a reader that knows nothing of us
    assert sorted(group) == [str(level) for level in wanted]
    for level, want in wanted.items():
        np.testing.assert_array_equal(group[str(level)][...], want)
        np.testing.assert_array_equal(want, np.rint(mean_of(values, (True, True), level)))


def test_an_unfinished_level_is_not_shown(tmp_path: Path, open_store: Open) -> None:
    write(tmp_path, np.zeros((9000, 9000), "u1"), chunks=(1000, 1000))
    p = pyramid(open_store(), "x")
    assert math_prod(p.plan.block_grid(p.plan.first)) > 1
    p.chunk(1, (0, 0))
    assert not list((tmp_path / "cache").glob("levels/*"))
    assert list((tmp_path / "cache").glob("making/*/chunks/1/c.0.0"))


def math_prod(numbers: tuple[int, ...]) -> int:
    return int(np.prod(numbers))


def stack(path: Path) -> np.ndarray:
    """Frames, each a block of its own."""
    values = np.random.default_rng(10).integers(0, 1000, (24, 520, 530), "u2")
    write(path, values, chunks=(1, 520, 530))
    return values


def published(path: Path) -> list[str]:
    return sorted(document.parent.name for document in (path / "cache/levels").glob("*/*/zarr.json"))


def test_whether_a_level_is_complete_costs_one_look_per_block(
    tmp_path: Path, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack(tmp_path)
    p = pyramid(open_store(), "x")
    frames = p.plan.block_grid(1)[0]
    assert p.plan.block_grid(1) == (24, 1, 1)
    calls = dict.fromkeys(("shards", "has_block"), 0)

    def counted(name: str) -> Callable[..., object]:
        asked = getattr(LevelCache, name)

        def ask(*where: object) -> object:
            calls[name] += 1
            return asked(*where)

        return ask

    for name in calls:
        monkeypatch.setattr(LevelCache, name, counted(name))
    for frame in range(frames):
        assert published(tmp_path) == []
        p.chunk(1, (frame, 0, 0))
    assert published(tmp_path) == [str(level) for level in range(1, p.plan.first + 1)]
    assert calls["shards"] == p.plan.first
    assert calls["has_block"] <= 3 * frames


def test_a_level_made_by_several_processes_is_shown_by_the_last(tmp_path: Path, open_store: Open) -> None:
    values = stack(tmp_path)
    make = """
import sys
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import Settings
folder, mine = sys.argv[1], range(24)[int(sys.argv[2]) :: 3]
settings = Settings(settle=0.0, cache_dir=folder + "/cache")
store = Store(settings, open_roots(settings, (folder,)))
p = store.pyramids.find(store.node(("a.h5", "x")), Wish())
for frame in reversed(mine):
    p.chunk(1, (frame, 0, 0))
store.close()
"""
    for numbers in ((0, 1), (2,)):
        assert published(tmp_path) == []
        running = [subprocess.Popen([sys.executable, "-c", make, str(tmp_path), str(n)]) for n in numbers]
        assert [process.wait(60) for process in running] == [0] * len(running)
    assert "1" in published(tmp_path)
    (folder,) = (tmp_path / "cache/levels").iterdir()
    group = zarr.open_group(folder, mode="r")
    np.testing.assert_array_equal(group["1"][...], np.rint(mean_of(values, (False, True, True), 1)))


def test_blocks_removed_while_others_are_made_keep_a_level_from_being_shown(tmp_path: Path, open_store: Open) -> None:
    stack(tmp_path)
    p = pyramid(open_store(cache_memory=0), "x")
    for frame in range(20):
        p.chunk(1, (frame, 0, 0))
    (tmp_path / f"cache/making/{p.tag}/blocks/1/3.0.0").unlink()
    (tmp_path / f"cache/making/{p.tag}/chunks/1/c.3.0.0").unlink()
    for frame in range(20, 24):
        p.chunk(1, (frame, 0, 0))
    assert published(tmp_path) == []
    p.chunk(1, (3, 0, 0))
    assert "1" in published(tmp_path)


@pytest.mark.parametrize("where", ["chunk", "block", "truncated"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, open_store: Open, where: str) -> None:
    values = big(tmp_path)
    first = pyramid(open_store(), "x")
    for level in range(1, first.plan.count + 1):
        level_of(first, level)
    pattern = "making/*/blocks/**/*" if where == "block" else "levels/*/*/c.*"
    damaged = [path for path in (tmp_path / "cache").glob(pattern) if path.is_file()]
    assert damaged
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data[:-5] if where == "truncated" else data)
    again = pyramid(open_store(), "x")
    for level in range(1, again.plan.count + 1):
        np.testing.assert_array_equal(level_of(again, level), np.rint(mean_of(values, (True, True), level)))


def test_a_level_with_several_damaged_shards_is_shown_when_all_are_made_again(tmp_path: Path, open_store: Open) -> None:
    stack(tmp_path)
    first = pyramid(open_store(), "x")
    wanted = level_of(first, 1)
    folder = tmp_path / f"cache/levels/{first.tag}/1"
    for name in ("c.3.0.0", "c.5.0.0"):
        (folder / name).write_bytes(b"nonsense")
    again = pyramid(open_store(cache_memory=0), "x")
    assert [again.kept.chunk(1, (frame, 0, 0)) for frame in (3, 5)] == [None, None]
    again.chunk(1, (3, 0, 0))
    assert "1" not in published(tmp_path)
    np.testing.assert_array_equal(level_of(again, 1), wanted)
    assert "1" in published(tmp_path)
    np.testing.assert_array_equal(zarr.open_array(folder, mode="r")[...], wanted)


def test_a_new_version_has_new_levels(tmp_path: Path, open_store: Open) -> None:
    big(tmp_path)
    store = open_store()
    before = pyramid(store, "x")
    level_of(before, 1)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["x"][...] = 7
    os.utime(tmp_path / "a.h5", (1, 1))
    after = pyramid(store, "x")
    assert after.tag != before.tag
    assert (level_of(after, 1) == 7).all()
    assert not before.is_current()


def test_a_cache_folder_that_cannot_be_written_costs_no_request(
    tmp_path: Path, open_store: Open, caplog: pytest.LogCaptureFixture
) -> None:
    values = big(tmp_path)
    (tmp_path / "cache").write_text("not a folder")
    p = pyramid(open_store(), "x")
    for level in range(1, p.plan.count + 1):
        np.testing.assert_array_equal(level_of(p, level), np.rint(mean_of(values, (True, True), level)))
    assert sum("levels stay in memory" in record.message for record in caplog.records) == 1


def test_levels_of_a_virtual_dataset_follow_its_sources(tmp_path: Path, open_store: Open) -> None:
    layout = h5py.VirtualLayout((600, 1400), "u2")
    for i in range(2):
        with h5py.File(tmp_path / f"s{i}.h5", "w") as file:
            file["x"] = np.full((600, 700), i + 1, "u2")
        layout[:, i * 700 : (i + 1) * 700] = h5py.VirtualSource(f"s{i}.h5", "x", (600, 700))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    store = open_store()
    p = pyramid(store, "x")
    assert level_of(p, 1)[0, [0, -1]].tolist() == [1, 2]
    with h5py.File(tmp_path / "s1.h5", "r+") as file:
        file["x"][...] = 9
    os.utime(tmp_path / "s1.h5", (1, 1))
    assert level_of(pyramid(store, "x"), 1)[0, [0, -1]].tolist() == [1, 9]


def test_of_data_that_are_being_written_nothing_is_kept(tmp_path: Path, open_store: Open) -> None:
    big(tmp_path)
    store = open_store(settle=600.0)
    p = pyramid(store, "x")
    assert p.live
    first = level_of(p, 1)
    assert not [*(tmp_path / "cache").glob("levels/*"), *(tmp_path / "cache").glob("making/*")]
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["x"][...] = 7
    time.sleep(0.6)
    assert (level_of(pyramid(store, "x"), 1) == 7).all()
    assert not (first == 7).all()


# ------------------------------------------------------------------------------ bounds


def test_what_is_too_much_for_a_request_is_made_in_the_background(tmp_path: Path, open_store: Open) -> None:
    values = np.random.default_rng(9).integers(0, 9, (9000, 9000), "u1")
    write(tmp_path, values, chunks=(1000, 1000))
    store = open_store(max_source_bytes=2**20)
    p = pyramid(store, "x")
    top = (0, 0)
    with pytest.raises(Building) as refused:
        store.pyramids.chunk(p, p.plan.count, top, wait=True)
    refused.value.done.result(timeout=60)
    store.pyramids.chunk(p, p.plan.count, top, wait=True)
    np.testing.assert_array_equal(
        level_of(p, p.plan.count), np.rint(mean_of(values, p.plan.halved, p.plan.count)).astype("u1")
    )


def test_a_damaged_source_is_an_error_and_keeps_nothing(tmp_path: Path, open_store: Open) -> None:
    big(tmp_path)
    with h5py.File(tmp_path / "a.h5") as file:
        offset = file["x"].id.get_chunk_info(17).byte_offset
    with open(tmp_path / "a.h5", "r+b") as raw:
        raw.seek(offset + 10)
        raw.write(b"\xff" * 50)
    p = pyramid(open_store(), "x")
    with pytest.raises(Corrupt, match="chunk"):
        level_of(p, 1)
    assert p.kept.chunk(1, (0, 0)) is None


def test_what_has_no_pyramid_says_why(tmp_path: Path, open_store: Open) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["line"] = np.arange(9)
        file["text"] = np.array([["a", "b"]], object)
        file["record"] = np.zeros((3, 3), [("a", "i4"), ("b", "f8")])
        file["x"] = np.zeros((600, 600))
        file.create_group("group")
    store = open_store()
    for name in ("line", "text", "record"):
        with pytest.raises(Unsupported):
            pyramid(store, name)
    with pytest.raises(NotFound):
        pyramid(store, "group")
    for wish in ({"method": "median"}, {"axes": "q"}, {"axes": "5"}, {"dtype": "f16"}, {"dtype": "u1"}):
        with pytest.raises(BadRequest):
            pyramid(store, "x", **wish)


def test_the_window_is_frozen_for_a_version(tmp_path: Path, open_store: Open) -> None:
    big(tmp_path)
    first = open_store().pyramids.window(pyramid(open_store(), "x"))
    assert first is not None
    assert 0 <= first.min <= first.start < first.end <= first.max <= 999
    for entry in (tmp_path / "cache/entries/window").rglob("*"):
        assert not entry.is_file() or json.loads(entry.read_bytes()[16:])[0] == first.start
    assert open_store().pyramids.window(pyramid(open_store(), "x")) == first


def test_that_there_is_no_window_is_remembered(tmp_path: Path, open_store: Open) -> None:
    write(tmp_path, np.full((600, 700), 5, "u2"))
    store = open_store()
    p = pyramid(store, "x")
    assert p.known_window is None
    assert store.pyramids.window(p) is None
    assert p.known_window == (None,)
    looked_up = store.tools.disk.hits, store.tools.disk.misses, store.tools.flight.made
    assert store.pyramids.window(p) is None
    assert (store.tools.disk.hits, store.tools.disk.misses, store.tools.flight.made) == looked_up
