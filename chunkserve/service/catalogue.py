"""What is served: folders with their members, and files with what follows their name in a path."""

from typing import Literal, NotRequired, TypedDict

from chunkserve.service.store import Store
from chunkserve.sources.roots import Entry

HDF5_SUFFIXES = (".cxi", ".h5", ".h5ad", ".hdf", ".hdf5", ".he5", ".ims", ".mat", ".nc", ".nc4", ".nx", ".nx5", ".nxs")
"""Names that files readable by libhdf5 usually have. Others may be, too."""

Kind = Literal["folder", "hdf5", "file"]


class EntryDocument(TypedDict):
    """A member of a folder; folders have neither size (bytes) nor time of change (seconds since 1970)."""

    name: str
    kind: Kind
    size: NotRequired[int]
    modified: NotRequired[float]


class FolderDocument(TypedDict):
    """A folder, its members by name, folders first."""

    kind: Literal["folder"]
    path: str
    entries: list[EntryDocument]


class FileDocument(TypedDict):
    """A file; ``inside`` is the path in it that followed its name, beginning with a slash."""

    kind: Literal["hdf5", "file"]
    path: str
    inside: str
    size: int
    modified: float


def describe(store: Store, path: tuple[str, ...]) -> FolderDocument | FileDocument:
    """The folder or file that a path leads to. Looks at names and ``stat`` alone, and opens nothing.

    Raises:
        NotFound: Nothing is served there.
    """
    if not path and not store.single_root():
        names = store.listing(()).folders
        return FolderDocument(kind="folder", path="", entries=[EntryDocument(name=n, kind="folder") for n in names])
    place, rest = store.roots.locate(path)
    name = "/".join(path[: len(path) - len(rest)])
    if store.roots.is_folder(place):
        members = sorted(store.roots.listing(place, path), key=lambda member: not member.is_folder)
        return FolderDocument(kind="folder", path=name, entries=[_entry(member) for member in members])
    found = store.roots.stat(place)
    return FileDocument(
        kind="hdf5" if is_hdf5(name) else "file",
        path=name,
        inside="/" + "/".join(rest),
        size=found.st_size,
        modified=found.st_mtime,
    )


def _entry(member: Entry) -> EntryDocument:
    if member.is_folder:
        return EntryDocument(name=member.name, kind="folder")
    kind: Kind = "hdf5" if is_hdf5(member.name) else "file"
    return EntryDocument(name=member.name, kind=kind, size=member.size, modified=member.mtime)


def is_hdf5(name: str) -> bool:
    """Whether a file's name ends as those of HDF5 files do."""
    return name.lower().endswith(HDF5_SUFFIXES)
