"""Byte ranges (RFC 9110, 14): what comes is the slice of the whole, or the whole, or 416."""

import json
import random

import pytest

from tests.faces.conftest import Reply, Site

TARGETS = [
    "/zarr/run.h5/image/c/0/1",  # re-headed
    "/zarr/run.h5/noise/c/0/0",  # a shard laid out from many stored chunks
    "/zarr/run.h5/tiny/c/0",  # merged
    "/zarr/run.h5/line/c/0",  # a run of contiguous data
    "/zarr/run.h5/line/c/2",  # the last one, with padding
    "/zarr/run.h5/decoded/c/1/1",
    "/zarr/run.h5/entry/data/image/c/0/0",  # stored plain
    "/zarr2/run.h5/sparse/0.0.0",  # a fill value written out
    "/zarr/run.h5/zarr.json",
    "/zarr2/run.h5/.zmetadata",
    "/refs/run.h5.json",
    "/files/run.h5",
    "/files/notes.txt",
]


@pytest.fixture(scope="module")
def wholes(site: Site) -> dict[str, Reply]:
    """The whole body of every target."""
    replies = {path: site.ask(path) for path in TARGETS}
    assert {reply.status for reply in replies.values()} == {200}
    return replies


@pytest.mark.parametrize("path", TARGETS)
@pytest.mark.parametrize(
    ("spelled", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=7-11", 7, 12),
        ("bytes=10-", 10, None),
        ("bytes=0-", 0, None),
        ("bytes=-1", -1, None),
        ("bytes=-20", -20, None),
        ("bytes=-99999999999999999999", 0, None),
        ("bytes=3-99999999999999999999", 3, None),
    ],
)
def test_a_single_range_is_the_slice_of_the_whole(
    site: Site, wholes: dict[str, Reply], path: str, spelled: str, start: int, stop: int | None
) -> None:
    whole = wholes[path]
    part = site.ask(path, Range=spelled)
    first, last, _ = slice(start, stop).indices(len(whole.body))
    assert part.status == 206
    assert part.body == whole.body[start:stop]
    assert part.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole.body)}"
    assert part.headers["content-length"] == str(len(part.body))
    assert part.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize("path", TARGETS)
def test_any_range_is_the_slice_of_the_whole(site: Site, wholes: dict[str, Reply], path: str) -> None:
    whole = wholes[path].body
    draw = random.Random(path)
    for _ in range(25):
        start = draw.randrange(len(whole))
        stop = draw.randrange(start, min(len(whole), start + draw.choice((1, 50, 5000, 10**7)))) + 1
        part = site.ask(path, Range=f"bytes={start}-{stop - 1}")
        assert (part.status, part.body) == (206, whole[start:stop]), (start, stop)


