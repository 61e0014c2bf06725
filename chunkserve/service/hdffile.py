"""One version of one HDF5 file: open, with its structure and chunk indices as they are needed."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

from chunkserve import wire
from chunkserve.cache.disk import DiskCache
from chunkserve.cache.flight import Flight
from chunkserve.cache.memory import MemoryCache
from chunkserve.chunkindex import ChunkIndex, ChunkRef
from chunkserve.errors import (
    Busy,
    Corrupt,
    NotFound,
    Quarantined,
    SourceChanged,
    StorageFault,
    TooLarge,
    TryAgain,
    Unreadable,
    Unsupported,
)
from chunkserve.grid import Shape, chunk_box, grid_shape
from chunkserve.hdf5.pool import ReaderDied, ReaderRefused, Readers
from chunkserve.hdf5.superblock import PROBE, Superblock, probe
from chunkserve.model import Dataset, Snapshot
from chunkserve.service.structure import Structure
from chunkserve.settings import Settings
from chunkserve.sources.localfile import LocalFile, WouldBlock
from chunkserve.versions import digest, file_version

T = TypeVar("T")

STRUCTURES = "structure-2"
"""Where structures are kept on disk; the number changes with :mod:`chunkserve.model`."""

LIVE_SCAN_OBJECTS = 2000
"""Objects described by one look at a file that is still changing."""

RETRIES = 4
"""Looks at a file that changes under our eyes, before the caller is told to come back."""

OBJECT_WEIGHT = 6
"""Bytes of memory that a structure takes per byte of its encoded form."""

DEADLY = 3
"""Datasets that may end their reader before the whole file is left alone."""

QUIET = 0.5
"""Seconds for which a file must not be written to before it is looked at; a quarter of ``settle`` if that is less."""

KILLS = 8
"""Readers in a row that something ended by SIGKILL before the file is blamed: it may be want of memory elsewhere."""

_serials = itertools.count()

log = logging.getLogger("chunkserve.files")


@dataclass(frozen=True)
class Tools:
    """What every open file needs; ``byte_settings`` stands for the settings that decide about bytes."""

    settings: Settings
    readers: Readers
    disk: DiskCache
    flight: Flight
    byte_settings: str
    structures: MemoryCache[Structure]
    decoded: MemoryCache[bytes]


class HdfFile:
    """An open HDF5 file. Thread-safe.

    Attributes:
        local: The open file.
        version: Opaque; the same on every host. A SWMR file keeps it while it grows.
        swmr: A single writer has it open, and readers are welcome.
        live: It is being written, or was until a moment ago: nothing about it is kept on disk.
        serial: Distinguishes it from all others opened in this process.
        evicted: Dropped from the table of open files; handles must let go of it.
    """

    def __init__(self, local: LocalFile, tools: Tools) -> None:
        """Look at the superblock.

        Raises:
            Unreadable: It is not HDF5.
        """
        self.local = local
        self.tools = tools
        self.serial = next(_serials)
        self.evicted = False
        block = self._superblock()
        self.swmr = block.swmr
        self._marked = block.writing
        self.live = block.writing or self._age() < tools.settings.settle
        seen = local.identity
        if self.swmr:
            self.version = digest("swmr", local.place.name, tools.byte_settings)
        else:
            self.version = file_version(local.place.name, seen.size, seen.mtime_ns, tools.byte_settings)
        self._structure: Structure | None = None  # of a live file; others are in the tools' bounded cache
        self._fallback: Structure | None = None
        self._indexes: dict[int, ChunkIndex] = {}
        self._lock = threading.RLock()
        self._derived: dict[Hashable, object] = {}
        self._kills = 0
        self._quarantine: dict[str, Quarantined] = {}

    @property
    def fd(self) -> int:
        """The descriptor, for reader processes."""
        return self.local.fd

    @property
    def key(self) -> object:
        """What a reader process is bound to: this content, or for SWMR this file."""
        seen = self.local.identity
        return (seen.dev, seen.ino) if self.swmr else seen

    @property
    def name(self) -> str:
        """Root name and path below it."""
        return self.local.place.name

    def _superblock(self) -> Superblock:
        block = probe(self.local.read(0, min(PROBE, self.local.identity.size)))
        return block or Superblock(writing=False, swmr=False)

    def is_current(self) -> bool:
        """Whether the path still leads to this version. Growth under SWMR does not make a new one."""
        if self.evicted:
            return False
        if self.local.is_current():
            return not self._has_settled()
        return self.swmr and self._follow_growth()

    def _age(self) -> float:
        """Seconds since it was written to; a time in the future counts like one in the past."""
        return abs(time.time() - self.local.identity.mtime_ns / 1e9)

    def _has_settled(self) -> bool:
        """Whether it was live and no longer is: it is to be opened anew, and kept."""
        return self.live and not self._marked and self._age() >= self.tools.settings.settle

    def _await_quiet(self) -> None:
        """Wait until a live file was not written to for a moment.

        HDF5 moves chunks before it writes down where to. As long as it is busy, an index may lead to another chunk's
        bytes; a look at the index and the bytes, both while it is quiet, is of one state.

        Raises:
            SourceChanged: It was written to since it was opened.
        """
        left = min(QUIET, self.tools.settings.settle / 4) - self._age()
        if left > 0:
            time.sleep(left)
        self.local.check_unchanged()

    def _follow_growth(self) -> bool:
        fresh = self.local.stat()
        old = self.local.identity
        if fresh is None or (fresh.dev, fresh.ino) != (old.dev, old.ino) or not self._superblock().swmr:
            return False
        self.local.identity = fresh
        return True

    def structure(self, *, wait: bool = True) -> Structure:
        """The file's structure; read on first use.

        Raises:
            WouldBlock: It was not read yet and ``wait`` is false.
            Quarantined, Unreadable, TryAgain: It cannot be read.
        """
        found = self._structure or self.tools.structures.get(self.serial)
        if found is None:
            if not wait:
                raise WouldBlock
            found = self.tools.flight.run((self.serial, "structure"), self._read_structure)
        return found

    def release(self) -> None:
        """Let go of the file: break the cycles that would keep its descriptor open."""
        self.evicted = True
        self._derived.clear()
        self._structure = self._fallback = None
        self.tools.structures.drop(self.serial)

    def adopt(self, previous: "HdfFile") -> None:
        """Remember the structure of the version before, should this one be unreadable while it is written."""
        self._fallback = previous._structure or previous._fallback  # noqa: SLF001 - one of our own kind

    def _read_structure(self) -> Structure:
        if self.live:
            self._structure = self._read_live_structure()
            return self._structure
        data = self.tools.disk.get_or_make(STRUCTURES, self.version, lambda: wire.encode(self._scan(())))
        try:
            structure = Structure(wire.decode(data, Snapshot), self._scan)
        except ValueError as error:
            raise Corrupt(f"cached structure of {self.name}: {error}") from error
        weight = min(OBJECT_WEIGHT * len(data), self.tools.structures.limit)
        self.tools.structures.put(self.serial, structure, weight)
        return structure

    def _read_live_structure(self) -> Structure:
        """Several attempts, since a writer may be in the middle of something; then what was good last time."""
        for attempt in range(RETRIES):
            try:
                return Structure(self._scan(()), self._scan)
            except (Unreadable, TryAgain, Corrupt) as error:
                if attempt == RETRIES - 1:
                    if self._fallback is not None:
                        return self._fallback
                    raise self._while_writing(error) from error
            time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    def _while_writing(self, error: Exception) -> Exception:
        """A file that changes is never blamed for good."""
        if isinstance(error, TryAgain):
            return error
        return SourceChanged(f"{self.name} is being written: {error}")

    def _scan(self, path: tuple[bytes, ...]) -> Snapshot:
        s = self.tools.settings
        objects = LIVE_SCAN_OBJECTS if self.live else s.scan_objects
        seconds = min(s.scan_seconds, 0.8 * s.reader_deadline)
        return self.ask(wire.Task(scan=wire.Scan(path, objects, seconds, s.max_attribute)), Snapshot, "structure")

    def ask(self, task: wire.Task, kind: type[T], subject: str) -> T:
        """Have a reader process do something with this file.

        Args:
            task: What.
            kind: Type of the answer.
            subject: What is out of bounds if the reader does not survive: ``structure``, or a dataset.

        Raises:
            Quarantined: It, or an earlier attempt on the same subject, ended the reader.
            Unreadable, Corrupt, Unsupported, TooLarge, NotFound, TryAgain: The reader's refusal.
        """
        for known in (subject, "structure"):
            if known in self._quarantine:
                raise self._quarantine[known]
        if self.live and not self.swmr:
            self._await_quiet()
        try:
            answer = self.tools.readers.call(self, task, kind)
        except ReaderDied as death:
            what = self.name if subject == "structure" else f"{self.name}:{subject}"
            log.warning("reader died: %s: %s", what, death.reason)
            if self.live or not self.is_current():
                raise SourceChanged(f"{what} could not be read while it is written: {death.reason}") from None
            self._kills += death.killed
            if death.killed and self._kills < KILLS:
                raise Busy(f"{what} could not be read: {death.reason}") from None
            reason = Quarantined(f"{what} cannot be read: {death.reason}")
            self._quarantine[subject] = reason
            if len(self._quarantine) >= DEADLY:
                self._quarantine["structure"] = reason
            raise reason from None
        except ReaderRefused as refusal:
            error = self._refusal(refusal, subject)
            if isinstance(error, Unreadable | Corrupt | NotFound) and (self.live or not self.is_current()):
                raise SourceChanged(f"{error} (it is being written)") from None
            raise error from None
        self._kills = 0
        return answer

    def _refusal(self, refusal: ReaderRefused, subject: str) -> Exception:
        what = self.name if subject == "structure" else f"{self.name}:{subject}"
        message = f"{what}: {refusal.message}"
        match refusal.kind:
            case "missing":
                return NotFound(message)
            case "corrupt":
                return Corrupt(message)
            case "unsupported":
                return Unsupported(message)
            case "memory":
                limit = self.tools.settings.reader_memory
                return TooLarge(f"what {what} asks of memory", limit, limit, "reader_memory")
            case "writing":
                return Busy(f"{message}; it can be read when its writer closes it (or 'h5clear -s' after a crash)")
            case "storage":
                return StorageFault(message)
        return Unreadable(message)

    def index(self, number: int, dataset: Dataset, *, wait: bool = True) -> ChunkIndex:
        """The chunk index of a dataset.

        Raises:
            WouldBlock: It is not in memory and ``wait`` is false.
            Quarantined, Unreadable, TryAgain, Corrupt: It cannot be had.
        """
        found = self._indexes.get(number)
        if found is None:
            if not wait:
                raise WouldBlock
            found = self.tools.flight.run((self.serial, "index", number), lambda: self._load_index(number, dataset))
            self._indexes[number] = found
        return found

    def remember(self, what: Hashable, make: Callable[[], T]) -> T:
        """Something derived from the structure, made once."""
        with self._lock:
            if what not in self._derived:
                self._derived[what] = make()
            return self._derived[what]  # type: ignore[return-value]  # one name, one type

    def _load_index(self, number: int, dataset: Dataset) -> ChunkIndex:
        path = self.structure().path_of(number)
        text = b"/".join(path).decode("utf-8", "backslashreplace")

        def make() -> bytes:
            return self.ask(wire.Task(index=wire.Index(path)), bytes, text)

        data = self.tools.disk.get_or_make("index", f"{self.version}/{text}", make)
        return ChunkIndex(data, grid_shape(dataset.shape or (), dataset.chunks))

    def locate(self, number: int, dataset: Dataset, position: Shape) -> ChunkRef | None:
        """Where a chunk lies at this moment, for a live file."""
        origin = chunk_box(position, dataset.chunks).start
        found = self.look_up(number, (origin,)).chunks[0]
        return ChunkRef(*found) if found is not None else None

    def look_up(self, number: int, origins: tuple[Shape, ...]) -> wire.Located:
        """The current extent of a dataset of a live file, and where chunks lie."""
        path = self.structure().path_of(number)
        text = b"/".join(path).decode("utf-8", "backslashreplace")
        return self.ask(wire.Task(lookup=wire.Lookup(path, origins)), wire.Located, text)
