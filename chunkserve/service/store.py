"""The door: every face asks here, for the bytes of a key or the elements of a region.

``wait=False`` answers from memory and the page cache or raises ``WouldBlock``; the same call with ``wait=True``, in a
thread, then does what takes time. There is no second way in.
"""

import copy
import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import NamedTuple

from chunkserve.cache.disk import DiskCache
from chunkserve.cache.flight import Flight
from chunkserve.cache.memory import MemoryCache
from chunkserve.cache.recent import Recent
from chunkserve.errors import Gone, Hidden, NotFound
from chunkserve.grid import Shape
from chunkserve.hdf5.pool import Readers
from chunkserve.metadata.keys import ChunkKey, DocumentKey, Format, in_grid, parse_key
from chunkserve.metadata.present import Thresholds
from chunkserve.model import Group
from chunkserve.service.blob import Blob, Stored, blob_of
from chunkserve.service.chunks import Chunks
from chunkserve.service.closure import Closure, closure_of
from chunkserve.service.described import Described, described
from chunkserve.service.documents import Documents, Made
from chunkserve.service.entities import Entities, Entity
from chunkserve.service.files import Files
from chunkserve.service.hdffile import HdfFile, Tools
from chunkserve.service.images import Images
from chunkserve.service.nodes import Node, Nodes, is_hidden, named_links
from chunkserve.service.pyramids import Pyramids
from chunkserve.service.references import references
from chunkserve.service.slices import Slices, Subject, Wanted
from chunkserve.service.tiles import Tiles
from chunkserve.service.zarrarray import Context, ZarrArray
from chunkserve.settings import Settings, clean_environment
from chunkserve.sources.localfile import WouldBlock
from chunkserve.sources.roots import Entry, Place, Roots, Sight, open_root
from chunkserve.versions import digest

HANDLES = 2048
"""Arrays remembered by URL, per worker."""

SOURCES = 1024
"""Sources of virtual datasets remembered, per worker."""


class Answer(NamedTuple):
    """The body of a key.

    Attributes:
        blob: The bytes.
        etag: Strong; without quotes.
        version: What to pin URLs of the file to; told with documents, empty if they cannot be pinned.
        json: Whether it is a metadata document.
        media: Its media type, if it is neither that nor bytes.
    """

    blob: Blob
    etag: str
    version: str = ""
    json: bool = False
    media: str = ""


@dataclass(frozen=True)
class Listing:
    """Members of a folder, file or group: names, with whether they have members themselves."""

    folders: tuple[str, ...]
    others: tuple[str, ...]
    entries: tuple[Entry, ...] = ()


class AbsentChunk(NotFound):
    """The array is there, and the chunk is not stored: readers put the fill value."""


class ForeignChunk(NotFound):
    """A chunk-shaped key that is not under an array which is there: not a missing chunk, a missing array."""


