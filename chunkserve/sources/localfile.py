"""An open file: its identity, whether it still is what its path names, and reads that never mix two versions."""

import contextlib
import errno
import os
from dataclasses import dataclass

from chunkserve.errors import Corrupt, NotFound, SourceChanged, StorageFault
from chunkserve.model import Identity
from chunkserve.sources.roots import Place, Roots, storage_error


class WouldBlock(Exception):
    """The bytes are not in the page cache: read them in a thread."""


def identity(info: os.stat_result) -> Identity:
    """The identity in a stat result."""
    return Identity(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


@dataclass(eq=False, slots=True)
class LocalFile:
    """A regular file, opened inside the roots.

    Attributes:
        place: Its real path, and the links that led there.
        fd: The descriptor; open as long as this object lives.
        identity: As of opening.
        nowait: Whether RWF_NOWAIT works on this file system.
    """

    place: Place
    fd: int
    identity: Identity
    nowait: bool = True

    def is_current(self) -> bool:
        """Whether the path still names this very file, unchanged.

        Raises:
            StorageFault: The storage does not answer.
        """
        try:
            info = os.stat(self.place.path)
            if self.place.links and any(os.readlink(link) != target for link, target in self.place.links):
                return False
        except OSError as error:
            if isinstance(storage_error(error, ""), StorageFault):
                raise StorageFault(f"{self.place.name}: {error.strerror}") from error
            return False
        seen = self.identity
        return (
            info.st_mtime_ns == seen.mtime_ns
            and info.st_size == seen.size
            and info.st_ctime_ns == seen.ctime_ns
            and info.st_ino == seen.ino
            and info.st_dev == seen.dev
        )

    def stat(self) -> Identity | None:
        """The identity of what the path names now, ``None`` if it names nothing."""
        try:
            return identity(os.stat(self.place.path))
        except OSError as error:
            failure = storage_error(error, self.place.name)
            if isinstance(failure, NotFound):
                return None
            raise failure from error

    def check_unchanged(self) -> None:
        """Compare the open file with what it was when opened.

        Raises:
            SourceChanged: It was written to.
        """
        info = os.fstat(self.fd)
        seen = self.identity
        if info.st_mtime_ns != seen.mtime_ns or info.st_size != seen.size or info.st_ctime_ns != seen.ctime_ns:
            raise SourceChanged(f"{self.place.name} changed while it was read")

    def read_into(self, view: memoryview, offset: int, *, wait: bool) -> None:
        """Fill ``view`` from ``offset``.

        Args:
            view: Where to.
            offset: Byte offset in the file.
            wait: Whether to wait for the disk.

        Raises:
            WouldBlock: Not ``wait``, and the bytes are not in memory.
            Corrupt: The file ends before.
            StorageFault: The storage failed.
        """
        while view:
            try:
                got = self._read(view, offset, wait=wait)
            except BlockingIOError:
                raise WouldBlock from None
            except OSError as error:
                if error.errno == errno.EOPNOTSUPP and not wait:
                    self.nowait = False
                    raise WouldBlock from None
                raise StorageFault(f"{self.place.name}: {error.strerror}") from error
            if not got:
                self.check_unchanged()
                raise Corrupt(f"{self.place.name} ends before byte {offset + len(view)}")
            view, offset = view[got:], offset + got

    def _read(self, view: memoryview, offset: int, *, wait: bool) -> int:
        if wait:
            return os.preadv(self.fd, [view], offset)
        if not self.nowait:
            raise BlockingIOError
        return os.preadv(self.fd, [view], offset, os.RWF_NOWAIT)

    def read(self, offset: int, length: int, *, wait: bool = True) -> bytearray:
        """``length`` bytes from ``offset``; raises as :meth:`read_into`."""
        data = bytearray(length)
        self.read_into(memoryview(data), offset, wait=wait)
        return data

    def __del__(self) -> None:
        """Close the descriptor when nobody reads from it any more."""
        with contextlib.suppress(OSError):
            os.close(self.fd)


def open_file(roots: Roots, place: Place) -> LocalFile:
    """Open a file that was located.

    Raises:
        NotFound: It is gone.
    """
    fd = roots.open(place)
    return LocalFile(place, fd, identity(os.fstat(fd)))
