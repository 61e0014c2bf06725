"""What a path means: links are followed inside the roots and nowhere else, whatever they say and whoever moves them."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from chunkserve.errors import NotFound
from chunkserve.sources.roots import MAX_LINKS, Roots, open_root


def test_the_first_file_on_the_way_ends_the_path(roots: Roots, folders, content) -> None:
    place, rest = roots.locate(("sub", "b.h5", "entry", "data", "c", "0"))
    assert (place.name, rest) == ("sub/b.h5", ("entry", "data", "c", "0"))
    assert place.path == os.fsencode(folders.inside / "sub/b.h5")
    assert content(roots, place) == "inside/sub/b.h5"


def test_a_folder_has_no_rest(roots: Roots) -> None:
    place, rest = roots.locate(("sub",))
    assert (place.parts, rest) == ((b"sub",), ())
    assert roots.is_folder(place)
    assert not roots.is_folder(roots.locate(("a.h5",))[0])


@pytest.mark.parametrize(
    "parts",
    [
        ("..", "outside", "secret.h5"),
        ("sub", "..", "a.h5"),
        (".", "a.h5"),
        ("", "a.h5"),
        ("sub/b.h5",),
        ("../outside/secret.h5",),
        ("/etc/passwd",),
        ("a.h5\0",),
        ("n" * 300,),
        ("none",),
        ("\udcff",),
    ],
    ids=repr,
)
def test_components_are_names_and_nothing_else(roots: Roots, parts) -> None:
    with pytest.raises(NotFound):
        roots.locate(parts)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize(("link", "target"), [("l.h5", "a.h5"), ("sub/l.h5", "../a.h5"), ("dir", "sub")])
def test_links_inside_are_followed_and_remembered(roots: Roots, folders, link, target, absolute) -> None:
    path = folders.inside / link
    path.symlink_to((path.parent / target).resolve() if absolute else target)
    place, _ = roots.locate(tuple(link.split("/")))
    assert place.path == os.fsencode(path.resolve())
    assert place.links == ((os.fsencode(path), os.fsencode(os.readlink(path))),)


@pytest.mark.parametrize(
    "target",
    ["../outside/secret.h5", "{outside}/secret.h5", "../outside", "{outside}", "/", "..", "../..", "/proc/self/root"],
)
def test_links_that_leave_lead_nowhere(roots: Roots, folders, target) -> None:
    (folders.inside / "l").symlink_to(target.format(outside=folders.outside))
    for parts in (("l",), ("l", "secret.h5"), ("l", "etc", "passwd"), ("l", "outside", "secret.h5")):
        with pytest.raises(NotFound):
            roots.locate(parts)
    assert [e.name for e in roots.listing(roots.locate(())[0])] == ["a.h5", "sub"]


def test_a_loop_of_relative_links_is_nothing(roots: Roots, folders) -> None:
    (folders.inside / "self").symlink_to("self")
    (folders.inside / "one").symlink_to("sub/two")
    (folders.inside / "sub/two").symlink_to("../one")
    for name in ("self", "one"):
        with pytest.raises(NotFound):
            roots.locate((name,))
    assert [e.name for e in roots.listing(roots.locate(())[0])] == ["a.h5", "sub"]


def test_a_loop_of_absolute_links_is_nothing(roots: Roots, folders) -> None:
    (folders.inside / "self").symlink_to(folders.inside / "self")
    with pytest.raises(NotFound):
        roots.locate(("self",))


def test_a_loop_does_not_hide_its_neighbours(roots: Roots, folders) -> None:
    (folders.inside / "self").symlink_to(folders.inside / "self")
    assert [e.name for e in roots.listing(roots.locate(())[0])] == ["a.h5", "sub"]


@pytest.mark.parametrize(("count", "found"), [(MAX_LINKS, True), (MAX_LINKS + 1, False)])
def test_as_many_links_are_followed_as_linux_follows(roots: Roots, folders, count, found) -> None:
    for i in range(count):
        (folders.inside / f"l{i}").symlink_to(f"l{i + 1}" if i + 1 < count else "a.h5")
    if found:
        assert roots.locate(("l0",))[0].parts == (b"a.h5",)
        assert (folders.inside / "l0").read_text()
    else:
        with pytest.raises(NotFound):
            roots.locate(("l0",))
        with pytest.raises(OSError, match="Too many levels"):
            (folders.inside / "l0").read_text()


def test_fifos_sockets_and_devices_are_nothing(roots: Roots, folders) -> None:
    os.mkfifo(folders.inside / "fifo")
    (folders.inside / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folders.inside / "socket"))
    for name in ("fifo", "null", "socket"):
        with pytest.raises(NotFound):
            roots.locate((name,))
    assert [e.name for e in roots.listing(roots.locate(())[0])] == ["a.h5", "sub"]


def test_a_file_that_became_a_fifo_is_not_waited_for(roots: Roots, folders) -> None:
    place, _ = roots.locate(("a.h5",))
    (folders.inside / "a.h5").unlink()
    os.mkfifo(folders.inside / "a.h5")
    with pytest.raises(NotFound):
        roots.open(place)


def test_a_listing_says_what_may_be_reached(roots: Roots, folders) -> None:
    (folders.inside / "l.h5").symlink_to("a.h5")
    (folders.inside / "out.h5").symlink_to(folders.outside / "secret.h5")
    (folders.inside / "dangling").symlink_to("none")
    Path(os.fsdecode(os.fsencode(folders.inside) + b"/\xff.h5")).touch()
    entries = {e.name: e for e in roots.listing(roots.locate(())[0])}
    assert list(entries) == ["a.h5", "l.h5", "sub"]
    assert entries["sub"].is_folder
    assert (entries["l.h5"].size, entries["l.h5"].is_folder) == (len("inside/a.h5"), False)


def test_a_single_file_has_no_neighbours(folders) -> None:
    roots = Roots((open_root(str(folders.inside / "a.h5")),))
    assert [e.name for e in roots.listing(roots.locate(())[0])] == ["a.h5"]
    place, _ = roots.locate(("a.h5",))
    for parts in (("sub",), ("sub", "b.h5"), ("none",)):
        with pytest.raises(NotFound):
            roots.locate(parts)
    for target in (b"sub/b.h5", b"./sub/../sub/b.h5", os.fsencode(folders.inside / "sub/b.h5")):
        with pytest.raises(NotFound):
            roots.follow(target, place)
    assert roots.follow(b"./a.h5", place) == place


def test_several_roots_are_told_apart_by_name(folders, content) -> None:
    roots = Roots((open_root(str(folders.inside), "x"), open_root(str(folders.outside), "y")))
    assert content(roots, roots.locate(("x", "sub", "b.h5"))[0]) == "inside/sub/b.h5"
    assert content(roots, roots.locate(("y", "sub", "b.h5"))[0]) == "outside/sub/b.h5"
    assert roots.locate(("y", "secret.h5"))[0].name == "y/secret.h5"
    for parts in ((), ("z",), ("sub", "b.h5")):
        with pytest.raises(NotFound):
            roots.locate(parts)


@pytest.fixture
def linked(folders) -> Roots:
    """The inner folder served, the outer one open to links alone."""
    return Roots((open_root(str(folders.inside)), open_root(str(folders.outside), "outside", listed=False)))


def test_link_roots_are_reached_by_links_and_not_by_url(linked: Roots, folders, content) -> None:
    (folders.inside / "l.h5").symlink_to(folders.outside / "secret.h5")
    place, _ = linked.locate(("l.h5",))
    assert content(linked, place) == "outside/secret.h5"
    near, _ = linked.locate(("a.h5",))
    assert content(linked, linked.follow(os.fsencode(folders.outside / "sub/b.h5"), near)) == "outside/sub/b.h5"
    for parts in (("outside",), ("outside", "secret.h5"), ("secret.h5",)):
        with pytest.raises(NotFound):
            linked.locate(parts)


@pytest.mark.parametrize("target", ["../outside/secret.h5", "../inside/a.h5"])
def test_a_relative_link_may_pass_above_the_roots_on_its_way_into_one(linked: Roots, folders, content, target) -> None:
    (folders.inside / "l.h5").symlink_to(target)
    assert content(linked, linked.locate(("l.h5",))[0]) == target[3:]


def test_a_name_in_a_file_may_pass_above_the_roots_on_its_way_into_one(linked: Roots, content) -> None:
    near, _ = linked.locate(("a.h5",))
    assert content(linked, linked.follow(b"../outside/secret.h5", near)) == "outside/secret.h5"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"b.h5", "inside/sub/b.h5"),
        (b"./b.h5", "inside/sub/b.h5"),
        (b"../a.h5", "inside/a.h5"),
        (b"/no/longer/here/b.h5", "inside/sub/b.h5"),  # beside the file
        (b"/etc/b.h5", "inside/sub/b.h5"),
        (b"../../outside/secret.h5", None),
        (b"/etc/passwd", None),
        (b"../sub", None),
        (b"b.h5/x", None),
        (b"", None),
        (b"none.h5", None),
    ],
)
def test_names_in_files_are_found_as_libhdf5_finds_them(roots: Roots, content, target, expected) -> None:
    near, _ = roots.locate(("sub", "b.h5"))
    if expected is None:
        with pytest.raises(NotFound):
            roots.follow(target, near)
    else:
        assert content(roots, roots.follow(target, near)) == expected


@pytest.mark.parametrize(
    ("old", "target", "expected"),
    [
        ("/beam", b"/beam/a.h5", "inside/a.h5"),
        ("/beam/", b"/beam/a.h5", "inside/a.h5"),
        ("/beam", b"/beam/./sub//b.h5", "inside/sub/b.h5"),
        ("/beam", b"/beamline/sub/c.h5", None),  # a prefix of the text, not of the path
        ("/beam", b"/beam/../outside/secret.h5", None),
        ("/beam/deep", b"/beam/deep/a.h5", "inside/a.h5"),
    ],
)
def test_prefixes_of_the_acquisition_are_mapped(folders, content, old, target, expected) -> None:
    roots = Roots((open_root(str(folders.inside)),), ((os.fsencode(old), os.fsencode(folders.inside)),))
    near, _ = roots.locate(("sub", "b.h5"))
    if expected is None:
        with pytest.raises(NotFound):
            roots.follow(target, near)
    else:
        assert content(roots, roots.follow(target, near)) == expected


def test_a_root_may_be_named_through_a_link(folders, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to("inside")
    (folders.inside / "l.h5").symlink_to(tmp_path / "alias/a.h5")
    roots = Roots((open_root(str(tmp_path / "alias")),))
    assert roots.locate(("l.h5",))[0].path == os.fsencode(folders.inside / "a.h5")


def test_what_vanishes_is_absent(roots: Roots, folders) -> None:
    folder, _ = roots.locate(("sub",))
    place, _ = roots.locate(("sub", "b.h5"))
    (folders.inside / "sub/b.h5").unlink()
    (folders.inside / "sub").rmdir()
    for look in (lambda: list(roots.listing(folder)), lambda: roots.open(place), lambda: roots.is_folder(folder)):
        with pytest.raises(NotFound):
            look()


def test_a_root_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_root(str(tmp_path / "none"))


def test_a_folder_swapped_for_a_link_in_mid_walk_never_leads_outside(roots: Roots, folders, content) -> None:
    inside, over = folders.inside, threading.Event()
    (inside / "spare").symlink_to(folders.outside / "sub")

    def swap() -> None:
        while not over.is_set():
            for new, old in (("spare", "real"), ("real", "spare")):
                os.rename(inside / "sub", inside / old)
                os.rename(inside / new, inside / "sub")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                seen.add(content(roots, roots.locate(("sub", "b.h5"))[0]))
            except NotFound:
                seen.add("absent")
    finally:
        over.set()
        swapper.join()
    assert seen == {"inside/sub/b.h5", "absent"}
