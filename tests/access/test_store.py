"""What may be seen of a store: by name, by real name, and through everything that leads elsewhere."""

import json
from pathlib import Path

import pytest

from chunkserve.access.options import read_options, rules_of
from chunkserve.access.principal import ANONYMOUS, Principal
from chunkserve.access.sight import Sight
from chunkserve.errors import ChunkserveError, NotFound
from chunkserve.service.pyramids import Wish
from chunkserve.service.store import ForeignChunk, Store
from tests.conftest import OpenStore

RULES = rules_of(
    read_options({"rule": [{"path": "open/**", "level": "anonymous"}, {"path": "p42/**", "groups": ["p42"]}]}, "test")
)
MEMBER = Principal("anna", frozenset({"p42"}))


def view(store: Store, who: Principal) -> Store:
    sight = Sight(RULES, who, "data", 0)
    return store.seen_with(sight, sight.key)


@pytest.fixture
def all_views(open_store: OpenStore, archive: Path) -> tuple[Store, Store]:
    """What a member sees, and what everybody sees; the member has looked at everything before."""
    store = open_store(archive)
    member, stranger = view(store, MEMBER), view(store, ANONYMOUS)
    for path in LEADING_IN:
        chunk(member, path)
        document(member, path)
    return member, stranger


LEADING_IN = [
    "open/to_file.h5/entry/data",
    "open/to_folder/secret.h5/entry/data",
    "open/to_virtual.h5/entry/data",
    "open/to_nested.h5/entry/data",
    "open/master.h5/entry/to_link",
    "open/master.h5/entry/to_symbolic",
    "open/master.h5/entry/to_external",
    "p42/raw/secret.h5/entry/data",
    "p42/free.h5/entry/data",
]


def parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def chunk(store: Store, path: str) -> bytes:
    rank = len(store.chunks(3, parts(path), wait=True).presentation.grid)
    return bytes(store.chunk(3, parts(path), (0,) * rank, wait=True).blob.read())


def document(store: Store, path: str) -> dict[str, object]:
    return json.loads(bytes(store.key(3, (*parts(path), "zarr.json"), wait=True).blob.read()))


@pytest.mark.parametrize("path", LEADING_IN)
def test_what_reaches_into_a_closed_folder_is_not_there(all_views: tuple[Store, Store], path: str) -> None:
    member, stranger = all_views
    assert chunk(member, path)
    rank = len(member.chunks(3, parts(path), wait=True).presentation.grid)
    for wait in (False, True):
        with pytest.raises((ForeignChunk, ChunkserveError)) as caught:
            stranger.chunk(3, parts(path), (0,) * rank, wait=True)
        assert isinstance(caught.value, ForeignChunk), wait
    with pytest.raises(NotFound):
        document(stranger, path)
    with pytest.raises(NotFound):
        stranger.node(parts(path))


@pytest.mark.parametrize("path", ["open/free.h5/entry/data", "open/virtual.h5/entry/data", "open/master.h5/entry/near"])
def test_what_stays_in_an_open_folder_is_there_for_all(all_views: tuple[Store, Store], path: str) -> None:
    member, stranger = all_views
    assert chunk(member, path) == chunk(stranger, path)
    assert document(member, path) == document(stranger, path)


def test_a_hidden_source_and_a_missing_one_look_alike(all_views: tuple[Store, Store]) -> None:
    _, stranger = all_views
    for hidden, missing in (("open/to_virtual.h5", "open/to_missing.h5"), ("open/to_file.h5", "open/to_nothing.h5")):
        found = []
        for file in (hidden, missing):
            with pytest.raises(NotFound) as caught:
                document(stranger, f"{file}/entry/data")
            found.append(type(caught.value))
        assert found[0] is found[1]


def test_documents_of_groups_leave_out_what_is_hidden(all_views: tuple[Store, Store]) -> None:
    member, stranger = all_views
    seen = [
        set(document(store, "open/master.h5/entry")["consolidated_metadata"]["metadata"])  # type: ignore[index, call-overload]
        for store in (member, stranger)
    ]
    assert seen[0] == {"free", "near", "to_link", "to_symbolic", "to_external"}
    assert seen[1] == {"free", "near"}


