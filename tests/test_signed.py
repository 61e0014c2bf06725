"""Signed URLs: downloads for those who are logged in, good for one URL and some minutes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import h5py
import pytest

from chunkserve.errors import Unauthenticated
from chunkserve.identity import seals
from chunkserve.identity.identify import Credentials
from chunkserve.identity.keys import KeyStore
from tests.conftest import Server
from tests.faces.conftest import Reply, ask
from tests.test_access import RULES

FILE = "p42/raw/secret.h5"


class Lab:
    """A server under access rules, and a key."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyStore(str(folder / "access.sqlite"))
        self.text, self.key = self.keys.create("anna", frozenset({"p42"}), seconds=3600)
        rules = folder / "rules.toml"
        rules.write_text(RULES.format(database=folder / "access.sqlite", audit=folder / "audit.jsonl"))
        self.server = Server((str(archive),), {"settle": 0, "workers": 1, "access": str(rules)})

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        return ask(f"{self.server.url}/{path}", method, **headers)

    def sign(self, url: str, text: str = "") -> str:
        reply = self.ask(f"api/sign?url={quote(url, safe='')}", Authorization=f"Bearer {text or self.text}")
        assert reply.status == 200, reply.body
        assert reply.headers["cache-control"] == "no-store"
        found = json.loads(reply.body)
        assert time.time() < found["expires"] <= time.time() + seals.GOOD_FOR
        return str(found["url"])


@pytest.fixture(scope="module")
def lab(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    found = Lab(archive, tmp_path_factory.mktemp("signed"))
    yield found
    complaints = found.server.stop()
    found.keys.close()
    assert found.text not in complaints


@pytest.mark.parametrize(
    "url",
    [
        f"files/{FILE}",
        f"slice/{FILE}/entry/data?sel=0:2,0:3&format=npy&download=1",
        f"reduce/{FILE}/entry/data?op=sum&format=csv&download=1",
        f"h5grove/data/?file={quote(FILE, safe='')}&path=%2Fentry%2Fdata&format=csv",
    ],
)
def test_a_signed_url_gives_what_the_key_gives(lab: Lab, url: str) -> None:
    want = lab.ask(url, Authorization=f"Bearer {lab.text}")
    assert want.status == 200
    assert lab.ask(url).status in (404, 410)
    signed = lab.sign(url)
    assert lab.text not in unquote(signed)
    found = lab.ask(signed)
    assert (found.status, found.body) == (200, want.body)
    assert found.headers["cache-control"] == "private, no-cache"
    assert lab.ask(signed, Range="bytes=0-9").status in (200, 206)


def test_it_is_good_for_that_url_alone(lab: Lab) -> None:
    signed = lab.sign(f"slice/{FILE}/entry/data?sel=0:2&format=npy")
    seal = signed.split("signed=")[1]
    for other in (
        f"slice/{FILE}/entry/data?sel=0:3&format=npy&signed={seal}",
        f"slice/{FILE}/entry/data?signed={seal}",
        f"files/{FILE}?signed={seal}",
        f"slice/p42/free.h5/entry/data?sel=0:2&format=npy&signed={seal}",
        f"{signed[:-4]}AAAA",
    ):
        assert lab.ask(other).status in (401, 404), other
    assert lab.ask(signed, "POST").status != 200
    assert lab.ask(f"api/sign?url=x&signed={seal}").status == 401, "a seal signs nothing"


def test_who_may_not_see_something_may_not_by_a_signed_url(lab: Lab) -> None:
    other, _ = lab.keys.create("bob", frozenset(), seconds=3600)
    assert lab.ask(lab.sign(f"files/{FILE}", other)).status == 404


def test_it_ends_with_the_key(lab: Lab) -> None:
    text, key = lab.keys.create("carl", frozenset({"p42"}), seconds=3600)
    signed = lab.sign(f"files/{FILE}", text)
    lab.keys.revoke(key.name)
    # the worker remembers the key for some seconds, but not this URL
    assert lab.ask(signed).status == 401


def test_without_a_credential_there_is_nothing_to_sign(lab: Lab) -> None:
    found = json.loads(lab.ask("api/sign?url=files/open/a.h5").body)
    assert found == {"url": "files/open/a.h5", "expires": None}
    assert lab.ask("api/sign").status == 400
    assert lab.ask("api/sign?url=x", Authorization="Bearer cs_no_no").status == 401


def test_the_audit_log_names_the_user_and_not_the_seal(lab: Lab) -> None:
    signed = lab.sign(f"files/{FILE}")
    lab.ask(signed)
    for _ in range(50):
        lines = (lab.folder / "audit.jsonl").read_text()
        if "signed URL" in lines:
            break
        time.sleep(0.1)
    line = next(json.loads(line) for line in lines.splitlines() if "signed URL" in line)
    assert line["user"] == "anna"
    assert signed.split("signed=")[1] not in lines


def test_a_seal_ends(tmp_path: Path) -> None:
    keys = KeyStore(str(tmp_path / "k.sqlite"))
    shown = Credentials(authorization="Bearer cs_x")
    text, until = seals.seal(keys, shown, b"/a?", time.time() - seals.GOOD_FOR - 1)
    assert until < time.time()
    with pytest.raises(Unauthenticated) as told:
        seals.opened(keys, text, b"/a?")
    assert "ended" in told.value.reason
    text, _ = seals.seal(keys, shown, b"/a?", time.time())
    assert seals.opened(keys, text, b"/a?")[0] == shown
    other = KeyStore(str(tmp_path / "other.sqlite"))
    with pytest.raises(Unauthenticated):
        seals.opened(other, text, b"/a?")
    keys.close()
    other.close()


def test_an_open_server_does_not_mind_credentials(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [[1, 2], [3, 4]]
    server = Server((str(tmp_path),), {"settle": 0, "workers": 1})
    for url in ("slice/a.h5/x?format=npy", "tiles/a.h5/x/info.json?", "meta/a.h5?", "h5grove/meta/?file=a.h5&path=/"):
        assert ask(f"{server.url}/{url}&sessionId=1&token=2").status == 200, url
    assert server.stop() == ""
