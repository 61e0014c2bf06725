"""The served folders, and which file a path means: symbolic links are followed by us, inside the roots only."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from chunkserve.errors import Busy, Hidden, NoPermission, NotFound, StorageFault
from chunkserve.sources.beneath import open_beneath

MAX_LINKS = 40
"""Symbolic links followed in one path, as in Linux."""

_ABSENT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EXDEV,
        errno.EACCES,
        errno.EPERM,
        errno.ENAMETOOLONG,
        errno.EINVAL,
    }
)
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

Parts = tuple[bytes, ...]


@dataclass(frozen=True)
class Root:
    """A folder whose files may be reached.

    Attributes:
        name: First URL component, empty when it is the only root.
        path: Absolute path without symbolic links.
        fd: The open folder.
        only: If a single file is served: its name. Other files of the folder do not exist then.
        listed: Served by URL; otherwise only links may lead here.
        given: The path as configured, which links may name as well.
    """

    name: str
    path: bytes
    fd: int
    only: bytes = b""
    listed: bool = True
    given: bytes = b""


@dataclass(frozen=True)
class Place:
    """A real path: a root and components below it, none of them a symbolic link.

    ``links`` are the symbolic links that led here, each with the target it had.
    """

    root: Root
    parts: Parts
    links: tuple[tuple[bytes, bytes], ...] = ()

    @cached_property
    def path(self) -> bytes:
        """The absolute path."""
        return b"/".join((self.root.path.rstrip(b"/"), *self.parts)) if self.parts else self.root.path

    @property
    def name(self) -> str:
        """Root name and components, for keys and messages."""
        text = b"/".join(self.parts).decode("utf-8", "backslashreplace")
        return f"{self.root.name}/{text}" if self.root.name else text


@dataclass(frozen=True)
class Entry:
    """A member of a folder."""

    name: str
    is_folder: bool
    size: int
    mtime: float


class Sight(Protocol):
    """What somebody may see of paths below the roots, the root's name in front if it has one."""

    def may(self, path: tuple[str, ...]) -> bool:
        """Whether a file or folder may be seen."""

    def leads_below(self, folder: tuple[str, ...]) -> bool:
        """Whether something below a folder may perhaps be seen, so that the way there is open."""

    def shows(self, folder: tuple[str, ...]) -> bool:
        """Whether a folder is listed."""


