"""Lines as few points: ``/line/{file}/{dataset}?axis=&index=&start=&stop=&points=``."""

import json
import re
from collections.abc import Mapping

import numpy as np

from chunkserve.errors import BadRequest
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.service.blob import blob_of
from chunkserve.service.lines import LineWish, line
from chunkserve.service.rulers import rulers
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset({"axis", "index", "start", "stop", "points", "v"})

POINTS = 2000

_NAMES = {np.inf: "Infinity", -np.inf: "-Infinity"}
_NUMBER = re.compile(r"[0-9]{1,18}\Z")


class LineFace:
    """Extremes of parts of lines."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve lines through the datasets of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        p = parameters_of(request.query, path.parameters, PARAMETERS)
        if not wait:
            raise WouldBlock
        node = self.store.node(path.parts)
        pinned = p.get("v", "")
        if pinned:
            self.store.check_pin(node.files[0], pinned, wait=wait)
        start, points = _number(p, "start"), _number(p, "points")
        wish = LineWish(
            _number(p, "axis"),
            p.get("index", ""),
            0 if start is None else start,
            _number(p, "stop"),
            POINTS if points is None else points,
        )
        found = line(self.store.pyramids, node, wish)
        document = {
            "shape": list(found.pyramid.plan.shape),
            "dtype": found.pyramid.dtype.name,
            "axis": found.axis,
            "index": list(found.index),
            "names": list(found.pyramid.array.dimensions),
            "rulers": rulers(self.store.pyramids, found.pyramid),
            "start": found.start,
            "stop": found.stop,
            "factor": found.factor,
            "min": _plain(found.least),
            "max": _plain(found.greatest) if found.factor > 1 else None,
            "version": self.store.pin(path.parts, wait=True),
        }
        data = json.dumps(document, allow_nan=False).encode()
        return self.respond.answer(
            request, Answer(blob_of(data), digest("line", data), json=True), wait=wait, pinned=bool(pinned)
        )


def _number(p: Mapping[str, str], name: str) -> int | None:
    text = p.get(name, "")
    if text and not _NUMBER.match(text):
        raise BadRequest(f"{name}={text} is not a number of elements")
    return int(text) if text else None


def _plain(values: np.ndarray) -> list[float | str | None]:
    """As JSON has numbers: ``null`` where there is none, infinite ones by name."""
    if np.isfinite(values).all():
        return list(values.tolist())
    return [
        v if np.isfinite(v) else None if np.isnan(v) else "Infinity" if v > 0 else "-Infinity" for v in values.tolist()
    ]
