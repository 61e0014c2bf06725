"""Pages of apps that packages bring: ``/apps/{app}/{file}``."""

import mimetypes
from collections.abc import Mapping
from pathlib import Path

from chunkserve.apps import App
from chunkserve.errors import NotFound
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest


class AppFace:
    """Files of apps that packages bring."""

    def __init__(self, respond: Responder, apps: Mapping[str, App], policy: bytes) -> None:
        """Serve the folders of ``apps`` under a Content-Security-Policy."""
        self._respond = respond
        self._folders = {name: app.page.resolve() for name, app in apps.items() if app.page is not None}
        self._policy = policy

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        name, *rest = parse_path(request.path).parts or ("",)
        folder = self._folders.get(name)
        if folder is None or not rest:
            raise NotFound(request.path.decode("latin-1"))
        if not wait:
            raise WouldBlock
        data = _read(folder, folder.joinpath(*rest))
        head = self._respond.policy.cross_origin(request)
        media = mimetypes.guess_type(rest[-1])[0] or "application/octet-stream"
        head += (
            (b"content-type", media.encode() + (b"; charset=utf-8" if media.startswith("text/") else b"")),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", self._policy),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        )
        return self._respond.body(request, head, blob_of(data), digest("app", data))


def _read(folder: Path, path: Path) -> bytes:
    """A file of a folder.

    Raises:
        NotFound: There is none, or a link leads out.
    """
    try:
        found = path.resolve(strict=True)
        if not found.is_relative_to(folder):
            raise NotFound(path.name)
        return found.read_bytes()
    except OSError:
        raise NotFound(path.name) from None
