"""The way in: :func:`connect` and :class:`Server`."""

import html
import re
from dataclasses import replace
from typing import Any, Self, overload
from urllib.parse import urlencode

from chunkserve_client import loop
from chunkserve_client.config import Options, find_server
from chunkserve_client.errors import NotFound, NotSupported
from chunkserve_client.nodes import File, fetch, make
from chunkserve_client.place import Place
from chunkserve_client.pool import pooled
from chunkserve_client.transport import Transport, quoted, transport_of

INSIDE = "::"
"""Between the path of a file and a path in it."""

HEADS = 8
"""Files looked at, at a time, by a listing with details."""

_ENTRY = re.compile(r'<li><a href="[^"]*">(.*?)</a></li>')


def connect(
    url: str | None = None, *, token: str | None = None, profile: str | None = None, **options: Any
) -> "Server":
    """A server.

    Args:
        url: Its URL, or the name of a profile; if it is left out: ``$CHUNKSERVE_URL``, then the profile ``default``.
        token: Sent with every request; ``$CHUNKSERVE_TOKEN`` or the profile's if it is left out.
        profile: A table of ``chunkserve/client.toml`` in the configuration folder.
        options: Of :class:`chunkserve_client.config.Options`: ``patience``, ``timeout``, ``connections``,
            ``cache_memory``, ``cache_disk``, ``cache_folder``.

    Raises:
        ValueError: No server is named anywhere.
    """
    found, secret = find_server(url, token, profile)
    return Server(Options(found, secret, **options))


class Server:
    """A server: files by path, listings, search. Nothing is asked before it is needed; it pickles."""

    def __init__(self, options: Options) -> None:
        """Talk to ``options.url``."""
        self.options = options

    @property
    def url(self) -> str:
        """Its base URL."""
        return self.options.url

    @property
    def transport(self) -> Transport:
        """Its connections, shared by all servers with the same options."""
        return transport_of(self.options)

    def __getitem__(self, name: str) -> Any:
        """A file, or what is in it: ``srv["raw/run42.nxs"]``, ``srv["run42.nxs::/entry/data/data"]``.

        Raises:
            NotFound: There is none.
        """
        return loop.run(self._get(name))

    async def aget(self, name: str) -> Any:
        """The same, to be awaited in any event loop."""
        return await loop.away(self._get(name))

    @overload
    def ls(self, folder: str = "") -> list[str]: ...

    @overload
    def ls(self, folder: str = "", *, detail: bool) -> list[dict[str, Any]]: ...

    def ls(self, folder: str = "", *, detail: bool = False) -> Any:
        """Names in a folder, those of folders with a slash at the end.

        Args:
            folder: Its path; the root if it is empty.
            detail: Dictionaries with ``name`` (whole path), ``type`` (``directory`` or ``file``) and ``size`` instead.

        Raises:
            NotFound: There is no such folder.
        """
        return loop.run(self._ls(folder, detail))

    def search(self, text: str, **options: str) -> list[dict[str, Any]]:
        """What matches in names, attributes and values, best first.

        Raises:
            NotSupported: This server has no search.
        """
        try:
            found = loop.run(self.transport.json(f"/api/search?{urlencode({'q': text, **options})}"))
        except NotFound as error:
            raise NotSupported("this server has no search; ls() and visititems() look by name", error.url) from None
        return list(found["results"] if isinstance(found, dict) else found)

    def ping(self) -> None:
        """See whether it answers.

        Raises:
            ClientError: It does not.
        """
        loop.run(self.transport.get("/healthz"))

    def close(self) -> None:
        """Close its connections; whatever is asked later opens new ones."""
        loop.run(self.transport.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<chunkserve Server {self.url}>"

    async def _get(self, name: str) -> Any:
        path, _, below = name.partition(INSIDE)
        place = Place(self.options, path.strip("/"))
        if not place.file:
            raise NotFound("name a file: srv['folder/run42.nxs']; ls() says what there is")
        if not below.strip("/"):
            return await File.opened(place)
        found = await fetch(place.at(below.strip("/")), "1")
        return make(replace(place, path=below.strip("/"), version=found["version"]), found["node"])

    async def _ls(self, folder: str, detail: bool) -> Any:
        path = quoted(folder)
        try:
            page = bytes((await self.transport.get(f"/zarr/{path}{'/' if path else ''}")).body).decode()
        except NotFound as error:
            raise NotFound(f"there is no folder {folder!r}; ls() without it lists the root", error.url) from None
        names = [html.unescape(name).rstrip("/") for name in _ENTRY.findall(page)]
        entries: list[dict[str, Any]] = [{"name": "/".join(filter(None, (folder.strip("/"), n)))} for n in names]
        await pooled(HEADS, (self._look(entry) for entry in entries))
        if detail:
            return entries
        return [name + ("/" if e["type"] == "directory" else "") for name, e in zip(names, entries, strict=True)]

    async def _look(self, entry: dict[str, Any]) -> None:
        """Add type and size to an entry of a listing."""
        wanted = {"Range": "bytes=0-0"}
        url = f"/files/{quoted(entry['name'])}"
        answer = await self.transport.get(url, wanted, expect=frozenset({404, 416}))
        if answer.status == 404:
            entry.update(type="directory", size=None)
            return
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        entry.update(type="file", size=int(total) if total.isdigit() else len(answer.body))
