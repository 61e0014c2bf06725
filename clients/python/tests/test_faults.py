"""Servers that end and files that change in the middle of a read: the right answer or an error, never a mixture."""

import asyncio
import os
import signal
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve_client import FileChanged, NotFound
from clients.python.tests.conftest import Serve

SHAPE = (40, 400, 512)


def write(path: Path, seed: int, **options: object) -> np.ndarray:
    """A file of some chunks, put in place at once."""
    values = np.cumsum(np.random.default_rng(seed).integers(-3, 4, SHAPE), axis=2).astype("<u2")
    new = path.with_suffix(".new")
    with h5py.File(new, "w") as file:
        named = {"chunks": (1, 400, 512), "compression": "gzip", "shuffle": True} | options
        file.create_dataset("x", data=values, **named)
    os.replace(new, path)
    return values


class Interrupted:
    """Does something when so many requests have been sent."""

    def __init__(self, transport: object, after: int, action: object) -> None:
        self._get, self._left, self._action = transport.get, after, action
        transport.get = self.get
        self.done = threading.Event()

    async def get(self, *arguments: object, **named: object) -> object:
        self._left -= 1
        if self._left == 0:
            threading.Thread(target=self._run).start()
            while not self.done.is_set():  # noqa: ASYNC110 - set by a thread
                await asyncio.sleep(0.01)
        return await self._get(*arguments, **named)

    def _run(self) -> None:
        self._action()
        self.done.set()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_and_comes_back_mid_read_is_waited_for(
    tmp_path: Path, serve: Serve, number: signal.Signals
) -> None:
    want = write(tmp_path / "a.h5", 1)
    running = serve(tmp_path)
    dataset = running.connect(patience=60.0, connections=4)["a.h5"]["x"]
    dataset.plan()

    interrupted = Interrupted(dataset.place.transport, 20, lambda: running.restart(number))
    np.testing.assert_array_equal(dataset[...], want)
    assert interrupted.done.is_set()


@pytest.mark.parametrize("way", ["chunks", "slice"])
@pytest.mark.parametrize("options", [{}, {"chunks": None, "compression": None, "shuffle": None}], ids=["gzip", "plain"])
def test_a_file_replaced_mid_read_is_an_error(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, way: str, options: dict[str, object]
) -> None:
    from chunkserve_client import plan, slices  # noqa: PLC0415

    monkeypatch.setattr(plan, "SLICE_PART", 300_000)
    monkeypatch.setattr(slices, "SLICE_PART", 300_000)
    write(tmp_path / "a.h5", 1, **options)
    running = serve(tmp_path)
    file = running.connect(connections=1)["a.h5"]
    dataset = file["x"]
    if way == "slice":
        dataset._chunkless = True
    dataset.plan()
    interrupted = Interrupted(dataset.place.transport, 6, lambda: write(tmp_path / "a.h5", 2, **options))
    with pytest.raises(FileChanged, match="open it again"):
        dataset[...]
    assert interrupted.done.is_set()
    assert not file.is_current()
    with pytest.raises(FileChanged):
        dataset[-1]


def test_after_a_change_the_new_file_is_read_when_it_is_opened_again(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path / "a.h5", 1)
    server = serve(tmp_path).connect()
    file = server["a.h5"]
    first = file["x"][0]
    want = write(tmp_path / "a.h5", 2)
    with pytest.raises(FileChanged):
        file["x"][1]
    file.refresh()
    np.testing.assert_array_equal(file["x"][...], want)
    np.testing.assert_array_equal(server["a.h5::/x"][0], want[0])
    assert not np.array_equal(first, want[0])


def test_a_file_that_is_removed_is_gone(tmp_path: Path, serve: Serve) -> None:
    write(tmp_path / "a.h5", 1)
    server = serve(tmp_path).connect()
    dataset = server["a.h5"]["x"]
    os.remove(tmp_path / "a.h5")
    with pytest.raises((FileChanged, NotFound)):
        dataset[...]
    with pytest.raises(NotFound, match=r"there is no file 'a\.h5'"):
        server["a.h5"]


def test_a_file_that_is_being_written_is_read_without_a_pin(tmp_path: Path, serve: Serve) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as writer:
        growing = writer.create_dataset("x", (10, 4), "<i4", maxshape=(None, 4), chunks=(5, 4))
        growing[...] = 3
        writer.swmr_mode = True
        growing.flush()
        file = serve(tmp_path).connect()["a.h5"]
        assert file.version == ""
        assert (file["x"][...] == 3).all()
        growing.resize((20, 4))
        growing[10:] = 4
        growing.flush()
        file.refresh()
        assert file["x"].shape == (20, 4)
        assert (file["x"][15:] == 4).all()
