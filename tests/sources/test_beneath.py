"""No path leaves the directory it starts from, whichever way the kernel offers to make sure of that."""

import errno
import os
import stat
from collections.abc import Callable

import pytest

from chunkserve.sources.beneath import _openat2, _step_by_step, has_openat2, open_beneath

Open = Callable[[int, tuple[bytes, ...], int], int]
WAYS = [_step_by_step, open_beneath]
if has_openat2():
    WAYS.append(lambda directory, parts, flags: _openat2(directory, b"/".join(parts), flags))


@pytest.fixture(params=WAYS, ids=["step by step", "as chosen", "openat2"][: len(WAYS)])
def way(request: pytest.FixtureRequest) -> Open:
    """Each implementation in turn."""
    return request.param


@pytest.fixture
def directory(folders):
    """The inner folder, opened, with links of every kind in it."""
    inside, outside = folders.inside, folders.outside
    (inside / "in").symlink_to("sub")
    (inside / "file").symlink_to("a.h5")
    (inside / "up").symlink_to("../outside")
    (inside / "away").symlink_to(outside)
    (inside / "loop").symlink_to("loop")
    (inside / "proc").symlink_to("/proc/self/root")
    fd = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(("parts", "text"), [((b"a.h5",), b"inside/a.h5"), ((b"sub", b"b.h5"), b"inside/sub/b.h5")])
def test_files_below_are_opened(way: Open, directory: int, parts, text) -> None:
    with open(way(directory, parts, os.O_RDONLY), "rb") as file:
        assert file.read() == text
        assert not os.get_inheritable(file.fileno())


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        ((b"..", b"outside", b"secret.h5"), errno.EXDEV),
        ((b"..",), errno.EXDEV),
        ((b"sub", b"..", b"..", b"outside", b"secret.h5"), errno.EXDEV),
        ((b"in", b"b.h5"), errno.ELOOP),
        ((b"file",), errno.ELOOP),
        ((b"up", b"secret.h5"), errno.ELOOP),
        ((b"away", b"secret.h5"), errno.ELOOP),
        ((b"loop",), errno.ELOOP),
        ((b"proc", b"etc", b"passwd"), errno.ELOOP),
        ((b"none",), errno.ENOENT),
        ((b"sub", b"none", b"x"), errno.ENOENT),
        ((b"n" * 300,), errno.ENAMETOOLONG),
    ],
    ids=str,
)
def test_nothing_else_is(way: Open, directory: int, parts, number) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number says it
        os.close(way(directory, parts, os.O_RDONLY))
    assert caught.value.errno == number
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_file_is_no_folder(way: Open, directory: int) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number says it
        way(directory, (b"a.h5", b"x"), os.O_RDONLY)
    assert caught.value.errno in (errno.ENOTDIR, errno.ELOOP)


def test_a_link_itself_may_be_looked_at(way: Open, directory: int) -> None:
    fd = way(directory, (b"up",), os.O_PATH | os.O_NOFOLLOW)
    assert stat.S_ISLNK(os.fstat(fd).st_mode)
    assert os.readlink(b"", dir_fd=fd) == b"../outside"
    os.close(fd)


def test_no_components_are_the_directory(directory: int) -> None:
    fd = open_beneath(directory, (), os.O_PATH)
    assert os.path.samestat(os.fstat(fd), os.fstat(directory))
    os.close(fd)