@pytest.mark.parametrize("path", TARGETS)
@pytest.mark.parametrize("beyond", ["bytes={size}-", "bytes={size}-{size}", "bytes=99999999999999999999-", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(
    site: Site, wholes: dict[str, Reply], path: str, beyond: str
) -> None:
    size = len(wholes[path].body)
    reply = site.ask(path, Range=beyond.format(size=size))
    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{size}"
    problem = json.loads(reply.body)
    assert problem["status"] == 416
    assert str(size) in problem["detail"]


@pytest.mark.parametrize("path", ["/zarr/run.h5/image/c/0/1", "/zarr/run.h5/zarr.json", "/files/run.h5"])
@pytest.mark.parametrize(
    ("name", "value"), [("content-type", "application/problem+json"), ("cache-control", "no-store")]
)
def test_a_refused_range_says_once_what_it_is(site: Site, path: str, name: str, value: str) -> None:
    reply = site.ask(path, Range="bytes=99999999-")
    assert reply.status == 416
    assert reply.headers[name] == value


@pytest.mark.parametrize("path", TARGETS)
@pytest.mark.parametrize(
    "spelled",
    [
        "bytes=5-2",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=1.5-3",
        "bytes=0x0-0x4",
        "bytes",
        "items=0-4",
        "0-4",
        "bytes=0-4, 10-14",
        "bytes=0-0,-1",
        "bytes=--5",
        "bytes=0-4;q=1",
        "bytes=\u0663-\u0665".encode().decode("latin-1"),
    ],
)
def test_a_range_that_is_malformed_or_several_ranges_are_ignored(
    site: Site, wholes: dict[str, Reply], path: str, spelled: str
) -> None:
    reply = site.ask(path, Range=spelled)
    assert (reply.status, reply.body) == (200, wholes[path].body)
    assert "content-range" not in reply.headers


@pytest.mark.parametrize("path", ["/zarr/run.h5/image/c/0/1", "/files/run.h5"])
@pytest.mark.parametrize("spelled", ["bytes=0-{}", "bytes={}-", "bytes=-{}"])
def test_a_range_of_thousands_of_digits_is_a_range(site: Site, path: str, spelled: str) -> None:
    reply = site.ask(path, Range=spelled.format("9" * 5000))
    assert reply.status in (200, 206, 416)


@pytest.mark.parametrize("path", ["/zarr/run.h5/zarr.json", "/zarr2/run.h5/.zmetadata", "/refs/run.h5.json"])
@pytest.mark.parametrize("coding", ["gzip", "zstd", "gzip, zstd"])
@pytest.mark.parametrize("spelled", ["bytes=0-9", "bytes=-9", "bytes=5-2", "bytes=0-1,3-4", "bytes=9999999-"])
def test_an_answer_to_a_range_is_never_compressed(
    site: Site, wholes: dict[str, Reply], path: str, coding: str, spelled: str
) -> None:
    reply = site.ask(path, Range=spelled, Accept_Encoding=coding)
    assert "content-encoding" not in reply.headers
    assert "Accept-Encoding" in reply.headers["vary"]
    assert reply.headers["etag"] == wholes[path].headers["etag"]
    if reply.status != 416:
        assert reply.body in wholes[path].body


@pytest.mark.parametrize("path", TARGETS)
def test_if_range_with_the_current_tag_gives_the_range(site: Site, wholes: dict[str, Reply], path: str) -> None:
    whole = wholes[path]
    part = site.ask(path, Range="bytes=2-5", If_Range=whole.headers["etag"])
    assert (part.status, part.body) == (206, whole.body[2:6])


@pytest.mark.parametrize("path", TARGETS)
@pytest.mark.parametrize("known", ['"other"', "W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT", '"unclosed'])
def test_if_range_with_anything_else_gives_the_whole(
    site: Site, wholes: dict[str, Reply], path: str, known: str
) -> None:
    whole = wholes[path]
    reply = site.ask(path, Range="bytes=2-5", If_Range=known.format(tag=whole.headers["etag"]))
    assert (reply.status, reply.body) == (200, whole.body)


@pytest.mark.parametrize("path", ["/zarr/run.h5/zarr.json", "/zarr2/run.h5/image/.zarray"])
def test_if_range_with_the_tag_of_a_compressed_document_gives_the_whole(site: Site, path: str) -> None:
    coded = site.ask(path, Accept_Encoding="gzip")
    assert coded.headers["content-encoding"] == "gzip"
    reply = site.ask(path, Range="bytes=2-5", If_Range=coded.headers["etag"], Accept_Encoding="gzip")
    assert reply.status == 200
    assert "content-encoding" not in reply.headers
    assert reply.body == site.ask(path).body


@pytest.mark.parametrize("path", ["/zarr/", "/zarr/run.h5/", "/healthz", "/zarr/run.h5/nothing/zarr.json"])
def test_what_has_no_ranges_ignores_them(site: Site, path: str) -> None:
    plain, ranged = site.ask(path), site.ask(path, Range="bytes=0-4")
    assert (ranged.status, ranged.body) == (plain.status, plain.body)
    assert "content-range" not in ranged.headers


def test_a_range_of_an_absent_chunk_is_still_absent(site: Site) -> None:
    for spelled in ("bytes=0-4", "bytes=-4", "bytes=99999-"):
        assert site.ask("/zarr/run.h5/sparse/c/0/0/0", Range=spelled).status == 404
