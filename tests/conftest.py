"""Fixtures every test may use: files are written on the spot, a real store or a real server looks at them."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the filters that tests write with
import numpy as np
import pytest
from hypothesis import settings

from chunkserve.model import Filter
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import load
from tests.access.archives import archive  # noqa: F401 - a fixture

REALDATA = Path(os.environ.get("CHUNKSERVE_REALDATA", Path(__file__).parents[2] / "shared" / "realdata"))
HOSTILE = Path(os.environ.get("CHUNKSERVE_HOSTILE", Path(__file__).parents[2] / "shared" / "hostile"))

# files that tests write are a moment old: do not take them for growing ones
AT_REST = {"settle": 0.0}

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

OpenStore = Callable[..., Store]
Serve = Callable[..., str]


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test touches the cache of the person who runs it."""
    os.environ["CHUNKSERVE_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def open_store() -> Iterator[OpenStore]:
    """Open a store over folders or files; settings by name."""
    with contextlib.ExitStack() as stack:

        def make(*paths: Path | str, **settings: object) -> Store:
            values = load(AT_REST | settings)
            store = Store(values, open_roots(values, tuple(map(str, paths))))
            stack.callback(store.close)
            return store

        yield make


class Server:
    """A running ``chunkserve serve`` process."""

    def __init__(self, paths: tuple[str, ...], settings: dict[str, object], prefix: tuple[str, ...] = ()) -> None:
        settings = {"search": "no"} | settings
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        program = [*prefix, sys.executable, "-m", "chunkserve"]
        command = [*program, "serve", *paths, "--port=0", "--log-level=warning", *flags]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "400"}
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + (self.process.stderr.read() if self.process.stderr else "")
        self.url = found[0]

    def stop(self) -> str:
        """End it; what it complained about."""
        self.process.send_signal(signal.SIGTERM)
        _, complaints = self.process.communicate(timeout=20)
        return complaints


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a real server over folders or files; its base URL."""
    started: list[Server] = []

    def start(*paths: Path | str, **settings: object) -> str:
        values = {"settle": 0, "workers": 1} | settings
        started.append(Server(tuple(map(str, paths)), values))
        return started[-1].url

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait until something holds; or, where it must not, as long as ``timeout`` without complaint."""

    def wait(holds: Callable[[], bool], timeout: float = 20.0, *, fails: bool = True) -> None:
        until = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > until:
                assert not fails, "it never came to hold"
                return
            time.sleep(0.1)

    return wait


@pytest.fixture
def stored_chunk() -> Callable[..., tuple[bytes, int, tuple[Filter, ...]]]:
    """Write an array as a single chunk: its bytes as the file holds them, its filter mask, and the pipeline."""

    def write(array: np.ndarray, **filters: object) -> tuple[bytes, int, tuple[Filter, ...]]:
        with h5py.File(io.BytesIO(), "w") as file:
            dataset = file.create_dataset("data", data=array, chunks=array.shape, **filters)
            mask, chunk = dataset.id.read_direct_chunk((0,) * array.ndim)
            return bytes(chunk), mask, pipeline_of(dataset)

    return write


def pipeline_of(dataset: h5py.Dataset) -> tuple[Filter, ...]:
    """A dataset's filters as the model has them."""
    plist = dataset.id.get_create_plist()
    stages = (plist.get_filter(i) for i in range(plist.get_nfilters()))
    return tuple(Filter(number, flags, tuple(values), name.decode()) for number, flags, values, name in stages)


needs_realdata = pytest.mark.skipif(not REALDATA.is_dir(), reason=f"no real files in {REALDATA} (CHUNKSERVE_REALDATA)")
needs_hostile = pytest.mark.skipif(not HOSTILE.is_dir(), reason=f"no hostile files in {HOSTILE} (CHUNKSERVE_HOSTILE)")
