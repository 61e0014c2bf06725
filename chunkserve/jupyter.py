"""In Jupyter: jupyter-server-proxy starts a server for the notebooks' folder when somebody opens the first file.

It listens on a Unix socket that only the user may open. Who may use Jupyter may read all files of that folder there;
nobody else reaches the socket.
"""

import os
import sys
from typing import Any

WORKERS = 2
START = 60.0
"""Seconds it may take to start, on a slow disk."""


def proxied() -> dict[str, Any]:
    """How to start it: the entry point of ``jupyter_serverproxy_servers``."""
    return {
        "command": command,
        "unix_socket": True,
        "timeout": START,
        "launcher_entry": {"title": "HDF5 files", "category": "Other"},
        "new_browser_tab": False,
    }


def command(unix_socket: str) -> list[str]:
    """The command line of the server that listens on a socket."""
    root = os.path.abspath(_root())
    listen = [f"--unix-socket={unix_socket}", f"--workers={WORKERS}", "--search=no", "--log-level=warning"]
    return [sys.executable, "-m", "chunkserve", "serve", root, *listen]


def _root() -> str:
    """The folder that Jupyter's file browser shows."""
    from jupyter_server.serverapp import ServerApp  # noqa: PLC0415 - there when Jupyter asks

    return os.path.expanduser(str(ServerApp.instance().root_dir)) if ServerApp.initialized() else os.getcwd()
