"""``/h5grove``: nothing outside the roots, errors viewers can read, validators, bounds, files that grow, levels."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import h5py
import numpy as np
import pytest

from tests.browser.drawn import level_of
from tests.conformance.h5grove_data import write_links
from tests.faces.conftest import Reply, Site, StartSite

SECRET = 0x5EC2E7
SHAPE = (3000, 2100)


def image() -> np.ndarray:
    return np.add.outer(np.arange(SHAPE[0]) * 3, np.arange(SHAPE[1])).astype("<u2")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, start_site: StartSite) -> Site:
    folder = tmp_path_factory.mktemp("h5grove") / "data"
    folder.mkdir()
    write_links(folder)
    with h5py.File(folder / "plot.h5", "w") as file:
        write_plots(file)
    return start_site(folder, max_slice="8MiB")


def write_plots(file: h5py.File) -> None:
    """A signal with errors, a mask and axes, and an image by itself."""
    data = file.create_group("entry/plot")
    data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x_edges"]})
    values = image()
    for name, each in (("counts", values), ("counts_errors", np.sqrt(values.astype("f4")))):
        data.create_dataset(name, data=each, chunks=(256, 300), compression="gzip", shuffle=True)
    data["y"] = np.linspace(-1, 1, SHAPE[0])
    data["x_edges"] = np.arange(SHAPE[1] + 1) * 2
    data["unrelated"] = np.arange(SHAPE[0])
    file.create_dataset("alone/image", data=values.astype(">f4"), chunks=(500, 500))
    file["alone/y"] = np.arange(SHAPE[0])
    file["small"] = np.arange(12).reshape(3, 4)
    volume = file.create_group("volume")
    volume.attrs.update({"NX_class": "NXdata", "axes": ["z", "y", "x"], "default_slice": ["50", ".", "."]})
    cube = np.arange(100 * 130 * 140, dtype="<i4").reshape(100, 130, 140)
    volume.create_dataset("cube", data=cube, chunks=(32, 32, 32)).attrs["signal"] = 1
    volume.create_dataset("slabs", data=cube, chunks=(1, 130, 140))
    volume["z"] = np.arange(100)
    volume["x"] = np.geomspace(1, 100, 140)


def ask(site: Site, endpoint: str, **fields: str) -> Reply:
    return site.ask(f"/h5grove/{endpoint}?{urlencode(fields)}")


def told(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def values(site: Site, form: str, shape: tuple[int, ...], **fields: str) -> np.ndarray:
    reply = ask(site, "data", format="bin", **fields)
    assert reply.status == 200, reply.body
    assert int(reply.headers["content-length"]) == len(reply.body)
    return np.frombuffer(reply.body, form).reshape(shape)


def message(reply: Reply, status: int) -> str:
    """What is complained about, in the one form that H5Web can read, and across origins."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["access-control-allow-origin"] == "*"
    found = json.loads(reply.body)
    assert list(found) == ["message"]
    return found["message"]


# ----------------------------------------------------------------- confinement


@pytest.mark.parametrize(
    "file",
    ["../outside/secret.h5", "..%2Foutside/secret.h5", "x/../../outside/secret.h5", "linked.h5", "/etc/passwd", "..",
     "", "plot.h5/entry", "plot.h5\0", "sub", "//outside/secret.h5", "....//outside/secret.h5"],
)  # fmt: skip
@pytest.mark.parametrize("endpoint", ["meta", "data"])
def test_no_name_leads_out_of_the_roots(served: Site, file: str, endpoint: str) -> None:
    assert message(ask(served, endpoint, file=file, path="/x"), 404) == "File not found!"
    absolute = str(served.folder.parent / "outside" / "secret.h5")
    assert message(ask(served, endpoint, file=absolute, path="/x"), 404) == "File not found!"


@pytest.mark.parametrize("name", ["relative", "absolute"])
def test_links_out_of_the_roots_are_broken_links(served: Site, name: str) -> None:
    found = told(ask(served, "meta", file="escapes.h5", path=f"/{name}"))
    assert found["kind"] == "external_link"
    assert "Cannot resolve" in message(
        ask(served, "meta", file="escapes.h5", path=f"/{name}", resolve_links="all"), 404
    )
    for endpoint in ("data", "stats", "attr"):
        message(ask(served, endpoint, file="escapes.h5", path=f"/{name}"), 422)
    message(ask(served, "meta", file="escapes.h5", path=f"/{name}/below"), 404)


