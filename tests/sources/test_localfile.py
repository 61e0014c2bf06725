"""An open file notices every change, and never gives bytes of two versions or bytes that are not there."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chunkserve.errors import Corrupt, NotFound, SourceChanged, StorageFault
from chunkserve.sources.localfile import LocalFile, WouldBlock, open_file

TEXT = b"inside/a.h5"


def keep_times(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Make a change and put the modification time back."""

    def changed(path: Path) -> None:
        info = path.stat()
        change(path)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    changed.__name__ = f"{change.__name__}_and_keep_times"
    return changed


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"I")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, 3)


def replace(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    other.rename(path)


def remove(path: Path) -> None:
    path.unlink()


def hide(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


IN_PLACE = [overwrite, append, truncate, keep_times(overwrite), keep_times(append)]
BY_NAME = [replace, keep_times(replace), remove, hide]


@pytest.mark.parametrize("change", IN_PLACE + BY_NAME, ids=lambda f: f.__name__)
def test_a_changed_file_is_not_current(opened, folders, change) -> None:
    file: LocalFile = opened("a.h5")
    assert file.is_current()
    assert file.stat() == file.identity
    change(folders.inside / "a.h5")
    assert not file.is_current()
    assert file.stat() != file.identity


@pytest.mark.parametrize("change", IN_PLACE, ids=lambda f: f.__name__)
def test_writing_into_an_open_file_is_noticed(opened, folders, change) -> None:
    file: LocalFile = opened("a.h5")
    file.check_unchanged()
    change(folders.inside / "a.h5")
    with pytest.raises(SourceChanged, match=r"a\.h5 changed"):
        file.check_unchanged()


@pytest.mark.parametrize("change", BY_NAME, ids=lambda f: f.__name__)
def test_a_file_without_its_name_is_read_to_its_end(opened, folders, change) -> None:
    file: LocalFile = opened("a.h5")
    change(folders.inside / "a.h5")
    assert file.read(0, len(TEXT)) == TEXT


def test_a_name_that_is_gone_has_no_identity(opened, folders) -> None:
    file: LocalFile = opened("a.h5")
    (folders.inside / "a.h5").unlink()
    assert file.stat() is None


def retargeted(folders, target: str | Path) -> None:
    """Two folders with the same file, and ``current`` that leads to one and then to the other."""
    for name in ("v1", "v2"):
        shutil.copytree(folders.inside / "sub", folders.inside / name)
    (folders.inside / "current").symlink_to("v1")
    (folders.inside / "l.h5").symlink_to(target)


def swap_link(folders) -> None:
    (folders.inside / "current").unlink()
    (folders.inside / "current").symlink_to("v2")


def test_a_link_that_leads_elsewhere_makes_the_file_another(opened, folders) -> None:
    retargeted(folders, "current/b.h5")
    files = [opened("current", "b.h5"), opened("l.h5")]
    assert all(file.is_current() for file in files)
    swap_link(folders)
    assert not any(file.is_current() for file in files)


def test_a_link_behind_an_absolute_link_is_watched_too(opened, folders) -> None:
    retargeted(folders, folders.inside / "current/b.h5")
    file: LocalFile = opened("l.h5")
    swap_link(folders)
    assert not file.is_current()


def test_a_link_replaced_by_its_target_makes_the_file_another(opened, folders) -> None:
    (folders.inside / "l.h5").symlink_to("a.h5")
    file: LocalFile = opened("l.h5")
    (folders.inside / "l.h5").unlink()
    shutil.copy(folders.inside / "a.h5", folders.inside / "l.h5")
    assert not file.is_current()


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (3, 4), (11, 0), (10, 1)])
def test_any_part_of_a_file_is_read(opened, offset, length) -> None:
    assert opened("a.h5").read(offset, length) == TEXT[offset : offset + length]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(("offset", "length"), [(0, 12), (10, 2), (11, 1), (1000, 1)])
def test_bytes_beyond_the_end_are_corrupt_and_never_zeros(opened, offset, length, wait) -> None:
    file: LocalFile = opened("a.h5")
    file.read(0, 11)  # into memory
    with pytest.raises(Corrupt, match=f"ends before byte {offset + length}"):
        file.read(offset, length, wait=wait)


def test_an_end_that_came_nearer_is_a_change_and_not_corruption(opened, folders) -> None:
    file: LocalFile = opened("a.h5")
    truncate(folders.inside / "a.h5")
    with pytest.raises(SourceChanged):
        file.read(0, 11)


def test_without_waiting_bytes_come_from_memory_or_not_at_all(opened) -> None:
    file: LocalFile = opened("a.h5")
    file.read(0, 11)
    file.nowait = False  # as on a file system that cannot say what is in memory
    with pytest.raises(WouldBlock):
        file.read(0, 11, wait=False)
    assert file.read(0, 11, wait=True) == TEXT


def test_storage_that_fails_says_nothing_about_the_data(opened, folders) -> None:
    file: LocalFile = opened("a.h5")
    broken = LocalFile(file.place, os.open(folders.inside / "a.h5", os.O_WRONLY), file.identity)
    with pytest.raises(StorageFault, match=r"a\.h5: Bad file descriptor"):
        broken.read(0, 1)


def test_a_place_that_is_gone_cannot_be_opened(roots, folders) -> None:
    place, _ = roots.locate(("a.h5",))
    (folders.inside / "a.h5").unlink()
    with pytest.raises(NotFound):
        open_file(roots, place)


def test_a_descriptor_lives_as_long_as_its_file(opened) -> None:
    file: LocalFile = opened("a.h5")
    fd = file.fd
    assert os.path.exists(f"/proc/self/fd/{fd}")
    del file
    assert not os.path.exists(f"/proc/self/fd/{fd}")
