"""A real JupyterLab over a folder, as somebody's own."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

BASE = "/user/anna/"
"""As behind JupyterHub."""


class Lab:
    """A running ``jupyter lab``; needs ``chunkserve[jupyter]`` and jupyterlab installed."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(8)
        runtime = state / "runtime"
        for path in (runtime, state / "home", state / "settings"):
            path.mkdir(parents=True, exist_ok=True)
        env = os.environ | {
            "HOME": str(state / "home"), "JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_TOKEN": self.token,
            "JUPYTERLAB_SETTINGS_DIR": str(state / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(state / "settings"),
            "JUPYTER_CONFIG_DIR": str(state / "home"),
        }  # fmt: skip
        options = [
            "--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1", f"--ServerApp.base_url={BASE}",
            f"--ServerApp.root_dir={folder}", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]  # fmt: skip
        self.log = state / "lab.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options], env=env, cwd=state, stdout=log, stderr=log
            )
        self.url = self._wait(runtime)

    def _wait(self, runtime: Path) -> str:
        until = time.monotonic() + 90
        while time.monotonic() < until and self.process.poll() is None:
            for path in runtime.glob("jpserver-*.json"):
                with contextlib.suppress(json.JSONDecodeError, KeyError):
                    return f"http://127.0.0.1:{json.loads(path.read_text())['port']}{BASE}"
            time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        """End it, and what it has started."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