@pytest.mark.parametrize("name", ["virtual", "raw"])
@pytest.mark.parametrize("endpoint", ["data", "stats"])
def test_data_outside_the_roots_are_not_given(served: Site, name: str, endpoint: str) -> None:
    assert told(ask(served, "meta", file="escapes.h5", path=f"/{name}"))["shape"] == [4]
    said = message(ask(served, endpoint, file="escapes.h5", path=f"/{name}"), 502)
    assert "cannot be read" in said
    assert str(SECRET) not in said


# ---------------------------------------------------------------------- errors


def test_errors_are_json_that_h5web_can_read(served: Site) -> None:
    assert "names no file" in message(served.ask("/h5grove/meta"), 422)
    assert "is not a dataset" in message(ask(served, "data", file="plot.h5", path="/entry"), 422)
    assert "too many members" in message(ask(served, "data", file="plot.h5", path="/small", selection="0,0,0"), 422)
    assert "neither a number" in message(ask(served, "data", file="plot.h5", path="/small", selection="a"), 422)
    assert "beyond axis 1" in message(ask(served, "data", file="plot.h5", path="/small", selection="0,4"), 422)
    assert "neither true nor false" in message(ask(served, "data", file="plot.h5", path="/small", flatten="2"), 422)
    assert "there is no /nope" in message(served.ask("/h5grove/nope?file=plot.h5"), 404)
    assert "not the number of a level" in message(ask(served, "meta", file="plot.h5;level=x"), 422)


def test_a_file_that_may_not_be_read_says_so(served: Site) -> None:
    path = served.folder / "shut.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    path.chmod(0o200)
    status, said = (403, "Permission denied") if os.getuid() else (200, "")
    reply = ask(served, "meta", file="shut.h5")
    assert said in message(reply, status) if status == 403 else reply.status == status


def test_unknown_parameters_and_the_root_are_welcome(served: Site) -> None:
    assert served.ask("/h5grove").body == served.ask("/h5grove/").body == b"ok"
    assert told(ask(served, "meta", file="plot.h5", sessionId="s", datafileId="1", path="/small"))["shape"] == [3, 4]
    assert served.ask("/h5grove/meta?file=plot.h5", "HEAD").headers["content-type"] == "application/json"
    preflight = served.ask("/h5grove/meta", "OPTIONS", Origin="http://elsewhere")
    assert preflight.status == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


# ------------------------------------------------------------------ validators


@pytest.mark.parametrize(
    "query", ["meta?file=plot.h5", "data?file=plot.h5&path=/small", "stats?file=plot.h5&path=/small"]
)
@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_what_a_client_has_is_not_sent_again(served: Site, query: str, coding: str) -> None:
    headers = {"Accept_Encoding": coding} if coding else {}
    first = served.ask(f"/h5grove/{query}", **headers)
    assert first.status == 200
    assert first.headers.get("content-encoding", "") == coding
    again = served.ask(f"/h5grove/{query}", If_None_Match=first.headers["etag"], **headers)
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    if coding == "gzip":
        assert gzip.decompress(first.body) == served.ask(f"/h5grove/{query}").body
    other = served.ask("/h5grove/meta?file=links.h5", If_None_Match=first.headers["etag"], **headers)
    assert other.status == 200


def test_a_rewritten_file_is_seen_at_once(served: Site) -> None:
    tags = set()
    for value in range(3):
        with h5py.File(served.folder / "rewritten.h5", "w") as file:
            file["x"] = value
        reply = ask(served, "data", file="rewritten.h5", path="/x")
        assert told(reply) == value
        tags.add(reply.headers["etag"])
    assert len(tags) == 3


# ---------------------------------------------------------------------- bounds


