"""Packages of the npm registry: fetched once, kept in the cache folder of whoever runs the tests."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def npm_package(name: str, version: str) -> Path:
    """The ``node_modules`` with a package. The test is skipped if it cannot be had."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chunkserve-tests"
    folder = cache / f"{name.replace('/', '-')}-{version}"
    if not (folder / "node_modules" / name / "package.json").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", fresh]
            done = subprocess.run(
                [*command, f"{name}@{version}"], capture_output=True, text=True, check=False, timeout=120
            )
            if done.returncode:
                said = next((line for line in done.stderr.splitlines() if line.startswith("npm error")), done.stderr)
                assert "ETARGET" not in said, f"there is no {name} {version}"
                pytest.skip(f"{name} cannot be had from the npm registry: {said}")
            try:
                os.rename(fresh, folder)
            except OSError:
                assert folder.is_dir()  # another process was faster
            else:
                Path(fresh).mkdir()  # for the context manager to remove
    return folder / "node_modules"
