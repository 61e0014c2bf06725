"""A folder to be served, a folder beside it that is not, and a look at what a place leads to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chunkserve.sources.localfile import LocalFile, open_file
from chunkserve.sources.roots import Place, Roots, open_root


@dataclass(frozen=True)
class Folders:
    """``inside`` holds ``a.h5`` and ``sub/b.h5``; ``outside`` holds ``secret.h5`` and ``sub/b.h5``."""

    inside: Path
    outside: Path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Two folders side by side; every file contains its own path below them."""
    for name in ("inside/a.h5", "inside/sub/b.h5", "outside/secret.h5", "outside/sub/b.h5"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Folders(tmp_path / "inside", tmp_path / "outside")


@pytest.fixture
def roots(folders: Folders) -> Roots:
    """The inner folder alone."""
    return Roots((open_root(str(folders.inside)),))


@pytest.fixture
def content() -> Callable[[Roots, Place], str]:
    """What is in the file at a place."""

    def read(roots: Roots, place: Place) -> str:
        file = open_file(roots, place)
        return file.read(0, file.identity.size).decode()

    return read


@pytest.fixture
def opened(roots: Roots) -> Callable[..., LocalFile]:
    """Open a file by URL components."""
    return lambda *parts: open_file(roots, roots.locate(parts)[0])