def test_listings_show_what_may_be_seen_and_the_way_there(all_views: tuple[Store, Store]) -> None:
    member, stranger = all_views
    assert member.listing(()).folders == ("open", "p42")
    assert stranger.listing(()).folders == ("open",)
    assert set(stranger.listing(("open",)).others) == {
        "free.h5", "master.h5", "virtual.h5", "to_virtual.h5", "to_missing.h5", "to_nested.h5",
    }  # fmt: skip
    assert stranger.listing(("open",)).folders == ("sub",)
    assert "to_folder" in member.listing(("open",)).folders
    for path in ("p42", "p42/raw", "open/to_folder", "elsewhere"):
        with pytest.raises(NotFound):
            stranger.listing(parts(path))
    assert "to_external" not in stranger.listing(("open", "master.h5", "entry")).others
    assert "to_external" in member.listing(("open", "master.h5", "entry")).others


def test_a_hidden_link_is_listed_as_a_broken_one_is(all_views: tuple[Store, Store]) -> None:
    _, stranger = all_views
    listed = stranger.listing(("open", "master.h5", "entry")).others
    assert {"to_link", "to_absent"} <= set(listed)  # external links are named without being followed


def test_pyramids_made_for_one_are_not_found_by_another(all_views: tuple[Store, Store]) -> None:
    member, stranger = all_views
    path = parts("open/to_virtual.h5/entry/data")
    assert member.images.find(path, Wish(), 3).count >= 0
    with pytest.raises(NotFound):
        stranger.images.find(path, Wish(), 3)


def test_the_default_may_be_open(open_store: OpenStore, archive: Path) -> None:
    rules = rules_of(read_options({"default": "open", "rule": [{"path": "p42/**", "groups": ["p42"]}]}, "test"))
    sight = Sight(rules, ANONYMOUS, "data", 0)
    stranger = open_store(archive).seen_with(sight, sight.key)
    assert stranger.listing(()).folders == ("open",)
    assert chunk(stranger, "open/free.h5/entry/data")
    with pytest.raises(NotFound):
        chunk(stranger, "open/to_file.h5/entry/data")


def test_rules_name_roots_where_there_are_several(open_store: OpenStore, archive: Path) -> None:
    sight = Sight(RULES, ANONYMOUS, "data", 0)
    store = open_store(f"open={archive / 'open'}", f"mine={archive / 'p42'}")
    stranger = store.seen_with(sight, sight.key)
    assert stranger.listing(()).folders == ("open",)
    assert chunk(stranger, "open/free.h5/entry/data")
    with pytest.raises(NotFound):
        stranger.listing(("mine",))


def test_where_roots_overlap_all_names_of_a_file_count(open_store: OpenStore, archive: Path) -> None:
    rules = rules_of(
        read_options({"rule": [{"path": "all/**", "level": "anonymous"}, {"path": "part/**", "groups": ["x"]}]}, "test")
    )
    sight = Sight(rules, ANONYMOUS, "data", 0)
    stranger = open_store(f"all={archive}", f"part={archive / 'p42'}").seen_with(sight, sight.key)
    assert chunk(stranger, "all/open/free.h5/entry/data")
    with pytest.raises(NotFound):
        chunk(stranger, "all/p42/raw/secret.h5/entry/data")


def test_files_that_only_links_reach_are_named_by_their_whole_path(open_store: OpenStore, archive: Path) -> None:
    def stranger(*rules: dict[str, object]) -> Store:
        sight = Sight(rules_of(read_options({"rule": list(rules)}, "test")), ANONYMOUS, "data", 0)
        return open_store(archive / "open", link_roots=(str(archive / "p42"),)).seen_with(sight, sight.key)

    all_open = {"path": "**", "level": "anonymous"}
    assert chunk(stranger(all_open), "to_file.h5/entry/data")
    only_below = {"path": "*.h5", "level": "anonymous"}
    assert chunk(stranger(only_below), "free.h5/entry/data")
    with pytest.raises(NotFound):
        chunk(stranger(only_below), "to_file.h5/entry/data")
    assert chunk(stranger(only_below, {"path": f"{archive}/p42/**", "level": "anonymous"}), "to_file.h5/entry/data")
