"""Errors say what is wrong, and never as a 404 where a reader would put fill values: a missing array is gone."""

import json
import shutil
from http import HTTPStatus
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import Serve
from tests.faces.conftest import UNKNOWN_FILTER, Reply, Site, ask, damage, talk

GONE = {"type": "about:blank", "title": "Gone", "status": 410, "detail": "nothing is served under this name"}
ABSENT = {"type": "about:blank", "title": "Not found", "status": 404, "detail": "nothing is served under this name"}


def problem(reply: Reply) -> dict[str, object]:
    """The problem document of a reply, checked for form."""
    assert reply.headers["content-type"] == "application/problem+json"
    document = json.loads(reply.body)
    assert set(document) == {"type", "title", "status", "detail"}
    assert document["type"] == "about:blank"
    assert document["status"] == reply.status
    assert document["title"]
    assert document["detail"]
    return document


# ------------------------------------------------------- absent, and not there


@pytest.mark.parametrize(
    "key",
    [
        "nothing.h5/x/c/0",  # no file
        "nothing/nothing/c/0/0",  # no folder
        "c/0",  # nothing at all
        "sub/c/0",  # a folder
        "run.h5/c/0",  # the root group
        "run.h5/nothing/c/0/0",  # no dataset
        "run.h5/entry/c/0",  # a group
        "run.h5/entry/nothing/image/c/0/0",  # no group
        "run.h5/image/nothing/c/0/0",  # below a dataset
        "run.h5/image/c/2/0",  # beyond the grid
        "run.h5/image/c/0/9999999999999999999",
        "run.h5/image/c/0",  # too few numbers
        "run.h5/image/c/0/0/0",  # too many
        "run.h5/image/c",  # none
        "run.h5/scalar/c/0",
        "out.h5/x/c/0",  # a symbolic link out of the root
        "outdir/secret.h5/x/c/0",
        "pipe.h5/x/c/0",  # not a regular file
    ],
)
def test_a_chunk_of_no_array_is_gone_whatever_the_reason(site: Site, key: str) -> None:
    reply = site.ask(f"/zarr/{key}")
    assert reply.status == 410
    assert problem(reply) == GONE
    assert "etag" not in reply.headers


@pytest.mark.parametrize(
    "key",
    [
        "nothing.h5/x/0",
        "0",
        "run.h5/0",
        "run.h5/entry/0.0",
        "run.h5/nothing/0.0",
        "run.h5/image/2.0",
        "run.h5/image/0",
        "run.h5/image/0.0.0",
        "run.h5/scalar/1",
        "run.h5/scalar/0.0",
        "out.h5/x/0",
        "outdir/secret.h5/x/0",
    ],
)
def test_a_chunk_of_no_array_is_gone_in_format_2_too(site: Site, key: str) -> None:
    reply = site.ask(f"/zarr2/{key}")
    assert reply.status == 410
    assert problem(reply) == GONE


@pytest.mark.parametrize(
    "key", ["run.h5//image/c/0/0", "run.h5/./image/c/0/0", "run.h5/%ff/c/0", f"run.h5/{'x' * 17_000}/c/0"]
)
def test_a_chunk_of_a_path_that_cannot_be_is_gone_too(site: Site, key: str) -> None:
    assert site.ask(f"/zarr/{key}").status == 410


def test_an_absent_chunk_of_an_array_is_absent(site: Site) -> None:
    for path in ("/zarr/run.h5/sparse/c/0/0/0", "/zarr/run.h5/sparse/c/3/0/0"):
        reply = site.ask(path)
        assert reply.status == 404
        assert problem(reply) == ABSENT
    assert site.ask("/zarr/run.h5/sparse/c/2/0/0").status == 200