@dataclass(frozen=True)
class Roots:
    """All roots, and the path map: prefixes recorded at acquisition time and where those files lie now.

    ``sight`` is what may be seen of them: asked for every path as it is requested, for every symbolic link on the way,
    and for the real path, each before anybody looks what is there.
    """

    roots: tuple[Root, ...]
    path_map: tuple[tuple[bytes, bytes], ...] = field(default=())
    sight: Sight | None = None

    def seen_with(self, sight: Sight) -> "Roots":
        """The same roots, as far as they may be seen."""
        return replace(self, sight=sight)

    def close(self) -> None:
        """Close the folders. Only once: the numbers of descriptors are used again."""
        for root in self.roots:
            os.close(root.fd)

    def locate(self, parts: tuple[str, ...]) -> tuple[Place, tuple[str, ...]]:
        """The file that URL components begin with, and the components after it.

        The first component that is a file ends the file's path. A folder has no rest.

        Raises:
            NotFound: Nothing is there, or nothing that may be reached.
            StorageFault: The storage failed.
        """
        root, rest = self._root_of(parts)
        names = tuple(os.fsencode(part) for part in rest)
        place = Place(root, ())
        for used in range(len(names)):
            asked = Place(root, names[: used + 1]).path
            self._check_way(asked)
            place, kind = self._step(place, names[used])
            if stat.S_ISREG(kind):
                self._check(asked)
                return place, rest[used + 1 :]
            if not stat.S_ISDIR(kind):
                raise NotFound("/".join(parts))
        return place, ()

    def follow(self, target: bytes, near: Place) -> Place:
        """The file that a link inside an HDF5 file names: external link, VDS source or external storage.

        As libhdf5 does: an absolute name, mapped; else relative to the folder of the file it is written in; else an
        absolute name's last component in that folder.

        Raises:
            NotFound: It is not there, or outside the roots.
        """
        folder = Place(near.root, near.parts[:-1])
        attempts: list[tuple[Place, list[bytes]]] = []
        if target.startswith(b"/"):
            anchored = self._anchor(target)
            if anchored is not None:
                attempts.append(anchored)
            attempts.append((folder, [os.path.basename(target)]))
        else:
            attempts.append((folder, target.split(b"/")))
        hidden = False
        for start, names in attempts:
            try:
                self._check_way(b"/".join((start.path, *names)))
                place, kind = self._walk(start, names)
            except NotFound as error:
                hidden |= isinstance(error, Hidden)
                continue
            if stat.S_ISREG(kind):
                return place
        raise (Hidden if hidden else NotFound)(os.fsdecode(target))

    def listing(self, place: Place, asked: tuple[str, ...] | None = None) -> Iterator[Entry]:
        """Members of a folder that may be reached, in name order.

        Args:
            place: The folder.
            asked: The components of the URL it was found under; needed where not everything may be seen.

        Raises:
            Hidden: The folder is not to be listed.
        """
        above = b""
        if self.sight is not None:
            if asked is None:
                raise Hidden(place.name)
            above = self._asked_path(asked) if asked else place.path
            if not (self._is_shown(place.path) and self._is_shown(above)):
                raise Hidden("/".join(asked))
        fd = self._open(place.root, place.parts, os.O_RDONLY | os.O_DIRECTORY)
        try:
            names = sorted(os.fsencode(name) for name in os.listdir(fd))
        except OSError as error:
            raise storage_error(error, place.name) from error
        finally:
            os.close(fd)
        for name in names:
            try:
                text = name.decode("utf-8")
                there, found = self._find(place, name)
            except (UnicodeDecodeError, NotFound, StorageFault):
                continue
            is_folder = stat.S_ISDIR(found.st_mode)
            if not is_folder and not stat.S_ISREG(found.st_mode):
                continue
            seen = self._is_shown if is_folder else self._is_seen
            if self.sight is None or (seen(there.path) and seen(b"/".join((above, name)))):
                yield Entry(text, is_folder, found.st_size, found.st_mtime)

    def is_folder(self, place: Place) -> bool:
        """Whether a place is a folder.

        Raises:
            NotFound: It is nothing at all.
        """
        return stat.S_ISDIR(self.stat(place).st_mode)

    def stat(self, place: Place) -> os.stat_result:
        """What the file system says of a place.

        Raises:
            NotFound: It is nothing at all.
        """
        fd = self._open(place.root, place.parts, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def open(self, place: Place) -> int:
        """Open a regular file for reading.

        Raises:
            NotFound: It is gone, or something else than a regular file.
            NoPermission: It is one that may not be read.
        """
        try:
            # O_NONBLOCK: opening a FIFO must not wait for a writer
            fd = open_beneath(place.root.fd, place.parts, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno == errno.EACCES and stat.S_ISREG(self.stat(place).st_mode):
                raise NoPermission(place.name) from None
            raise storage_error(error, place.name) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotFound(place.name)
        return fd

    def _root_of(self, parts: tuple[str, ...]) -> tuple[Root, tuple[str, ...]]:
        served = [root for root in self.roots if root.listed]
        if len(served) == 1 and not served[0].name:
            return served[0], parts
        for root in served:
            if parts and root.name == parts[0]:
                return root, parts[1:]
        raise NotFound("/".join(parts))

    def _step(self, place: Place, name: bytes) -> tuple[Place, int]:
        found, info = self._find(place, name)
        return found, info.st_mode

    def _find(self, place: Place, name: bytes) -> tuple[Place, os.stat_result]:
        """The member ``name`` of a folder, symbolic links followed."""
        if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
            raise NotFound(os.fsdecode(name))
        found, _ = self._walk(place, [name])
        fd = self._open(found.root, found.parts, os.O_PATH)
        try:
            return found, os.fstat(fd)
        finally:
            os.close(fd)

    def _walk(self, start: Place, names: list[bytes]) -> tuple[Place, int]:
        """Resolve names from a real folder, following symbolic links inside the roots."""
        root, done, links = start.root, list(start.parts), list(start.links)
        pending = list(reversed(names))
        mode = stat.S_IFDIR
        while pending:
            name = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                mode = stat.S_IFDIR
                if done:
                    done.pop()
                else:
                    root = self._above(root, pending)
                continue
            fd = self._open(root, (*done, name), os.O_PATH | os.O_NOFOLLOW)
            try:
                mode = os.fstat(fd).st_mode
                target = os.readlink(b"", dir_fd=fd) if stat.S_ISLNK(mode) else b""
            finally:
                os.close(fd)
            if not target:
                done.append(name)
                continue
            links.append((Place(root, (*done, name)).path, target))
            if len(links) > MAX_LINKS:
                raise NotFound(os.fsdecode(name))
            mode = stat.S_IFDIR
            root, below = self._aimed(root, links[-1])
            if target.startswith(b"/"):
                done = []
            pending += reversed(below)
            self._check_way(b"/".join((root.path, *done, *reversed(pending))))
        if root.only and done and done != [root.only]:
            # beside a file that is served alone: another root may reach it
            root, done = self._anchored(Place(root, tuple(done)).path)
        found = Place(root, tuple(done), tuple(links))
        (self._check_way if stat.S_ISDIR(mode) else self._check)(found.path)
        return found, mode

    # ------------------------------------------------------------------ sight

    def _check(self, path: bytes) -> None:
        """Refuse an absolute path that may not be seen."""
        if not self._is_seen(path):
            raise Hidden(os.fsdecode(path))

    def _check_way(self, path: bytes) -> None:
        """Refuse an absolute path that may not be seen, and nothing below it either."""
        sight = self.sight
        if sight is not None and not all(sight.may(n) or sight.leads_below(n) for n in self._names(path)):
            raise Hidden(os.fsdecode(path))

    def _is_seen(self, path: bytes) -> bool:
        sight = self.sight
        return sight is None or all(sight.may(name) for name in self._names(path))

    def _is_shown(self, path: bytes) -> bool:
        sight = self.sight
        return sight is None or all(not name or sight.shows(name) for name in self._names(path))

    def _asked_path(self, asked: tuple[str, ...]) -> bytes:
        """Components of a URL as an absolute path, symbolic links and all."""
        root, rest = self._root_of(asked)
        return Place(root, tuple(os.fsencode(part) for part in rest)).path

    def _names(self, path: bytes) -> list[tuple[str, ...]]:
        """What rules call an absolute path: its name below each root it is in, or, if links alone lead there, itself.

        Where roots overlap, all of its names count.
        """
        path = os.path.normpath(path)
        found: list[tuple[str, ...]] = []
        for root in self.roots:
            top = root.path.rstrip(b"/")
            if root.listed and (path == root.path or path.startswith(top + b"/")):
                below = [os.fsdecode(part) for part in path[len(top) :].split(b"/") if part]
                if not root.only or below[:1] in ([], [os.fsdecode(root.only)]):
                    found.append((root.name, *below) if root.name else tuple(below))
        return found or [("", *(os.fsdecode(part) for part in path.split(b"/") if part))]

    def _aimed(self, root: Root, link: tuple[bytes, bytes]) -> tuple[Root, list[bytes]]:
        """Where a symbolic link leads: names below its folder, or, if it is absolute, below another root."""
        path, target = link
        self._check(path)
        return self._anchored(target) if target.startswith(b"/") else (root, target.split(b"/"))

    def _above(self, root: Root, pending: list[bytes]) -> Root:
        """The root that a path enters again after it left one upwards; takes the names up to there."""
        path = os.path.dirname(root.path)
        while True:
            found = next((other for other in self.roots if other.path == path), None)
            if found is not None:
                return found
            if not pending:
                raise NotFound(os.fsdecode(path))
            name = pending.pop()
            path = os.path.dirname(path) if name == b".." else os.path.join(path, name) if name != b"." else path

    def _anchored(self, target: bytes) -> tuple[Root, list[bytes]]:
        """The root that an absolute path lies in, and the names below it.

        Raises:
            NotFound: It lies in none.
        """
        anchored = self._anchor(target)
        if anchored is None:
            raise NotFound(os.fsdecode(target))
        return anchored[0].root, anchored[1]

    def _anchor(self, target: bytes) -> tuple[Place, list[bytes]] | None:
        """The root an absolute path lies in, after the path map, and the names below it."""
        path = os.path.normpath(target)
        for old, new in self.path_map:
            if path == old or path.startswith(old.rstrip(b"/") + b"/"):
                path = os.path.normpath(new + path[len(old.rstrip(b"/")) :])
                break
        best: tuple[int, Root, list[bytes]] | None = None
        for root in self.roots:
            for prefix in {root.path, root.given or root.path}:
                if path != prefix and not path.startswith(prefix.rstrip(b"/") + b"/"):
                    continue
                names = [name for name in path[len(prefix) :].split(b"/") if name]
                if (not root.only or names == [root.only]) and (best is None or len(prefix) > best[0]):
                    best = len(prefix), root, names
        return None if best is None else (Place(best[1], ()), best[2])

    def _open(self, root: Root, parts: Parts, flags: int) -> int:
        try:
            return open_beneath(root.fd, parts, flags)
        except OSError as error:
            raise storage_error(error, os.fsdecode(b"/".join(parts))) from None


def storage_error(error: OSError, name: str) -> NotFound | StorageFault | Busy:
    """What a failed system call means: absent, exhausted, or a fault that says nothing about the data."""
    if error.errno in _ABSENT:
        return NotFound(name)
    if error.errno in _EXHAUSTED:
        return Busy(f"out of file descriptors or memory opening {name}")
    return StorageFault(f"{name}: {error.strerror}")


def open_root(path: str, name: str = "", *, listed: bool = True) -> Root:
    """Open a folder, or the folder of a file, to be served.

    Raises:
        FileNotFoundError: There is none.
    """
    given = os.path.abspath(os.fsencode(path))
    real = os.path.realpath(given)
    if not os.path.exists(real):
        raise FileNotFoundError(f"{path}: no such file or folder")
    if not os.path.isdir(real) and not os.path.isfile(real):
        raise FileNotFoundError(f"{path}: neither a file nor a folder")
    only = b"" if os.path.isdir(real) else os.path.basename(real)
    folder = os.path.dirname(real) if only else real
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return Root(name, folder, fd, only, listed, os.path.dirname(given) if only else given)
