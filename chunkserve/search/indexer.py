"""The process that keeps an index fresh: names of all folders first, then what is in files that are new or changed."""

import fnmatch
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from chunkserve import wire
from chunkserve.cache.disk import DiskCache
from chunkserve.errors import ChunkserveError, NotFound, TryAgain
from chunkserve.model import Dataset
from chunkserve.search.entries import Entry, entries_of, file_entry, is_short_text, with_value
from chunkserve.search.schema import DONE, FAILED, OFFLINE, OTHER, PENDING, STATES, locked, path_of
from chunkserve.search.writer import Todo, Writer
from chunkserve.service.catalogue import is_hdf5
from chunkserve.service.files import Files
from chunkserve.service.hdffile import HdfFile
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import Settings
from chunkserve.sources.roots import Place

ALLOCATED = 0.05
"""A file of which less than this part is on disk is taken to be on tape."""

SMALL = 64 * 2**10
"""Bytes of a file that file systems may keep elsewhere than in blocks of its own."""

OPEN_FILES = 4
"""Files that the indexer keeps open."""

MOST_VALUES = 200
"""Short text datasets read per file."""

REST = 1.0
"""Pauses between folders, as a part of the time that listing them took; not when an index is built ahead."""

NICENESS = 10
"""Of the process that keeps the index fresh: a tenth of what those who serve get, where all of them want it."""

TOLD_EVERY = 100

log = logging.getLogger("chunkserve.search")


class _Known(DiskCache):
    """The cache of structures: what is there is used, and nothing is put there that nobody asked for."""

    def get_or_make(self, kind: str, key: str, make: Callable[[], bytes]) -> memoryview:
        """An entry, made if it is not there, and not kept. Waits for nobody, has nobody wait."""
        found = self.get(kind, key)
        return memoryview(make()) if found is None else found


class Indexer:
    """Brings an index up to date with what is served."""

    def __init__(self, settings: Settings, store: Store, index: Writer, *, rest: float = REST) -> None:
        """Read what ``store`` serves into ``index``."""
        self.settings = settings
        self.store = store
        self.index = index
        self._rest = rest
        disk = _Known(settings.cache_folder(), settings.cache_disk)
        self._files = Files(store.roots, replace(store.tools, disk=disk))

    def update(self, told: Callable[[str, int, int], None] = lambda *_: None) -> None:
        """Names, then contents.

        Args:
            told: Called with what is done (``names`` or ``contents``), how much of it, and of how much (0: unknown).
        """
        self.update_names(told)
        self.update_contents(told)
        self.index.tell("passes", self.index.figure("passes") + 1)
        self.index.tell("updated", time.time())

    # ---------------------------------------------------------------- names

    def update_names(self, told: Callable[[str, int, int], None]) -> None:
        """Look at all folders: what is new or changed is to be looked into, what is gone is forgotten."""
        number = int(self.index.figure("passes")) + 1
        queue: deque[tuple[str, ...]] = deque(
            [()] if self.store.single_root() else [(root.name,) for root in self.store.roots.roots if root.listed]
        )
        seen: set[bytes] = set()
        while queue:
            began = time.monotonic()
            folder = queue.popleft()
            queue.extend(self._update_folder(folder, seen, number))
            told("names", len(seen), 0)
            if self._rest:
                time.sleep(self._rest * min(1.0, time.monotonic() - began))
        self.index.forget_unseen(number)

    def _update_folder(self, folder: tuple[str, ...], seen: set[bytes], number: int) -> list[tuple[str, ...]]:
        """Bring a folder's files up to date; its folders."""
        path = "/".join(folder)
        try:
            place, _ = self.store.roots.locate(folder)
            if place.path in seen:  # a symbolic link has led here before
                return []
            seen.add(place.path)
            members = list(self.store.roots.listing(place))
        except NotFound:
            return []
        except ChunkserveError as error:
            log.info("search: %s cannot be listed at present: %s", path or "/", error)
            self.index.keep(path, number)
            return []
        files = [(member, PENDING if is_hdf5(member.name) else OTHER) for member in members if not member.is_folder]
        known = sum(int(self.index.figure(state)) for state in STATES)
        room = max(0, self.settings.search_files - known) if self.index.has_room() else 0
        self.index.set_folder(path, files, number, room=room)
        return [(*folder, member.name) for member in members if member.is_folder]

    # ------------------------------------------------------------- contents

    def update_contents(self, told: Callable[[str, int, int], None]) -> None:
        """Look into the files that are new or changed."""
        total = int(self.index.figure(PENDING))
        for done, file in enumerate(self.index.todo()):
            told("contents", done, total)
            if not self.index.has_room():
                log.warning("search: the index is full (setting search_disk); the rest is found by name only")
                return
            self._update_file(file)
        told("contents", total, total)

    def _update_file(self, file: Todo) -> None:
        parts = tuple(file.path.split("/"))
        try:
            place, rest = self.store.roots.locate(parts)
            if rest or not place.parts:
                return
            if self.is_offline(place):
                entries, state = [], OFFLINE
            else:
                entries, state = self._contents(self._files.open(place)), DONE
        except (NotFound, TryAgain) as error:
            log.debug("search: %s later: %s", file.path, error)
            return
        except ChunkserveError as error:
            log.info("search: %s is found by name only: %s", file.path, error)
            entries, state = [], FAILED
        self.index.set_content(file.id, [file_entry(parts[-1]), *entries], state)

    def is_offline(self, place: Place) -> bool:
        """Whether opening a file would bring it back from tape: by its name, or since it has next to no blocks."""
        name = os.fsdecode(place.parts[-1])
        if any(fnmatch.fnmatch(name, pattern) for pattern in self.settings.search_offline):
            return True
        info = self.store.roots.stat(place)
        return info.st_size > SMALL and info.st_blocks * 512 < ALLOCATED * info.st_size

    def _contents(self, file: HdfFile) -> list[Entry]:
        structure = file.structure()
        ends = time.monotonic() + self.settings.search_seconds
        found = list(entries_of(structure, self.settings.search_objects))
        left = MOST_VALUES
        for i, entry in enumerate(found):
            dataset = structure.datasets.get(entry.number)
            if not left or time.monotonic() > ends:
                break
            if dataset is not None and is_short_text(dataset):
                left -= 1
                found[i] = self._with_value(file, entry, dataset)
        return found

    def _with_value(self, file: HdfFile, entry: Entry, dataset: Dataset) -> Entry:
        shape = dataset.shape or ()
        task = wire.Task(read=wire.Read(file.structure().path_of(entry.number), (0,) * len(shape), shape))
        try:
            values = file.ask(task, wire.Values, entry.path[1:])
            return with_value(entry, dataset, values.data if values.items is None else values.items)
        except TryAgain:
            raise
        except (ChunkserveError, ValueError):
            return entry


