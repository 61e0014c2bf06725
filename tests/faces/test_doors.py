"""Doors at work: embargoes with a faked clock, share links, proxies, catalogues, the audit log."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.access.principal import ACTIONS, ANONYMOUS
from chunkserve.access.rulefile import RuleFile
from chunkserve.app import faces_over
from chunkserve.errors import BadRequest
from chunkserve.faces.audit import Audit
from chunkserve.faces.doors import Doors
from chunkserve.faces.guard import Guarded, guarded_faces, without_secrets
from chunkserve.faces.respond import Policy, Reply, Request, Responder
from chunkserve.identity.identify import Identity
from chunkserve.identity.keys import KeyStore
from chunkserve.identity.links import share
from chunkserve.settings import load
from chunkserve.sources.localfile import WouldBlock
from tests.access.archives import write
from tests.conftest import OpenStore, Server
from tests.faces.conftest import ask
from tests.identity.test_resolvers import SESSION, Service, icat_answer

DATE = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
CHUNK = "/zarr/p42/a.h5/entry/data/c/0/0"


class Clock:
    """A clock that is told what time it is."""

    now = DATE - 3600

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


OpenFaces = Callable[[str], dict[bytes, Guarded]]


@pytest.fixture
def open_faces(open_store: OpenStore, tmp_path: Path, clock: Clock) -> Iterator[OpenFaces]:
    """The faces over an archive, guarded by rules."""
    write(tmp_path / "data" / "p42" / "a.h5", 7)
    write(tmp_path / "data" / "open" / "a.h5", 7)
    with h5py.File(tmp_path / "data" / "open" / "master.h5", "w") as file:
        file["late"] = h5py.ExternalLink("../p42/a.h5", "/entry/data")
        file["small"] = np.arange(3)
    opened: list[Identity] = []

    def make(rules: str) -> dict[bytes, Guarded]:
        path = tmp_path / "rules.toml"
        path.write_text(f'[access]\ndatabase = "{tmp_path / "keys.sqlite"}"\n{rules}')
        store = open_store(tmp_path / "data")
        respond = Responder(Policy(b"no-cache", b"public, max-age=31536000, immutable", frozenset({b"*"})), 2**20)
        file = RuleFile(str(path))
        opened.append(Identity(file.current.options, str(tmp_path)))
        doors = Doors(store, lambda seen: faces_over(seen, respond, load({}), None), file, opened[-1], clock=clock)
        return guarded_faces(doors_faces(store, respond), doors, respond)  # type: ignore[return-value]

    def doors_faces(store: object, respond: Responder) -> list[bytes]:
        return list(faces_over(store, respond, load({}), None))  # type: ignore[arg-type]

    yield make
    for identity in opened:
        identity.close()


def reply_of(faces: dict[bytes, Guarded], path: str, token: str = "") -> Reply:
    """What a server would answer: at once if it can."""
    headers = {b"authorization": f"Bearer {token}".encode()} if token else {}
    url, _, query = path.partition("?")
    request = Request(url.encode(), query.encode(), headers)
    face = faces[url.split("/")[1].split(";")[0].encode()]
    try:
        try:
            return face(request, wait=False)
        except WouldBlock:
            return face(request, wait=True)
    except Exception as error:  # noqa: BLE001 - as a server does
        return face.error(request, error)


EMBARGO = """
[[access.rule]]
path = "open/**"
level = "anonymous"
[[access.rule]]
path = "p42/**"
groups = ["p42"]
embargo_until = 2027-01-01T00:00:00Z
"""


def test_an_embargo_opens_by_itself_and_to_the_second(open_faces: OpenFaces, clock: Clock) -> None:
    faces = open_faces(EMBARGO)
    late = [
        CHUNK,
        "/zarr/open/master.h5/late/c/0/0",
        "/files/p42/a.h5",
        "/zarr/p42/",
        "/tiles/p42/a.h5/entry/data/0/0/0.png",
    ]
    for now, open_ in ((DATE - 3600, False), (DATE - 0.001, False), (DATE, True), (DATE + 1e6, True)):
        clock.now = now
        for path in late:
            for _ in range(2):
                assert (reply_of(faces, path).status == 200) is open_, (now, path)
        listed = bytes(reply_of(faces, "/zarr/").blob.read())
        assert (b"p42" in listed) is open_
        group = json.loads(bytes(reply_of(faces, "/zarr/open/master.h5/zarr.json").blob.read()))
        assert ("late" in group["consolidated_metadata"]["metadata"]) is open_


def test_a_clock_that_is_turned_back_closes_again(open_faces: OpenFaces, clock: Clock) -> None:
    faces = open_faces(EMBARGO)
    clock.now = DATE
    assert reply_of(faces, CHUNK).status == 200
    clock.now = DATE - 10
    assert reply_of(faces, CHUNK).status == 410


def test_members_do_not_wait_for_the_end_of_an_embargo(open_faces: OpenFaces, clock: Clock, tmp_path: Path) -> None:
    faces = open_faces(EMBARGO)
    keys = KeyStore(str(tmp_path / "keys.sqlite"))
    member, _ = keys.create("anna", frozenset({"p42"}), seconds=3600)
    other, _ = keys.create("boris", frozenset({"p43"}), seconds=3600)
    keys.close()
    clock.now = time.time()
    if clock.now < DATE:
        assert reply_of(faces, CHUNK, other).status == 410
    assert reply_of(faces, CHUNK, member).status == 200
    clock.now = time.time() + 7200  # the key has ended
    assert reply_of(faces, CHUNK, member).status == 401


def test_caches_keep_nothing_beyond_the_next_date(open_faces: OpenFaces, clock: Clock) -> None:
    faces = open_faces(EMBARGO)
    clock.now = DATE - 100
    head = dict(reply_of(faces, "/zarr/open/a.h5/zarr.json").head)
    pinned = f"/zarr;v={head[b'x-chunkserve-version'].decode()}/open/a.h5/entry/data/c/0/0"
    assert dict(reply_of(faces, pinned).head)[b"cache-control"] == b"public, max-age=100"
    clock.now = DATE - 0.5
    assert dict(reply_of(faces, pinned).head)[b"cache-control"] == b"public, max-age=0"
    clock.now = DATE + 1
    assert dict(reply_of(faces, pinned).head)[b"cache-control"] == b"public, max-age=3600"


def test_actions_are_decided_apart(open_faces: OpenFaces) -> None:
    faces = open_faces('[[access.rule]]\npath = "**"\nlevel = "anonymous"\nactions = ["metadata"]\n')
    for path, status in (
        ("/zarr/p42/a.h5/entry/data/zarr.json", 200), ("/zarr/p42/", 200), ("/meta/p42/a.h5", 200),
        ("/h5grove/meta/?file=p42/a.h5&path=/", 200), (CHUNK, 410), ("/files/p42/a.h5", 404),
        ("/slice/p42/a.h5/entry/data", 404), ("/h5grove/data/?file=p42/a.h5&path=/entry/data", 404),
        ("/tiles/p42/a.h5/entry/data/info.json", 404), ("/stats/p42/a.h5/entry/data", 404),
    ):  # fmt: skip
        assert reply_of(faces, path).status == status, path


def test_who_is_treated_alike_shares_a_view(open_faces: OpenFaces, clock: Clock, tmp_path: Path) -> None:
    faces = open_faces(EMBARGO)
    clock.now = time.time()
    keys = KeyStore(str(tmp_path / "keys.sqlite"))
    tokens = [keys.create(f"user{i}", frozenset({"p42"}), seconds=3600)[0] for i in range(5)]
    keys.close()
    doors = faces[b"zarr"]._doors
    for token in tokens:
        reply_of(faces, CHUNK, token)
    assert len(doors._views._items) == 1
    reply_of(faces, CHUNK)
    assert len(doors._views._items) == 2


def test_many_ask_at_once_and_each_sees_their_own(open_faces: OpenFaces, clock: Clock, tmp_path: Path) -> None:
    faces = open_faces(EMBARGO)
    clock.now = time.time()
    keys = KeyStore(str(tmp_path / "keys.sqlite"))
    member, _ = keys.create("anna", frozenset({"p42"}), seconds=3600)
    keys.close()
    paths = [
        CHUNK,
        "/tiles/p42/a.h5/entry/data/0/0/0.png",
        "/zarr/p42/a.h5/zarr.json",
        "/ome/p42/a.h5/entry/data/1/c/0/0",
    ]

    def one(i: int) -> tuple[bool, int]:
        mine = bool(i % 2)
        return mine, reply_of(faces, paths[i // 2 % len(paths)], member if mine else "").status

    with ThreadPoolExecutor(8) as pool:
        for mine, status in pool.map(one, range(200)):
            assert (status == 200) is mine


# ------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    ("url", "clean", "token"),
    [
        ("/zarr/a?token=x", "/zarr/a?", "x"),
        ("/zarr/a?b=1&token=x&c=2", "/zarr/a?b=1&c=2", "x"),
        ("/zarr;token=x/a", "/zarr/a?", "x"),
        ("/zarr;v=1;token=x;p=2/a", "/zarr;v=1;p=2/a?", "x"),
        ("/zarr;token=x/a?token=x", "/zarr/a?", "x"),
        ("/zarr;token=x/a?token=y", "/zarr/a?", "several"),
        ("/zarr/a;token=x", "/zarr/a;token=x?", None),  # a file may be called so
        ("/zarr/a?nottoken=x", "/zarr/a?nottoken=x", None),
        ("/zarr;token=a%2Eb/a", "/zarr/a?", "a.b"),
    ],
)
def test_credentials_are_taken_out_of_urls(url: str, clean: str, token: str | None) -> None:
    path, _, query = url.partition("?")
    request, found = without_secrets(Request(path.encode(), query.encode(), {}))
    assert f"{request.path.decode()}?{request.query.decode()}" == (clean if "?" in clean else f"{clean}?")
    assert found.get(b"token") == token
    assert "=x" not in Request(path.encode(), b"", {}).shown or token is None


def test_a_link_opens_what_it_names_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    keys = KeyStore(str(tmp_path / "keys.sqlite"))
    token = share(keys, ("p42/raw/**",), frozenset({"data", "metadata"}), 3600)
    everything = share(keys, ("**",), ACTIONS, 3600)
    keys.close()
    (tmp_path / "rules.toml").write_text(
        f'[access]\ndatabase = "{tmp_path / "keys.sqlite"}"\naudit = "{tmp_path / "log"}"\n'
    )
    server = Server((str(archive),), {"settle": 0, "workers": 1, "access": str(tmp_path / "rules.toml")})
    try:
        path = "p42/raw/secret.h5/entry/data"
        for url in (f"/zarr/{path}/c/0/0?token={token}", f"/zarr;token={token}/{path}/c/0/0",
                    f"/slice/{path}?sel=0,0&token={token}", f"/zarr;token={token}/p42/raw/",
                    f"/h5grove/meta/?file=p42/raw/secret.h5&path=/&token={token}"):  # fmt: skip
            reply = ask(server.url + url)
            assert reply.status == 200, url
            assert reply.headers["cache-control"] in ("private, no-cache", "no-store")
        for url in (f"/files/p42/raw/secret.h5?token={token}", f"/zarr;token={token}/open/free.h5/zarr.json"):
            assert ask(server.url + url).status == 404
        assert ask(f"{server.url}/zarr/{path}/c/0/0").status == 410
        assert ask(f"{server.url}/zarr;token={everything}/open/to_virtual.h5/entry/data/c/0/0/0").status == 200
        assert ask(f"{server.url}/zarr;token={token}x/{path}/c/0/0").status == 401
        moved = ask(f"{server.url}/zarr/p42/raw?token={token}")
        assert moved.status == 308
        assert moved.headers["location"] == f"./raw/?token={token}"
    finally:
        said = server.stop() + (tmp_path / "log").read_text()
    assert token not in said
    assert token.rsplit(".", 1)[-1] not in said
    assert "link " in said


def test_the_word_of_a_trusted_proxy_is_taken(archive: Path, tmp_path: Path) -> None:
    head = f'[access]\ndatabase = "{tmp_path / "keys.sqlite"}"\n'
    rule = '[[access.rule]]\npath = "p42/**"\ngroups = ["p42"]\n'
    url = "/zarr/p42/raw/secret.h5/entry/data/c/0/0"
    told = {"X_Forwarded_User": "anna", "X_Forwarded_Groups": "p42,staff"}
    for proxies, status in (('proxies = ["127.0.0.1"]\n', 200), ('proxies = ["10.0.0.0/8"]\n', 410), ("", 410)):
        (tmp_path / "rules.toml").write_text(head + proxies + rule)
        server = Server((str(archive),), {"settle": 0, "workers": 1, "access": str(tmp_path / "rules.toml")})
        try:
            reply = ask(server.url + url, **told)
            assert reply.status == status
            assert ask(server.url + url).status == 410
            assert ("X-Forwarded-User" in reply.headers["vary"]) is bool(proxies)
        finally:
            server.stop()


def test_a_catalogue_opens_files_by_its_own_names(tmp_path: Path) -> None:
    write(tmp_path / "data" / "p42" / "raw" / "a.h5", 7)
    write(tmp_path / "data" / "p44" / "raw" / "a.h5", 7)
    icat = Service(icat_answer)
    (tmp_path / "rules.toml").write_text(
        f"""
