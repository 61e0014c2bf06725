"""Which server and token: arguments, then a profile, then the environment.

A profile is a table of ``chunkserve/client.toml`` in the user's configuration folder (``~/.config`` on Linux)::

    [default]
    url = "https://data.example.org"
    token = "..."

    [beamline]
    url = "http://ws23:8000"
"""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

URL_VARIABLE, TOKEN_VARIABLE, BROWSER_VARIABLE = "CHUNKSERVE_URL", "CHUNKSERVE_TOKEN", "CHUNKSERVE_BROWSER"
DEFAULT = "default"


@dataclass(frozen=True)
class Options:
    """How to talk to a server; equal options share connections and caches.

    Attributes:
        url: Its base URL, without a slash at the end.
        token: Sent as ``Authorization: Bearer``, if there is one.
        patience: Seconds to go on trying while the server is busy, restarting or computing.
        timeout: Seconds without a byte after which a request is tried again.
        connections: Most connections at once.
        cache_memory: Bytes of decoded chunks kept in memory; 0 keeps none.
        cache_disk: Bytes of chunks kept on disk; 0 keeps none.
        cache_folder: Where; by default in the user's cache folder.
        browser: URL, or path on the notebook's own host, at which browsers reach the server, if not at ``url``.
    """

    url: str
    token: str = ""
    patience: float = 60.0
    timeout: float = 30.0
    connections: int = 8
    cache_memory: int = 256 << 20
    cache_disk: int = 0
    cache_folder: str = ""
    browser: str = field(default_factory=lambda: os.environ.get(BROWSER_VARIABLE, ""))

    def __repr__(self) -> str:  # a token does not belong into logs
        return f"Options(url={self.url!r})"


def profiles_file() -> Path:
    """Where profiles are kept."""
    return Path(platformdirs.user_config_dir("chunkserve")) / "client.toml"


def find_server(url: str | None, token: str | None, profile: str | None) -> tuple[str, str]:
    """The URL and token to use.

    Args:
        url: A URL, the name of a profile, or nothing.
        token: Taken as it is, if given.
        profile: Name of a profile.

    Raises:
        ValueError: No server is named anywhere; the message says where one could be.
    """
    environment = os.environ
    if url and "://" not in url:
        url, profile = None, profile or url
    if url:
        return _checked(url), token if token is not None else environment.get(TOKEN_VARIABLE, "")
    known = _profiles()
    if profile is None and environment.get(URL_VARIABLE):
        return _checked(environment[URL_VARIABLE]), token if token is not None else environment.get(TOKEN_VARIABLE, "")
    name = profile or DEFAULT
    if name not in known:
        names = f"there are {', '.join(sorted(known))}" if known else "there is none"
        raise ValueError(
            f"no server is named: pass its URL to connect(), set {URL_VARIABLE}, or write [{name}] with url = ... "
            f"to {profiles_file()} ({names})"
        )
    found = known[name]
    if "url" not in found:
        raise ValueError(f"profile [{name}] in {profiles_file()} has no url")
    return _checked(str(found["url"])), token if token is not None else str(found.get("token", ""))


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "chunkserve":
        return f"http://{parts.netloc}{parts.path.rstrip('/')}"
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"{url!r} is not the URL of a server, such as https://data.example.org")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _profiles() -> dict[str, dict[str, object]]:
    file = profiles_file()
    try:
        text = file.read_text()
    except FileNotFoundError:
        return {}
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}") from None
    return {name: table for name, table in found.items() if isinstance(table, dict)}
