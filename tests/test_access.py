"""Every route of the application under access rules: what may not be seen is answered as what does not exist."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chunkserve.app import build
from chunkserve.faces.guard import ACTIONS, PAGES
from chunkserve.identity.keys import KeyStore
from chunkserve.settings import load
from tests.access.archives import SECRET, write
from tests.conftest import Server
from tests.faces.conftest import Reply, ask

RULES = """
[access]
database = "{database}"
audit = "{audit}"
[[access.rule]]
path = "open/**"
level = "anonymous"
[[access.rule]]
path = "p42/**"
groups = ["p42"]
"""

# what to ask each face for: {} is a file with the dataset entry/data
ROUTES: dict[str, list[str]] = {
    "zarr": [
        "/zarr/{}/",
        "/zarr/{}",
        "/zarr/{}/zarr.json",
        "/zarr/{}/entry/data/zarr.json",
        "/zarr/{}/entry/data/c/0/0",
        "/zarr/{}/entry",
        "/zarr;v=1/{}/entry/data/c/0/0",
    ],
    "zarr2": [
        "/zarr2/{}/",
        "/zarr2/{}/.zmetadata",
        "/zarr2/{}/.zgroup",
        "/zarr2/{}/entry/data/.zarray",
        "/zarr2/{}/entry/data/.zattrs",
        "/zarr2/{}/entry/data/0.0",
    ],
    "ome": [
        "/ome/{}/entry/data/zarr.json",
        "/ome/{}/entry/data/0/c/0/0",
        "/ome/{}/entry/data/1/c/0/0",
        "/ome;preview=1/{}/entry/data/1/c/0/0",
    ],
    "ome2": ["/ome2/{}/entry/data/.zattrs", "/ome2/{}/entry/data/0/.zarray", "/ome2/{}/entry/data/0/0/0"],
    "tiles": ["/tiles/{}/entry/data/0/0/0.png", "/tiles/{}/entry/data/xyz/0/0/0.png", "/tiles/{}/entry/data/info.json"],
    "dzi": ["/dzi/{}/entry/data.dzi", "/dzi/{}/entry/data_files/8/0_0.png"],
    "meta": ["/meta/{}", "/meta/{}/entry/data", "/meta/{}?depth=all&format=json"],
    "reduce": ["/reduce/{}/entry/data?op=mean"],
    "slice": [
        "/slice/{}/entry/data",
        "/slice/{}/entry/data?sel=0:2,0:2&format=npy",
        "/slice/{}/entry/data?sel=0:4,5&format=json",
    ],
    "line": ["/line/{}/entry/data?axis=0"],
    "api": ["/api/files/{}"],
    "geometry": ["/geometry/{}/entry/data"],
    "stats": ["/stats/{}/entry/data", "/stats/{}/entry/data?level=0"],
    "files": ["/files/{}"],
    "h5grove": [
        "/h5grove/meta/?file={}&path=/entry/data",
        "/h5grove/attr/?file={}&path=/entry/data",
        "/h5grove/data/?file={}&path=/entry/data",
        "/h5grove/stats/?file={}&path=/entry/data",
        "/h5grove/paths/?file={}&path=/",
    ],
    "refs": ["/refs/{}.json"],
}
ALL = [url for urls in ROUTES.values() for url in urls]
CHUNKS = [url for url in ALL if "/c/" in url or url.endswith(("/0.0", "/0/0"))]

VIEWER = {"", "view", "embed", "assets", "apps"}
"""The same pages whatever there is: what they show, they ask of the other routes."""

VIEWER_PAGES = ["/", "/view/{}/entry/data", "/embed/{}", "/assets/nothing.js"]

HIDDEN = ["p42/raw/secret.h5", "open/to_file.h5", "open/to_folder/secret.h5"]
ABSENT = ["p42/raw/nothing.h5", "open/nothing.h5", "open/to_nothing.h5", "nowhere/at/all.h5"]


@dataclass(frozen=True)
class Archive:
    """A server under access rules."""

    url: str
    member: dict[str, str]
    expired: dict[str, str]
    audit: Path

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        return ask(self.url + path, method, **headers)


@pytest.fixture(scope="module")
def guarded(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The archive, and somebody who may see all of it."""
    folder = tmp_path_factory.mktemp("state")
    keys = KeyStore(str(folder / "access.sqlite"))
    member, _ = keys.create("anna", frozenset({"p42"}), seconds=3600)
    expired, key = keys.create("anna", frozenset({"p42"}), seconds=3600)
    keys.revoke(key.name)
    keys.close()
    rules = folder / "rules.toml"
    rules.write_text(RULES.format(database=folder / "access.sqlite", audit=folder / "audit.jsonl"))
    server = Server((str(archive),), {"settle": 0, "workers": 1, "access": str(rules)})
    found = Archive(
        server.url, {"Authorization": f"Bearer {member}"}, {"Authorization": f"Bearer {expired}"},
        folder / "audit.jsonl",
    )  # fmt: skip
    try:
        yield found
    finally:
        complaints = server.stop()
        assert member not in complaints
        assert member not in found.audit.read_text()


