"""The documentation of the client says what is true."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import chunkserve_client
from chunkserve_client import errors
from chunkserve_client.cli import parser
from chunkserve_client.config import Options

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "client.md").read_text()


def test_the_public_names_are_documented() -> None:
    described = {"Array", "Level", "LevelInfo", "NamedType", "Picture", "Plan", "StringInfo", "__version__"}
    for name in set(chunkserve_client.__all__) - described - {"Dataset", "Empty", "File", "Group", "Server"}:
        assert f"`{name}`" in PAGE or f"{name}(" in PAGE or f".{name}`" in PAGE, name


def test_every_option_is_documented() -> None:
    for option in dataclasses.fields(Options):
        if option.name not in ("url", "token"):
            assert f"`{option.name}`" in PAGE, option.name


def test_every_command_is_documented() -> None:
    commands = next(action for action in parser()._actions if action.metavar == "COMMAND")
    for name in commands.choices or ():
        assert f"chunkserve-client {name}" in PAGE


def test_every_error_is_drawn_in_the_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or "")
        assert kind.__name__ in chunkserve_client.__all__


def test_every_dependency_has_a_reason() -> None:
    declared = (ROOT / "clients/python/pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    reasons = (ROOT / "docs/decisions/0007-python-client.md").read_text()
    names = [line.split(">=")[0].strip(' "') for line in declared.splitlines() if ">=" in line]
    assert len(names) == 8
    for name in names:
        assert name in reasons, name


@pytest.mark.timeout(600)
def test_the_tutorial_runs() -> None:
    command = [sys.executable, "-W", "ignore", str(ROOT / "docs" / "make_tutorial.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_tutorial_shows_nothing_of_the_machine_it_was_made_on() -> None:
    text = (ROOT / "docs" / "tutorial.ipynb").read_text()
    for word in ("/root", "/home", "/tmp", "Warning", "Traceback"):
        assert word not in text, word
