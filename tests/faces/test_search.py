"""Search over HTTP: one process indexes beside the workers, all of them answer, and what changes is found soon."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import pytest

from chunkserve.identity.keys import KeyStore
from chunkserve.search.indexer import NICENESS
from tests.conftest import Server
from tests.faces.conftest import Site, StartSite, ask
from tests.faces.test_metrics import until
from tests.search.conftest import write_scan

PATIENCE = 200.0
"""Seconds; the indexer waits for everybody else on the machine."""


def search(url: str, question: str, **parameters: object) -> dict[str, Any]:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in {"q": question, **parameters}.items())
    reply = ask(f"{url}/api/search?{query}")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    return json.loads(reply.body)


def found(url: str, question: str) -> list[str]:
    return [f"{result['file']}:{result['path']}" for result in search(url, question)["results"]]


def wait_for(look: Callable[[], object]) -> None:
    """Until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not _now(look):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _now(look: Callable[[], object]) -> object:
    with contextlib.suppress(AssertionError):  # 503 before there is an index
        return look()
    return False


def indexer_of(pid: int) -> int:
    """The child of a server that leaves the processor to others."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if os.getpriority(os.PRIO_PROCESS, int(child)) >= NICENESS:
            return int(child)
    raise AssertionError("nobody indexes")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers and an indexer that looks every second."""
    folder = tmp_path_factory.mktemp("lab")
    for n in range(12):
        write_scan(folder / f"visit{n % 3}" / f"scan_{n:04}.nxs", title=f"Run {n}")
    server = Server((str(folder),), {"settle": 0, "workers": 2, "search": "yes", "search_interval": 1})
    site = Site(server.url, folder, server.process.pid)
    wait_for(lambda: search(site.url, "scan")["complete"])
    yield site
    assert server.stop() == ""


def test_all_files_are_found_by_what_is_in_them(lab: Site) -> None:
    page = search(lab.url, "lyso")
    assert len(page["results"]) == 12
    assert page["cursor"] is None
    assert {result["matched"] for result in page["results"]} == {"value"}
    (result,) = search(lab.url, "scan 7 theta")["results"]
    assert result["file"] == "visit1/scan_0007.nxs"
    described = json.loads(ask(f"{lab.url}/meta/{result['file']}{result['path']}?format=json").body)
    assert described["node"]["shape"] == result["shape"] == [3, 4]


def test_pages_follow_each_other_over_all_workers(lab: Site) -> None:
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = search(lab.url, "sample", limit=5, cursor=cursor)
        assert len(page["results"]) <= 5
        seen += [result["file"] for result in page["results"]]
        cursor = page["cursor"]
    assert sorted(set(seen)) == sorted(f"visit{n % 3}/scan_{n:04}.nxs" for n in range(12))
    assert len(seen) == 12


def test_results_are_narrowed_by_kind_and_place(lab: Site) -> None:
    assert {r["kind"] for r in search(lab.url, "scan", kind="file")["results"]} == {"file"}
    assert search(lab.url, "scan", kind="dataset")["results"] == []
    assert len(search(lab.url, "lysozyme", below="visit2")["results"]) == 4
    assert len(search(lab.url, "lysozyme", below="visit2/scan_0002.nxs")["results"]) == 1


@pytest.mark.parametrize(
    "query",
    ["", "q=", "q=***", "q=a&limit=0", "q=a&limit=501", "q=a&limit=x", "q=a&cursor=1", "q=a&kind=cat", "q=a&n=3"],
)
def test_what_cannot_be_asked_is_refused_with_reasons(lab: Site, query: str) -> None:
    reply = lab.ask(f"/api/search?{query}")
    assert reply.status == 400
    assert json.loads(reply.body)["detail"]


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/searching?q=a", "/api/search/more?q=a"])
def test_other_paths_are_not_served(lab: Site, path: str) -> None:
    assert lab.ask(path).status == 404


def test_what_changes_is_found_and_what_is_gone_is_not(lab: Site) -> None:
    path = lab.folder / "fresh" / "brandnew.h5"
    write_scan(path, sample="ferritin")
    wait_for(lambda: found(lab.url, "ferritin"))
    assert found(lab.url, "ferritin") == ["fresh/brandnew.h5:/entry/sample/name"]
    write_scan(path, sample="haemoglobin")
    os.utime(path, (5, 5))
    wait_for(lambda: found(lab.url, "haemoglobin"))
    assert found(lab.url, "ferritin") == []
    path.unlink()
    assert found(lab.url, "haemoglobin") == [], "at once, whatever the index has"
    path.parent.rmdir()


