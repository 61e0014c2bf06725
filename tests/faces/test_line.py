"""Lines have the extremes of all their elements, whatever their length and the part that is asked for."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.faces.conftest import Site, StartSite

N = 1_100_003
LONG = np.random.default_rng(5).normal(size=N)
LONG[[17, 700_001]] = [40, -50]
LONG[800_000:801_000] = np.nan
COUNTS = np.arange(3000, dtype="u2")
CUBE = np.random.default_rng(6).random((40, 5, 7)).astype("f4")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    """A server over a long line, a short one with holes, a cube and a scalar."""
    folder = tmp_path_factory.mktemp("lines")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("long", data=LONG, chunks=(65536,), compression="gzip", compression_opts=1)
        short = file.create_dataset("scan/counts", data=COUNTS)
        short.attrs["_FillValue"] = np.uint16(5)
        file["scan/energy"] = np.linspace(7000, 7299.9, 3000)
        file["scan/energy"].attrs["units"] = "eV"
        file["scan"].attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["energy"]})
        file.create_dataset("cube", data=CUBE, chunks=(4, 5, 7))
        file["scalar"] = 3
    return start_site(folder, max_source_bytes="16MiB")


def get(site: Site, query: str) -> dict[str, Any]:
    reply = site.ask(f"/line/a.h5/{query}")
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def numbers(found: list[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in found])


@pytest.mark.parametrize(
    ("start", "stop", "points"),
    [
        (0, N, 2000),
        (0, N, 20),
        (0, N, 1),
        (123_457, 900_000, 1500),
        (799_000, 802_000, 100),
        (N - 5, N, 100),
        (3, 900, 897),
    ],
)
def test_points_are_the_extremes_of_their_elements(lines: Site, start: int, stop: int, points: int) -> None:
    found = get(lines, f"long?start={start}&stop={stop}&points={points}")
    factor, first, last = found["factor"], found["start"], found["stop"]
    assert first <= start < first + factor
    assert stop <= last <= min(N, stop + factor)
    edges = np.arange(first, last, factor)
    assert len(edges) <= points + 2
    assert 2 * len(edges) >= min(points, stop - start)
    low, high = (np.array([how(LONG[a : min(a + factor, N)]) for a in edges]) for how in (least, greatest))
    np.testing.assert_array_equal(numbers(found["min"]), low)
    np.testing.assert_array_equal(numbers(found["max"] or found["min"]), high)


def least(values: np.ndarray) -> float:
    return float(np.fmin.reduce(values))


def greatest(values: np.ndarray) -> float:
    return float(np.fmax.reduce(values))


def test_short_lines_are_the_elements_without_those_that_are_none_and_with_their_coordinates(lines: Site) -> None:
    found = get(lines, "scan/counts?points=3000")
    want = COUNTS.astype("f8")
    want[5] = np.nan
    np.testing.assert_array_equal(numbers(found["min"]), want)
    assert found["max"] is None
    ruler = found["rulers"][0]
    assert ruler["unit"] == "eV"
    assert (ruler["start"], ruler["step"]) == pytest.approx((7000, 0.1), rel=1e-3)


def test_lines_run_along_any_axis_of_a_cube(lines: Site) -> None:
    np.testing.assert_array_equal(numbers(get(lines, "cube?axis=0&index=3,2")["min"]), CUBE[:, 3, 2])
    np.testing.assert_array_equal(numbers(get(lines, "cube?index=39,4")["min"]), CUBE[39, 4])
    coarse = get(lines, "cube?axis=0&index=3,2&points=10")
    assert coarse["factor"] == 4
    np.testing.assert_array_equal(numbers(coarse["max"]), CUBE[:, 3, 2].reshape(10, 4).max(axis=1))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("long?start=9999999999", 400),
        ("long?points=0", 400),
        ("long?start=-3", 400),
        ("cube?axis=3", 400),
        ("cube?index=40,0", 400),
        ("cube?index=1,2,3", 400),
        ("long?what=1", 400),
        ("scalar", 501),
        ("scan", 404),
        ("nothing", 404),
    ],
)
def test_what_is_no_line_is_refused(lines: Site, query: str, status: int) -> None:
    assert lines.ask(f"/line/a.h5/{query}").status == status


def test_a_version_can_be_pinned(lines: Site) -> None:
    version = get(lines, "cube")["version"]
    assert "immutable" in lines.ask(f"/line/a.h5/cube?v={version}").headers["cache-control"]
    assert lines.ask("/line/a.h5/cube?v=another").status == 410


def test_what_would_read_too_much_says_so(tmp_path: Path, start_site: StartSite) -> None:
    with h5py.File(tmp_path / "big.h5", "w") as file:
        file.create_dataset("stack", (64, 512, 512), "f4", chunks=(1, 512, 512))
    site = start_site(tmp_path, max_source_bytes="8MiB")
    reply = site.ask("/line/big.h5/stack?axis=0")
    assert reply.status == 413
    assert b"max_source_bytes" in reply.body
    assert site.ask("/line/big.h5/stack?axis=0&stop=4").status == 200
