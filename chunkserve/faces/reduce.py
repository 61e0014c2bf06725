"""Reductions: ``/reduce/{file}/{dataset}?op=mean,max&axis=0``, as numpy would, where the data are."""

import functools
import re
from typing import Any

import msgspec
import numpy as np

from chunkserve.errors import BadRequest
from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder, Stream, prefers_json
from chunkserve.metadata.messages import Message, dtype_message
from chunkserve.metadata.values import array_json
from chunkserve.pyramid.reduction import OPERATIONS
from chunkserve.service.blob import blob_of
from chunkserve.service.reductions import Asked, Reduced, Work, known_extremes, left_out
from chunkserve.service.slices import Wanted
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest

PARAMETERS = frozenset(
    {"op", "axis", "sel", "field", "level", "axes", "method", "bins", "range", "valid", "format", "v"}
)

AHEAD = 3
"""Parts of the source that are reduced at a time."""

MOST_BINS = 2**16
"""Bins of a histogram."""

_NUMBER = re.compile(r"-?[0-9]{1,3}\Z")
_COUNT = re.compile(r"[0-9]{1,5}\Z")
_LEVEL = re.compile(r"[0-9]{1,3}\Z")


class ReduceFace:
    """Sums, extremes and histograms of datasets and levels."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Serve the datasets of ``store``."""
        self.store = store
        self.respond = respond
        self._parse = functools.lru_cache(4096)(parse_path)

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = self._parse(request.path)
        p = parameters_of(request.query, path.parameters, PARAMETERS)
        as_json = prefers_json(request, p.get("format", ""))
        if not wait:
            raise WouldBlock
        asked, wanted = _asked(p), _wanted(p)
        store = self.store
        node = store.object(path.parts).node()
        source = store.slices.known(path.parts, wanted) or store.slices.source(path.parts, node, wanted)
        pinned = p.get("v", "")
        if pinned:
            store.check_pin(source.files[0], pinned, wait=wait)
        version = store.version(source.files[0], wait=wait)
        rules = left_out(store.pyramids, source, node, asked)
        work = Work(source, asked, rules, store.settings.max_reduce_bytes)
        work.prepare()
        tag = digest("reduce-1", version, path.parts, wanted, source.tag, asked, as_json) if version else ""
        media = b"application/json" if as_json else b"application/msgpack"

        def finish(found: Reduced) -> bytes:
            data = _document(found, version, as_json=as_json)
            if tag:
                store.memory.put(tag, data, len(data))
            return data

        data = store.memory.get(tag) if tag else None
        if data is None:
            known = known_extremes(store.pyramids, node, work)
            data = finish(known) if known is not None else None
        if data is None:
            stream = Stream(work.jobs(finish), AHEAD)
            reply = self.respond.stream(request, stream, media, tag, version=version, pinned=bool(pinned))
        else:
            answer = Answer(blob_of(data), tag, version, media=media.decode())
            reply = self.respond.answer(request, answer, wait=wait, pinned=bool(pinned))
        if "format" not in p:
            reply.head.append((b"vary", b"Accept"))
        return reply


def _document(found: Reduced, version: str, *, as_json: bool) -> bytes:
    spell = _json_value if as_json else _value
    results: dict[str, Any] = {}
    for name, values in found.results.items():
        if name == "histogram":
            results[name] = {"counts": spell(values[0]), "edges": spell(values[1])}
        else:
            results[name] = spell(values)
    message = {
        "version": version,
        "shape": list(found.shape),
        "axes": list(found.axes),
        "source": found.source,
        "elements": found.elements,
        "results": results,
    }
    return msgspec.json.encode(message) if as_json else msgspec.msgpack.encode(message)


def _value(values: np.ndarray) -> Message:
    return {"type": dtype_message(values.dtype), "shape": list(values.shape), "data": values.tobytes()}


def _json_value(values: np.ndarray) -> Message:
    return {"type": dtype_message(values.dtype), "shape": list(values.shape), "values": array_json(values)}


def _wanted(p: dict[str, str]) -> Wanted:
    level = p.get("level", "")
    if level and not _LEVEL.match(level):
        raise BadRequest(f"level={level} is not the number of a level")
    fields = (p["field"],) if "field" in p else ()
    return Wanted("", fields, int(level or 0), p.get("axes", ""), p.get("method", ""))


def _asked(p: dict[str, str]) -> Asked:
    """The reduction that parameters ask for."""
    operations = tuple(dict.fromkeys(p.get("op", "").split(",")))
    unknown = [name for name in operations if name not in OPERATIONS]
    if unknown:
        raise BadRequest(f"op={p.get('op', '')}: name some of {', '.join(OPERATIONS)}")
    axes = None
    if p.get("axis", ""):
        words = p["axis"].split(",")
        if not all(map(_NUMBER.match, words)):
            raise BadRequest(f"axis={p['axis']} is not a list of numbers such as 0,-1")
        axes = tuple(map(int, words))
    bins = p.get("bins", "256")
    if not _COUNT.match(bins) or not 1 <= int(bins) <= MOST_BINS:
        raise BadRequest(f"bins={bins} is not a number from 1 to {MOST_BINS}")
    if p.get("valid", "0") not in ("0", "1"):
        raise BadRequest(f"valid={p['valid']} is neither 0 nor 1")
    return Asked(operations, p.get("sel", ""), axes, int(bins), _range(p.get("range", "")), p.get("valid") == "1")


def _range(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (int(word) if re.fullmatch(r"-?[0-9]{1,18}", word) else float(word) for word in text.split(","))
    except ValueError:
        raise BadRequest(f"range={text} is not two numbers such as 0,100") from None
    if not np.isfinite([low, high]).all() or low > high:
        raise BadRequest(f"range={text} does not go from one finite number up to another")
    return low, high
