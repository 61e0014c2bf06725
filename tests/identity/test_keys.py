"""API keys and share links."""

import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chunkserve import cli
from chunkserve.access.options import AccessOptions
from chunkserve.access.principal import ANONYMOUS
from chunkserve.errors import BadRequest, NotFound, Unauthenticated
from chunkserve.identity import keys as keys_module
from chunkserve.identity import links
from chunkserve.identity.identify import Credentials, Identity
from chunkserve.identity.keys import KeyStore
from chunkserve.identity.links import holder, revoke, share

ALL = frozenset({"metadata", "data", "download"})


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(str(tmp_path / "state" / "access.sqlite"))
    yield store
    store.close()


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    found = Identity(AccessOptions(proxies=("10.0.0.0/8", "127.0.0.1")), str(tmp_path / "state"))
    yield found
    found.close()


def test_a_key_speaks_for_its_user_within_its_scope(keys: KeyStore) -> None:
    text, key = keys.create(
        "anna", frozenset({"p42"}), seconds=60, actions=frozenset({"data"}), paths=("p42/**",), note="beamline"
    )
    found = keys.find(text)
    assert found == key
    who = found.principal
    assert (who.user, who.groups, str(who)) == ("anna", frozenset({"p42"}), "anna")
    assert who.scope.covers("data", ("p42", "x.h5"))
    assert not who.scope.covers("download", ("p42", "x.h5"))
    assert not who.scope.covers("data", ("p43", "x.h5"))
    assert who.expires == key.expires


def test_a_key_cannot_be_found_out_from_the_file(keys: KeyStore) -> None:
    text, key = keys.create("anna", seconds=60)
    with sqlite3.connect(keys.path) as database:
        dump = "\n".join(database.iterdump())
    database.close()
    assert key.name in dump
    assert text.rsplit("_", 1)[-1] not in dump
    assert text not in dump
    assert stat.S_IMODE(Path(keys.path).stat().st_mode) == 0o600


