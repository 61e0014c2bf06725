"""The viewer's pages work below any path, say what they may load, and their parts are kept for good."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chunkserve.app import build
from chunkserve.faces.asgi import Faces
from chunkserve.faces.respond import Reply, Request
from chunkserve.faces.viewer import BUILD, ViewerFace
from chunkserve.settings import load

PAGE = '<!doctype html><base href="./" /><script type="module" src="./assets/a-1.js"></script>'
SCRIPT = b"console.log(1);" * 100


@pytest.fixture
def faces(tmp_path: Path) -> Iterator[Faces]:
    """All faces over an empty folder."""
    found = build(load({"cache_dir": str(tmp_path / "cache")}), (str(tmp_path),))
    yield found
    found.others.state.store.close()


@pytest.fixture
def viewer(tmp_path: Path, faces: Faces) -> ViewerFace:
    """A viewer with one page and one script."""
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "assets" / "a-1.js").write_bytes(SCRIPT)
    (folder / "assets" / "a-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "secret").write_text("not an asset")
    return ViewerFace(faces.others.state.store, faces.respond, ("https://lab.example",), folder)


def get(face: ViewerFace, path: str, **headers: str) -> Reply:
    return face(
        Request(path.encode(), b"", {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}), wait=True
    )


def body(reply: Reply) -> bytes:
    return bytes(reply.blob.read())


@pytest.mark.parametrize(
    ("path", "base"),
    [("/", "./"), ("/view", "./"), ("/view/", "../"), ("/view/a.h5", "../"), ("/embed/a/b.h5/c%20d", "../../../")],
)
def test_every_page_leads_back_to_the_servers_root(viewer: ViewerFace, path: str, base: str) -> None:
    assert f'<base href="{base}" />'.encode() in body(get(viewer, path))


def test_only_embedded_pages_may_be_embedded_elsewhere(viewer: ViewerFace) -> None:
    policy = dict(get(viewer, "/view/a.h5").head)[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self';" in policy
    assert policy.endswith("frame-ancestors 'self'")
    embedded = dict(get(viewer, "/embed/a.h5").head)[b"content-security-policy"].decode()
    assert embedded.endswith("frame-ancestors https://lab.example")


def test_an_asset_comes_compressed_if_that_is_understood(viewer: ViewerFace) -> None:
    reply = get(viewer, "/assets/a-1.js", accept_encoding="br, gzip")
    assert dict(reply.head)[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body(reply)) == SCRIPT
    assert b"immutable" in dict(reply.head)[b"cache-control"]
    plain = get(viewer, "/assets/a-1.js", accept_encoding="gzip;q=0")
    assert b"content-encoding" not in dict(plain.head)
    assert body(plain) == SCRIPT
    assert dict(plain.head)[b"content-type"] == b"text/javascript"


def test_a_page_that_is_known_is_not_sent_again(viewer: ViewerFace) -> None:
    tag = dict(get(viewer, "/").head)[b"etag"].decode()
    assert get(viewer, "/", if_none_match=tag).status == 304


def test_nothing_but_assets_is_an_asset(faces: Faces) -> None:
    for path in (b"/assets/../secret", b"/assets/%2e%2e", b"/assets/..%2fsecret", b"/assets/none.js", b"/assets/"):
        reply = faces.at_once(path, b"", {})
        assert reply is not None
        assert reply[0].status == 404


def test_where_it_is_not_built_the_front_page_says_so_and_lists_the_roots(tmp_path: Path, faces: Faces) -> None:
    viewer = ViewerFace(faces.others.state.store, faces.respond, (), tmp_path / "nothing")
    page = body(get(viewer, "/view/a/b.h5", host="lab:1")).decode()
    assert "npm run build" in page
    assert '<a href="../../zarr/">' in page
    assert "http://lab:1/zarr/FILE" in page
    quoted = body(get(viewer, "/", host='"><script>alert(1)</script>'))
    assert b"<script>" not in quoted


@pytest.mark.skipif(
    not (BUILD / "index.html").is_file(), reason="the viewer is not built (npm run build in clients/web)"
)
def test_the_built_page_refers_to_nothing_elsewhere() -> None:
    page = (BUILD / "index.html").read_text()
    assert '<base href="./"' in page
    for link in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert link.startswith("./"), link
    for path in (BUILD / "assets").glob("*.css"):
        assert not re.search(r"url\((?!['\"]?(?:data:|\./|#))", path.read_text()), path.name