def test_large_data_come_block_by_block_and_in_ranges(tmp_path: Path, start_site: StartSite) -> None:
    data = np.arange(3 * 700 * 5000, dtype="<u4").reshape(3, 700, 5000)
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("chunked", data=data, chunks=(2, 300, 900), compression="gzip", compression_opts=1)
        file.create_dataset("plain", data=data.astype(">f4"))
    site = start_site(tmp_path)
    got = values(site, "<u4", data.shape, file="large.h5", path="/chunked")
    np.testing.assert_array_equal(got, data)
    got = values(site, "<f4", data.shape, file="large.h5", path="/plain", dtype="safe")
    np.testing.assert_array_equal(got, data.astype("f4"))
    got = values(site, "<u4", (3, 350, 1667), file="large.h5", path="/chunked", selection=":,::2,::3")
    np.testing.assert_array_equal(got, data[:, ::2, ::3])
    query = f"/h5grove/data?{urlencode({'file': 'large.h5', 'path': '/chunked', 'format': 'bin'})}"
    part = site.ask(query, Range="bytes=20000001-20000100")
    assert part.status == 206
    assert part.body == data.tobytes()[20000001:20000101]


def test_what_is_too_large_is_refused_with_a_level_that_is_not(served: Site) -> None:
    said = message(ask(served, "data", file="plot.h5", path="/entry/plot/counts", format="bin"), 413)
    assert "max_slice" in said
    assert said.endswith("open the file as plot.h5;level=1")
    assert ask(served, "data", file="plot.h5;level=1", path="/entry/plot/counts", format="bin").status == 200
    assert ask(served, "data", file="plot.h5", path="/entry/plot/counts", format="bin", selection=":100").status == 200


def test_statistics_of_many_blocks_are_those_of_all(tmp_path: Path, start_site: StartSite) -> None:
    data = np.random.default_rng(3).normal(1e6, 3, 5_000_000)
    data[::1000] = np.nan
    with h5py.File(tmp_path / "long.h5", "w") as file:
        file.create_dataset("x", data=data, chunks=(100_000,))
    found = told(ask(start_site(tmp_path), "stats", file="long.h5", path="/x"))
    assert found["mean"] == pytest.approx(np.nanmean(data), rel=1e-14)
    assert found["std"] == pytest.approx(np.nanstd(data), rel=1e-9)
    assert (found["min"], found["max"]) == (np.nanmin(data), np.nanmax(data))


# ---------------------------------------------------------------- while written

