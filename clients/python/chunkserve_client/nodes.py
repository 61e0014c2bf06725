"""Files, groups and datasets, as h5py has them: mappings by path."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import msgpack
import numpy as np

from chunkserve_client import download, levels, loop
from chunkserve_client.arrays import Array
from chunkserve_client.attributes import Attributes
from chunkserve_client.errors import Damaged, FileChanged, NotFound
from chunkserve_client.levels import Level, LevelInfo, Picture
from chunkserve_client.pages import group_html, tree_text
from chunkserve_client.place import Place
from chunkserve_client.slices import MSGPACK
from chunkserve_client.types import HdfType, Message

if TYPE_CHECKING:
    import xarray

NETCDF_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"


async def fetch(place: Place, depth: str) -> Message:
    """What ``/meta`` says of a node.

    Raises:
        NotFound: There is no such node.
        FileChanged: The file is another one by now.
    """
    url = place.url("meta", depth=depth)
    try:
        answer = await place.transport.get(url, MSGPACK)
    except NotFound as error:
        what = f"{place.path!r} in {place.file}" if place.path else f"file {place.file!r}"
        raise NotFound(f"there is no {what}; keys() and ls() say what there is", error.url) from None
    found: Message = msgpack.unpackb(answer.body, unicode_errors="surrogateescape", strict_map_key=False)
    return found


class Node:
    """What files, groups, datasets and named types share.

    Attributes:
        place: Where it is.
        message: Its header, as the server describes it.
    """

    def __init__(self, place: Place, message: Message) -> None:
        """A node from its header."""
        self.place = place
        self.message = message

    @property
    def name(self) -> str:
        """Absolute path in the file."""
        return f"/{self.place.path}"

    @property
    def attrs(self) -> Attributes:
        """Its attributes."""
        return Attributes(self.message.get("attributes") or {})

    @property
    def file(self) -> "File":
        """The file it is in, in the same version."""
        return File.of(self.place)

    @property
    def parent(self) -> "Group":
        """The group on the way to it."""
        found = self.file[posixpath.dirname(self.name)]
        assert isinstance(found, Group)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.place == other.place

    def __hash__(self) -> int:
        return hash(self.place)


class NamedType(Node):
    """A committed datatype."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As numpy has it."""
        return HdfType(self.message["type"]).dtype

    def __repr__(self) -> str:
        return f"<chunkserve NamedType {self.name} {self.dtype}>"


