"""Search over all files of a server, from Python."""

import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve_client import Dataset, Group, Server
from clients.python.tests.conftest import serving

FILES = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("searched")
    (folder / "visit").mkdir()
    for n in range(FILES):
        with h5py.File(folder / "visit" / f"scan_{n:03}.nxs", "w") as file:
            entry = file.create_group("entry")
            entry.attrs["NX_class"] = "NXentry"
            entry["sample"] = "lysozyme" if n == 7 else "insulin"
            entry.create_dataset("counts", data=np.full((2, 3), n)).attrs["long_name"] = "photons per pixel"
    with serving(folder, search="yes") as running:
        found = running.connect(patience=60.0)
        deadline = time.monotonic() + 200
        while len(found.search("entry", kind="group", limit=100)) < FILES:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found


def test_a_result_opens(server: Server) -> None:
    (result,) = server.search("lyso")
    assert (result["file"], result["path"]) == ("visit/scan_007.nxs", "/entry/sample")
    assert (result["matched"], result["value"]) == ("value", "lysozyme")
    (counts,) = server.search("scan 7 counts")
    opened = server[f"{counts['file']}::{counts['path']}"]
    assert isinstance(opened, Dataset)
    assert opened.shape == tuple(counts["shape"]) == (2, 3)
    assert opened[...].tolist() == np.full((2, 3), 7).tolist()


def test_results_are_as_many_as_wished_and_of_the_kind_wished(server: Server) -> None:
    assert len(server.search("photons", limit=1000)) == FILES
    assert len(server.search("photons", limit=11)) == 11
    groups = server.search("entry", kind="group", below="visit/scan_003.nxs")
    assert [result["file"] for result in groups] == ["visit/scan_003.nxs"]
    assert isinstance(server[f"{groups[0]['file']}::{groups[0]['path']}"], Group)


def test_nothing_to_search_for_is_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no letters"):
        server.search("***")