def test_no_route_is_without_a_decision(archive: Path, tmp_path: Path) -> None:
    faces = build(load({"cache_dir": str(tmp_path / "cache")}), (str(archive),))
    try:
        names = {name.decode() for name in faces.faces}
        assert names == set(ROUTES) | VIEWER == {name.decode() for name in ACTIONS}
        assert {route.path for route in faces.others.routes} == PAGES  # type: ignore[attr-defined]
    finally:
        faces.crew.shutdown()
        faces.others.state.store.close()  # type: ignore[attr-defined]


def told(reply: Reply) -> tuple[int, dict[str, str], bytes]:
    """All of an answer, but when it was given."""
    return reply.status, {k: v for k, v in reply.headers.items() if k != "date"}, reply.body


@pytest.mark.parametrize("route", ALL)
def test_what_may_not_be_seen_is_answered_as_what_is_not_there(guarded: Archive, route: str) -> None:
    for file in HIDDEN:
        seen = guarded.ask(route.format(file), **guarded.member)
        assert seen.status in (200, 308, 410 if ";v=1" in route else 200), seen.body
    absent = {repr(told(guarded.ask(route.format(file)))) for file in ABSENT}
    hidden = {repr(told(guarded.ask(route.format(file)))) for file in HIDDEN}
    assert len(absent) == 1
    assert hidden == absent
    status = guarded.ask(route.format(HIDDEN[0])).status
    assert status == (410 if route in CHUNKS else 404)
    assert (
        told(guarded.ask(route.format(HIDDEN[0]), "HEAD"))[:2] == told(guarded.ask(route.format(ABSENT[0]), "HEAD"))[:2]
    )


@pytest.mark.parametrize("route", ALL)
def test_what_is_open_to_all_is_there_for_all(guarded: Archive, route: str) -> None:
    free = guarded.ask(route.format("open/free.h5"))
    assert free.status in (200, 308, 410 if ";v=1" in route else 200), free.body
    assert free.body == guarded.ask(route.format("open/free.h5"), **guarded.member).body


@pytest.mark.parametrize("route", [*ALL, *VIEWER_PAGES, *sorted(PAGES), "/elsewhere"])
def test_a_credential_that_is_not_good_is_refused_everywhere(guarded: Archive, route: str) -> None:
    shown = [guarded.expired, {"Authorization": "Bearer cs_00000000_nonsense"}, {"Authorization": "Basic YTpi"},
             {"Authorization": "Bearer a.b.c"}, {"Authorization": "Bearer"}]  # fmt: skip
    answers = {repr(told(guarded.ask(route.format("open/free.h5"), **headers))) for headers in shown}
    url = route.format("open/free.h5")
    answers.add(repr(told(guarded.ask(f"{url}{'&' if '?' in url else '?'}token=a.b.c"))))
    first, slash, rest = url[1:].partition("/")
    if "?" not in first:
        answers.add(repr(told(guarded.ask(f"/{first};token=a.b.c{slash}{rest}"))))
    assert len(answers) == 1
    reply = guarded.ask(url, **guarded.expired)
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert reply.headers["cache-control"] == "no-store"


def test_several_selections_in_a_body_are_no_way_round(guarded: Archive) -> None:
    body = b'{"selections": ["0:1,0:1"]}'
    kind = {"Content_Type": "application/json"}
    for file in (*HIDDEN, *ABSENT):
        assert ask(f"{guarded.url}/slice/{file}/entry/data", "POST", body, **kind).status == 404
    path = f"{guarded.url}/slice/{HIDDEN[0]}/entry/data"
    assert ask(path, "POST", body, **kind, **guarded.member).status == 200


LEADING_IN = ["to_virtual.h5/entry/data", "to_nested.h5/entry/data", "master.h5/entry/to_link",
              "master.h5/entry/to_symbolic", "master.h5/entry/to_external"]  # fmt: skip


