"""Files that a writer extends while readers come by: fewer elements than there are, or an error, no wrong number."""

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import h5py
import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore

from chunkserve.metadata.keys import Format
from tests.conformance.conftest import GROUP
from tests.conftest import Serve

FRAMES = 120
EDGE = 192
FILL = -7

WRITER = """
import os, sys, time, h5py, numpy as np
path, count, how, frames, edge, fill = sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])
done = os.open(count, os.O_CREAT | os.O_WRONLY)

def say(n):
    os.pwrite(done, b"%8d" % n, 0)

with h5py.File(path, "w", libver="latest" if how != "earliest" else "earliest") as file:
    options = {"fillvalue": fill, "dtype": "i4"}
    frame = (edge, edge)
    for name, shape, chunk, filters in (
        ("stack", frame, (1, *frame), {"compression": "gzip", "shuffle": True}),
        ("plain", frame, (1, *frame), {}),
        ("packed", (2048,), (4, 2048), {"compression": "lzf"}),
        ("shards", (80, 80), (1, 80, 80), {"compression": "gzip"}),
        ("log", (), (16,), {}),
    ):
        file.create_dataset(name, (0, *shape), maxshape=(None, *shape), chunks=chunk, **options, **filters)
    file.create_dataset("fixed", data=np.arange(5000))
    file.flush()
    if how == "swmr":
        file.swmr_mode = True
    say(0)
    print("ready", flush=True)
    for i in range(frames):
        for dataset in (file[name] for name in ("stack", "plain", "packed", "shards", "log")):
            dataset.resize(i + 1, axis=0)
            dataset[i] = i + 1
            dataset.flush()
        file.flush()
        say(i + 1)
        time.sleep(0.03)
    if how == "killed":
        os.kill(os.getpid(), 9)
"""


