"""``chunkserve://host:8000/folder/file.nxs`` for fsspec: listings, and files read by byte ranges."""

from typing import Any
from urllib.parse import urlsplit

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from chunkserve_client import loop
from chunkserve_client.errors import FileChanged, NotFound
from chunkserve_client.server import Server, connect
from chunkserve_client.transport import quoted

PROTOCOL = "chunkserve"


class ChunkserveFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec is untyped
    """A server's files, read-only. The server is the URL's host, or ``url=``."""

    protocol = PROTOCOL

    def __init__(self, url: str | None = None, token: str | None = None, **options: Any) -> None:
        """Files of a server."""
        super().__init__(url=url, token=token, **options)
        self.server: Server = connect(url, token=token)

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        host = urlsplit(path).netloc if "://" in path else ""
        return {"url": f"http://{host}"} if host else {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(item) for item in path]
        text = str(path)
        if "://" in text:
            text = text.split("://", 1)[1].partition("/")[2]
        return text.strip("/")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Entries of a folder, or the entry of a file."""
        path = self._strip_protocol(path)
        try:
            found = self.server.ls(path, detail=True)
        except NotFound:
            raise FileNotFoundError(path) from None
        if path and any(entry["name"] == path for entry in found):
            found = [entry for entry in found if entry["name"] == path]
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Type and size of a file or folder.

        Raises:
            FileNotFoundError: There is none.
        """
        path = self._strip_protocol(path)
        if not path:
            return {"name": "", "type": "directory", "size": None}
        answer = loop.run(
            self.server.transport.get(f"/files/{quoted(path)}", {"Range": "bytes=0-0"}, expect=frozenset({404, 416}))
        )
        if answer.status == 404:
            self.ls(path)
            return {"name": path, "type": "directory", "size": None}
        size = answer.headers.get("Content-Range", "").rpartition("/")[2]
        length = int(size) if size.isdigit() else len(answer.body)
        return {"name": path, "type": "file", "size": length, "ETag": answer.etag}

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> "RemoteFile":
        if mode != "rb":
            raise ValueError("files are read-only")
        options = {name: value for name, value in options.items() if name in ("cache_type", "cache_options")}
        return RemoteFile(self, path, mode, block_size or 1 << 20, **options)


class RemoteFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec is untyped
    """A file read by ranges, all of one version."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Range": self.details["ETag"], "Accept-Encoding": "identity"}
        answer = loop.run(self.fs.server.transport.get(f"/files/{quoted(self.path)}", headers))
        if answer.etag != self.details["ETag"]:
            raise FileChanged("the file changed since it was opened; open it again", self.path)
        return bytes(answer.body)
