"""Folders with files to be found, and an index of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.search.finder import Finder, Page, Result
from chunkserve.search.indexer import Indexer, bounded
from chunkserve.search.schema import path_of
from chunkserve.search.writer import Writer
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import load
from tests.conftest import AT_REST


def write_scan(path: Path, title: str = "a title", sample: str = "lysozyme") -> None:
    """A small NeXus file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["creator"] = "tests of chunkserve"
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["title"] = title
        entry.create_group("sample").attrs["NX_class"] = "NXsample"
        entry["sample/name"] = sample
        entry["sample/temperature"] = 100.0
        entry["sample/temperature"].attrs.update({"units": "kelvin", "history": ["cooled", "wärmer"]})
        detector = entry.create_group("detector")
        detector.attrs["NX_class"] = "NXdetector"
        detector.create_dataset("two_theta", data=np.zeros((3, 4), "f4"))
        entry["plot"] = h5py.SoftLink("/entry/detector/two_theta")
        entry["outside"] = h5py.ExternalLink("other.h5", "/x")


class Library:
    """A served folder, its index, and questions to it."""

    def __init__(self, folder: Path, cache: Path, settings: dict[str, object]) -> None:
        self.folder = folder
        self.settings = bounded(load(AT_REST | {"cache_dir": str(cache)} | settings))
        self.store = Store(self.settings, open_roots(self.settings, (str(folder),)))
        self.path = path_of(self.settings, self.store.roots)
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self.index = Writer(self.path, self.settings.search_disk)
        self.indexer = Indexer(self.settings, self.store, self.index, rest=0)
        self.finder = Finder(self.path)

    def update(self) -> None:
        self.indexer.update()

    def page(self, question: str, most: int = 50, cursor: str = "", **wishes: str) -> Page:
        return self.finder.page(self.store, question, most, cursor, **wishes)

    def find(self, question: str, **wishes: str) -> list[Result]:
        page = self.page(question, **wishes)
        assert page["cursor"] is None
        return page["results"]

    def paths(self, question: str, **wishes: str) -> list[str]:
        """What is found, as ``file:path``."""
        return [f"{found['file']}:{found['path']}" for found in self.find(question, **wishes)]

    def close(self) -> None:
        self.finder.close()
        self.index.close()
        self.store.close()


OpenLibrary = Callable[..., Library]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[OpenLibrary]:
    """Open an index of the folder ``data``; settings by name."""
    opened: list[Library] = []
    (tmp_path / "data").mkdir()

    def start(**settings: object) -> Library:
        opened.append(Library(tmp_path / "data", tmp_path / "cache", settings))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
