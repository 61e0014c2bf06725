"""What every face has in common: methods, headers, caching."""

import pytest

from tests.faces.conftest import Site, StartSite

PAGES = ["/", "/zarr/", "/zarr/sub/", "/zarr/run.h5/", "/zarr/run.h5/entry/", "/zarr2/run.h5/"]
DOCUMENTS = [
    "/zarr/run.h5/zarr.json",
    "/zarr/run.h5/image/zarr.json",
    "/zarr2/run.h5/.zgroup",
    "/zarr2/run.h5/.zattrs",
    "/zarr2/run.h5/.zmetadata",
    "/zarr2/run.h5/image/.zarray",
    "/zarr2/run.h5/image/.zattrs",
    "/refs/run.h5.json",
]
CHUNKS = [
    "/zarr/run.h5/image/c/0/1",
    "/zarr/run.h5/noise/c/0/0",
    "/zarr/run.h5/tiny/c/0",
    "/zarr/run.h5/line/c/2",
    "/zarr/run.h5/decoded/c/1/1",
    "/zarr/run.h5/sparse/c/2/0/0",
    "/zarr/run.h5/scalar/c",
    "/zarr/run.h5/text/c/0",
    "/zarr2/run.h5/image/0.1",
    "/zarr2/run.h5/scalar/0",
    "/zarr2/run.h5/sparse/0.0.0",  # a fill value that format 2 cannot say
]
FILES = ["/files/run.h5", "/files/notes.txt", "/files/sub/small.h5"]
FAILURES = [
    "/zarr/run.h5/nothing/zarr.json",
    "/zarr/run.h5/image/c/9/9",
    "/zarr/run.h5/sparse/c/0/0/0",
    "/zarr/notes.txt/zarr.json",
    "/zarr/strange.h5/strange/zarr.json",
    "/zarr/corrupt.h5/checksum/c/3/0/0",
    "/files/nothing.h5",
    "/refs/nothing.h5.json",
    "/nowhere",
    "/zarr/run.h5",  # a redirect
]
OPERATORS = ["/healthz", "/readyz"]


@pytest.mark.parametrize("path", PAGES + DOCUMENTS + CHUNKS + FILES + FAILURES + OPERATORS)
@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_head_gives_the_headers_of_get_without_the_body(site: Site, path: str, coding: str) -> None:
    headers = {"Accept_Encoding": coding} if coding else {}
    got, head = site.ask(path, **headers), site.ask(path, "HEAD", **headers)
    assert head.status == got.status
    assert head.body == b""
    got.headers.pop("date")
    head.headers.pop("date")
    assert head.headers == got.headers
    assert int(got.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize("path", ["/zarr/run.h5/image/c/0/0", "/zarr/run.h5/zarr.json", "/files/run.h5"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_nothing_can_be_written(site: Site, path: str, method: str) -> None:
    before = (site.folder / "run.h5").read_bytes()
    reply = site.ask(path, method, b"new content")
    assert reply.status == 405
    assert reply.headers["content-type"] == "application/problem+json"
    assert (site.folder / "run.h5").read_bytes() == before


@pytest.mark.parametrize("path", ["/zarr/run.h5/zarr.json", "/files/run.h5", "/", "/healthz"])
def test_a_refused_method_is_told_which_methods_there_are(site: Site, path: str) -> None:
    reply = site.ask(path, "DELETE")
    assert reply.status == 405
    assert {"GET", "HEAD"} <= {word.strip() for word in reply.headers.get("allow", "").split(",")}


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/zarr/", "text/html; charset=utf-8"),
        ("/zarr/run.h5/zarr.json", "application/json"),
        ("/zarr2/run.h5/.zmetadata", "application/json"),
        ("/zarr/run.h5/image/c/0/0", "application/octet-stream"),
        ("/files/run.h5", "application/x-hdf5"),
        ("/refs/run.h5.json", "application/json"),
        ("/zarr/run.h5/nothing/zarr.json", "application/problem+json"),
    ],
)
def test_answers_say_what_they_are(site: Site, path: str, media: str) -> None:
    assert site.ask(path).headers["content-type"] == media


@pytest.mark.parametrize("path", [*DOCUMENTS, *CHUNKS, *FILES])
def test_answers_may_be_kept_but_are_revalidated(site: Site, path: str) -> None:
    reply = site.ask(path)
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["etag"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/zarr/run.h5/nothing/zarr.json", "no-cache"),
        ("/zarr/run.h5/nothing/c/0", "no-cache"),
        ("/zarr/notes.txt/zarr.json", "no-store"),
        ("/zarr/strange.h5/strange/zarr.json", "no-store"),
        ("/zarr/corrupt.h5/checksum/c/3/0/0", "no-store"),
    ],
)
def test_failures_are_not_kept(site: Site, path: str, expected: str) -> None:
    assert site.ask(path).headers["cache-control"] == expected


def test_cache_control_is_a_setting_for_plain_and_for_pinned_urls(site: Site, start_site: StartSite) -> None:
    other = start_site(site.folder, cache_control="max-age=7", pinned_cache_control="max-age=99, immutable")
    document = other.ask("/zarr/run.h5/zarr.json")
    version = document.headers["x-chunkserve-version"]
    for key in ("zarr.json", "image/c/0/0", "scalar/c"):
        assert other.ask(f"/zarr/run.h5/{key}").headers["cache-control"] == "max-age=7"
        assert other.ask(f"/zarr;v={version}/run.h5/{key}").headers["cache-control"] == "max-age=99, immutable"
    assert other.ask("/files/run.h5").headers["cache-control"] == "max-age=7"


def test_a_query_and_unknown_parameters_change_nothing(site: Site) -> None:
    plain = site.ask("/zarr/run.h5/image/c/0/1")
    for path in ("/zarr/run.h5/image/c/0/1?x=1&y", "/zarr;unknown=1/run.h5/image/c/0/1"):
        other = site.ask(path)
        assert (other.status, other.body) == (200, plain.body)
        assert other.headers["etag"] == plain.headers["etag"]


def test_health_is_that_the_process_answers(site: Site) -> None:
    reply = site.ask("/healthz")
    assert (reply.status, reply.body) == (200, b"ok\n")


def test_ready_is_that_roots_and_readers_work(site: Site) -> None:
    reply = site.ask("/readyz")
    assert reply.status == 200
    assert b'"ready":true' in reply.body
    assert b"reader" in reply.body
