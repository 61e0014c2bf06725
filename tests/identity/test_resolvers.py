"""Resolvers against small real services: ICAT's and SciCat's REST interfaces, and the modes and lists of files."""

import grp
import json
import math
import os
import pwd
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from chunkserve.access.options import ResolverOptions, read_options
from chunkserve.access.principal import ANONYMOUS, Principal
from chunkserve.errors import BadRequest, NotFound, Unauthenticated
from chunkserve.identity.identify import Credentials, Identity
from chunkserve.identity.posix import READ, SEARCH, allows
from chunkserve.identity.resolvers import CatalogueFault, Resolvers

SESSION = "6f1b3f0e-9d7e-4a51-8a35-2d1f64e3a001"
TOKEN = "scicat.token.anna"


class Service:
    """A catalogue over HTTP; everything it was sent is kept."""

    def __init__(
        self, answer: Callable[["Service", str, str, dict[str, str], dict[str, str]], tuple[int, Any]]
    ) -> None:
        self.asked: list[str] = []
        self.fails = False
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply("GET", "")

            def do_POST(self) -> None:
                self._reply("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _reply(self, method: str, body: str) -> None:
                service.asked.append(f"{method} {self.path}")
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(body or parts.query).items()}
                status, found = answer(service, method, parts.path, query, dict(self.headers))
                data = json.dumps(found).encode()
                self.send_response(500 if service.fails else status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


Answering = Callable[[Service, str, str, dict[str, str], dict[str, str]], tuple[int, Any]]

FILES = {  # by identifier: location, release date, who may read
    1: ("/data/visitor/p42/raw/a.h5", "2090-01-01T00:00:00.000Z", {"anna"}),
    2: ("/data/visitor/p42/raw/it's.h5", "2020-01-01T00:00:00.000+01:00", {"anna", "anon"}),
    3: ("/data/visitor/p43/raw/a.h5", "whenever", {"anna", "anon"}),
    4: ("/data/visitor/p44/raw/a.h5", "2090-01-01T00:00:00.000Z", {"anna", "anon"}),
    5: ("/elsewhere/a.h5", "2020-01-01T00:00:00.000Z", {"anna", "anon"}),
}


def icat_answer(service: Service, method: str, path: str, query: dict[str, str], _: object) -> tuple[int, Any]:
    """As icat.server does: sessions, and a query that its rules apply to."""
    sessions = {SESSION: "anna", "anonymous-session": "anon"}
    if method == "POST" and path == "/api/session":
        assert json.loads(query["json"])["plugin"] == "anon"
        return 200, {"sessionId": "anonymous-session"}
    if path.startswith("/api/session/"):
        user = sessions.get(path.rsplit("/", 1)[-1])
        return (200, {"userName": user, "remainingMinutes": 60.0}) if user else (403, {"code": "SESSION"})
    user = sessions.get(query["sessionId"])
    if path != "/api/entityManager" or user is None:
        return 403, {"code": "SESSION"}
    found = re.fullmatch(
        r"SELECT f FROM Datafile f WHERE f\.(?:id = (\d+)|location = '((?:[^']|'')*)') "
        r"INCLUDE f\.dataset d, d\.investigation", query["query"],
    )  # fmt: skip
    assert found, query["query"]
    location = (found[2] or "").replace("''", "'")
    return 200, [
        {"Datafile": {"id": number, "location": where, "dataset": {"investigation": {"releaseDate": date}}}}
        for number, (where, date, readers) in FILES.items()
        if user in readers and (str(number) == found[1] or where == location)
    ]


DATASETS = [
    {"pid": pid, "sourceFolder": folder, "ownerGroup": owner, "accessGroups": access, "isPublished": published}
    for pid, folder, owner, access, published in (
        ("20.500/1", "/data/p42", "p42", [], False),
        ("20.500/2", "/data/p42/public/", "p42", [], True),
        ("20.500/3", "/data/p43", "p43", ["p42"], False),
        ("20.500/4", "/data/p44", "p44", ["x"], False),
    )
]


def scicat_answer(
    service: Service, _: str, path: str, query: dict[str, str], headers: dict[str, str]
) -> tuple[int, Any]:
    """As the backend of SciCat does; strangers see what is published."""
    shown = headers.get("Authorization", "")
    if shown and shown != f"Bearer {TOKEN}":
        return 401, {"message": "Unauthorized"}
    if path == "/api/users/my/identity":
        return 200, {"profile": {"username": "anna", "accessGroups": ["p42"]}}
    seen = [row for row in DATASETS if shown or row["isPublished"]]
    if path == "/api/datasets":
        folders = json.loads(query["filter"])["where"]["sourceFolder"]["inq"]
        return 200, [row for row in seen if row["sourceFolder"] in folders]
    found = [row for row in seen if row["pid"] == unquote(path.removeprefix("/api/datasets/"))]
    return (200, found[0]) if found else (404, {})


@pytest.fixture(scope="module")
def icat() -> Iterator[Service]:
    service = Service(icat_answer)
    yield service
    service.close()


@pytest.fixture(scope="module")
def scicat() -> Iterator[Service]:
    service = Service(scicat_answer)
    yield service
    service.close()


def icat_options(service: Service, **changes: Any) -> ResolverOptions:
    known = {"prefix": "/data/visitor", "anonymous": "anon"}
    return ResolverOptions(name="icat", kind="icat", url=service.url, options=known, **changes)


def scicat_options(service: Service, **changes: Any) -> ResolverOptions:
    return ResolverOptions(name="scicat", kind="scicat", url=service.url, options={"prefix": "/data"}, **changes)


# ------------------------------------------------------------------------- ICAT


@pytest.mark.parametrize(
    ("path", "anna", "anybody"),
    [
        ("p42/raw/a.h5", True, False),
        ("p42/raw/it's.h5", True, True),
        ("p43/raw/a.h5", True, False),  # a date that cannot be read never comes
        ("p44/raw/a.h5", True, False),  # a date in the future
        ("p45/raw/a.h5", False, False),
        ("p42/raw/x' OR f.id = 1 OR f.location = 'y", False, False),
    ],
)
def test_icat_decides_by_session_and_release_date(icat: Service, path: str, anna: bool, anybody: bool) -> None:
    resolvers = Resolvers((icat_options(icat),))
    who = resolvers.principal(SESSION)
    assert (who.user, str(who)) == ("anna", "anna")
    assert SESSION not in repr(who)
    assert who.expires == pytest.approx(time.time() + 3600, abs=60)
    parts = tuple(path.split("/"))
    assert resolvers.ask("icat", who, "data", parts).allowed is anna
    assert resolvers.ask("icat", ANONYMOUS, "data", parts).allowed is anybody


def test_icat_says_where_a_data_file_is(icat: Service) -> None:
    resolvers = Resolvers((icat_options(icat),))
    who = resolvers.principal(SESSION)
    assert resolvers.place("icat", "1", who) == ("p42", "raw", "a.h5")
    for unknown in ("9", "5", "x", "1 OR 1=1", "", "٣"):
        with pytest.raises(NotFound):
            resolvers.place("icat", unknown, who)
    with pytest.raises(NotFound):
        resolvers.place("icat", "1", ANONYMOUS)
    with pytest.raises(NotFound):
        resolvers.place("nobody", "1", who)


def test_a_session_that_ended_is_refused(icat: Service) -> None:
    resolvers = Resolvers((icat_options(icat),))
    for bad in ("6f1b3f0e-9d7e-4a51-8a35-000000000000", "../session", "a" * 200, "a b", ""):
        with pytest.raises(Unauthenticated):
            resolvers.principal(bad)


def test_answers_are_remembered_for_a_while(icat: Service) -> None:
    resolvers = Resolvers((icat_options(icat, remember=0.4),))
    who = resolvers.principal(SESSION)
    icat.asked.clear()
    for _ in range(5):
        resolvers.ask("icat", who, "data", ("p42", "raw", "a.h5"))
    assert len(icat.asked) == 1
    time.sleep(0.5)
    resolvers.ask("icat", who, "data", ("p42", "raw", "a.h5"))
    assert len(icat.asked) == 2


def test_a_catalogue_that_fails_says_neither_yes_nor_no_and_tells_no_secret(icat: Service) -> None:
    resolvers = Resolvers((icat_options(icat),))
    who = resolvers.principal(SESSION)
    icat.fails = True
    try:
        with pytest.raises(CatalogueFault) as caught:
            resolvers.ask("icat", who, "data", ("p42", "raw", "a.h5"))
    finally:
        icat.fails = False
    assert SESSION not in str(caught.value)
    gone = Resolvers((ResolverOptions(name="icat", kind="icat", url="http://127.0.0.1:9/icat", options={}),))
    with pytest.raises(CatalogueFault) as caught:
        gone.ask("icat", who, "data", ("p42", "raw", "a.h5"))
    assert SESSION not in str(caught.value)


# ----------------------------------------------------------------------- SciCat


@pytest.mark.parametrize(
    ("path", "anna", "anybody"),
    [
        ("p42/raw/a.h5", True, False),
        ("p42/public/a.h5", True, True),
        ("p42", True, False),
        ("p43/a.h5", True, False),
        ("p44/a.h5", False, False),
        ("p45/a.h5", False, False),
    ],
)
def test_scicat_decides_by_groups_and_publication(scicat: Service, path: str, anna: bool, anybody: bool) -> None:
    resolvers = Resolvers((scicat_options(scicat),))
    who = resolvers.principal(TOKEN)
    assert (who.user, who.groups) == ("anna", frozenset({"p42"}))
    parts = tuple(path.split("/"))
    assert resolvers.ask("scicat", who, "data", parts).allowed is anna
    assert resolvers.ask("scicat", ANONYMOUS, "data", parts).allowed is anybody


def test_scicat_says_where_a_dataset_is(scicat: Service) -> None:
    resolvers = Resolvers((scicat_options(scicat),))
    who = resolvers.principal(TOKEN)
    assert resolvers.place("scicat", "20.500/1", who) == ("p42",)
    for unknown in ("20.500/9", "../users", ""):
        with pytest.raises((NotFound, CatalogueFault)):
            resolvers.place("scicat", unknown, who)
    with pytest.raises(Unauthenticated):
        resolvers.principal("another.token.altogether")


# ------------------------------------------------------------------------ POSIX


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as the kernel keeps it (linux/posix_acl_xattr.h)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(
    ("mode", "user", "groups", "may"),
    [
        (0o400, "owner", (), True),
        (0o040, "owner", ("own",), False),  # the owner's bits hold for the owner, whatever the group's are
        (0o040, "other", ("own",), True),
        (0o004, "other", ("own",), False),
        (0o004, "other", (), True),
        (0o440, "other", (), False),
        (0o000, "owner", ("own",), False),
    ],
)
def test_modes_decide(tmp_path: Path, mode: int, user: str, groups: tuple[str, ...], may: bool) -> None:
    file = tmp_path / "a.h5"
    file.write_bytes(b"")
    file.chmod(mode)
    info = file.stat()
    number = info.st_uid if user == "owner" else info.st_uid + 1
    assert allows(str(file), number, frozenset({info.st_gid} if groups else {info.st_gid + 1}), READ) is may
    assert not allows(str(file), number, frozenset(), SEARCH)


def test_access_control_lists_decide(tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    file.write_bytes(b"")
    nobody = 2**32 - 1
    entries = acl(
        (1, 6, nobody), (2, 4, 4711), (2, 0, 4712), (4, 0, nobody), (8, 4, 815), (16, 4, nobody), (32, 0, nobody)
    )
    try:
        os.setxattr(file, "system.posix_acl_access", entries)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error}")
    none: frozenset[int] = frozenset()
    assert allows(str(file), 4711, none, READ)
    assert not allows(str(file), 4712, frozenset({815}), READ)
    assert allows(str(file), 4713, frozenset({815}), READ)
    assert not allows(str(file), 4713, none, READ)
    masked = acl((1, 6, nobody), (2, 4, 4711), (4, 4, nobody), (16, 0, nobody), (32, 0, nobody))
    os.setxattr(file, "system.posix_acl_access", masked)
    assert not allows(str(file), 4711, none, READ)


def test_posix_asks_every_folder_on_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "p42"
    folder.mkdir()
    (folder / "a.h5").write_bytes(b"")
    (folder / "a.h5").chmod(0o440)
    group = grp.getgrgid(folder.stat().st_gid).gr_name
    tmp_path.chmod(0o711)
    options = ResolverOptions(name="files", kind="posix", options={"root": str(tmp_path)}, remember=0)
    resolvers = Resolvers((options,))
    member = Principal("a-user-nobody-has", frozenset({group}))
    stranger = Principal("a-user-nobody-has", frozenset({"a-group-nobody-has"}))
    path = ("p42", "a.h5")
    folder.chmod(0o750)
    assert resolvers.ask("files", member, "data", path).allowed
    assert not resolvers.ask("files", stranger, "data", path).allowed
    assert not resolvers.ask("files", ANONYMOUS, "data", path).allowed
    folder.chmod(0o700)
    time.sleep(0.01)
    assert not resolvers.ask("files", member, "data", path).allowed
    assert not resolvers.ask("files", member, "data", ("p42", "nothing.h5")).allowed
    owner = pwd.getpwuid(folder.stat().st_uid).pw_name
    assert resolvers.ask("files", Principal(owner), "data", path).allowed


def test_files_open_to_all_may_be_shown_to_all(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"")
    (tmp_path / "a.h5").chmod(0o444)
    tmp_path.chmod(0o755)
    known = {"root": str(tmp_path), "others": "anonymous"}
    resolvers = Resolvers((ResolverOptions(name="files", kind="posix", options=known),))
    assert resolvers.ask("files", ANONYMOUS, "data", ("a.h5",)).allowed


# ---------------------------------------------------------------- in their place


def test_a_resolver_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(BadRequest, match="icat, posix, scicat"):
        Resolvers((ResolverOptions(name="x", kind="oracle"),))
    with pytest.raises(BadRequest, match="needs a url"):
        Resolvers((ResolverOptions(name="x", kind="icat"),))
    with pytest.raises(BadRequest, match="no option 'passwort'"):
        Resolvers((ResolverOptions(name="x", kind="icat", url="http://x", options={"passwort": "y"}),))
    with pytest.raises(BadRequest, match="no resolver 'y'"):
        read_options({"rule": [{"path": "**", "resolver": "y"}]}, "rules.toml")


def test_sessions_and_tokens_are_taken_from_requests(icat: Service, scicat: Service, tmp_path: Path) -> None:
    options = read_options(
        {
            "resolver": [
                {"name": "icat", "kind": "icat", "url": icat.url},
                {"name": "scicat", "kind": "scicat", "url": scicat.url},
            ]
        },
        "rules.toml",
    )
    identity = Identity(options, str(tmp_path))
    assert identity.principal(Credentials(session=SESSION)).way == "session of icat"
    assert identity.principal(Credentials(authorization=f"Bearer {TOKEN}")).way == "token of scicat"
    with pytest.raises(Unauthenticated):
        identity.principal(Credentials(session="nobody"))
    with pytest.raises(Unauthenticated):
        identity.principal(Credentials(authorization="Bearer x.y.z"))
    assert identity.remember == 60.0
    assert math.isinf(Identity(read_options({}, "x"), str(tmp_path)).remember)
    identity.close()