class Writer:
    """A process that appends frame after frame, each full of its number."""

    def __init__(self, path: Path, how: str) -> None:
        self.path = path
        self.count = path.with_suffix(".count")
        arguments = [str(path), str(self.count), how, str(FRAMES), str(EDGE), str(FILL)]
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    @property
    def written(self) -> int:
        """Frames that were flushed."""
        return int(self.count.read_text())

    @property
    def writing(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


Write = Callable[[str], Writer]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Start writers in this test's folder."""
    with contextlib.ExitStack() as stack:

        def start(how: str) -> Writer:
            writer = Writer(tmp_path / "growing.h5", how)
            stack.callback(writer.stop)
            return writer

        yield start


def wrong_in(name: str, values: np.ndarray, surely: int) -> str:
    """What is wrong with the values of a dataset of whose frames the first ``surely`` were flushed before."""
    frames = values.reshape(len(values), -1)
    want = np.arange(1, len(values) + 1)[:, None]
    right = frames == want
    unwritten = (frames == FILL) & (np.arange(len(values))[:, None] >= surely)
    if (right | unwritten).all():
        return ""
    at = int(np.flatnonzero(~(right | unwritten).all(axis=1))[0])
    return f"{name}[{at}] of {len(values)} is {sorted(set(frames[at].tolist()))[:5]}, {surely} were flushed"


def look(url: str, zarr_format: Format, name: str, writer: Writer, seen: Counter[str]) -> int:
    """Read a dataset as it is now: the number of its frames, or -1 if it could not be read."""
    surely = writer.written
    try:
        store = FsspecStore.from_url(f"{url}/{GROUP[zarr_format]}/growing.h5/{name}")
        array = zarr.open_array(store, mode="r", zarr_format=zarr_format)
        values = array[...]
    except aiohttp.ClientResponseError as error:
        if error.status != 503:
            raise
        seen["503"] += 1
        return -1
    wrong = wrong_in(name, values, surely)
    assert not wrong, wrong
    seen["right"] += 1
    return len(values)


NAMES = ["stack", "plain", "packed"]
JOINED = ["shards", "log"]
"""Datasets of small chunks, which are served several in one."""


def watch(url: str, zarr_format: Format, names: list[str], writer: Writer) -> None:
    """Read datasets again and again until the writer is done, and once more."""
    seen: Counter[str] = Counter()
    lengths: dict[str, list[int]] = {name: [] for name in names}
    while writer.writing:
        for name in names:
            surely = writer.written
            length = look(url, zarr_format, name, writer, seen)
            if length >= 0:
                assert length >= surely, f"{name} has {length} frames though {surely} were flushed"
                lengths[name].append(length)
    assert seen["503"] <= seen["right"] // 10 + 1
    for name, found in lengths.items():
        assert found == sorted(found), "it shrank"
        assert look(url, zarr_format, name, writer, seen) == FRAMES


def test_a_swmr_file_is_read_as_it_grows(tmp_path: Path, serve: Serve, write: Write, zarr_format: Format) -> None:
    watch(serve(tmp_path), zarr_format, NAMES, write("swmr"))


@pytest.mark.parametrize("name", JOINED)
def test_small_chunks_of_a_swmr_file_are_read_as_it_grows(
    tmp_path: Path, serve: Serve, write: Write, zarr_format: Format, name: str
) -> None:
    url = serve(tmp_path)
    writer = write("swmr")
    store = FsspecStore.from_url(f"{url}/{GROUP[zarr_format]}/growing.h5/{name}")
    while writer.written < 5:
        time.sleep(0.01)
    early = zarr.open_array(store, mode="r", zarr_format=zarr_format)
    while writer.written < FRAMES // 2:
        time.sleep(0.01)
    assert not wrong_in(name, early[...], 5)
    watch(url, zarr_format, [name], writer)


EARLIEST = "earliest"


@pytest.mark.parametrize("how", ["latest", EARLIEST])
def test_an_ordinary_file_is_read_rightly_or_not_at_all_while_it_grows(
    tmp_path: Path, serve: Serve, write: Write, zarr_format: Format, how: str
) -> None:
    url = serve(tmp_path, settle=2)
    writer = write(how)
    seen: Counter[str] = Counter()
    while writer.writing:
        for name in NAMES:
            look(url, zarr_format, name, writer, seen)
    assert seen["right"] + seen["503"] > 1


@pytest.mark.parametrize("how", ["swmr", "latest", EARLIEST])
def test_all_is_there_once_the_writer_is_done(
    tmp_path: Path, serve: Serve, write: Write, zarr_format: Format, how: str
) -> None:
    url = serve(tmp_path, settle=0.3)
    writer = write(how)
    seen: Counter[str] = Counter()
    while writer.writing:
        look(url, zarr_format, "stack", writer, seen)
    time.sleep(0.5)
    for name in NAMES + JOINED:
        assert look(url, zarr_format, name, writer, seen) == FRAMES
    with h5py.File(writer.path) as file:
        for name in NAMES + JOINED:
            store = FsspecStore.from_url(f"{url}/{GROUP[zarr_format]}/growing.h5/{name}")
            np.testing.assert_array_equal(
                zarr.open_array(store, mode="r", zarr_format=zarr_format)[...], file[name][...]
            )


def test_an_array_opened_early_reads_what_was_there_then(
    tmp_path: Path, serve: Serve, write: Write, zarr_format: Format
) -> None:
    url = serve(tmp_path)
    writer = write("swmr")
    while writer.written < 20:
        time.sleep(0.01)
    store = FsspecStore.from_url(f"{url}/{GROUP[zarr_format]}/growing.h5/stack")
    array = zarr.open_array(store, mode="r", zarr_format=zarr_format)
    length = array.shape[0]
    assert length >= 20
    surely = min(writer.written, length)
    reads = 0
    while writer.writing:
        assert not wrong_in("stack", array[...], surely)
        reads += 1
    assert reads > 1


def test_what_a_killed_writer_left_is_right_or_refused(
    tmp_path: Path, serve: Serve, write: Write, zarr_format: Format
) -> None:
    url = serve(tmp_path, settle=0.2)
    writer = write("killed")
    writer.process.wait(60)
    time.sleep(0.4)
    for name in NAMES:
        store = FsspecStore.from_url(f"{url}/{GROUP[zarr_format]}/growing.h5/{name}")
        try:
            values = zarr.open_array(store, mode="r", zarr_format=zarr_format)[...]
        except aiohttp.ClientResponseError as error:
            if error.status not in (422, 503):
                raise
            continue
        assert not wrong_in(name, values, len(values))
