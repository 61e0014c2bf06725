"""Validators (RFC 9110, 8.8 and 13): one strong ETag per representation, 304 for whoever has it."""

import gzip
import os
import re
import shutil
from pathlib import Path

import h5py
import numcodecs.zstd
import numpy as np
import pytest

from tests.conftest import Serve
from tests.faces.conftest import Site, ask, write_folder, write_run

DOCUMENTS = ["/zarr/run.h5/zarr.json", "/zarr2/run.h5/.zmetadata", "/zarr2/run.h5/image/.zarray", "/refs/run.h5.json"]
CHUNKS = [
    "/zarr/run.h5/image/c/0/1",
    "/zarr/run.h5/noise/c/0/0",
    "/zarr/run.h5/tiny/c/0",
    "/zarr/run.h5/line/c/1",
    "/zarr/run.h5/decoded/c/1/1",
    "/zarr/run.h5/scalar/c",
    "/zarr/run.h5/text/c/0",
    "/zarr2/run.h5/image/0.1",
    "/zarr2/run.h5/sparse/0.0.0",
]
TAGGED = [*DOCUMENTS, *CHUNKS, "/files/run.h5", "/files/notes.txt"]
STRONG = re.compile(r'"[\x21\x23-\x7e]+"\Z')


@pytest.mark.parametrize("path", TAGGED)
def test_a_strong_tag_comes_with_the_body_and_stays(site: Site, path: str) -> None:
    first, second = site.ask(path), site.ask(path)
    assert STRONG.match(first.headers["etag"])
    assert (second.headers["etag"], second.body) == (first.headers["etag"], first.body)


@pytest.mark.parametrize("path", TAGGED)
@pytest.mark.parametrize("spelled", ["{tag}", "W/{tag}", '"other", {tag}', '{tag},"other"', "*"])
def test_who_has_the_current_body_is_told_so(site: Site, path: str, spelled: str) -> None:
    whole = site.ask(path)
    reply = site.ask(path, If_None_Match=spelled.format(tag=whole.headers["etag"]))
    assert (reply.status, reply.body) == (304, b"")
    for name in ("etag", "cache-control", "vary", "access-control-allow-origin"):
        assert reply.headers.get(name) == whole.headers.get(name)
    assert "content-length" not in reply.headers
    assert "content-encoding" not in reply.headers


@pytest.mark.parametrize("path", TAGGED)
@pytest.mark.parametrize("known", ['"other"', "", '""', "nonsense", '"{tag}x"'])
def test_who_has_something_else_gets_the_body(site: Site, path: str, known: str) -> None:
    whole = site.ask(path)
    reply = site.ask(path, If_None_Match=known.format(tag=whole.headers["etag"].strip('"')))
    assert (reply.status, reply.body) == (200, whole.body)


@pytest.mark.parametrize("path", TAGGED)
def test_if_none_match_goes_before_a_range(site: Site, path: str) -> None:
    whole = site.ask(path)
    tag = whole.headers["etag"]
    assert site.ask(path, If_None_Match=tag, Range="bytes=0-4").status == 304
    assert site.ask(path, If_None_Match=tag, Range="bytes=99999999-").status == 304
    part = site.ask(path, If_None_Match='"other"', Range="bytes=0-4")
    assert (part.status, part.body) == (206, whole.body[:5])


def test_a_tag_does_not_make_up_a_chunk(site: Site) -> None:
    for path, status in (("sparse/c/0/0/0", 404), ("image/c/9/9", 410), ("nothing/c/0", 410)):
        tag = site.ask("/zarr/run.h5/image/c/0/0").headers["etag"]
        assert site.ask(f"/zarr/run.h5/{path}", If_None_Match=tag).status == status


def test_no_two_keys_share_a_tag(site: Site) -> None:
    chunks = [f"/zarr/run.h5/image/c/{i}/{j}" for i in range(2) for j in range(2)]
    tags = [site.ask(path).headers["etag"] for path in [*TAGGED, *chunks]]
    assert len(set(tags)) == len({*TAGGED, *chunks})


# ------------------------------------------------------------------- codings


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_content_coding_of_a_document_has_its_own_tag(site: Site, path: str) -> None:
    plain, zipped, zstd = site.ask(path), site.ask(path, Accept_Encoding="gzip"), site.ask(path, Accept_Encoding="zstd")
    assert "content-encoding" not in plain.headers
    assert (zipped.headers["content-encoding"], gzip.decompress(zipped.body)) == ("gzip", plain.body)
    assert (zstd.headers["content-encoding"], numcodecs.zstd.decompress(zstd.body)) == ("zstd", plain.body)
    assert len({reply.headers["etag"] for reply in (plain, zipped, zstd)}) == 3
    for reply in (plain, zipped, zstd):
        assert STRONG.match(reply.headers["etag"])
        assert "Accept-Encoding" in reply.headers["vary"]


