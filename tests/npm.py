"""Packages of the npm registry: fetched once, kept in the cache folder of whoever runs the tests."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


def npm_package(name: str, version: str) -> Path:
    """The ``node_modules`` with a package. The test is skipped if it cannot be had."""
    folder = _cache() / f"{name.replace('/', '-')}-{version}"
    if not (folder / "node_modules" / name / "package.json").is_file():

        def fill(fresh: Path) -> None:
            _npm(fresh, "install", f"{name}@{version}")

        _make(folder, fill)
    return folder / "node_modules"


def npm_page(source: Path) -> Path:
    """A page built by Vite from a folder with a ``package.json``. The test is skipped if packages cannot be had."""
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:16]
    folder = _cache() / f"{source.name}-{digest}"
    if not (folder / "dist" / "index.html").is_file():

        def fill(fresh: Path) -> None:
            for path in files:
                shutil.copy(path, fresh)
            _npm(fresh, "install")
            subprocess.run(["npx", "vite", "build"], cwd=fresh, check=True, capture_output=True, timeout=120)

        _make(folder, fill)
    return folder / "dist"


def _cache() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    found = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chunkserve-tests"
    found.mkdir(parents=True, exist_ok=True)
    return found


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    """A folder that is there only when it is complete."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        fill(Path(fresh))
        try:
            os.rename(fresh, folder)
        except OSError:
            assert folder.is_dir()  # another process was faster
        else:
            Path(fresh).mkdir()  # for the context manager to remove


def _npm(folder: Path, *words: str) -> None:
    command = ["npm", *words, "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if line.startswith("npm error")), done.stderr)
        assert "ETARGET" not in said, f"there is no {' '.join(words[1:])}"
        pytest.skip(f"{' '.join(words[1:]) or folder.name} cannot be had from the npm registry: {said}")
