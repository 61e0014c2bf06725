"""Objects work in threads, in forked and spawned processes, under pickle and in running event loops."""

import asyncio
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from chunkserve_client import File, loop
from clients.python.tests.conftest import serving
from clients.python.tests.test_faults import SHAPE, write


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[File, np.ndarray]]:
    folder = tmp_path_factory.mktemp("processes")
    values = write(folder / "a.h5", 5)
    with serving(folder) as running:
        yield running.connect()["a.h5"], values


def total(dataset: Any, i: int) -> int:
    return int(dataset[i].sum())


def test_everything_pickles(pair: tuple[File, np.ndarray]) -> None:
    file, values = pair
    dataset = file["x"]
    dataset[0]
    for thing in (file, dataset, file["/"], file.attrs):
        again = pickle.loads(pickle.dumps(thing))
        assert type(again) is type(thing)
    again = pickle.loads(pickle.dumps(dataset))
    assert again == dataset
    np.testing.assert_array_equal(again[3], values[3])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_other_processes_read_too(pair: tuple[File, np.ndarray], way: str) -> None:
    file, values = pair
    dataset = file["x"]
    dataset[0]  # connections and threads are there before the fork
    context = multiprocessing.get_context(way)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(total, [dataset] * 10, range(10)))
    assert found == [int(v.sum()) for v in values[:10]]
    np.testing.assert_array_equal(dataset[1], values[1])


def test_threads_share_connections(pair: tuple[File, np.ndarray]) -> None:
    file, values = pair
    dataset = file["x"]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda i: dataset[i % SHAPE[0], i % 200 : i % 200 + 9], range(200)))
    for i, part in enumerate(found):
        np.testing.assert_array_equal(part, values[i % SHAPE[0], i % 200 : i % 200 + 9])


def test_both_ways_of_calling_work_in_a_running_loop(pair: tuple[File, np.ndarray]) -> None:
    file, values = pair

    async def both() -> None:
        np.testing.assert_array_equal(file["x"][4], values[4])  # as in a notebook
        parts = await asyncio.gather(*(file["x"].aget(np.s_[i]) for i in range(8)))
        for i, part in enumerate(parts):
            np.testing.assert_array_equal(part, values[i])
        dataset = await file.aget("x")
        assert (await dataset.astype("f8").aget(0)).dtype == np.float64

    asyncio.run(both())


def test_the_clients_own_loop_is_not_blocked_by_mistake(pair: tuple[File, np.ndarray]) -> None:
    async def wrong() -> None:
        pair[0]["x"][0]

    with pytest.raises(RuntimeError, match="await"):
        loop.run(wrong())


def test_a_cancelled_read_leaves_no_tasks_behind(pair: tuple[File, np.ndarray]) -> None:
    dataset = pair[0]["x"]

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(dataset.aget(...), 0.001)

    asyncio.run(impatient())
    np.testing.assert_array_equal(dataset[2], pair[1][2])


def test_a_program_ends_without_a_word(pair: tuple[File, np.ndarray], tmp_path: Path) -> None:
    code = (
        f"from chunkserve_client import connect\nprint(connect({pair[0].place.options.url!r})['a.h5::/x'][0].sum())\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(pair[1][0].sum())
    assert done.stderr == ""


def test_the_server_is_never_imported(tmp_path: Path) -> None:
    code = (
        "import sys, pkgutil, importlib, chunkserve_client\n"
        "for m in pkgutil.iter_modules(chunkserve_client.__path__):\n"
        "    importlib.import_module('chunkserve_client.' + m.name)\n"
        "bad = [m for m in sys.modules if m == 'chunkserve' or m.startswith('chunkserve.')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_base_needs_no_extra(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('h5py', 'xarray', 'dask', 'zarr', 'fsspec', 'napari'): sys.modules[name] = None\n"
        "import chunkserve_client, chunkserve_client.cli\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with h5py.File(tmp_path / "a.h5", "w"):
        pass
