"""Imports point down the stack of ARCHITECTURE.md, never up; faces do not import each other."""

import ast
import re
from pathlib import Path

import pytest

import chunkserve

LAYERS = [  # lowest first; names in one row may not import each other
    {"errors", "versions", "datatypes", "chunkindex", "grid", "settings", "allocator", "board", "progress"}
    | {"apps", "jupyter"},
    {"model", "render", "selection"},
    {"wire", "codecs", "pyramid", "access"},
    {"metadata", "cache", "sources"},
    {"hdf5", "identity"},
    {"service"},
    {"search"},
    {"faces", "inspection", "library", "warming"},
    {"app", "express"},
    {"server", "cli_keys"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
ALLOWED = {("chunkindex", "errors"), ("grid", "errors"), ("settings", "errors")}  # leaves may know the errors
ROOT = Path(chunkserve.__file__).parent
MODULES = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]
SHARED_BY_FACES = {
    "asgi", "audit", "conditions", "crew", "doors", "guard", "home", "listing", "negotiation", "paths", "problems",
    "questions", "respond", "saving", "sending", "steps", "streams", "traffic", "turns", "visit",
}  # fmt: skip


def part(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """Names of chunkserve modules imported anywhere in a file, lazy and typing-only imports too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("chunkserve.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    here = part(path)
    there = {name.split(".")[1] for name in imported(path)} - {here, "__version__"}
    up = {name for name in there if RANK[name] >= RANK[here] and (here, name) not in ALLOWED}
    assert not up, f"{here} may not import {sorted(up)}"


@pytest.mark.parametrize("path", sorted((ROOT / "faces").glob("*.py")), ids=lambda p: p.stem)
def test_faces_do_not_know_each_other(path: Path) -> None:
    siblings = {name.split(".")[2] for name in imported(path) if name.startswith("chunkserve.faces.")}
    assert siblings <= SHARED_BY_FACES


def test_libraries_are_imported_behind_their_fences_only() -> None:
    def importers(module: str) -> set[str]:
        line = re.compile(rf"^(?:import|from) {module}\b", re.MULTILINE)
        return {part(path) for path in MODULES if line.search(path.read_text())}

    assert importers("h5py") == {"hdf5"}
    assert importers("starlette") <= {"faces", "app"}
    assert importers("PIL") == importers("cmap") == importers("tifffile") == {"render"}
