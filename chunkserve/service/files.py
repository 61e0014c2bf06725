"""The table of open files: one :class:`HdfFile` per path and version, the least recently used closed first."""

import copy
import threading
from collections import OrderedDict

from chunkserve.errors import NotFound, SourceChanged
from chunkserve.service.hdffile import HdfFile, Tools
from chunkserve.sources.localfile import open_file
from chunkserve.sources.roots import Place, Roots

_CHANGES = 3
"""Times a file may change while it is opened."""


class Files:
    """Files by URL and by link, opened on demand. Thread-safe."""

    def __init__(self, roots: Roots, tools: Tools) -> None:
        """Serve the files below ``roots``."""
        self.roots = roots
        self.tools = tools
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[bytes, tuple[tuple[bytes, bytes], ...]], HdfFile] = OrderedDict()

    def seen_with(self, roots: Roots) -> "Files":
        """The same files, found by way of ``roots``; those that are open are shared."""
        found = copy.copy(self)
        found.roots = roots
        return found

    def find(self, parts: tuple[str, ...]) -> tuple[HdfFile, tuple[str, ...]]:
        """The file that URL components begin with, opened, and the rest of them.

        Raises:
            NotFound: No file is there.
            StorageFault: The storage failed.
        """
        place, rest = self.roots.locate(parts)
        if not place.parts:
            raise NotFound("/".join(parts))
        return self.open(place), rest

    def follow(self, target: bytes, near: HdfFile) -> HdfFile:
        """The file that a link written in ``near`` names. ``.`` is the file itself.

        Raises:
            NotFound: It is not there, or not to be reached.
        """
        if target == b".":
            return near
        return self.open(self.roots.follow(target, near.local.place))

    def open(self, place: Place) -> HdfFile:
        """The current version of a file.

        Raises:
            NotFound: It is gone, or a folder.
            SourceChanged: It keeps being replaced.
        """
        key = (place.path, place.links)
        known = self._known(key)
        if known is not None and known.is_current():
            return known
        for _ in range(_CHANGES):
            opened = HdfFile(open_file(self.roots, place), self.tools)
            if opened.is_current():
                break
        else:
            raise SourceChanged(f"{place.name} keeps changing")
        with self._lock:
            current = self._open.get(key)
            if current is not None and current is not known and current.local.identity == opened.local.identity:
                return current  # another thread was faster
            if current is not None:
                current.evicted = True
                if current.local.identity.ino == opened.local.identity.ino:
                    opened.adopt(current)
            self._open[key] = opened
            self._open.move_to_end(key)
            while len(self._open) > self.tools.settings.open_files:
                self._open.popitem(last=False)[1].evicted = True
        return opened

    def _known(self, key: tuple[bytes, tuple[tuple[bytes, bytes], ...]]) -> HdfFile | None:
        with self._lock:
            known = self._open.get(key)
            if known is not None:
                self._open.move_to_end(key)
            return known

    def close(self) -> None:
        """Let go of all files; what is being read from them is still read to its end."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].release()

    def __len__(self) -> int:
        return len(self._open)
