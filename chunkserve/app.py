"""The composition root: settings in, an ASGI application out, with every route in sight."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from chunkserve.access.rulefile import RuleFile
from chunkserve.apps import installed
from chunkserve.board import Board, Row
from chunkserve.faces.about import AboutFace
from chunkserve.faces.apps import AppFace
from chunkserve.faces.asgi import Faces
from chunkserve.faces.audit import Audit
from chunkserve.faces.branch import Branch
from chunkserve.faces.catalogue import CatalogueFace
from chunkserve.faces.crew import Crew
from chunkserve.faces.doors import Doors
from chunkserve.faces.files import FileFace
from chunkserve.faces.geometry import GeometryFace
from chunkserve.faces.guard import GuardedPages, guarded_faces
from chunkserve.faces.h5grove import H5groveFace
from chunkserve.faces.line import LineFace
from chunkserve.faces.meta import MetaFace
from chunkserve.faces.ome import OmeFace
from chunkserve.faces.ops import healthz, metrics, not_found, readyz
from chunkserve.faces.reduce import ReduceFace
from chunkserve.faces.refs import ReferenceFace
from chunkserve.faces.respond import Face, Policy, Responder
from chunkserve.faces.search import SearchFace
from chunkserve.faces.slices import SliceFace
from chunkserve.faces.stats import StatsFace
from chunkserve.faces.tiles import DeepZoomFace, TileFace
from chunkserve.faces.viewer import ViewerFace, page_policy
from chunkserve.faces.zarr import ZarrFace
from chunkserve.identity.identify import Identity
from chunkserve.search.figures import samples as search_samples
from chunkserve.search.finder import Finder
from chunkserve.search.schema import path_of
from chunkserve.service.metrics import Metrics, Sample, samples
from chunkserve.service.store import Store, open_roots
from chunkserve.settings import Settings

PUBLISHED_EVERY = 1.0
"""Seconds between two times that a worker tells the others its figures."""

WATCHED_EVERY = 1.0
"""Seconds between two looks at the file with the access rules."""


def build(settings: Settings, paths: tuple[str, ...], row: Row | None = None) -> Faces:
    """The application that serves ``paths`` (``PATH`` or ``NAME=PATH``).

    Args:
        settings: Of the server.
        paths: What is served; the setting ``roots`` if there are none.
        row: Where this worker tells its figures, if there are others.

    Raises:
        FileNotFoundError: A path does not exist.
    """
    store = Store(settings, open_roots(settings, paths or settings.roots))
    crew = Crew(settings.threads, max(1, settings.threads // 2))
    policy = Policy(
        settings.cache_control.encode(),
        settings.pinned_cache_control.encode(),
        frozenset(origin.encode() for origin in settings.cors),
    )
    respond = Responder(policy, settings.cache_memory // 8)

    finder = Finder(path_of(settings, store.roots)) if settings.search else None

    def open_faces(seen: Store) -> dict[bytes, Face]:
        return faces_over(seen, respond, settings, finder)

    doors = open_doors(settings, store, open_faces) if settings.access else None
    faces = open_faces(store) if doors is None else guarded_faces(open_faces(store), doors, respond)
    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        publishing = asyncio.create_task(_publish(metrics_of_all))
        watching = asyncio.create_task(_watch(doors)) if doors is not None else None
        yield
        publishing.cancel()
        if watching is not None and doors is not None:
            watching.cancel()
            doors.close()
        metrics_of_all.publish()
        crew.shutdown()
        if finder is not None:
            finder.close()
        store.close()

    others = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: not_found, 405: not_found})
    pages = others if doors is None else GuardedPages(others, doors, respond)
    found = Faces(faces, pages, respond, crew, settings.wait, posting=frozenset({b"slice"}))

    def gather() -> list[Sample]:
        of_search = search_samples(finder) if finder is not None else ()
        return [*samples(store), *of_search, *found.traffic.samples()]

    metrics_of_all = Metrics(row or Board(1).row(0), gather)
    others.state.store, others.state.metrics = store, metrics_of_all
    return found


def faces_over(store: Store, respond: Responder, settings: Settings, finder: Finder | None) -> dict[bytes, Face]:
    """Every face, by the first segment of its URLs. All they show, they ask of ``store``."""
    tiles = TileFace(store, respond)
    viewer = ViewerFace(store, respond, settings.frame_ancestors)
    return {
        b"zarr": ZarrFace(store, respond, 3),
        b"zarr2": ZarrFace(store, respond, 2),
        b"ome": OmeFace(store, respond, 3),
        b"ome2": OmeFace(store, respond, 2),
        b"tiles": tiles,
        b"dzi": DeepZoomFace(tiles),
        b"line": LineFace(store, respond),
        b"meta": MetaFace(store, respond),
        b"reduce": ReduceFace(store, respond),
        b"slice": SliceFace(store, respond),
        b"stats": StatsFace(store, respond),
        b"geometry": GeometryFace(store, respond),
        b"": viewer,
        b"view": viewer,
        b"embed": viewer,
        b"assets": viewer,
        b"apps": AppFace(respond, installed(), page_policy(settings.frame_ancestors)),
        b"api": Branch(told_of(store, respond, finder)),
        b"files": FileFace(store, respond),
        b"h5grove": H5groveFace(store, respond),
        b"refs": ReferenceFace(store, respond, settings.public_url),
    }


def open_doors(settings: Settings, store: Store, open_faces: Callable[[Store], Mapping[bytes, Face]]) -> Doors:
    """Access control as the settings have it.

    Raises:
        BadRequest: The rules are not understood.
    """
    rules = RuleFile(settings.access)
    options = rules.current.options
    audit = Audit(options.audit, options.audit_bytes, options.audit_files) if options.audit else None
    identity = Identity(options, settings.state_folder())
    return Doors(store, open_faces, rules, identity, audit=audit)


async def _watch(doors: Doors) -> None:
    """Take changed rules, write the audit log."""
    while True:
        await asyncio.sleep(WATCHED_EVERY)
        await asyncio.to_thread(doors.refresh)


def told_of(store: Store, respond: Responder, finder: Finder | None) -> dict[bytes, Face]:
    """The faces below ``/api``, by the second segment of their URLs."""
    found: dict[bytes, Face] = {b"files": CatalogueFace(store, respond), b"server": AboutFace(respond, installed())}
    if finder is not None:
        found[b"search"] = SearchFace(store, respond, finder)
    return found


async def _publish(metrics: Metrics) -> None:
    while True:
        metrics.publish()
        await asyncio.sleep(PUBLISHED_EVERY)