def test_a_key_ends_when_it_is_revoked_or_its_time_is_up(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    text, key = keys.create("anna", seconds=60)
    other, _ = keys.create("anna", seconds=60)
    keys.revoke(key.name)
    with pytest.raises(Unauthenticated):
        keys.find(text)
    assert keys.find(other)
    moment = key.created + 60
    monkeypatch.setattr(keys_module.time, "time", lambda: moment + 1)
    with pytest.raises(Unauthenticated):
        keys.find(other)


NEARLY: list[Callable[[str], str]] = [
    lambda text: text[:-1] + ("a" if text[-1] != "a" else "b"),
    lambda text: text[:-1],
    lambda text: text + "a",
    lambda _: "cs_",
    lambda _: "",
    lambda text: "cs_%_" + text[-43:],
]


@pytest.mark.parametrize("change", NEARLY)
def test_what_is_nearly_a_key_is_none(keys: KeyStore, change: Callable[[str], str]) -> None:
    text, _ = keys.create("anna", seconds=60)
    with pytest.raises(Unauthenticated):
        keys.find(change(text))


def test_a_key_that_would_be_good_for_nothing_is_not_made(keys: KeyStore) -> None:
    for bad in ({"user": ""}, {"seconds": 0.0}, {"actions": frozenset()}, {"actions": frozenset({"write"})},
                {"paths": ("../x",)}):  # fmt: skip
        with pytest.raises(BadRequest):
            keys.create(**({"user": "anna", "seconds": 60.0} | bad))
    assert keys.all() == []
    with pytest.raises(NotFound):
        keys.revoke("nobody")


def test_many_threads_and_processes_may_use_the_file(keys: KeyStore) -> None:
    other = KeyStore(keys.path)
    made: list[str] = []

    def make(store: KeyStore) -> None:
        made.extend(store.create("anna", seconds=60)[0] for _ in range(20))

    threads = [threading.Thread(target=make, args=(store,)) for store in (keys, other, keys, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(set(made)) == len(keys.all()) == 80
    assert all(other.find(text) for text in made)
    other.close()


# ------------------------------------------------------------------------- links


def test_whoever_holds_a_link_may_see_what_it_names(keys: KeyStore) -> None:
    token = share(keys, ("p42/**", "p43/a.h5"), frozenset({"data", "metadata"}), 60)
    who = holder(keys, token)
    assert who.grant is not None
    assert not who.is_authenticated
    assert who.grant.covers("data", ("p42", "deep", "x.h5"))
    assert who.grant.covers("data", ("p43", "a.h5"))
    assert not who.grant.covers("data", ("p43", "b.h5"))
    assert not who.grant.covers("download", ("p42", "x.h5"))
    revoke(keys, token)
    with pytest.raises(Unauthenticated):
        holder(keys, token)


def test_a_link_ends(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    token = share(keys, ("p42/**",), ALL, 60)
    monkeypatch.setattr(links._CLAIMS, "_now", lambda: int(time.time()) + 61)
    with pytest.raises(Unauthenticated):
        holder(keys, token)


def test_a_link_of_another_server_is_none(keys: KeyStore, tmp_path: Path) -> None:
    other = KeyStore(str(tmp_path / "other.sqlite"))
    token = share(other, ("p42/**",), ALL, 60)
    other.close()
    with pytest.raises(Unauthenticated):
        holder(keys, token)


def test_a_changed_link_is_none(keys: KeyStore) -> None:
    token = share(keys, ("p42/**",), ALL, 60)
    wider = share(keys, ("**",), ALL, 60)
    head, _, mark = token.split(".")
    for bad in (f"{head}.{wider.split('.')[1]}.{mark}", f"{head}..{mark}", f"{token}x", token[:-4], ""):
        with pytest.raises(Unauthenticated):
            holder(keys, bad)


# ---------------------------------------------------------------------- identity


def test_a_proxy_is_believed_and_nobody_else(identity: Identity) -> None:
    told = {"user": "anna", "groups": "p42, p43"}
    for peer in ("10.1.2.3", "127.0.0.1"):
        who = identity.principal(Credentials(**told, peer=peer))
        assert (who.user, who.groups, who.way) == ("anna", frozenset({"p42", "p43"}), "proxy")
    for peer in ("11.0.0.1", "", "::1", "10.0.0.1.example.org"):
        assert identity.principal(Credentials(**told, peer=peer)) == ANONYMOUS


def test_without_a_proxy_nobody_is_believed(tmp_path: Path) -> None:
    identity = Identity(AccessOptions(), str(tmp_path))
    assert identity.principal(Credentials(user="anna", peer="127.0.0.1")) == ANONYMOUS
    identity.close()


def test_a_link_adds_to_what_its_holder_may_see_anyway(identity: Identity) -> None:
    text, key = identity.keys.create("anna", frozenset({"p1"}), seconds=60)
    token = share(identity.keys, ("p42/**",), ALL, 600)
    who = identity.principal(Credentials(f"Bearer {text}", token))
    assert who.user == "anna"
    assert who.grant is not None
    assert who.expires == key.expires
    with pytest.raises(Unauthenticated):
        identity.principal(Credentials(f"Bearer {text}x", token))
    with pytest.raises(Unauthenticated):
        identity.principal(Credentials(f"Bearer {text}", token + "x"))


# -------------------------------------------------------------------- command line


def test_keys_are_made_listed_and_revoked_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(f'[access]\ndatabase = "{tmp_path / "keys.sqlite"}"\n')
    config = f"--config={rules}"
    assert cli.main(["keys", "create", "anna", "--groups=p42,p43", "--days=1", "--actions=data", config]) == 0
    text = capsys.readouterr().out.strip()
    store = KeyStore(str(tmp_path / "keys.sqlite"))
    key = store.find(text)
    assert (key.user, key.groups, key.actions) == ("anna", frozenset({"p42", "p43"}), frozenset({"data"}))
    assert cli.main(["keys", "list", config]) == 0
    listed = capsys.readouterr().out
    assert key.name in listed
    assert "anna" in listed
    assert text.rsplit("_", 1)[-1] not in listed
    assert cli.main(["keys", "revoke", key.name, config]) == 0
    with pytest.raises(Unauthenticated):
        store.find(text)
    assert cli.main(["keys", "share", "p42/**", "--days=1", config]) == 0
    token = capsys.readouterr().out.splitlines()[-1].strip()
    assert holder(store, token).grant is not None
    assert cli.main(["keys", "revoke", token, config]) == 0
    with pytest.raises(Unauthenticated):
        holder(store, token)
    for bad in (["create"], ["create", "anna", "--actions=write"], ["revoke"], ["revoke", "nobody"], ["share"]):
        assert cli.main(["keys", *bad, config]) == 2
    store.close()
