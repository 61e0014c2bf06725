"""The index knows what is served, follows what changes, forgets what is gone, and opens nothing that lies on tape."""

import contextlib
import os
import sqlite3
from pathlib import Path

import h5py
import pytest

from chunkserve.errors import BadRequest, Busy
from chunkserve.search.schema import DONE, FAILED, OFFLINE, OTHER, PENDING, TABLES, locked
from chunkserve.sources.roots import Place, Roots
from tests.search.conftest import Library, OpenLibrary, write_scan


def test_things_are_found_by_name_class_attribute_and_value(library: OpenLibrary) -> None:
    lib = library()
    write_scan(lib.folder / "visit" / "scan_0042.nxs", title="A first look")
    lib.update()
    (found,) = lib.find("two_th")
    assert found == {
        "file": "visit/scan_0042.nxs", "path": "/entry/detector/two_theta", "kind": "dataset", "name": "two_theta",
        "nx_class": None, "shape": [3, 4], "dtype": "float32", "matched": "name",
    }  # fmt: skip
    (found,) = lib.find("nxdet")
    assert (found["path"], found["kind"], found["matched"]) == ("/entry/detector", "group", "nx_class")
    (found,) = lib.find("kelv")
    assert (found["path"], found["matched"]) == ("/entry/sample/temperature", "attribute")
    assert (found["attribute"], found["value"]) == ("units", "kelvin")
    (found,) = lib.find("lysoz")
    assert (found["path"], found["matched"], found["value"]) == ("/entry/sample/name", "value", "lysozyme")
    assert lib.paths("warmer") == ["visit/scan_0042.nxs:/entry/sample/temperature"], "accents do not count"
    assert lib.paths("outside") == ["visit/scan_0042.nxs:/entry/outside"]
    assert lib.paths("creator") == [], "names of attributes are not searched"
    assert lib.find("tests chunkserve")[0]["path"] == "/", "attributes of the root belong to it"
    (found,) = lib.find("42")
    at = (lib.folder / "visit" / "scan_0042.nxs").stat()
    assert (found["kind"], found["size"], found["modified"]) == ("file", at.st_size, at.st_mtime)
    assert lib.paths("visit") == ["visit/scan_0042.nxs:/"]
    assert lib.paths("nothing") == []


def test_better_matches_come_first_and_pages_follow_each_other(library: OpenLibrary) -> None:
    lib = library()
    for n in range(5):
        write_scan(lib.folder / f"insulin_{n}.h5", title="about insulin", sample="x")
    with h5py.File(lib.folder / "z.h5", "w") as file:
        file["insulin"], file["insulins"] = 1, 2
        file.create_group("g").attrs["NX_class"] = "NXinsulin"
        file.create_group("h").attrs["NX_class"] = "insulinic"
    lib.update()
    found = lib.find("insulin")
    assert [f["kind"] for f in found[:5]] == ["file"] * 5
    assert [f["path"] for f in found[5:8]] == ["/insulin", "/insulins", "/h"]
    assert [f["path"] for f in found[8:]] == ["/entry/title"] * 5
    paged, cursor = [], ""
    while cursor is not None:
        page = lib.page("insulin", most=4, cursor=cursor)
        paged += page["results"]
        cursor = page["cursor"]
        assert len(page["results"]) <= 4
    assert paged == found
    with pytest.raises(BadRequest):
        lib.page("insulin", cursor="somewhere")


def test_words_may_match_in_part_the_file_and_in_part_what_is_in_it(library: OpenLibrary) -> None:
    lib = library()
    for n in (1, 2):
        write_scan(lib.folder / f"night{n}" / "run.nxs")
    lib.update()
    assert lib.paths("night1 theta") == ["night1/run.nxs:/entry/detector/two_theta"]
    assert lib.paths("theta", below="night2") == ["night2/run.nxs:/entry/detector/two_theta"]
    assert lib.paths("theta", below="night") == []
    assert lib.paths("run", kind="dataset") == []


def test_what_changes_is_read_again_and_what_is_gone_is_forgotten(library: OpenLibrary) -> None:
    lib = library()
    for name in ("a/one.h5", "a/two.h5", "b/three.h5"):
        write_scan(lib.folder / name, sample="protein")
    lib.update()
    assert len(lib.find("protein")) == 3
    write_scan(lib.folder / "a" / "one.h5", sample="crystal of salt")
    os.utime(lib.folder / "a" / "one.h5", (1, 1))
    (lib.folder / "a" / "two.h5").unlink()
    assert lib.paths("two", kind="file") == [], "gone before anybody looked"
    lib.update()
    assert lib.paths("crystal") == ["a/one.h5:/entry/sample/name"]
    assert [f["file"] for f in lib.find("protein")] == ["b/three.h5"]
    (lib.folder / "b").rename(lib.folder / "c")
    lib.update()
    assert [f["file"] for f in lib.find("protein")] == ["c/three.h5"]
    figures = lib.finder.figures()
    assert figures[DONE] == 2
    assert figures[PENDING] == figures[FAILED] == 0
    assert figures["entries"] == 2 * 11