def test_a_chunk_is_absent_only_where_the_reader_knows_the_fill_value(site: Site) -> None:
    document = json.loads(site.ask("/zarr/run.h5/sparse/zarr.json").body)
    assert document["fill_value"] == 7.0
    assert site.ask("/zarr/run.h5/sparse/c/0/0/0").status == 404
    document = json.loads(site.ask("/zarr2/run.h5/sparse/.zarray").body)
    assert document["fill_value"] is None
    assert site.ask("/zarr2/run.h5/sparse/0.0.0").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/zarr/nothing.h5/zarr.json",
        "/zarr/zarr.json",  # a folder is no group
        "/zarr/sub/zarr.json",
        "/zarr/run.h5/nothing/zarr.json",
        "/zarr/run.h5/image/nothing/zarr.json",
        "/zarr/out.h5/zarr.json",
        "/zarr/outdir/secret.h5/zarr.json",
        "/zarr/pipe.h5/zarr.json",
        "/zarr/run.h5/.zarray",  # the other format's
        "/zarr/run.h5/image/.zattrs",
        "/zarr2/run.h5/zarr.json",
        "/zarr2/run.h5/.zarray",  # of a group
        "/zarr2/run.h5/image/.zgroup",  # of an array
        "/zarr2/run.h5/image/.zmetadata",
        "/zarr2/nothing.h5/.zgroup",
        "/zarr/run.h5/nothing",
        "/zarr/run.h5/image",  # an array has no listing
        "/zarr/run.h5/image/",
        "/zarr/nothing/",
        "/files/nothing.h5",
        "/files/",
        "/files/sub",
        "/files/run.h5/image",
        "/files/out.h5",
        "/files/outdir/secret.txt",
        "/files/pipe.h5",
        "/refs/nothing.h5.json",
        "/refs/run.h5",
        "/refs/run.h5/image.json",
        "/refs/out.h5.json",
        "/refs/",
    ],
)
def test_everything_else_that_is_not_there_is_not_found(site: Site, path: str) -> None:
    reply = site.ask(path)
    assert reply.status == 404
    assert problem(reply) == ABSENT


@pytest.mark.parametrize("path", ["/nothing", "/zarrx/run.h5/zarr.json", "/ZARR/run.h5/zarr.json", "/favicon.ico"])
def test_a_face_that_does_not_exist_is_not_found(site: Site, path: str) -> None:
    reply = site.ask(path)
    assert reply.status == 404
    assert problem(reply)["title"] == "Not found"


# ------------------------------------------------------------------ unreadable


@pytest.mark.parametrize("path", ["/zarr/notes.txt/zarr.json", "/zarr2/notes.txt/.zgroup", "/zarr/notes.txt/x/c/0"])
def test_a_file_that_is_not_hdf5_is_unreadable(site: Site, path: str) -> None:
    reply = site.ask(path)
    assert reply.status == 422
    assert "notes.txt" in str(problem(reply)["detail"])


def test_a_file_that_is_not_hdf5_has_no_listing_and_no_references_but_its_bytes(site: Site) -> None:
    for path in ("/zarr/notes.txt/", "/refs/notes.txt.json"):
        assert site.ask(path).status == 422
        problem(site.ask(path))
    assert site.ask("/files/notes.txt").body == (site.folder / "notes.txt").read_bytes()


