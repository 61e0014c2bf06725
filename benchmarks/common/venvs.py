"""Virtual environments of the peers, made when they are first needed."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.common.errors import Missing

INSTALL_SECONDS = 900
STAMP = "requirements.txt"


def base_python() -> str:
    """The interpreter that environments are made from: 3.12 if it is there and works, which is what the pins ran on."""
    found = shutil.which("python3.12")
    with contextlib.suppress(Missing):
        if found and _run([found, "-c", "import venv"]) == "":
            return found
    return getattr(sys, "_base_executable", sys.executable)


def environment(folder: Path, requirements: tuple[str, ...], python: str) -> Path:
    """The interpreter of an environment with these packages below ``folder``, made if need be.

    Raises:
        Missing: Something could not be installed.
    """
    wanted = "\n".join((*requirements, f"# {os.path.realpath(python)}"))
    interpreter, stamp = folder / "bin" / "python", folder / STAMP
    if interpreter.exists() and stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    _run([python, "-m", "venv", str(folder)])
    _run([str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
    stamp.write_text(wanted)
    return interpreter


def packages(interpreter: Path) -> dict[str, str]:
    """Names and versions of what is installed there."""
    listed = _run([str(interpreter), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"])
    return {item["name"]: item["version"] for item in json.loads(listed)}


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        raise Missing(next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "")) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from None
    return done.stdout