def bounded(settings: Settings) -> Settings:
    """The settings, with the bounds of indexing in place of those of serving."""
    return replace(
        settings,
        readers=1,
        reader_deadline=min(settings.reader_deadline, settings.search_seconds),
        scan_objects=min(settings.scan_objects, settings.search_objects),
        scan_seconds=min(settings.scan_seconds, settings.search_seconds),
        open_files=OPEN_FILES,
        cache_memory=min(settings.cache_memory, 32 * 2**20),
    )


def build(settings: Settings, paths: tuple[str, ...], told: Callable[[str, int, int], None]) -> None:
    """Bring the index of ``paths`` up to date, once, with nobody else doing so.

    Raises:
        Busy: Somebody else is.
    """
    tight = bounded(settings)
    store = Store(tight, open_roots(tight, paths))
    try:
        path = path_of(settings, store.roots)
        with locked(path, wait=False):
            index = Writer(path, settings.search_disk)
            try:
                Indexer(tight, store, index, rest=0).update(told)
            finally:
                index.close()
    finally:
        store.close()


def keep_fresh(settings: Settings, paths: tuple[str, ...]) -> None:
    """Keep the index of ``paths`` up to date for as long as this process lives, after those who serve."""
    make_modest()
    tight = bounded(settings)
    store = Store(tight, open_roots(tight, paths))
    path = path_of(settings, store.roots)
    with locked(path, wait=True):
        index = Writer(path, settings.search_disk)
        indexer = Indexer(tight, store, index)
        while True:
            try:
                index.follow()
                indexer.update()
            except sqlite3.DatabaseError as error:
                log.warning("search: %s is made anew: %s", path, error)
                index.discard()
            time.sleep(settings.search_interval)


def make_modest() -> None:
    """Leave, with all children, the processor and the disk to those who serve, but for a tenth.

    The kernel derives the priority of reads and writes from this (``man ionice``). As ``SCHED_IDLE`` it would never
    finish on a machine that is always busy.
    """
    os.nice(NICENESS)
