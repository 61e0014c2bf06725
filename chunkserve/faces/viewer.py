"""The viewer: ``/``, ``/view/{path}``, ``/embed/{path}``, and what they load, ``/assets/{name}``.

The pages are one and the same document; what to show stands in the URL, and the browser works it out. Everything the
document refers to is relative to its ``<base>``, so it works behind a proxy that puts the server below any path.
"""

import functools
import mimetypes
from collections.abc import Iterable
from pathlib import Path

from chunkserve.errors import NotFound
from chunkserve.faces.home import home_page
from chunkserve.faces.negotiation import offered_codings
from chunkserve.faces.paths import parse_path
from chunkserve.faces.respond import Headers, Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.service.store import Store
from chunkserve.versions import digest

BUILD = Path(__file__).parents[1] / "web"
"""What ``npm run build`` in ``clients/web`` makes."""

_BASE = b'<base href="./"'
_CODINGS = {"br": ".br", "gzip": ".gz"}
"""Made at build time, beside each file; the best first."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; frame-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors "
)


def page_policy(ancestors: Iterable[str]) -> bytes:
    """The Content-Security-Policy of pages: nothing but this server, and ``ancestors`` may embed them."""
    return (_POLICY + (" ".join(ancestors) or "'none'")).encode()


class ViewerFace:
    """The viewer's pages and assets, or the plain front page where it was not built."""

    def __init__(self, store: Store, respond: Responder, ancestors: Iterable[str] = (), build: Path = BUILD) -> None:
        """Serve what lies in ``build``; only pages of the origins ``ancestors`` may embed ``/embed/...``."""
        self.store = store
        self.respond = respond
        self.build = build
        self._policies = {True: page_policy(ancestors), False: page_policy(("'self'",))}
        self._read = functools.lru_cache(256)(_read)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        del wait  # a few small files, in memory after they were asked for once
        first, _, rest = request.path[1:].partition(b"/")
        if first == b"assets":
            return self._asset(request, parse_path(request.path).parts)
        if not first and request.path != b"/":  # such as //etc, or *
            raise NotFound(request.path.decode("latin-1"))
        return self._page(request, rest.count(b"/") + 1 if b"/" in request.path[1:] else 0, embedded=first == b"embed")

    def _page(self, request: Request, depth: int, *, embedded: bool) -> Reply:
        """The document, told how far up the server's root is."""
        up = "../" * depth or "./"
        try:
            data = _read(self.build / "index.html")  # each time: who builds anew wants to see it
        except FileNotFoundError:
            return self.respond.text(request, home_page(request, self.store, up), "text/html; charset=utf-8")
        data = data.replace(_BASE, b'<base href="%s"' % up.encode())
        head = self.respond.policy.cross_origin(request)
        head += (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", self._policies[embedded]),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        )
        return self.respond.body(request, head, blob_of(data), digest("page", data))

    def _asset(self, request: Request, parts: tuple[str, ...]) -> Reply:
        """A file whose name has a digest of its content, compressed as the client likes it."""
        if len(parts) != 1:
            raise NotFound("/".join(parts))
        path = self.build / "assets" / parts[0]
        media = mimetypes.guess_type(parts[0])[0] or "application/octet-stream"
        head: Headers = self.respond.policy.cross_origin(request)
        head += (
            (b"content-type", media.encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"vary", b"Accept-Encoding"),
            (b"x-content-type-options", b"nosniff"),
        )
        offered = offered_codings(request.headers.get(b"accept-encoding", b""))
        for coding, suffix in _CODINGS.items() if b"range" not in request.headers else ():
            if coding in offered:
                try:
                    data = self._read(path.with_name(path.name + suffix))
                except FileNotFoundError:
                    continue
                head.append((b"content-encoding", coding.encode()))
                return self.respond.body(request, head, blob_of(data), f"{digest('asset', data)}-{coding}")
        try:
            data = self._read(path)
        except FileNotFoundError:
            raise NotFound(parts[0]) from None
        return self.respond.body(request, head, blob_of(data), digest("asset", data))


def _read(path: Path) -> bytes:
    return path.read_bytes()
