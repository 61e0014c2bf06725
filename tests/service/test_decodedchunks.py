"""Chunks of which a part was wanted are decoded once; those of several blocks in part."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from chunkserve.errors import Corrupt
from chunkserve.grid import Box
from chunkserve.service import decodedchunks
from chunkserve.service.elements import Elements
from chunkserve.service.store import Store
from tests.conftest import OpenStore

RAMP = np.arange(300 * 400, dtype="<u4").reshape(300, 400)

Count = Callable[[], int]


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> Count:
    """How many whole chunks were decoded so far."""
    made: list[int] = []
    decode = decodedchunks.decode
    monkeypatch.setattr(decodedchunks, "decode", lambda *a: (made.append(1), decode(*a))[1])
    return lambda: len(made)


def elements(store: Store, name: str) -> Elements:
    return store.chunks(3, ("a.h5", name), wait=True).elements


@pytest.fixture
def store(tmp_path: Path, open_store: OpenStore) -> Store:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("gzip", data=RAMP, chunks=(150, 200), compression="gzip", shuffle=True)
        file.create_dataset("frames", data=RAMP, chunks=(300, 400), **hdf5plugin.Bitshuffle(nelems=1024))
        file.create_dataset("odd", data=RAMP[:-1, :-1], chunks=(299, 399), **hdf5plugin.Bitshuffle(nelems=1024))
    return open_store(tmp_path)


def test_parts_of_a_chunk_decode_it_once(store: Store, decodings: Count) -> None:
    e = elements(store, "gzip")
    for row in range(0, 150, 10):
        box = Box((row, 20), (row + 5, 90))
        np.testing.assert_array_equal(e.read(box), RAMP[row : row + 5, 20:90])
    assert decodings() == 1
    np.testing.assert_array_equal(e.read(Box((100, 150), (200, 250))), RAMP[100:200, 150:250])
    assert decodings() == 4
    assert store.tools.decoded.used == RAMP.nbytes


def test_whole_chunks_are_not_kept(store: Store) -> None:
    np.testing.assert_array_equal(elements(store, "gzip").read(Box((0, 0), (300, 400))), RAMP)
    assert not store.tools.decoded.used


def test_all_who_want_parts_at_once_share_the_work(store: Store, decodings: Count) -> None:
    e = elements(store, "gzip")
    boxes = [Box((row, 0), (row + 1, 200)) for row in range(150)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(e.read, boxes))
    np.testing.assert_array_equal(np.concatenate(rows), RAMP[:150, :200])
    assert decodings() < 9, "at most each thread before the first was done"


@pytest.mark.parametrize("name", ["frames", "odd"])
def test_few_blocks_of_a_frame_are_decoded_alone(store: Store, decodings: Count, name: str) -> None:
    e = elements(store, name)
    rng = np.random.default_rng(3)
    whole = 0
    for _ in range(60):
        row, column = (int(rng.integers(0, n - 16)) for n in e.shape)
        box = Box((row, column), (row + 16, column + 16))
        np.testing.assert_array_equal(
            e.read(box), RAMP[: e.shape[0], : e.shape[1]][row : row + 16, column : column + 16]
        )
        whole += row + 16 > 290
    assert decodings() <= min(whole, 1)


def test_a_chunk_of_which_nothing_is_kept_any_more_is_decoded_again(
    tmp_path: Path, open_store: OpenStore, decodings: Count
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=RAMP, chunks=(150, 400), compression="gzip")
    e = elements(open_store(tmp_path, cache_memory=2**20), "x")
    for row in (0, 200, 0, 200):
        np.testing.assert_array_equal(e.read(Box((row, 0), (row + 1, 400))), RAMP[row : row + 1])
    assert decodings() == 4


def test_a_damaged_chunk_is_named_and_not_kept(tmp_path: Path, open_store: OpenStore) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=RAMP, chunks=(150, 200), compression="gzip")
        x.id.write_direct_chunk((150, 200), b"\x78\x9c" + b"damaged" * 20)
    store = open_store(tmp_path)
    for _ in range(2):
        with pytest.raises(Corrupt, match=r"chunk \(1, 1\)"):
            elements(store, "x").read(Box((200, 300), (201, 301)))
    assert not store.tools.decoded.used


def test_a_file_that_is_written_is_decoded_anew(tmp_path: Path, open_store: OpenStore) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        x = file.create_dataset("x", (4, 10), "i4", maxshape=(None, 10), chunks=(4, 10), compression="gzip")
        file.swmr_mode = True
        store = open_store(tmp_path)
        for value in (1, 2, 3):
            x[:] = value
            x.flush()
            assert (elements(store, "x").read(Box((1, 0), (2, 10))) == value).all()