[access]
database = "{tmp_path / "keys.sqlite"}"
audit = "{tmp_path / "log"}"
[[access.rule]]
path = "**"
resolver = "icat"
[[access.resolver]]
name = "icat"
kind = "icat"
url = "{icat.url}"
options = {{ prefix = "/data/visitor", anonymous = "anon" }}
"""
    )
    server = Server((str(tmp_path / "data"),), {"settle": 0, "workers": 1, "access": str(tmp_path / "rules.toml")})
    try:
        for url in ("/zarr;sessionId={}/p42/raw/a.h5/entry/data/c/0/0", "/zarr;sessionId={}/@icat:1/entry/data/c/0/0",
                    "/h5grove/meta/?file=@icat:1&path=/entry&sessionId={}", "/files/@icat:1?sessionId={}",
                    "/tiles/@icat:1/entry/data/0/0/0.png?sessionId={}"):  # fmt: skip
            for _ in range(2):
                assert ask(server.url + url.format(SESSION)).status == 200, url
            assert ask(server.url + url.format("6f1b3f0e-0000")).status == 401
            without = url.replace(";sessionId={}", "").replace("?sessionId={}", "").replace("&sessionId={}", "")
            assert ask(server.url + without).status in (404, 410)
        icat.fails = True
        assert ask(f"{server.url}/zarr/p44/raw/a.h5/zarr.json").status == 503
    finally:
        said = server.stop() + (tmp_path / "log").read_text()
        icat.close()
    assert SESSION not in said
    assert '"user": "anna"' in said


# ------------------------------------------------------------------------- audit


def test_the_audit_log_is_rotated_and_no_line_is_torn(tmp_path: Path) -> None:
    path = str(tmp_path / "audit.jsonl")
    logs = [Audit(path, 20_000, 3) for _ in range(4)]

    def fill(log: Audit) -> None:
        for i in range(50):
            for _ in range(10):
                log.record(Request(b"/zarr/" + b"x" * 50, b"", {}), ANONYMOUS, "data", Reply(200, []))
            if i % 5 == 0:
                log.flush()
        log.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, logs))
    files = sorted(file for file in tmp_path.iterdir() if file.suffix != ".lock")
    assert [file.name for file in files] == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"]
    for file in files:
        assert file.stat().st_size <= 20_000
        assert file.stat().st_mode & 0o077 == 0
        for line in file.read_text().splitlines():
            assert json.loads(line)["status"] == 200


def test_an_audit_log_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="audit log"):
        Audit(str(tmp_path / "nowhere" / "log"), 4096, 1)
