"""The way in: :func:`connect` and :class:`Server`."""

from dataclasses import replace
from typing import Any, Self, overload
from urllib.parse import urlencode

from chunkserve_client import loop
from chunkserve_client.config import Options, find_server
from chunkserve_client.errors import NotFound, NotSupported
from chunkserve_client.nodes import File, fetch, make
from chunkserve_client.place import Place
from chunkserve_client.transport import Transport, quoted, transport_of

INSIDE = "::"
"""Between the path of a file and a path in it."""

MOST_RESULTS = 500
"""Results of a search that a server gives in one answer."""


def connect(
    url: str | None = None, *, token: str | None = None, profile: str | None = None, **options: Any
) -> "Server":
    """A server.

    Args:
        url: Its URL, or the name of a profile; if it is left out: ``$CHUNKSERVE_URL``, then the profile ``default``.
        token: Sent with every request; ``$CHUNKSERVE_TOKEN`` or the profile's if it is left out.
        profile: A table of ``chunkserve/client.toml`` in the configuration folder.
        options: Of :class:`chunkserve_client.config.Options`: ``patience``, ``timeout``, ``connections``,
            ``cache_memory``, ``cache_disk``, ``cache_folder``, ``browser``.

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
            detail: Dictionaries instead, with ``name`` (whole path), ``type`` (``directory`` or ``file``), ``size`` in
                bytes and ``modified`` in seconds since 1970 (``None`` for folders).

        Raises:
            NotFound: There is no such folder.
        """
        return loop.run(self._ls(folder, detail))

    def search(self, text: str, *, kind: str = "", below: str = "", limit: int = 50) -> list[dict[str, Any]]:
        """What matches in all files: names, NX classes, attributes, short texts; best first.

        Args:
            text: Words, or beginnings of words.
            kind: Only ``file``, ``group``, ``dataset`` or ``link``.
            below: Only in this file, or below this folder.
            limit: Results.

        Returns:
            Dictionaries with ``file``, ``path`` in it, ``kind``, ``name``, ``nx_class``, ``shape``, ``dtype``, and what
            ``matched``; ``srv[f"{r['file']}::{r['path']}"]`` opens one.

        Raises:
            NotSupported: This server has no search.
            ValueError: There is nothing to search for.
        """
        return loop.run(self._search({"q": text, "kind": kind, "below": below}, limit))

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

    async def _search(self, question: dict[str, str], limit: int) -> list[dict[str, Any]]:
        asked = {name: word for name, word in question.items() if word or name == "q"}
        results: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None and len(results) < limit:
            page = (
                asked | {"limit": str(min(limit - len(results), MOST_RESULTS))} | ({"cursor": cursor} if cursor else {})
            )
            try:
                found = await self.transport.json(f"/api/search?{urlencode(page)}")
            except NotFound as error:
                raise NotSupported("this server has no search; ls() and visititems() look by name", error.url) from None
            results += found["results"]
            cursor = found["cursor"]
        return results

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
        try:
            found = await self.transport.json(f"/api/files/{quoted(folder)}")
        except NotFound as error:
            raise NotFound(f"there is no folder {folder!r}; ls() without it lists the root", error.url) from None
        if found["kind"] != "folder":
            raise NotFound(f"{folder!r} is a file; srv[{folder!r}] opens it")
        if not detail:
            return [e["name"] + ("/" if e["kind"] == "folder" else "") for e in found["entries"]]
        return [
            {
                "name": "/".join(filter(None, (found["path"], e["name"]))),
                "type": "directory" if e["kind"] == "folder" else "file",
                "size": e.get("size"),
                "modified": e.get("modified"),
            }
            for e in found["entries"]
        ]