@pytest.mark.parametrize("dataset", LEADING_IN)
@pytest.mark.parametrize(
    "route",
    [
        "/zarr/open/{}/zarr.json",
        "/zarr/open/{}/c/0/0",
        "/zarr2/open/{}/.zarray",
        "/zarr2/open/{}/0.0",
        "/ome/open/{}/zarr.json",
        "/ome/open/{}/0/c/0/0",
        "/tiles/open/{}/0/0/0.png",
        "/tiles/open/{}/info.json",
        "/dzi/open/{}.dzi",
        "/meta/open/{}",
        "/slice/open/{}",
        "/reduce/open/{}?op=max",
        "/stats/open/{}",
    ],
)
def test_an_open_file_does_not_lead_into_a_closed_one(guarded: Archive, dataset: str, route: str) -> None:
    file = dataset.split("/", maxsplit=1)[0]
    for _ in range(2):
        hidden = guarded.ask(route.format(dataset))
        absent = guarded.ask(route.format(f"{file}/entry/nothing"))
        assert told(hidden) == told(absent)
        assert hidden.status in (404, 410)
        guarded.ask(route.format(dataset), **guarded.member)


@pytest.mark.parametrize("dataset", [name for name in LEADING_IN if "link" not in name and "symbolic" not in name])
@pytest.mark.parametrize("what", ["meta", "attr", "data", "stats"])
def test_h5grove_does_not_lead_into_a_closed_file(guarded: Archive, dataset: str, what: str) -> None:
    file, _, inside = dataset.partition("/")
    url = f"/h5grove/{what}/?file=open/{file}&path=/"
    absent = inside[:-1] + "_"  # the answer has the name in it
    for _ in range(2):
        hidden, nothing = told(guarded.ask(url + inside)), told(guarded.ask(url + absent))
        assert hidden[:2] == nothing[:2]
        assert hidden[2].replace(inside.encode(), absent.encode()) == nothing[2]
        assert guarded.ask(url + inside, **guarded.member).status == 200
    for listing in (f"/h5grove/meta/?file=open/{file}&path=/entry", f"/h5grove/paths/?file=open/{file}&path=/"):
        name = inside.partition("/")[2].encode()
        assert b'"' + name + b'"' in guarded.ask(listing, **guarded.member).body.replace(b"/entry/", b"")
        assert b'"' + name + b'"' not in guarded.ask(listing).body.replace(b"/entry/", b"")


@pytest.mark.parametrize("what", ["meta", "data"])
def test_to_h5grove_a_link_into_a_closed_file_is_a_broken_one(guarded: Archive, what: str) -> None:
    url = f"/h5grove/{what}/?file=open/master.h5&path=/entry/"
    hidden, absent = (guarded.ask(url + name) for name in ("to_link", "to_absent"))
    assert hidden.status == absent.status
    plain = hidden.body.replace(b"to_link", b"to_absent").replace(b"secret.h5", b"nothing.h5")
    assert plain == absent.body


def test_listings_name_only_what_may_be_seen(guarded: Archive) -> None:
    page = guarded.ask("/zarr/").body
    assert b"open/" in page
    assert b"p42" not in page
    assert b"p42" in guarded.ask("/zarr/", **guarded.member).body
    for path in ("p42", "p42/raw", "open/to_folder", "nowhere"):
        assert told(guarded.ask(f"/api/files/{path}")) == told(guarded.ask("/api/files/nothing"))
        assert guarded.ask(f"/zarr/{path}/").status == 404
    names = [entry["name"] for entry in json.loads(guarded.ask("/api/files/open").body)["entries"]]
    assert "free.h5" in names
    assert not {"to_file.h5", "to_folder"} & set(names)
    assert b"p42" not in guarded.ask("/api/files").body
    shown = guarded.ask("/zarr/open/").body
    assert b"free.h5" in shown
    assert b"to_file" not in shown
    assert b"to_folder" not in shown
    meta = guarded.ask("/meta/open/master.h5?depth=all&format=json").body
    assert b"to_external" not in meta
    assert b"to_external" in guarded.ask("/meta/open/master.h5?depth=all&format=json", **guarded.member).body
    assert b"to_external" not in guarded.ask("/refs/open/master.h5.json").body


def test_answers_to_somebody_are_nobody_elses_in_caches(guarded: Archive) -> None:
    for route in ALL:
        for headers in ({}, guarded.member):
            reply = guarded.ask(route.format("open/free.h5"), **headers)
            assert "Authorization" in reply.headers["vary"], route
            kept = reply.headers.get("cache-control", "no-store")
            if headers and reply.status == 200:
                assert kept in ("private, no-cache", "no-store"), (route, kept)
    url = "/zarr/open/free.h5/entry/data/c/0/0"
    version = guarded.ask("/zarr/open/free.h5/zarr.json").headers["x-chunkserve-version"]
    pinned = url.replace("/zarr/", f"/zarr;v={version}/")
    assert guarded.ask(pinned).headers["cache-control"] == "public, max-age=3600"
    assert guarded.ask(pinned, **guarded.member).headers["cache-control"] == "private, no-cache"