def test_files_that_grow_are_indexed_while_their_writer_goes_on(lab: Site) -> None:
    path = lab.folder / "growing.h5"
    with h5py.File(path, "w", libver="latest") as file:
        counts = file.create_dataset("countsoflight", (1, 4), "i4", maxshape=(None, 4), chunks=(1, 4))
        file.swmr_mode = True
        wait_for(lambda: found(lab.url, "countsoflight"))
        counts.resize((50, 4))
        counts[:] = 3
        counts.flush()
    with h5py.File(path) as file:
        assert file["countsoflight"].shape == (50, 4)
    path.unlink()


def test_figures_tell_what_is_indexed(lab: Site) -> None:
    told = until(
        lab.url,
        lambda known: known["chunkserve_search_files done"] == 12 and not known["chunkserve_search_files pending"],
    )
    assert told["chunkserve_search_files failed"] == 0
    assert told["chunkserve_search_entries"] >= 12 * 9
    assert told["chunkserve_search_bytes"] > 0
    assert 0 < told["chunkserve_search_updated_timestamp_seconds"] <= time.time()


def test_there_is_one_indexer_and_it_ends_with_the_server(tmp_path: Path) -> None:
    write_scan(tmp_path / "data" / "a.h5")
    server = Server((str(tmp_path / "data"),), {"workers": 2, "search": "yes", "cache_dir": tmp_path / "cache"})
    wait_for(lambda: indexer_of(server.process.pid))
    pid = indexer_of(server.process.pid)
    wait_for(lambda: found(server.url, "lysozyme"))
    second = Server((str(tmp_path / "data"),), {"workers": 1, "search": "yes", "cache_dir": tmp_path / "cache"})
    assert found(second.url, "lysozyme") == ["a.h5:/entry/sample/name"], "both ask the same index"
    assert second.stop() == ""
    assert server.stop() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_indexer_hurts_nobody(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.h5")
    server = Server((str(tmp_path),), {"workers": 1, "settle": 0, "search": "yes", "cache_dir": tmp_path / "cache"})
    wait_for(lambda: found(server.url, "lysozyme"))
    os.kill(indexer_of(server.process.pid), signal.SIGKILL)
    assert found(server.url, "lysozyme")
    assert ask(f"{server.url}/meta/a.h5").status == 200
    assert "indexer" in server.stop()


def test_without_search_there_is_none(tmp_path: Path, start_site: StartSite) -> None:
    site = start_site(tmp_path, search="no")
    assert site.ask("/api/search?q=a").status == 404


def test_an_index_made_ahead_is_there_at_once(tmp_path: Path) -> None:
    write_scan(tmp_path / "data" / "a.h5")
    command = [sys.executable, "-m", "chunkserve", "index", str(tmp_path / "data"), "--settle=0"]
    flags = [f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=120, check=True)
    assert "files looked into" in done.stdout
    status = subprocess.run([*command, *flags, "--status"], capture_output=True, text=True, timeout=60, check=True)
    assert status.stdout == done.stdout
    other = subprocess.run([*command, "--status"], capture_output=True, text=True, timeout=60, check=True)
    assert "never" in other.stdout


def test_what_may_not_be_seen_is_not_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("open/a.h5", "p42/b.h5"):
        write_scan(folder / name)
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("../p42/b.h5", "/entry/detector/two_theta", (3, 4))
    with h5py.File(folder / "open" / "master.h5", "w") as file:
        file.create_virtual_dataset("two_theta", layout)
        file.create_dataset("own_theta", (3,), "f4")
    rules = tmp_path / "rules.toml"
    rules.write_text(
        f'[access]\ndatabase = "{tmp_path / "keys.sqlite"}"\n'
        '[[access.rule]]\npath = "open/**"\nlevel = "anonymous"\n'
        '[[access.rule]]\npath = "p42/**"\ngroups = ["p42"]\n'
    )
    keys = KeyStore(str(tmp_path / "keys.sqlite"))
    key, _ = keys.create("anna", frozenset({"p42"}), seconds=3600)
    keys.close()
    settings = {"workers": 1, "settle": 0, "search": "yes", "cache_dir": tmp_path / "cache", "access": rules}
    server = Server((str(folder),), settings)

    def paths(token: str) -> list[str]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        reply = ask(f"{server.url}/api/search?q=theta", **headers)
        assert reply.status == 200
        return sorted(f"{result['file']}:{result['path']}" for result in json.loads(reply.body)["results"])

    everything = [
        "open/a.h5:/entry/detector/two_theta",
        "open/master.h5:/own_theta",
        "open/master.h5:/two_theta",
        "p42/b.h5:/entry/detector/two_theta",
    ]
    wait_for(lambda: paths(key) == everything)
    assert paths("") == everything[:2]
    assert server.stop() == ""