WRITER = """
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver="latest" if sys.argv[2] == "swmr" else None) as file:
    x = file.create_dataset("x", (0,), "i4", maxshape=(None,), chunks=(100,))
    if sys.argv[2] == "swmr":
        file.swmr_mode = True
    for n in (100, 250):
        x.resize((n,))
        x[:] = np.arange(n)
        (file if sys.argv[2] != "swmr" else x).flush()
        print(n, flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("mode", ["swmr", "ordinary"])
def test_a_file_is_readable_while_it_is_written(tmp_path: Path, start_site: StartSite, mode: str) -> None:
    site = start_site(tmp_path, settle=0.3)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "run.h5"), mode]
    environment = os.environ | {"HDF5_USE_FILE_LOCKING": "TRUE"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for line in writer.stdout:
            n = int(line)
            assert told(ask(site, "meta", file="run.h5", path="/x"))["shape"] == [n]
            reply = ask(site, "data", file="run.h5", path="/x", format="bin")
            np.testing.assert_array_equal(np.frombuffer(reply.body, "i4"), np.arange(n))
            writer.stdin.write("\n")
            writer.stdin.flush()
            if n == 250:
                break
    assert writer.returncode == 0


# ---------------------------------------------------------------------- levels


@pytest.mark.parametrize("level", [1, 2])
def test_a_plot_at_a_level_fits_together(served: Site, level: int) -> None:
    """Signal, errors, centres and edges; and nothing else."""
    file, f = f"plot.h5;level={level}", 2**level
    shape = tuple(-(-n // f) for n in SHAPE)
    children = {c["name"]: c for c in told(ask(served, "meta", file=file, path="/entry/plot"))["children"]}
    shapes = {name: child["shape"] for name, child in children.items()}
    assert shapes == {
        "counts": list(shape), "counts_errors": list(shape), "y": [shape[0]], "x_edges": [shape[1] + 1],
        "unrelated": [SHAPE[0]],
    }  # fmt: skip
    assert children["counts"]["type"] == {"class": 0, "dtype": "<u2", "size": 2, "order": 0, "sign": 0}
    assert children["counts"]["filters"] is None
    path = "/entry/plot/"
    counts = values(served, "<u2", shape, file=file, path=f"{path}counts")
    np.testing.assert_array_equal(counts, level_of(image(), level))
    errors = values(served, "<f4", shape, file=file, path=f"{path}counts_errors")
    np.testing.assert_allclose(errors, level_of(np.sqrt(image().astype("f4")), level), rtol=1e-6)
    y = np.linspace(-1, 1, SHAPE[0])
    means = [y[i : i + f].mean() for i in range(0, SHAPE[0], f)]
    np.testing.assert_allclose(values(served, "<f8", shape[:1], file=file, path=f"{path}y"), means)
    np.testing.assert_allclose(values(served, "<f8", (3,), file=file, path=f"{path}y", selection="5:8"), means[5:8])
    edges = values(served, "<i8", (shape[1] + 1,), file=file, path=f"{path}x_edges")
    np.testing.assert_array_equal(edges, [*range(0, 2 * SHAPE[1], 2 * f), 2 * SHAPE[1]])
    found = told(ask(served, "stats", file=file, path=f"{path}counts"))
    assert (found["min"], found["max"]) == (int(counts.min()), int(counts.max()))


def test_datasets_without_such_a_level_stay_as_they_are(served: Site) -> None:
    for file in ("plot.h5;level=1", "plot.h5;level=99"):
        assert told(ask(served, "data", file=file, path="/small")) == told(
            ask(served, "data", file="plot.h5", path="/small")
        )
        assert told(ask(served, "meta", file=file, path="/alone/y"))["shape"] == [SHAPE[0]]
    assert told(ask(served, "meta", file="plot.h5;level=99", path="/alone/image"))["shape"] == list(SHAPE)
    alone = told(ask(served, "meta", file="plot.h5;level=1", path="/alone/image"))
    assert alone["type"] == {"class": 1, "dtype": "<f4", "size": 4, "order": 0}
    assert told(ask(served, "paths", file="plot.h5;level=1")) == told(ask(served, "paths", file="plot.h5"))


def test_the_signal_decides_for_what_has_its_shape(served: Site) -> None:
    """By itself, a stack of slabs would be halved along two axes only."""
    found = told(ask(served, "meta", file="plot.h5;level=1", path="/volume"))
    shapes = {child["name"]: child["shape"] for child in found["children"]}
    assert shapes == {"cube": [50, 65, 70], "slabs": [50, 65, 70], "z": [50], "x": [70]}
    assert told(ask(served, "attr", file="plot.h5;level=1", path="/volume"))["default_slice"] == ["25", ".", "."]
    assert told(ask(served, "attr", file="plot.h5", path="/volume"))["default_slice"] == ["50", ".", "."]
    z = values(served, "<f8", (50,), file="plot.h5;level=1", path="/volume/z")
    np.testing.assert_array_equal(z, np.arange(100).reshape(50, 2).mean(1))


def test_axes_and_method_of_levels_can_be_chosen(served: Site) -> None:
    """Halved along two axes only, the volume fits one chunk and has no levels."""
    found = told(ask(served, "meta", file="plot.h5;level=1;axes=yx", path="/volume"))
    shapes = {child["name"]: child["shape"] for child in found["children"]}
    assert shapes == {"cube": [100, 130, 140], "slabs": [100, 130, 140], "z": [100], "x": [140]}
    for dataset in ("cube", "slabs"):
        file = "plot.h5;level=1;method=max;axes=zyx"
        plane = values(served, "<i4", (65, 70), file=file, path=f"/volume/{dataset}", selection="3")
        cube = np.arange(100 * 130 * 140, dtype="<i4").reshape(50, 2, 65, 2, 70, 2)
        np.testing.assert_array_equal(plane, cube[3].max((0, 2, 4)))
    picked = values(served, "<i8", (50,), file="plot.h5;level=1;method=stride", path="/volume/z")
    np.testing.assert_array_equal(picked, np.arange(0, 100, 2))