def test_a_validator_from_somebody_else_is_no_proof(guarded: Archive) -> None:
    url = "/zarr/p42/raw/secret.h5/entry/data/c/0/0"
    tag = guarded.ask(url, **guarded.member).headers["etag"]
    assert guarded.ask(url, If_None_Match=tag, **guarded.member).status == 304
    assert guarded.ask(url, If_None_Match=tag).status == 410
    assert guarded.ask(url, If_None_Match="*").status == 410


def test_tiles_drawn_for_one_are_not_shown_to_another(guarded: Archive) -> None:
    for url in ("/tiles/p42/raw/secret.h5/entry/data/0/0/0.png", "/dzi/open/to_file.h5/entry/data_files/8/0_0.png"):
        for _ in range(3):
            assert guarded.ask(url, **guarded.member).status == 200
            assert guarded.ask(url).status == 404


def test_the_log_of_who_read_what_says_so(guarded: Archive, wait_for: Callable[..., None]) -> None:

    guarded.ask("/files/p42/raw/secret.h5", **guarded.member)
    guarded.ask("/files/p42/raw/secret.h5")
    url = "/files/p42/raw/secret.h5"

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in guarded.audit.read_text().splitlines()]

    wait_for(lambda: {line["status"] for line in lines() if line["path"] == url} >= {200, 404})
    read = [line for line in lines() if line["path"] == url and line["status"] == 200][-1]
    assert (read["user"], read["action"]) == ("anna", "download")
    assert str(read["way"]).startswith("key ")
    assert isinstance(read["bytes"], int)
    assert read["bytes"] > 1000
    assert [line for line in lines() if line["path"] == url and line["status"] == 404][-1]["user"] == ""


def test_pages_tell_no_names(guarded: Archive) -> None:
    assert guarded.ask("/readyz").body == b'{"ready":true}'
    assert guarded.ask("/metrics").status == 404
    assert told(guarded.ask("/metrics"))[0] == told(guarded.ask("/elsewhere"))[0]
    assert guarded.ask("/metrics", **guarded.member).status == 200
    assert guarded.ask("/").status == 200


@pytest.mark.parametrize("page", VIEWER_PAGES)
def test_pages_of_the_viewer_are_the_same_whatever_is_there(guarded: Archive, page: str) -> None:
    found = {
        repr(told(guarded.ask(page.format(file))))
        for file in ("open/sub/free.h5", "p42/raw/secret.h5", "p42/raw/absent.h5")
    }
    assert len(found) == 1


def test_no_byte_of_a_closed_file_reaches_a_stranger(guarded: Archive) -> None:
    secret = SECRET.to_bytes(4, "little") * 4
    for route in ALL:
        for file in (*HIDDEN, "open/to_virtual.h5", "open/to_nested.h5", "open/master.h5"):
            assert secret not in guarded.ask(route.format(file)).body


def test_without_rules_the_server_says_that_it_is_open(archive: Path) -> None:

    command = [sys.executable, "-m", "chunkserve", "serve", str(archive), "--port=0", "--workers=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        process.terminate()
    assert "Access: open, no rules are configured" in said


def test_rules_that_are_not_understood_keep_the_server_from_starting(archive: Path, tmp_path: Path) -> None:

    rules = tmp_path / "rules.toml"
    rules.write_text('[access]\n[[access.rule]]\npath = "x"\nlevel = "everybody"\n')
    command = [sys.executable, "-m", "chunkserve", "serve", str(archive), "--port=0", f"--config={rules}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "everybody" in done.stderr
    assert str(rules) in done.stderr


def test_changed_rules_hold_at_once_and_broken_ones_change_nothing(
    archive: Path, tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    write(tmp_path / "data" / "a.h5", 1)
    rules = tmp_path / "rules.toml"
    head = f'[access]\ndatabase = "{tmp_path / "access.sqlite"}"\n'
    rules.write_text(head)
    server = Server((str(tmp_path / "data"),), {"settle": 0, "workers": 1, "access": str(rules)})
    try:
        url = f"{server.url}/zarr/a.h5/entry/data/c/0/0"
        assert ask(url).status == 410
        (tmp_path / "new.toml").write_text(head + '[[access.rule]]\npath = "**"\nlevel = "anonymous"\n')
        (tmp_path / "new.toml").replace(rules)
        wait_for(lambda: ask(url).status == 200)
        rules.write_text(head + '[[access.rule]]\npath = "**"\nlevel = "nobody"\n')
        wait_for(lambda: False, timeout=3.0, fails=False)
        assert ask(url).status == 200
        rules.write_text("")
        wait_for(lambda: False, timeout=3.0, fails=False)
        assert ask(url).status == 200
        rules.write_text(head)
        wait_for(lambda: ask(url).status == 410)
    finally:
        complaints = server.stop()
    assert "NOT changed" in complaints
    assert "nobody" in complaints
    assert "no [access] section" in complaints
