"""``/metrics`` counts what happened, in all workers, whoever answers and whoever died."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Server
from tests.faces.conftest import Site, ask

Figures = dict[str, float]


def figures(url: str) -> Figures:
    """Every sample by name, with the values of its labels behind."""
    reply = ask(f"{url}/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: Figures = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}
        for sample in family.samples:
            name = " ".join((sample.name, *(sample.labels[label] for label in sorted(sample.labels))))
            assert name not in found
            found[name] = sample.value
    return found


def until(url: str, enough: Callable[[Figures], bool]) -> Figures:
    """What all workers say, once they did: each tells the others every second."""
    deadline = time.monotonic() + 30
    while not enough(found := figures(url)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_computations_hits_and_bytes_are_counted(site: Site) -> None:
    before = figures(site.url)
    first = site.ask("/ome/run.h5/noise/0/c/0/0")
    assert first.status == 200
    for _ in range(3):
        assert site.ask("/zarr/run.h5/decoded/c/0/0").status == 200
    after = figures(site.url)
    assert after["chunkserve_computations_total"] > before["chunkserve_computations_total"]
    assert after["chunkserve_cache_hits_total memory"] >= before["chunkserve_cache_hits_total memory"] + 2
    assert after["chunkserve_cache_bytes memory"] > before["chunkserve_cache_bytes memory"]
    assert after["chunkserve_cache_limit_bytes levels"] == 20 * 2**30


def test_requests_are_counted_by_face_and_code(site: Site) -> None:
    before = figures(site.url)
    for path, status in (("zarr.json", 200), ("noise/c/0/0", 200), ("noise/c/0/0", 200), ("nothing/zarr.json", 404)):
        assert site.ask(f"/zarr/run.h5/{path}").status == status
    assert site.ask("/zarr2/run.h5/.zgroup").status == 200
    after = figures(site.url)
    more = {name: after[name] - before[name] for name in after if name.startswith("chunkserve_http")}
    requests = {name: n for name, n in more.items() if name.startswith("chunkserve_http_requests_total") and n}
    assert requests == {
        "chunkserve_http_requests_total 2xx zarr": 3,
        "chunkserve_http_requests_total 4xx zarr": 1,
        "chunkserve_http_requests_total 2xx zarr2": 1,
    }
    duration = "chunkserve_http_request_duration_seconds"
    assert more[f"{duration}_count zarr"] == more[f"{duration}_bucket zarr +Inf"] == 4
    assert more[f"{duration}_sum zarr"] > 0
    buckets = [value for name, value in after.items() if name.startswith(f"{duration}_bucket zarr ")]
    assert buckets == sorted(buckets)


def test_figures_are_those_of_all_workers_and_outlive_them(site: Site, tmp_path: Path) -> None:
    name = "chunkserve_http_requests_total 2xx zarr"
    limits = {"cache_memory": "32MiB", "levels_disk": "1GiB", "cache_dir": str(tmp_path / "cache")}
    server = Server((str(site.folder),), {"settle": 0, "workers": 3, **limits})
    try:
        for _ in range(60):  # each on a connection of its own: the kernel spreads them
            assert ask(f"{server.url}/zarr/run.h5/noise/c/0/0").status == 200
        found = until(server.url, lambda f: f[name] == 60 and f["chunkserve_workers"] == 3)
        assert found["chunkserve_cache_limit_bytes memory"] == 3 * 32 * 2**20
        assert found["chunkserve_cache_limit_bytes levels"] == 2**30
        time.sleep(1.2)
        for _ in range(3):
            victim = workers(server)[0]
            os.kill(victim, signal.SIGKILL)
            until_gone(victim)
            found = until(server.url, lambda f: f["chunkserve_workers"] == 3)
            assert found[name] == 60
            assert len(workers(server)) == 3
        for _ in range(30):
            assert ask(f"{server.url}/zarr/run.h5/noise/c/0/0").status == 200
        assert until(server.url, lambda f: f[name] >= 90)[name] == 90
        server.process.send_signal(signal.SIGHUP)  # replaces them one by one
        old = set(workers(server))
        deadline = time.monotonic() + 30
        while old & set(workers(server)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert until(server.url, lambda f: f["chunkserve_workers"] == 3)[name] == 90
    finally:
        server.stop()


def workers(server: Server) -> list[int]:
    """Processes of the workers: the server's children."""
    pid = server.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until_gone(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            time.sleep(0.05)