def test_what_did_not_change_is_not_opened_again(library: OpenLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = library()
    write_scan(lib.folder / "a.h5")
    lib.update()
    opened = watch_opening(monkeypatch)
    lib.update()
    assert opened == []
    write_scan(lib.folder / "b.h5")
    lib.update()
    assert set(opened) == {"b.h5"}


def watch_opening(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files that are opened for reading from now on."""
    opened: list[str] = []
    real = Roots.open

    def noted(self: Roots, place: Place) -> int:
        opened.append(place.name)
        return real(self, place)

    monkeypatch.setattr(Roots, "open", noted)
    return opened


def test_files_on_tape_are_found_by_name_and_never_opened(
    library: OpenLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = library(search_offline=("*.tape.h5",))
    with open(lib.folder / "stub.h5", "wb") as file:
        file.truncate(10 * 2**20)  # no blocks, as migrated files have none
    write_scan(lib.folder / "old.tape.h5")
    opened = watch_opening(monkeypatch)
    lib.update()
    lib.update()
    assert opened == []
    assert lib.finder.figures()[OFFLINE] == 2
    assert lib.paths("stub") == ["stub.h5:/"]
    assert lib.paths("lysozyme") == []
    write_scan(lib.folder / "new.h5")
    os.replace(lib.folder / "new.h5", lib.folder / "stub.h5")  # it came back
    lib.update()
    assert lib.paths("lysozyme") == ["stub.h5:/entry/sample/name"]


def test_files_that_cannot_be_read_are_found_by_name(library: OpenLibrary) -> None:
    lib = library()
    (lib.folder / "broken.h5").write_bytes(b"no HDF5" * 1000)
    (lib.folder / "notes.txt").write_text("insulin")
    lib.update()
    assert lib.paths("broken") == ["broken.h5:/"]
    assert lib.paths("notes") == ["notes.txt:/"]
    figures = lib.finder.figures()
    assert (figures[FAILED], figures[OTHER], figures[PENDING]) == (1, 1, 0)


def test_bounds_are_kept(library: OpenLibrary, tmp_path: Path) -> None:
    lib = library(search_files=3, search_objects=2)
    for n in range(6):
        write_scan(lib.folder / f"scan_{n}.h5")
    lib.update()
    figures = lib.finder.figures()
    assert figures[DONE] == 3
    assert figures["entries"] == 3 + 3 * 2
    full = library(search_disk=1, cache_dir=str(tmp_path / "other"))
    full.update()
    assert full.finder.figures()["entries"] == 0


def test_links_in_circles_are_followed_once(library: OpenLibrary) -> None:
    lib = library()
    write_scan(lib.folder / "deep" / "a.h5")
    (lib.folder / "deep" / "again").symlink_to("..")
    (lib.folder / "zz").symlink_to("deep")
    (lib.folder / "out").symlink_to("/usr")
    lib.update()
    assert lib.finder.figures()[DONE] == 1


def test_a_file_with_many_names_for_one_group_has_it_once(library: OpenLibrary) -> None:
    lib = library()
    with h5py.File(lib.folder / "loop.h5", "w") as file:
        group = file.create_group("first")
        group["itself"] = group
        file["second"] = group
    lib.update()
    assert [f["path"] for f in lib.find("first")] == ["/first"]
    assert lib.find("itself") == []


def test_an_interrupted_pass_is_gone_on_with(library: OpenLibrary) -> None:
    lib = library()
    for n in range(4):
        write_scan(lib.folder / f"scan_{n}.h5")

    class Stopped(Exception):
        pass

    def told(what: str, done: int, total: int) -> None:
        if what == "contents" and done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        lib.indexer.update(told)
    assert (lib.finder.figures()[DONE], lib.finder.figures()[PENDING]) == (2, 2)
    assert lib.page("scan")["complete"] is False
    assert len(lib.find("scan")) == 4
    later = Library(lib.folder, Path(lib.settings.cache_dir), {})
    later.update()
    assert later.finder.figures()[DONE] == 4
    assert later.page("scan")["complete"] is True
    later.close()


def test_a_damaged_index_is_begun_anew_and_a_removed_one_too(library: OpenLibrary) -> None:
    lib = library()
    write_scan(lib.folder / "a.h5")
    lib.update()
    lib.index.close()
    Path(lib.path).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(Busy):
        lib.page("lysozyme")
    again = Library(lib.folder, Path(lib.settings.cache_dir), {})
    again.update()
    assert again.paths("lysozyme") == lib.paths("lysozyme") == ["a.h5:/entry/sample/name"]
    os.unlink(lib.path)
    with pytest.raises(Busy):
        lib.page("lysozyme")
    again.index.follow()
    again.update()
    assert lib.paths("lysozyme") == ["a.h5:/entry/sample/name"]
    again.close()


def test_only_one_process_writes(library: OpenLibrary) -> None:
    lib = library()
    with locked(lib.path, wait=False), pytest.raises(Busy, match="another process"), locked(lib.path, wait=False):
        pass


def test_what_may_not_be_listed_is_not_found(library: OpenLibrary, tmp_path: Path) -> None:
    lib = library()
    for name in ("open/a.h5", "closed/b.h5"):
        write_scan(lib.folder / name)
    lib.update()
    assert len(lib.find("lysozyme")) == 2
    os.rename(lib.folder / "closed", lib.folder / "elsewhere")
    (lib.folder / "closed").symlink_to(tmp_path / "private")
    write_scan(tmp_path / "private" / "b.h5")
    assert lib.paths("lysozyme") == ["open/a.h5:/entry/sample/name"]


def test_an_index_that_is_being_set_up_is_asked_without_an_error(library: OpenLibrary) -> None:
    lib = library()
    write_scan(lib.folder / "a.h5")
    lib.index.close()
    Path(lib.path).unlink()
    with contextlib.closing(sqlite3.connect(lib.path)) as base:
        base.executescript(TABLES)  # as a writer leaves it before its first row
    assert lib.page("scan") == {"results": [], "cursor": None, "complete": False}
