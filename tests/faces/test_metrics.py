"""``/metrics`` counts what happened."""

import re

from tests.faces.conftest import Site


def figures(site: Site) -> dict[str, float]:
    reply = site.ask("/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in reply.body.decode().splitlines():
        match = re.fullmatch(r'(\w+)\{worker="\d+"(?:,tier="(\w+)")?\} ([0-9.e+]+)', line)
        assert match or line.startswith(("# HELP chunkserve_", "# TYPE chunkserve_")), line
        if match:
            found[f"{match[1]} {match[2] or ''}".strip()] = float(match[3])
    return found


def test_computations_hits_and_bytes_are_counted(site: Site) -> None:
    before = figures(site)
    first = site.ask("/ome/run.h5/noise/0/c/0/0")
    assert first.status == 200
    for _ in range(3):
        assert site.ask("/zarr/run.h5/decoded/c/0/0").status == 200
    after = figures(site)
    assert after["chunkserve_computations_total"] > before["chunkserve_computations_total"]
    assert after["chunkserve_cache_hits_total memory"] >= before["chunkserve_cache_hits_total memory"] + 2
    assert after["chunkserve_cache_bytes memory"] > before["chunkserve_cache_bytes memory"]
    assert after["chunkserve_cache_limit_bytes levels"] == 20 * 2**30
