"""Links: hard, soft and external ones are followed by us, inside the roots, and cycles are cut."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.errors import NotFound
from chunkserve.grid import whole
from chunkserve.inspection import inspect
from chunkserve.metadata.names import node_name
from chunkserve.service.store import ForeignChunk, Store
from chunkserve.sources.roots import Roots


def consolidated(store: Store, *path: str) -> list[str]:
    document = json.loads(bytes(store.key(3, (*path, "zarr.json"), wait=True).blob.read()))
    return sorted(document["consolidated_metadata"]["metadata"])


def read(store: Store, *path: str) -> np.ndarray:
    return store.chunks(3, path, wait=True).array.values.region(_whole(store, path))


def _whole(store: Store, path: tuple[str, ...]):
    return whole(store.chunks(3, path, wait=True).elements.shape)


def test_soft_links_are_followed_wherever_they_point(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/detector/data"] = np.arange(5)
        file["entry/data/absolute"] = h5py.SoftLink("/entry/detector/data")
        file["entry/relative"] = h5py.SoftLink("detector/data")
        file["chain"] = h5py.SoftLink("/entry/data/absolute")
        file["group"] = h5py.SoftLink("/entry/detector")
        file["dangling"] = h5py.SoftLink("/nowhere")
    store = open_store(tmp_path)
    for path in (("entry", "data", "absolute"), ("entry", "relative"), ("chain",), ("group", "data")):
        np.testing.assert_array_equal(read(store, "a.h5", *path), np.arange(5))
    members = consolidated(store, "a.h5")
    assert "group/data" in members
    assert "dangling" not in members
    with pytest.raises(NotFound):
        store.key(3, ("a.h5", "dangling", "zarr.json"), wait=True)


def test_a_loop_of_links_ends_where_it_closes(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/b/x"] = 1
        file["a/b/up"] = file["a"]
        file["a/soft"] = h5py.SoftLink("/a")
        file["one"], file["two"] = h5py.SoftLink("/two"), h5py.SoftLink("/one")
    store = open_store(tmp_path)
    assert consolidated(store, "a.h5") == ["a", "a/b", "a/b/x"]
    for path in (("a", "b", "up"), ("a", "soft"), ("one",)):
        with pytest.raises(NotFound):
            store.key(3, ("a.h5", *path, "zarr.json"), wait=True)


def test_a_web_of_hard_links_has_no_partial_consolidated_metadata(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        here = file
        for _ in range(40):  # 2 ** 40 paths
            below = here.create_group("left")
            here["right"] = below
            here = below
        here["x"] = 1
    store = open_store(tmp_path)
    document = json.loads(bytes(store.key(3, ("a.h5", "zarr.json"), wait=True).blob.read()))
    assert "consolidated_metadata" not in document
    with pytest.raises(NotFound):
        store.key(2, ("a.h5", ".zmetadata"), wait=True)
    assert store.listing(("a.h5",)).folders == ("left", "right")


def test_external_links_are_followed_inside_the_roots(tmp_path: Path, open_store) -> None:
    (tmp_path / "sub").mkdir()
    with h5py.File(tmp_path / "sub" / "data.h5", "w") as file:
        file["entry/x"] = np.arange(7)
        file["entry/y"] = h5py.SoftLink("/entry/x")
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["array"] = h5py.ExternalLink("sub/data.h5", "/entry/x")
        file["group"] = h5py.ExternalLink(str(tmp_path / "sub" / "data.h5"), "/entry")
        file["moved"] = h5py.ExternalLink("/data/visitor/run/data.h5", "/entry/x")
        file["via"] = h5py.SoftLink("/group/y")
    store = open_store(tmp_path, path_map=(f"/data/visitor/run={tmp_path}/sub",))
    for path in (("array",), ("group", "x"), ("group", "y"), ("moved",), ("via",)):
        np.testing.assert_array_equal(read(store, "master.h5", *path), np.arange(7))
    assert {"array", "group", "group/x", "group/y", "moved", "via"} <= set(consolidated(store, "master.h5"))


def test_an_absolute_name_that_moved_is_found_beside_the_file(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = 5
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["x"] = h5py.ExternalLink("/where/it/was/data.h5", "/x")
    assert read(open_store(tmp_path), "master.h5", "x") == 5


@pytest.mark.parametrize("how", ["absolute", "relative", "symlink", "soft through external"])
def test_an_external_link_out_of_the_roots_is_as_absent_as_one_to_nothing(tmp_path: Path, open_store, how) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    with h5py.File(outside / "secret.h5", "w") as file:
        file["x"] = np.full(4, 42)
    target = {"absolute": str(outside / "secret.h5"), "relative": "../out/secret.h5"}.get(how, "alias.h5")
    if how == "symlink":
        (inside / "alias.h5").symlink_to(outside / "secret.h5")
    if how == "soft through external":
        target = str(outside / "secret.h5")
    with h5py.File(inside / "a.h5", "w") as file:
        file["leak"] = h5py.ExternalLink(target, "/" if how == "soft through external" else "/x")
        file["deep"] = h5py.SoftLink("/leak/x")
        file["nothing"] = h5py.ExternalLink("nowhere.h5", "/x")
    store = open_store(inside)
    for name in ("leak", "deep", "nothing"):
        with pytest.raises(NotFound):
            store.key(3, ("a.h5", name, "zarr.json"), wait=True)
        with pytest.raises(ForeignChunk):
            store.key(3, ("a.h5", name, "c", "0"), wait=True)
    assert consolidated(store, "a.h5") == []


def test_further_trees_may_be_opened_to_links_alone(tmp_path: Path, open_store) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    with h5py.File(outside / "b.h5", "w") as file:
        file["x"] = np.arange(3)
    with h5py.File(inside / "a.h5", "w") as file:
        file["x"] = h5py.ExternalLink(str(outside / "b.h5"), "/x")
    store = open_store(inside, link_roots=(str(outside),))
    np.testing.assert_array_equal(read(store, "a.h5", "x"), np.arange(3))
    with pytest.raises(NotFound):
        store.key(3, ("out", "b.h5", "zarr.json"), wait=True)
    assert store.listing(()).others == ("a.h5",)


def test_listing_thousands_of_external_links_opens_none_of_them(tmp_path: Path, open_store, monkeypatch) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        for i in range(3300):
            file[f"frame{i:04d}"] = h5py.ExternalLink(f"frames/{i}.h5", "/data")
    store = open_store(tmp_path)
    store.key(3, ("scan.h5", "zarr.json"), wait=True)
    with monkeypatch.context() as patched:
        patched.delattr(Roots, "follow")
        listing = store.listing(("scan.h5",))
    assert len(listing.others) == 3300
    assert len(store.files) == 1
    document = json.loads(bytes(store.key(3, ("scan.h5", "zarr.json"), wait=True).blob.read()))
    assert "consolidated_metadata" not in document, "partial consolidation loses arrays silently"


def test_a_broken_member_is_broken_alone(tmp_path: Path, open_store) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["fine"] = np.arange(3)
        file["broken"] = np.arange(3)
        address = h5py.h5o.get_info(file["broken"].id).addr
    with open(path, "r+b") as raw:
        raw.seek(address)
        raw.write(b"\xff" * 16)
    store = open_store(tmp_path)
    assert consolidated(store, "a.h5") == ["fine"]
    np.testing.assert_array_equal(read(store, "a.h5", "fine"), np.arange(3))
    with pytest.raises(NotFound):
        store.key(3, ("a.h5", "broken", "zarr.json"), wait=True)


NAMES = [
    "a#b",
    "a?b",
    "100%",
    "a%20b",
    "back\\slash",
    "tilde~",
    "new\nline",
    "zarr.json",
    ".zarray",
    ".zattrs",
    "..",
    "c",
    "0",
    "0.0",
    "ü",
    "a b",
    "__x__",
]


def test_names_that_urls_or_zarr_would_misread_have_an_alias(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, name in enumerate(NAMES):
            file.create_dataset(f"group/{name}" if name != ".." else "group/dots", data=np.full(3, i))
        group = file["group"]
        group.id.links.move(b"dots", group.id, b"..")
        group.id.links.create_hard(b"not \xff utf8", group.id, b"c")
    store = open_store(tmp_path)
    members = consolidated(store, "a.h5", "group")
    assert len(members) == len(NAMES) + 1
    for i, name in enumerate(NAMES):
        alias = node_name(name.encode())
        assert alias in members
        np.testing.assert_array_equal(read(store, "a.h5", "group", alias), np.full(3, i))
    assert "not ~FF utf8" in members
    assert not any(character in "".join(members) for character in "#?%\\\n")
    for kept in ("c", "0", "0.0", "ü", "a b", "__x__"):
        assert kept in members


def test_a_name_too_long_for_a_url_is_left_out_and_said(tmp_path: Path, open_store) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x" * 2000] = 1
        file["short"] = 1
    store = open_store(tmp_path)
    assert consolidated(store, "a.h5") == ["short"]
    assert "cannot be reached" in inspect(store, ("a.h5",), lambda: None).notes[0]