class Dataset(Array, Node):
    """A dataset. Nothing is read until it is indexed.

    Attributes:
        chunks: Of the file, ``None`` if it is not chunked.
        maxshape: To which it may grow; ``None`` is without limit.
    """

    def __init__(self, place: Place, message: Message) -> None:
        """A dataset from its header."""
        Node.__init__(self, place, message)
        shape = message["shape"]
        dims = tuple(message.get("dims") or (None,) * len(shape or ()))
        Array.__init__(self, place, None if shape is None else tuple(shape), HdfType(message["type"]), dims)
        self.chunks = tuple(message["chunks"]) if message.get("chunks") else None
        self.maxshape = None if message.get("maxshape") is None else tuple(message["maxshape"])
        self._chunkless = self._chunkless or self._hidden()

    __eq__ = Node.__eq__
    __hash__ = Node.__hash__

    @property
    def filters(self) -> list[str]:
        """Names of the filters of its chunks, in the order of writing."""
        return [stage["name"] for stage in self.message.get("filters") or ()]

    @property
    def fillvalue(self) -> Any:
        """Of elements that were never written; zero if the file has none."""
        found = self._fill()
        return np.zeros((), self.type.element)[()] if found is None else found[()]

    @property
    def is_virtual(self) -> bool:
        """Whether it is made of parts of other datasets."""
        return bool(self.message.get("layout") == "virtual")

    # ---------------------------------------------------------------------- pyramid

    @property
    def levels(self) -> list[LevelInfo]:
        """The levels of its pyramid, the finest first."""
        return loop.run(levels.level_infos(self.place, self.shape))

    def level(self, number: int, *, axes: str = "", method: str = "") -> "Dataset | Level":
        """A level of its pyramid: each half the size of the one before.

        Args:
            number: 0 is the dataset itself.
            axes: To halve, e.g. ``"yx"``; the server decides if it is empty.
            method: ``mean``, ``max``, ``min``, ``mode`` or ``stride``.

        Raises:
            NotFound: There is none of that number.
        """
        if number == 0:
            return self
        place = replace(self.place, level=number, axes=axes, method=method)
        return loop.run(levels.open_level(place))

    def thumbnail(self, size: int = 256, **options: Any) -> Picture:
        """A picture of a plane of up to ``size`` (512 at most) pixels.

        Args:
            size: Pixels of the longer side.
            options: Of tiles (docs/tiles.md): ``index``, ``cmap``, ``vmin``, ``vmax``, ``scale``, ...
        """
        return loop.run(levels.thumbnail(self.place, size, options))

    def stats(self, level: int | None = None, **options: str) -> dict[str, Any]:
        """Statistics of a sample, or of a level: counts, extremes, percentiles, a histogram (docs/tiles.md)."""
        query = options | ({} if level is None else {"level": str(level)})
        found: dict[str, Any] = loop.run(self.place.transport.json(self.place.url("stats", **query)))
        return found

    # ------------------------------------------------------------------------ others

    def to_xarray(self) -> "xarray.DataArray":
        """A lazy ``DataArray`` with its coordinates."""
        from chunkserve_client.ecosystem import to_data_array  # noqa: PLC0415 - optional

        return to_data_array(self)

    def save(self, path: str, *, progress: bool = True) -> None:
        """Write all elements to a ``.npy`` file; goes on where an earlier attempt ended.

        Raises:
            FileChanged: The dataset is another one since the attempt began.
        """
        download.save(self, path, progress=progress)

    def __repr__(self) -> str:
        return f"<chunkserve Dataset {self.place.file}::{self.name} shape {self.shape}, dtype {self.dtype}>"

    def _fill(self) -> np.ndarray | None:
        message = self.message.get("fill")
        if message is None or self.type.wire is None or "data" not in message:
            return np.zeros((), self.type.wire) if self.type.wire is not None else None
        if self.type.dims:  # one element is an array
            return self.type.array(message, ()).reshape(-1)[:1].reshape(())
        return self.type.array(message, ())

    def _filtered(self) -> bool:
        return bool(self.filters)

    def _hidden(self) -> bool:
        """Whether Zarr's name may mean another dataset: netCDF lets a variable hide a dimension of its name."""
        name = self.message.get("attributes", {}).get("NAME", {}).get("data", b"")
        return bytes(name).startswith(NETCDF_DIMENSION) or "_nc4_non_coord_" in self.place.path