class Store:
    """All data below the roots, as the faces see them. Thread-safe."""

    def __init__(self, settings: Settings, roots: Roots, readers: Readers | None = None) -> None:
        """Open nothing yet.

        Args:
            settings: All of them.
            roots: What may be reached.
            readers: Reader processes shared with other stores; by default this store has its own.
        """
        self.settings = settings
        self.roots = roots
        self.memory: MemoryCache[bytes] = MemoryCache(settings.cache_memory)
        self.readers = readers or start_readers(settings)
        self._own_readers = readers is None
        self.limits = Thresholds(settings.merge_below, settings.shard_below, settings.target_chunk, settings.max_chunk)
        byte_settings = digest(*(getattr(self.limits, row.name) for row in fields(self.limits)), settings.path_map)
        disk = DiskCache(settings.cache_folder(), settings.cache_disk)
        self.tools = Tools(
            settings, self.readers, disk, Flight(), byte_settings,
            MemoryCache(settings.cache_memory // 2), MemoryCache(settings.cache_memory // 4),
        )  # fmt: skip
        self.files = Files(roots, self.tools)
        self._view: Hashable = None
        self._made: MemoryCache[Made] = MemoryCache(settings.cache_memory // 4)
        self._told: MemoryCache[Described] = MemoryCache(settings.cache_memory // 16)
        nodes = Nodes(self.files)
        self._find_by(nodes, Pyramids(self._context(nodes), settings))

    def _context(self, nodes: Nodes) -> Context:
        return Context(nodes, self.limits, self.memory, self.tools, Recent(SOURCES))

    def _find_by(self, nodes: Nodes, pyramids: Pyramids) -> None:
        """Set up all that remembers where paths lead."""
        self.nodes = nodes
        self.context = pyramids.context
        self.documents: dict[Format, Documents] = {
            2: Documents(self.context, 2, self.settings.consolidate),
            3: Documents(self.context, 3, self.settings.consolidate),
        }
        self.pyramids = pyramids
        self.images = Images(self.nodes, self.pyramids)
        self.tiles = Tiles(self.pyramids)
        self.slices = Slices(self.nodes, self.pyramids)
        self._arrays: Recent[Chunks] = Recent(HANDLES)
        self._closures: Recent[Closure] = Recent(HANDLES)

    def seen_with(self, sight: Sight, view: Hashable) -> "Store":
        """The same data, as far as they may be seen.

        Where paths lead is remembered for each view apart; open files, what is computed and what is cached are shared,
        since all of these are looked up only by way of files that may be seen. Not to be closed.

        Args:
            sight: What may be seen. It never changes its mind.
            view: Equal for sights that see the same.
        """
        found = copy.copy(self)
        found.roots = self.roots.seen_with(sight)
        found.files = self.files.seen_with(found.roots)
        found._view = view  # noqa: SLF001 - one of our own kind
        nodes = Nodes(found.files)
        found._find_by(nodes, self.pyramids.seen_with(self._context(nodes)))  # noqa: SLF001
        return found

    def close(self) -> None:
        """Let go of files and folders; end the reader processes, unless others use them."""
        self.pyramids.close()
        self.nodes.files.close()
        self.roots.close()
        if self._own_readers:
            self.readers.close()

    # ----------------------------------------------------------------- keys

    def key(
        self, zarr_format: Format, parts: tuple[str, ...], *, wait: bool, pinned: str = "", known: str = ""
    ) -> Answer:
        """The bytes of a Zarr key.

        Args:
            zarr_format: 2 or 3.
            parts: Components of the key, file included.
            wait: Whether to wait for disks, readers and decoders.
            pinned: The version the URL asks for.
            known: The ETag the client has; if it is still right, the blob is empty and nothing is read.

        Raises:
            WouldBlock: Not ``wait``, and something is not at hand.
            NotFound: No such key; :class:`ForeignChunk` and :class:`AbsentChunk` tell chunk keys apart.
            Gone: ``pinned`` is not current.
            ChunkserveError: As it says.
        """
        key = parse_key(parts, zarr_format)
        if isinstance(key, ChunkKey):
            return self.chunk(zarr_format, key.path, key.position, wait=wait, pinned=pinned, known=known)
        if isinstance(key, DocumentKey):
            return self._document(zarr_format, key, wait=wait, pinned=pinned)
        raise NotFound("/".join(parts))

    def chunk(
        self,
        zarr_format: Format,
        path: tuple[str, ...],
        position: Shape,
        *,
        wait: bool,
        pinned: str = "",
        known: str = "",
    ) -> Answer:
        """A chunk of the array at ``path``; arguments and errors as for :meth:`key`."""
        try:
            chunks = self.chunks(zarr_format, path, wait=wait)
        except NotFound as error:
            raise ForeignChunk("/".join(path)) from error
        file = chunks.array.node.files[0]
        self._check_pin(file, pinned, path, wait=wait)
        grid = chunks.presentation.grid
        if not in_grid(position, grid, zarr_format):
            raise ForeignChunk("/".join(path))
        if not grid:
            position = ()
        try:
            if known and known == chunks.etag(position, wait=wait):
                return Answer(blob_of(), known)
            blob = chunks.get(position, wait=wait)
            if blob is None:
                raise AbsentChunk("/".join(path))
            return Answer(blob, chunks.etag(position, wait=wait) or _content_tag(blob, wait=wait))
        except Hidden as error:  # a source behind a source
            raise ForeignChunk("/".join(path)) from error

    def chunks(self, zarr_format: Format, path: tuple[str, ...], *, wait: bool) -> Chunks:
        """The chunks of the array at a path.

        Raises:
            NotFound: There is no array.
            Unsupported, MissingSource: It cannot be served.
        """
        name = (zarr_format, path)
        known = self._arrays.get(name)
        if known is not None and known.array.is_current():
            return known
        if not wait:
            raise WouldBlock
        node = self.node(path)
        if node.is_group:
            raise NotFound("/".join(path))
        made = Chunks(ZarrArray(node, zarr_format, self.context))
        self._arrays.put(name, made)
        return made

    def node(self, path: tuple[str, ...]) -> Node:
        """The node at a path, file included.

        Raises:
            NotFound: There is none.
        """
        file, rest = self.files.find(path)
        return self.nodes.find(file, rest)

    def object(self, path: tuple[str, ...]) -> Entity:
        """The object at a path, file included, by the names that HDF5 has.

        Raises:
            NotFound: There is none.
        """
        return Entities(self.nodes).at(path)

    def subject(self, path: tuple[str, ...], wanted: Wanted, *, wait: bool) -> Subject:
        """What is to be sliced or reduced: the dataset at a path, by the names that HDF5 has, or a level of it.

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
            NotFound: There is no such dataset or level.
            BadRequest: There is no such field or view.
            Unsupported: It has no levels, or cannot be read.
        """
        found = self.slices.known(path, wanted)
        if found is None:
            if not wait:
                raise WouldBlock
            found = self.slices.find(path, self.object(path).node, wanted)
        return found

    def described(self, path: tuple[str, ...], depth: int, *, as_json: bool, wait: bool) -> Described:
        """What is at a path, and below it ``depth`` groups deep, as a message (docs/slices.md).

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
            NotFound: There is nothing.
        """
        name = (self._view, path, depth, as_json)
        known = self._told.get(name)
        if known is not None and known.is_current() and self.version(known.files[0], wait=wait) == known.version:
            return known
        if not wait:
            raise WouldBlock
        found = self.object(path)
        version = self.version(found.files[0], wait=wait)
        made = described(Entities(self.nodes), found, depth, version, as_json=as_json)
        if version:
            self._told.put(name, made, len(made.data) + 500)
        return made

    def _document(self, zarr_format: Format, key: DocumentKey, *, wait: bool, pinned: str) -> Answer:
        name = (self._view, zarr_format, key)
        made = self._made.get(name)
        if made is None or not made.is_current():
            if not wait:
                raise WouldBlock
            made = self.tools.flight.run(name, lambda: self._make_document(zarr_format, key))
            if not any(file.live for file in made.files):
                self._made.put(name, made, len(made.data) + 500)
        self._check_pin(made.files[0], pinned, key.path, wait=wait)
        closure = self.closure(made.files[0], wait=wait)
        return Answer(blob_of(made.data), made.etag, closure.version if closure is not None else "", json=True)

    def _make_document(self, zarr_format: Format, key: DocumentKey) -> Made:
        return self.documents[zarr_format].make(self.node(key.path), key.name)

    def pin(self, path: tuple[str, ...], *, wait: bool) -> str:
        """The version to pin URLs below a file to, empty if it cannot be pinned.

        Raises:
            NotFound: There is no such file.
            WouldBlock: Not ``wait``, and it is not at hand.
        """
        if not wait:
            raise WouldBlock
        return self.version(self.files.find(path)[0], wait=wait)

    def check_pin(self, file: HdfFile, pinned: str, *, wait: bool) -> None:
        """Look whether a pinned version of a file, and of all that it draws from, is the current one.

        Raises:
            Gone: It is not. An empty ``pinned`` always is.
            WouldBlock: Not ``wait``, and it is not at hand.
        """
        self._check_pin(file, pinned, (file.name,), wait=wait)

    def _check_pin(self, file: HdfFile, pinned: str, path: tuple[str, ...], *, wait: bool) -> None:
        if pinned and self.version(file, wait=wait) != pinned:
            raise Gone(pinned, "/".join(path))

    def version(self, file: HdfFile, *, wait: bool) -> str:
        """The version that covers a file and all that it draws from, empty if it cannot be pinned.

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
        """
        closure = self.closure(file, wait=wait)
        return closure.version if closure is not None else ""

    def closure(self, file: HdfFile, *, wait: bool) -> Closure | None:
        """All files that a file draws from; ``None`` if it cannot be pinned.

        Raises:
            WouldBlock: Not ``wait``, and it is not at hand.
        """
        known = self._closures.get(file.serial)
        if known is not None and known.is_current(self.files):
            return known
        if not wait:
            raise WouldBlock
        found = closure_of(file, self.files)
        if found is not None:
            self._closures.put(file.serial, found)
        return found

    # ---------------------------------------------------------------- others

    def listing(self, path: tuple[str, ...]) -> Listing:
        """Members of a folder, of a file's root group, or of a group. Opens no external target.

        Raises:
            NotFound: There is no such folder or group.
        """
        if not path and not self.single_root():
            return Listing(self.root_names(), ())
        place, rest = self.roots.locate(path)
        if self.roots.is_folder(place):
            entries = tuple(self.roots.listing(place, path))
            return Listing(
                tuple(e.name for e in entries if e.is_folder),
                tuple(e.name for e in entries if not e.is_folder),
                entries,
            )
        node = self.nodes.find(self.files.open(place), rest)
        if not node.is_group:
            raise NotFound("/".join(path))
        return self._members(node)

    def root_names(self) -> tuple[str, ...]:
        """Names of the roots that are listed."""
        sight = self.roots.sight
        names = (root.name for root in self.roots.roots if root.listed)
        return tuple(name for name in names if sight is None or not name or sight.shows((name,)))

    def _members(self, node: Node) -> Listing:
        groups: list[str] = []
        arrays: list[str] = []
        for name, member in self.nodes.members(node, outside=False):
            if not is_hidden(member):
                (groups if member.is_group else arrays).append(name)
        if isinstance(node.object, Group):
            arrays += [name for name, link in named_links(node.object) if link.kind == "external"]
        return Listing(tuple(groups), tuple(arrays))

    def single_root(self) -> bool:
        """Whether URLs begin below the root, because there is just one."""
        listed = [root for root in self.roots.roots if root.listed]
        return len(listed) == 1 and not listed[0].name

    def file(self, path: tuple[str, ...]) -> Answer:
        """The untouched bytes of a file.

        Raises:
            NotFound: There is no such file.
        """
        file, rest = self.files.find(path)
        if rest:
            raise NotFound("/".join(path))
        blob = blob_of(Stored(file, 0, file.local.identity.size))
        return Answer(blob, digest(file.version, "file"), file.version)

    def references(self, path: tuple[str, ...], base: str) -> Answer:
        """Kerchunk references to the chunks of a file.

        Args:
            path: The file.
            base: URL that the faces are below.

        Raises:
            NotFound: There is no such file.
            TooLarge: It has too many chunks.
        """
        file, rest = self.files.find(path)
        if rest:
            raise NotFound("/".join(path))
        data = references(self.nodes.root(file), path, base, self.context)
        return Answer(blob_of(data), hashlib.blake2b(data, digest_size=10).hexdigest(), "", json=True)

    def check(self) -> list[str]:
        """Look whether every root can be listed and a reader process answers; what was checked.

        Raises:
            ChunkserveError: Something does not work.
        """
        done = []
        for root in self.roots.roots:
            next(iter(self.roots.listing(Place(root, ()))), None)
            done.append(f"root {root.name or '/'}")
        self.readers.ping()
        return [*done, "reader"]


def _content_tag(blob: Blob, *, wait: bool) -> str:
    """An ETag of the bytes themselves, where versions cannot tell."""
    return hashlib.blake2b(blob.read(wait=wait), digest_size=10).hexdigest()


def start_readers(settings: Settings) -> Readers:
    """Reader processes as the settings have them; none runs before it is needed."""
    return Readers(
        limit=settings.readers,
        memory=settings.reader_memory,
        deadline=settings.reader_deadline,
        environment=clean_environment(),
    )


def open_roots(settings: Settings, paths: tuple[str, ...]) -> Roots:
    """The roots from ``PATH`` or ``NAME=PATH`` words, and what links may reach besides.

    Raises:
        FileNotFoundError: A path does not exist.
    """
    named = [word.split("=", 1) if "=" in word else ["", word] for word in paths]
    several = len(named) > 1
    roots = [open_root(path, name or (_base(path) if several else "")) for name, path in named]
    roots += [open_root(path, listed=False) for path in settings.link_roots]
    mapping = tuple(tuple(part.encode() for part in word.split("=", 1)) for word in settings.path_map if "=" in word)
    return Roots(tuple(roots), mapping)  # type: ignore[arg-type]  # pairs


def _base(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