def test_a_truncated_file_is_unreadable_and_its_neighbours_are_not(tmp_path: Path, serve: Serve, site: Site) -> None:
    whole = (site.folder / "run.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    shutil.copy(site.folder / "run.h5", tmp_path / "run.h5")
    url = serve(tmp_path)
    assert ask(f"{url}/zarr/cut.h5/zarr.json").status == 422
    assert ask(f"{url}/zarr/run.h5/zarr.json").status == 200


# --------------------------------------------------------------------- filters


@pytest.mark.parametrize("face", ["zarr", "zarr2"])
@pytest.mark.parametrize(
    "dataset",
    [
        "strange",
        "strange_and_small",
    ],
)
def test_a_dataset_with_an_unknown_filter_is_refused_by_the_number_of_the_filter(
    site: Site, face: str, dataset: str
) -> None:
    document, chunk = {"zarr": ("zarr.json", "c/0/0"), "zarr2": (".zarray", "0.0")}[face]
    for key in (document, chunk):
        reply = site.ask(f"/{face}/strange.h5/{dataset}/{key}")
        assert reply.status == 501
        assert str(UNKNOWN_FILTER) in str(problem(reply)["detail"])


@pytest.mark.parametrize("path", ["/slice/strange.h5/strange?sel=0", "/reduce/strange.h5/strange?op=sum"])
def test_elements_behind_an_unknown_filter_are_refused_likewise(site: Site, path: str) -> None:
    reply = site.ask(path)
    assert reply.status == 501
    assert str(UNKNOWN_FILTER) in str(problem(reply)["detail"])


def test_an_unknown_filter_leaves_the_neighbours_alone(site: Site) -> None:
    document = json.loads(site.ask("/zarr/strange.h5/zarr.json").body)
    listed = document["consolidated_metadata"]["metadata"]
    assert {"before", "entry", "entry/after"} <= set(listed)
    assert "strange" not in listed
    assert site.ask("/zarr/strange.h5/before/c/0").body == np.arange(5).tobytes()
    assert site.ask("/zarr/strange.h5/entry/after/c/0").body == np.arange(3.0).tobytes()
    metadata = json.loads(site.ask("/zarr2/strange.h5/.zmetadata").body)["metadata"]
    assert "strange/.zarray" not in metadata
    assert "before/.zarray" in metadata


def test_a_small_dataset_with_an_unknown_filter_is_not_consolidated(site: Site) -> None:
    document = json.loads(site.ask("/zarr/strange.h5/zarr.json").body)
    assert "strange_and_small" not in document["consolidated_metadata"]["metadata"]


# -------------------------------------------------------------------- damage


@pytest.mark.parametrize(
    ("dataset", "damaged", "whole"),
    [
        ("checksum", "c/3/0/0", ["c/0/0/0", "c/1/0/0", "c/2/0/0"]),
        ("reheaded", "c/3/0/0", ["c/0/0/0", "c/1/0/0", "c/2/0/0"]),
        ("decoded", "c/3/0/0", ["c/0/0/0", "c/1/0/0", "c/2/0/0"]),
    ],
)
def test_a_damaged_chunk_is_named_and_no_other_is_affected(
    site: Site, dataset: str, damaged: str, whole: list[str]
) -> None:
    for _ in range(2):
        reply = site.ask(f"/zarr/corrupt.h5/{dataset}/{damaged}")
        assert reply.status == 502
        detail = str(problem(reply)["detail"])
        assert dataset in detail
        assert "(3, 0, 0)" in detail
        assert {site.ask(f"/zarr/corrupt.h5/{dataset}/{key}").status for key in whole} == {200}
    assert site.ask(f"/zarr/corrupt.h5/{dataset}/zarr.json").status == 200


def test_damage_within_a_shard_spares_the_ranges_of_its_other_chunks(site: Site) -> None:
    url = "/zarr/corrupt.h5/sharded/c/0/0/0"
    index = site.ask(url, Range=f"bytes=-{16 * 4 + 4}")
    assert index.status == 206
    where = np.frombuffer(index.body[:-4], "<u8").reshape(4, 2)
    for nth, (offset, length) in enumerate(where.tolist()):
        reply = site.ask(url, Range=f"bytes={offset}-{offset + length - 1}")
        assert reply.status == (502 if nth == 3 else 206)
    reply = site.ask(url)
    assert reply.status == 502
    assert "sharded: chunk (3, 0, 0)" in str(problem(reply)["detail"])


def test_a_body_that_turns_out_damaged_half_way_is_cut_short(tmp_path: Path, serve: Serve) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 100_000), dtype="u1")  # a shard holds 32
    with h5py.File(tmp_path / "shard.h5", "w") as file:
        file.create_dataset("x", data=noise, chunks=(1, 100_000), compression="gzip", fletcher32=True)
    url = serve(tmp_path, target_chunk="4MiB")
    whole = ask(f"{url}/zarr/shard.h5/x/c/0/0").body
    damage(tmp_path / "shard.h5", "x", 30, 500)
    address = (url.removeprefix("http://").split(":")[0], int(url.rsplit(":", 1)[1]))
    said = talk(address, b"GET /zarr/shard.h5/x/c/0/0 HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"content-length: {len(whole)}".encode() in head
    assert 0 < len(body) < len(whole)  # the client sees too few bytes, never wrong ones
    assert whole.startswith(body)


def test_a_missing_source_of_a_virtual_dataset_is_not_a_fill_value(tmp_path: Path, serve: Serve) -> None:
    layout = h5py.VirtualLayout((2, 1000), "i4")
    for i in range(2):
        with h5py.File(tmp_path / f"part{i}.h5", "w") as file:
            file["x"] = np.full(1000, i + 1, "i4")
        layout[i] = h5py.VirtualSource(f"part{i}.h5", "x", (1000,))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset("x", layout, fillvalue=-1)
    url = serve(tmp_path)
    key = "/zarr/all.h5/x/c/0/0"
    assert ask(url + key).status == 200
    (tmp_path / "part1.h5").unlink()
    reply = ask(url + key)
    assert reply.status == 502
    assert "part1.h5" in str(problem(reply)["detail"])
    assert ask(f"{url}/zarr/all.h5/zarr.json").status == 200


# ------------------------------------------------------------ limits and time


def test_references_to_a_file_of_too_many_chunks_are_refused(tmp_path: Path, serve: Serve) -> None:
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("x", (600_000, 2**20), "u1")  # nothing of it is ever written
    url = serve(tmp_path)
    reply = ask(f"{url}/refs/huge.h5.json")
    assert reply.status == 413
    assert "500000" in str(problem(reply)["detail"])
    assert ask(f"{url}/zarr/huge.h5/x/zarr.json").status == 200


def test_a_chunk_above_the_limit_is_refused_with_the_setting(tmp_path: Path, serve: Serve) -> None:
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("x", data=np.arange(100_000), chunks=(50_000,), compression="gzip")
        file.create_dataset("y", data=np.arange(100_000), chunks=(20_000,), compression="gzip")
    url = serve(tmp_path, max_chunk="200KiB")
    reply = ask(f"{url}/zarr/large.h5/x/zarr.json")
    assert reply.status == 501
    assert "max_chunk" in str(problem(reply)["detail"])
    assert ask(f"{url}/zarr/large.h5/y/c/0").status == 200


def test_a_file_open_for_writing_is_to_be_tried_again(tmp_path: Path, serve: Serve) -> None:
    url = serve(tmp_path)
    with h5py.File(tmp_path / "new.h5", "w", libver="latest") as file:
        file["x"] = np.arange(5)
        file.flush()
        reply = ask(f"{url}/zarr/new.h5/zarr.json")
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) >= 1
        problem(reply)
    assert ask(f"{url}/zarr/new.h5/x/c/0").body == np.arange(5).tobytes()


# ------------------------------------------------------------------------ form


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/zarr/run.h5/nothing/zarr.json", "GET", 404),
        ("/zarr/run.h5/zarr.json", "POST", 405),
        ("/", "POST", 405),
        ("/zarr/run.h5/nothing/c/0", "GET", 410),
        ("/zarr;v=old/run.h5/zarr.json", "GET", 410),
        ("/zarr/notes.txt/zarr.json", "GET", 422),
        ("/zarr/strange.h5/strange/zarr.json", "GET", 501),
        ("/zarr/corrupt.h5/checksum/c/3/0/0", "GET", 502),
    ],
)
def test_every_error_is_a_problem_document_without_the_servers_paths(
    site: Site, path: str, method: str, status: int
) -> None:
    reply = site.ask(path, method)
    assert reply.status == status
    assert str(problem(reply)["title"]).lower()
    assert HTTPStatus(reply.status) is not None
    assert str(site.folder).encode() not in reply.body
