"""nginx with static copies of the bytes that chunkserve answers: the limit of what can be served."""

import getpass
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np
from rich.progress import Progress

from benchmarks.common.client import Client
from benchmarks.common.errors import Missing, Unserved, Wrong
from benchmarks.common.ours import Chunks, Shards
from benchmarks.common.processes import HOST, Process, free_port
from benchmarks.common.series import Series
from benchmarks.common.server import Running, Target, log_file

NAME = "nginx"
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
# no tcp_nopush: over loopback it holds the end of 64 KiB ranges back for 40 ms
CONFIGURATION = """
{user}worker_processes {workers}; daemon off; pid {run}/nginx.pid; error_log {run}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 65;
  client_body_temp_path {run}/t1; proxy_temp_path {run}/t2; fastcgi_temp_path {run}/t3; uwsgi_temp_path {run}/t4;
  scgi_temp_path {run}/t5;
  types {{ application/json json; }} default_type application/octet-stream;
  server {{ listen {host}:{port}{reuseport}; root {root}; }}
}}
"""


class Copies:
    """Static copies below a folder, at the very paths that chunkserve serves them at."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``."""
        self.folder = folder

    def path(self, ours: Chunks | Shards, path: str) -> Path:
        """The file of a path; plain and sharded answers do not share a folder."""
        return self.folder / type(ours).__name__.lower() / path.lstrip("/")

    def make(self, ours: Chunks | Shards, series: Series, progress: Progress) -> None:
        """Copy what is missing or no longer what chunkserve answers.

        Raises:
            Wrong: chunkserve does not answer.
        """
        paths = list(dict.fromkeys(target.path for target in ours.targets(series)))
        with Client(ours.port) as client:
            if all(self.path(ours, path).exists() for path in paths) and self._agree(ours, client, paths):
                return
            task = progress.add_task(f"copying {series.label}", total=len(paths))
            for path in paths:
                file = self.path(ours, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(client.body(path))
                progress.advance(task)
            progress.remove_task(task)
            if not self._agree(ours, client, paths):
                raise Wrong(f"chunkserve answers differently each time: {series.label}")

    def _agree(self, ours: Chunks | Shards, client: Client, paths: list[str]) -> bool:
        """Whether a sample of the copies is what chunkserve answers."""
        sample = paths[:: max(1, len(paths) // 8)]
        return all(client.body(path) == self.path(ours, path).read_bytes() for path in sample)


class Nginx(Running):
    """nginx over the copies."""

    def __init__(
        self, copies: Copies, sources: tuple[Chunks, Shards | None], folder: Path, workers: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Serve ``copies`` of what ``sources`` answer; scratch files go to ``folder``.

        Raises:
            Missing: It is not installed.
        """
        if PROGRAM is None:
            raise Missing("nginx is not installed (Debian: nginx-light)")
        folder.mkdir(parents=True, exist_ok=True)
        self.copies = copies
        self.sources = sources
        port = free_port()
        configuration = folder / "nginx.conf"
        text = CONFIGURATION.format(
            user=f"user {getpass.getuser()}; " if os.geteuid() == 0 else "",
            workers=workers, run=folder, host=HOST, port=port, root=copies.folder,
            reuseport=" reuseport" if workers > 1 else "",
        )  # fmt: skip
        configuration.write_text(text)
        command = [PROGRAM, "-c", str(configuration), "-p", str(folder)]
        process = Process(command, log_file(folder, NAME, workers), environment)
        super().__init__(NAME, workers, port, process)

    def targets(self, series: Series) -> list[Target]:
        """What chunkserve is asked for, copied."""
        ours = self._source(series)
        base = self.copies.folder
        return [
            Target(quote(f"/{self.copies.path(ours, path).relative_to(base)}"), byte_range)
            for path, byte_range in ours.targets(series)
        ]

    def values(self, series: Series, k: int, body: bytes) -> np.ndarray:
        """Decoded as chunkserve's own answer."""
        return self._source(series).values(series, k, body)

    def _source(self, series: Series) -> Chunks | Shards:
        ours = self.sources[1] if series.sharded else self.sources[0]
        if ours is None:
            raise Unserved("no shards were asked for")
        return ours