class Group(Node, Mapping[str, Any]):
    """A group: members by name, and by path below it."""

    def __getitem__(self, path: str) -> Any:
        """A member, or what a path leads to (from the root, if it begins with a slash).

        Raises:
            NotFound: There is none.
            Damaged: The file's structure is broken there.
        """
        return loop.run(self._get(path))

    async def aget(self, path: str) -> Any:
        """The same, to be awaited in any event loop."""
        return await loop.away(self._get(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._members())

    def __len__(self) -> int:
        return len(self._members())

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str):
            return False
        if "/" not in path:
            return path in self._members()
        try:
            self[path]
        except KeyError:
            return False
        return True

    __eq__ = Node.__eq__
    __hash__ = Node.__hash__

    def visititems(self, look: Callable[[str, Any], Any]) -> Any:
        """Call ``look(path, node)`` for everything below, each object once; a result other than ``None`` ends it.

        Soft and external links are not followed.
        """
        message = loop.run(fetch(self.place, "all"))["node"]
        return self._visit(message, "", look)

    def visit(self, look: Callable[[str], Any]) -> Any:
        """Call ``look(path)`` for everything below, as ``visititems``."""
        return self.visititems(lambda path, _: look(path))

    def tree(self, depth: int = 3) -> str:
        """The groups and datasets below, as text."""
        return tree_text(self.name, loop.run(fetch(self.place, str(depth)))["node"])

    def to_xarray(self, **options: Any) -> "xarray.Dataset":
        """The variables of the group as xarray's ``h5netcdf`` engine has them, lazily."""
        from chunkserve_client.ecosystem import to_dataset  # noqa: PLC0415 - optional

        return to_dataset(self.place, **options)

    def __repr__(self) -> str:
        return f"<chunkserve Group {self.place.file}::{self.name} ({len(self)} members)>"

    def _repr_html_(self) -> str:
        return group_html(self, loop.run(fetch(self.place, "3"))["node"])

    def _members(self) -> Mapping[str, Message]:
        if self.message.get("members") is None:
            self.message = loop.run(fetch(self.place, "1"))["node"]
        return self.message["members"] or {}

    def _visit(self, message: Message, below: str, look: Callable[[str, Any], Any]) -> Any:
        if message.get("members") is None:  # beyond what one answer holds
            place = self.place.at(posixpath.join(self.place.path, below))
            message = loop.run(fetch(place, "all"))["node"]
        for name, member in (message["members"] or {}).items():
            if member["kind"] in ("link", "same") or "link" in member or member["kind"] == "broken":
                continue
            path = posixpath.join(below, name)
            place = self.place.at(posixpath.join(self.place.path, path))
            found = look(path, make(place, member))
            if found is None and member["kind"] == "group":
                found = self._visit(member, path, look)
            if found is not None:
                return found
        return None

    async def _get(self, path: str) -> Any:
        if not isinstance(path, str):
            raise TypeError(f"members are named by text, not by {path!r}")
        whole = path if path.startswith("/") else posixpath.join(self.name, path)
        names = [name for name in whole.split("/") if name not in ("", ".")]
        target = "/".join(names)
        if target == self.place.path:
            return self
        place = self.place.at(target)
        members = self.message.get("members") or {}
        known = members.get(names[-1]) if "/".join(names[:-1]) == self.place.path else None
        if known is None or known["kind"] not in ("dataset", "datatype"):
            known = (await fetch(place, "1"))["node"]
        return make(place, known)


def make(place: Place, message: Message) -> "Group | Dataset | NamedType":
    """A node from its header.

    Raises:
        NotFound: It is a link that leads nowhere.
        Damaged: It cannot be read.
    """
    match message["kind"]:
        case "group":
            return Group(place, message) if place.path else File(place, message)
        case "dataset":
            return Dataset(place, message)
        case "datatype":
            return NamedType(place, message)
        case "link":
            raise NotFound(f"/{place.path} is a link that leads nowhere: {message.get('reason')}")
        case _:
            raise Damaged(f"/{place.path} cannot be read: {message.get('reason')}")


class File(Group):
    """A file: its root group, pinned to the version it had when it was opened."""

    @classmethod
    async def opened(cls, place: Place) -> Self:
        """Open a file in its current version.

        Raises:
            NotFound: There is no such file.
        """
        found = await fetch(replace(place, version="", path=""), "1")
        return cls(replace(place, version=found["version"], path=""), found["node"])

    @classmethod
    def of(cls, place: Place) -> Self:
        """The file of a place."""
        return cls(place.at(""), {"kind": "group", "members": None})

    @property
    def filename(self) -> str:
        """Its path below the server."""
        return self.place.file

    @property
    def version(self) -> str:
        """The version that is read; empty for a file that is being written."""
        return self.place.version

    @property
    def attrs(self) -> Attributes:
        """Attributes of the root group."""
        self._members()
        return Attributes(self.message.get("attributes") or {})

    def is_current(self) -> bool:
        """Whether the file is still the one that was opened."""
        if not self.version:
            return True
        try:
            loop.run(fetch(self.place, "0"))
        except FileChanged:
            return False
        return True

    def refresh(self) -> None:
        """Go on with the version that is there now."""
        fresh = loop.run(File.opened(self.place))
        self.place, self.message = fresh.place, fresh.message

    def download(self, path: str | None = None, *, progress: bool = True) -> str:
        """Save the file, byte for byte; goes on where an earlier attempt ended.

        Returns:
            The path it was saved to: by default its name, here.

        Raises:
            FileChanged: It is another one by now; what was saved of the old one is removed.
        """
        target = path or posixpath.basename(self.filename)
        download.download(self.place, target, progress=progress)
        return target

    def close(self) -> None:
        """Nothing to do: connections are the server's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<chunkserve File {self.filename} version {self.version or 'live'}>"