@pytest.mark.parametrize("path", DOCUMENTS)
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_tag_of_one_coding_is_good_for_that_coding_only(site: Site, path: str, coding: str) -> None:
    plain, coded = site.ask(path).headers["etag"], site.ask(path, Accept_Encoding=coding).headers["etag"]
    kept = site.ask(path, Accept_Encoding=coding, If_None_Match=coded)
    assert kept.status == 304
    assert "Accept-Encoding" in kept.headers["vary"]
    assert site.ask(path, If_None_Match=coded).status == 200
    assert site.ask(path, Accept_Encoding=coding, If_None_Match=plain).status == 200


@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("", None),
        ("identity", None),
        ("br, deflate", None),
        ("gzip;q=0", None),
        ("gzip;q=0.0, zstd;q=0.000", None),
        ("gzip; q=0", None),
        ("zstd;q=0, gzip", "gzip"),
        ("GZip", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("br,gzip , deflate", "gzip"),
        ("gzip, zstd", "zstd"),
    ],
)
def test_a_document_comes_in_a_coding_that_was_accepted(site: Site, accepted: str, used: str | None) -> None:
    reply = site.ask("/zarr/run.h5/zarr.json", Accept_Encoding=accepted)
    assert reply.headers.get("content-encoding") == used


@pytest.mark.parametrize("path", [*CHUNKS, "/files/run.h5", "/zarr/", "/zarr/run.h5/nothing/zarr.json"])
def test_only_documents_are_compressed(site: Site, path: str) -> None:
    coded, plain = site.ask(path, Accept_Encoding="gzip, zstd"), site.ask(path)
    assert "content-encoding" not in coded.headers
    assert coded.body == plain.body
    assert coded.headers.get("etag") == plain.headers.get("etag")


# ------------------------------------------------------------------- changes


def test_tags_change_when_the_file_is_replaced_and_the_new_bytes_are_served(tmp_path: Path, serve: Serve) -> None:
    write_run(tmp_path / "run.h5")
    url = serve(tmp_path)
    before = {path: ask(url + path) for path in TAGGED if "notes" not in path}
    with h5py.File(tmp_path / "new.h5", "w") as new, h5py.File(tmp_path / "run.h5") as old:
        for name in old:
            old.copy(name, new)
        new["image"][...] = 9
        new.attrs["title"] = "another run"
    os.replace(tmp_path / "new.h5", tmp_path / "run.h5")
    for path, known in before.items():
        reply = ask(url + path, If_None_Match=known.headers["etag"])
        if path == "/zarr2/run.h5/image/.zarray":
            assert reply.status == 304  # the same document, whatever the file
        else:
            assert reply.status == 200, path
            assert reply.headers["etag"] != known.headers["etag"]
    assert ask(f"{url}/zarr/run.h5/image/c/0/1").body != before["/zarr/run.h5/image/c/0/1"].body
    assert b"another run" in ask(f"{url}/zarr/run.h5/zarr.json").body
    assert ask(f"{url}/files/run.h5").body == (tmp_path / "run.h5").read_bytes()


def test_a_new_modification_time_is_a_new_version(tmp_path: Path, serve: Serve) -> None:
    write_run(tmp_path / "run.h5")
    url = f"{serve(tmp_path)}/zarr/run.h5/image/c/0/0"
    before = ask(url)
    os.utime(tmp_path / "run.h5", ns=(0, (tmp_path / "run.h5").stat().st_mtime_ns + 1_000_000_000))
    after = ask(url, If_None_Match=before.headers["etag"])
    assert (after.status, after.body) == (200, before.body)
    assert after.headers["etag"] != before.headers["etag"]


def test_replicas_over_copies_of_a_folder_give_the_same_tags(tmp_path: Path, serve: Serve) -> None:
    write_folder(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True, ignore=shutil.ignore_patterns("pipe.h5"))
    one, two = serve(tmp_path / "one"), serve(tmp_path / "two", cache_dir=tmp_path / "its-own-cache")
    for path in TAGGED:
        if path.startswith("/refs"):
            continue  # holds the URL of the server
        assert ask(one + path).headers["etag"] == ask(two + path).headers["etag"], path
        assert ask(one + path).body == ask(two + path).body, path


def test_a_growing_file_is_tagged_by_content(tmp_path: Path, serve: Serve) -> None:
    with h5py.File(tmp_path / "live.h5", "w") as file:
        file.create_dataset("x", data=np.arange(100_000, dtype="i4"), chunks=(50_000,), compression="gzip")
    url = f"{serve(tmp_path, settle=3600)}/zarr/live.h5/x/c/1"  # written a moment ago: taken for growing
    first = ask(url)
    assert first.status == 200
    assert ask(url, If_None_Match=first.headers["etag"]).status == 304
    with h5py.File(tmp_path / "live.h5", "r+") as file:
        file["x"][:50_000] = 5
    assert ask(url, If_None_Match=first.headers["etag"]).status == 304  # another chunk changed
    with h5py.File(tmp_path / "live.h5", "r+") as file:
        file["x"][50_000:] = 5
    changed = ask(url, If_None_Match=first.headers["etag"])
    assert changed.status == 200
    assert changed.body != first.body
