"""The composition root: settings in, an ASGI application out, with every route in sight."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import cast

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from chunkserve.faces.files import FileFace
from chunkserve.faces.ops import healthz, readyz
from chunkserve.faces.respond import Policy, Receive, Responder, Scope, Send
from chunkserve.faces.zarr import ZarrFace
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import Settings

Face = Callable[[Scope, Receive, Send], Awaitable[None]]

READING = frozenset({"GET", "HEAD"})


def build(settings: Settings, paths: tuple[str, ...]) -> "App":
    """The application that serves ``paths`` (``PATH`` or ``NAME=PATH``).

    Raises:
        FileNotFoundError: A path does not exist.
    """
    store = Store(settings, open_roots(settings, paths or settings.roots))
    threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="chunkserve")
    policy = Policy(
        settings.cache_control.encode(),
        settings.pinned_cache_control.encode(),
        frozenset(origin.encode() for origin in settings.cors),
    )
    responder = Responder(policy, threads, settings.cache_memory // 8)
    faces: Mapping[bytes, Face] = {
        b"zarr": ZarrFace(store, responder, 3),
        b"zarr2": ZarrFace(store, responder, 2),
        b"files": FileFace(store, responder),
    }
    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        threads.shutdown(wait=False, cancel_futures=True)
        store.close()

    others = Starlette(routes=routes, lifespan=lifespan)
    others.state.store = store
    return App(faces, others, responder)


class App:
    """Dispatches on the first segment of the path, matrix parameters aside; Starlette routes what is left."""

    def __init__(self, faces: Mapping[bytes, Face], others: ASGIApp, responder: Responder) -> None:
        """Serve ``faces`` by first segment, and ``others``."""
        self.faces = faces
        self.others = others
        self.responder = responder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (https://asgi.readthedocs.io/)."""
        if scope["type"] != "http":
            await self.others(scope, cast("Receive", receive), send)
            return
        raw: bytes = scope["raw_path"]
        end = raw.find(b"/", 1)
        face = self.faces.get(raw[1 : end if end > 0 else len(raw)].partition(b";")[0])
        if face is None:
            await self.others(scope, cast("Receive", receive), send)
        elif scope["method"] in READING:
            await face(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self.responder.preflight(scope, send)
        else:
            await self.responder.problem(scope, send, 405, "only GET, HEAD and OPTIONS are served here")
